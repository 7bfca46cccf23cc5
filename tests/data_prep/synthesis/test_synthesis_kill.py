"""kill -9 while an engine speaks or a recogniser listens: the same files in the end, and nothing
asked for twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from question_sets import write_squad
from test_synthesis_speak import read_files
from test_transcribe import HEARD, write_spgispeech
from voice_server import hear, serve_voices, sing

from data_prep.synthesis.__main__ import main

KILLS = 2


def prepare(command, folder):
    """The flags of a command, but for its folder and its server."""
    if command == "speak":
        path = write_squad(folder / "train.json", "v1.1", articles=9)
        return [f"--file={path}", "--corpus=squad", "--engine=endpoint", "--voices=ash,birch,cedar"]
    write_spgispeech(folder, train=12, val=2)
    return [f"--root={folder}", "--corpus=spgispeech", "--asr=endpoint"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["speak", "transcribe"])
def test_killed_and_started_again(command, tmp_path):
    flags, out, rng = prepare(command, tmp_path), tmp_path / "killed", random.Random(7)

    def slowly(answer):
        time.sleep(0.05)
        return answer

    with serve_voices(
        speech=lambda number, sent: slowly(sing(len(sent["input"]))),
        transcriptions=lambda number, sent: slowly(hear(HEARD)),
    ) as server:
        whole = [
            command,
            *flags,
            f"--endpoint={server.url}",
            "--model=m",
            "--concurrency=2",
            "--workers=1",
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

        def start():
            return subprocess.Popen(
                [sys.executable, "-m", "data_prep.synthesis", *whole, f"--out={out}"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )

        for _ in range(KILLS):
            # the clock starts with the first call of each life
            target, run = len(server.asked) + rng.randrange(2, 5), start()
            while len(server.asked) < target and run.poll() is None:
                time.sleep(0.002)
            run.send_signal(signal.SIGKILL)
            run.communicate()
            assert run.returncode == -signal.SIGKILL and not (out / "report.json").exists()
        run = start()
        said = run.communicate(timeout=60)[0].decode()
        assert run.returncode == 0, said
        asked = [
            sent["input"] if command == "speak" else sent["file"][1] for _, sent, _ in server.asked
        ]
        # no more than the calls that were under way at each kill
        assert len(asked) - len(set(asked)) <= 2 * KILLS and len(set(asked)) >= 9
        main([*whole, f"--out={tmp_path / 'calm'}"])
    assert read_files(out) == read_files(tmp_path / "calm")
