"""A judging that is killed resumes where it was."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from judge_server import find_code, judge_at, predict, say, serve

_PROGRAM = """
import sys
sys.path.append({support!r})
from pathlib import Path
from judge_server import judge_at, predict
with judge_at({url!r}, Path({folder!r}), concurrency=2) as judge:
    list(judge.judge(predict(n, f"They do, {{n}}.") for n in range(40)))
"""


def test_a_killed_judging_asks_only_for_what_was_not_answered(tmp_path):
    tests, half = Path(__file__).parents[2], threading.Event()

    def decide(body, number):
        if number == 20:
            half.set()
            # the killer is on its way
            threading.Event().wait(0.5)
        return say(f"Hm.\nVERDICT {find_code(body)} 0")

    with serve(decide) as script:
        program = _PROGRAM.format(
            support=str(tests / "support"),
            url=script.url,
            folder=str(tmp_path),
        )
        process = subprocess.Popen([sys.executable, "-c", program], cwd=tests.parent)
        assert half.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        asked = len(script.bodies)
        with judge_at(script.url, tmp_path, concurrency=2) as judge:
            verdicts = list(judge.judge(predict(n, f"They do, {n}.") for n in range(40)))
    assert [(v.id, v.score) for v in verdicts] == [(f"i{n}", 0.0) for n in range(40)]
    assert asked < 40 and len(script.bodies) <= 40 + 2, (
        "at most the questions under way were asked twice"
    )
