"""A chat endpoint on localhost, scripted: each request gets what a function of (its number, its
body) decides."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# status, headers, body; seconds before it; bytes missing at its end; how many bytes drop at a time,
# and how slowly
Answer = dict[str, Any]


def say(text: str, *, usage: dict | None = None, finish: str = "stop") -> Answer:
    usage = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    value = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": usage,
    }
    return {"status": 200, "body": json.dumps(value).encode()}


def fail(status: int, text: str = "no", **headers: str) -> Answer:
    return {"status": status, "body": text.encode(), "headers": headers}


class ChatServer:
    """What was asked, and where."""

    def __init__(self, decide: Callable[[int, dict], Answer]):
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.times: list[float] = []
        self._lock, self._decide = threading.Lock(), decide
        self.most_at_once = self._at_once = 0
        self.url = ""

    def take(self, path: str, headers: dict, body: dict) -> Answer:
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = fail(404) if path != "/v1/chat/completions" else self._decide(number, body)
            time.sleep(answer.get("seconds", 0))
        finally:
            with self._lock:
                self._at_once -= 1
        return answer


@contextlib.contextmanager
def serve(decide: Callable[[int, dict], Answer]) -> Iterator[ChatServer]:
    script = ChatServer(decide)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = script.take(self.path, dict(self.headers), body)
            with contextlib.suppress(OSError):
                self.send_response(answer["status"])
                for name, value in answer.get("headers", {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer["body"])))
                self.end_headers()
                body = answer["body"][: len(answer["body"]) - answer.get("missing", 0)]
                step = answer.get("drop_bytes", len(body)) or 1
                for place in range(0, len(body), step):
                    self.wfile.write(body[place : place + step])
                    self.wfile.flush()
                    time.sleep(answer.get("drop_seconds", 0))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
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
