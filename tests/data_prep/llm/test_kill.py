"""kill -9 at random moments: the same files in the end, and no finished call asked again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from chat_server import serve
from fake_metadata import write_metadata
from fake_writer import FlakyWriter, answer_well, hash_body

from data_prep.instructions.llm.prompts import VERSION
from data_prep.instructions.llm.write import Plan, write_llm_instructions
from data_prep.llm.chat_client import Endpoint
from data_prep.llm.journal import Journal, make_key

_KILLS = 3
_PLAN = {
    "languages": ("en",),
    "splits": ("train", "dev"),
    "sets": ("open_ended", "closed_ended/comparison"),
    "pairs": 3,
}


def start(metadata, out, url):
    flags = [
        f"--metadata={metadata}",
        f"--out={out}",
        f"--endpoint={url}",
        "--model=m",
        "--concurrency=4",
        "--pairs=3",
        *(f"--{name}={','.join(_PLAN[name])}" for name in ("languages", "splits", "sets")),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "SIFT_LLM_KEY": "sk-killed-not-told",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep.instruct", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def read_files(out):
    return {
        path.name if path.parent == out else str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*.jsonl")
        if path.name != "calls.jsonl"
    }


def test_killed_and_started_again(tmp_path):
    metadata = write_metadata(
        tmp_path / "m.jsonl", languages=("en",), sizes={"train": 30, "dev": 4}
    )
    with serve(lambda number, body: answer_well(body)) as server:
        endpoint = Endpoint(url=server.url, model="m", concurrency=4)
        write_llm_instructions(metadata, tmp_path / "calm", endpoint=endpoint, plan=Plan(**_PLAN))
        expected, calls = read_files(tmp_path / "calm"), len(server.bodies)
    rng, flaky, out = random.Random(3), FlakyWriter(1), tmp_path / "killed"
    with serve(lambda number, body: {**flaky(number, body), "seconds": 0.01}) as server:
        for _ in range(_KILLS):
            before = len(server.bodies)
            run = start(metadata, out, server.url)
            # the clock starts with the first call of this run, not with the imports
            while len(server.bodies) == before and run.poll() is None:
                time.sleep(0.005)
            target = len(server.bodies) + rng.randrange(2, calls // (_KILLS + 1))
            while len(server.bodies) < target and run.poll() is None:
                time.sleep(0.001)
            run.send_signal(signal.SIGKILL)
            run.communicate()
            time.sleep(0.05)  # what the server still writes goes to nobody
            assert run.returncode == -signal.SIGKILL and not (out / "report.json").exists()
            with Journal(out / "calls.jsonl") as journal:
                kept = {
                    body
                    for body in map(hash_body, server.bodies)
                    if journal.get(keys(server)[body])
                }
            seen = len(server.bodies)
            server.finished = [(seen, kept), *getattr(server, "finished", [])]
        run = start(metadata, out, server.url)
        said = run.communicate(timeout=60)[0].decode()
        assert run.returncode == 0, said
        for seen, kept in server.finished:
            assert kept and not kept & set(map(hash_body, server.bodies[seen:]))
    assert read_files(out) == expected
    assert "sk-killed" not in said and not any(
        b"sk-killed" in p.read_bytes() for p in out.rglob("*") if p.is_file()
    )


def keys(server):
    return {hash_body(body): make_key({"body": body, "version": VERSION}) for body in server.bodies}
