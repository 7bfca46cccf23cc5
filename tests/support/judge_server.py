"""Judges by script behind a real server on localhost, and the config that asks them.

say("text")                     a completion
fail(503)                       a status
serve(lambda body, n: say("…")) the n-th request gets what the function decides
"""

import contextlib
import http.server
import json
import threading

from scored_items import make_item

from sift_jax.endpoints.secret import Secret
from sift_jax.evaluation.judges.cache import VerdictCache
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.judges.endpoint import EndpointJudge
from sift_jax.evaluation.judges.judge_client import JudgeClient
from sift_jax.evaluation.scores.schema import Prediction


def say(text):
    return (
        200,
        {},
        json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode(),
    )


def fail(status, text="no", **headers):
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode()


class Script:
    """What was asked, and where to ask."""

    def __init__(self):
        self.bodies, self.headers, self.url, self.lock = [], [], "", threading.Lock()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # with the usual five, connections beyond are tried again after a second
    request_queue_size = 64


@contextlib.contextmanager
def serve(decide, *, missing_bytes=0):
    script = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with script.lock:
                number = len(script.bodies)
                script.bodies.append(body)
                script.headers.append(dict(self.headers))
            status, headers, payload = decide(body, number)
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload[: len(payload) - missing_bytes])

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Clock:
    """Time that passes only where it is waited for."""

    def __init__(self):
        self.now, self.waits, self.meanwhile = 0.0, [], lambda: None

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        self.meanwhile()


def make_config(url="http://127.0.0.1:9/v1", **changes):
    fields = {
        "name": "endpoint",
        "url": url,
        "model": "judge",
        "key_variable": "SIFT_JUDGE_KEY",
        "concurrency": 4,
        "seconds": 10.0,
        "patience": 600.0,
        "tries": 2,
        "max_tokens": 512,
        "longest_text": 4000,
        "use_system_role": True,
        "extra": {},
        "planted": 30,
        "planted_threshold": 0.9,
    }
    return JudgeConfig(**{**fields, **changes})


@contextlib.contextmanager
def judge_at(url, folder, *, key="", clock=None, **changes):
    """A judge with a cache in a folder; with a clock, on its time."""
    config = make_config(url, **changes)
    clock = clock or Clock()
    cache = VerdictCache(folder / "cache.jsonl")
    try:
        yield EndpointJudge(
            config, JudgeClient(config, Secret(key), clock=clock, wait=clock.wait), cache
        )
    finally:
        cache.close()


def predict(number, answer, *, reference="They speak very fast.", metric="judge_closed", **changes):
    return Prediction(
        item=make_item(
            number, reference, metrics=(metric,), question="How fast do they speak?", **changes
        ),
        answer=answer,
    )


def find_code(body):
    """The code that a message asks for."""
    text = body["messages"][-1]["content"]
    return text.rpartition("the code ")[2].split(",")[0]


def read_object(body):
    """The object that a message holds."""
    lines = body["messages"][-1]["content"].splitlines()
    return next(json.loads(line) for line in lines if line.startswith("{"))
