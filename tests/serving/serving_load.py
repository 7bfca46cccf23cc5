"""Sixteen clients at once, good ones and bad ones, for as long as asked; what each was told, and how
the server's memory grew.

    python tests/serving/serving_load.py --seconds=600 [--checkpoint=FOLDER] [--clients=16]

    whole, stream   questions about recordings, new ones and some that come again      200, or 429 when full
    killed          the connection is closed in the middle of a stream
    broken, hour    audio that cannot be used; an hour of silence in a small file      422, 413
    json, huge      wrong JSON; a body that is too large                               400, 413

A request that ends otherwise, or not at all, makes the command end with 1. Without a checkpoint a
tiny model is trained first. Memory is that of the server's process alone, after a quarter of the
time and at the end.
"""

import argparse
import base64
import collections
import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS), str(TESTS.parent)]

import conftest  # noqa: E402, F401 - the environment of the tests, before jax is imported
import numpy as np  # noqa: E402
import psutil  # noqa: E402
from tiny_server import NAME, make_body, make_clip, write_clip  # noqa: E402

EXPECTED = {
    "whole": {200, 429},
    "stream": {200, 429},
    "killed": {200, 429},
    "broken": {422, 429},
    "hour": {413, 429},
    "json": {400, 429},
    "huge": {413, 429},
}
WEIGHTS = {"whole": 8, "stream": 8, "killed": 3, "broken": 2, "hour": 1, "json": 1, "huge": 1}
BODY_BYTES = 1 << 20


def make_hour():
    return base64.b64encode(write_clip(np.zeros(3600 * 16_000, np.int16), form="FLAC")).decode()


class Clients:
    """Threads that ask until they are stopped."""

    def __init__(self, host, port, *, name=NAME, seconds=1.5):
        self.host, self.port, self.name, self.seconds = host, port, name, seconds
        self.told = collections.Counter()
        self.wrong = []
        self._known = [make_clip(seed, seconds) for seed in range(4)]
        self._hour = make_hour()
        self._stopped = threading.Event()

    def run(self, clients, seconds):
        threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stopped.set()
        for thread in threads:
            thread.join(timeout=120)
        if any(thread.is_alive() for thread in threads):
            self.wrong.append("a request has not ended")

    def _ask(self, number):
        rng = random.Random(number)
        while not self._stopped.is_set():
            (kind,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
            try:
                status = self._send(kind, rng)
            except Exception as error:
                self.wrong.append(f"{kind}: {error!r}")
                continue
            self.told[kind, status] += 1
            if status not in EXPECTED[kind]:
                self.wrong.append(f"{kind}: {status}")

    def _make(self, kind, rng):
        if kind == "json":
            return b'{"model": ' * rng.randint(1, 99)
        if kind == "huge":
            return b" " * (BODY_BYTES + rng.randint(1, BODY_BYTES))
        if kind == "broken":
            clip = base64.b64encode(b"fLaC" + rng.randbytes(rng.randint(1, 9999))).decode()
        elif kind == "hour":
            clip = self._hour
        else:
            is_new = rng.random() < 0.5
            clip = (
                make_clip(rng.getrandbits(30), self.seconds) if is_new else rng.choice(self._known)
            )
        body = make_body(
            "How fast is it? " * rng.randint(1, 4),
            clip,
            temperature=rng.choice([0.0, 1.0]),
            seed=rng.getrandbits(30),
            max_tokens=rng.randint(1, 48),
            stream=kind in ("stream", "killed"),
        )
        return json.dumps(body | {"model": self.name}).encode()

    def _send(self, kind, rng):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=100)
        with contextlib.closing(connection):
            headers = {"content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", self._make(kind, rng), headers)
            reply = connection.getresponse()
            if kind == "killed":
                reply.read(rng.randint(1, 400))
                return reply.status
            text = reply.read()
            if reply.status == 200 and kind == "stream":
                assert text.endswith(b"data: [DONE]\n\n"), text[-200:]
            elif reply.status == 200:
                assert json.loads(text)["choices"][0]["finish_reason"], text
            else:
                assert json.loads(text)["error"]["message"], text
            return reply.status


@contextlib.contextmanager
def start_server(checkpoint, *flags):
    """(process, port) of the command."""
    command = [sys.executable, "-m", "sift_jax.serve", f"--checkpoint={checkpoint}", "--port=0"]
    command += [f"--name={NAME}", f"--max_body_mb={BODY_BYTES / 2**20}", *flags]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, int(process.stdout.readline().rsplit(":", 1)[1].split("/")[0])
    finally:
        process.terminate()
        process.wait(timeout=120)


def main():
    parser = argparse.ArgumentParser(description="Loads the server, well and badly.")
    parser.add_argument("--checkpoint")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=16)
    flags = parser.parse_args()
    with contextlib.ExitStack() as stack:
        checkpoint = flags.checkpoint
        if checkpoint is None:
            from tiny_corpus import write_corpus
            from tiny_run import make_run

            from sift_jax.training.loop import train

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            checkpoint = train(**make_run(write_corpus(folder / "tiny"), folder / "run"))
        limits = ("--slots=8", "--queue=16", "--max_length=1000", "--cache_mb=8")
        process, port = stack.enter_context(start_server(checkpoint, *limits))
        memory = psutil.Process(process.pid).memory_info
        clients = Clients("127.0.0.1", port)
        threading.Thread(target=clients.run, args=(flags.clients, flags.seconds)).start()
        sizes = []
        for _ in range(4):
            time.sleep(flags.seconds / 4)
            sizes.append(memory().rss / 2**20)
        while threading.active_count() > 1:
            time.sleep(0.2)
        cpu = psutil.Process(process.pid).cpu_times().user
    for (kind, status), count in sorted(clients.told.items()):
        print(f"{kind:8} {status}  {count}")
    print(
        f"{sum(clients.told.values())} requests in {flags.seconds:g} s, {cpu:.0f} s of CPU; MiB after "
        f"each quarter: {', '.join(f'{size:.0f}' for size in sizes)}; status {process.returncode}"
    )
    for line, count in collections.Counter(clients.wrong).most_common(20):
        print(f"wrong: {line} ({count} times)")
    raise SystemExit(bool(clients.wrong or process.returncode))


if __name__ == "__main__":
    main()
