"""A server on localhost that fails in every way and repeats, wherever there is room, what it was
sent to know who asks.

ANSWERS["bad status line"](headers, address) ─►  the bytes of a whole answer, status line and all
"""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping

Headers = Mapping[str, str]
Answer = Callable[[Headers, str], bytes]
# longer than any client of the test waits
SECONDS = 0.8


class Echo:
    """Where to ask; the Authorization headers that came."""

    def __init__(self):
        self.url, self.keys = "", []


def _make(status: str, body: str | bytes, *lines: str, missing: int = 0) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(data) + missing}",
        "Connection: close",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def _show(headers: Headers) -> str:
    return json.dumps({"error": {"message": "bad request", "headers": dict(headers)}})


def _spell(text: str) -> str:
    """Each letter by its number."""
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def _say(content: str, key: str) -> bytes:
    """An answer that is whole, to whatever was asked: all that is text in it is the key."""
    return _make(
        "200 OK",
        json.dumps(
            {
                "id": key,
                "model": key,
                "text": content,
                "language": key,
                "usage": {"prompt_tokens": key},
                "segments": [{"text": key, "avg_logprob": key}],
                "choices": [
                    {
                        "message": {"role": "assistant", "content": content, "name": key},
                        "finish_reason": key,
                    }
                ],
            }
        ),
    )


def _fail(status: str, *lines: str) -> Answer:
    return lambda headers, _: _make(
        status, _show(headers), *(line.format(key=headers["Authorization"]) for line in lines)
    )


ANSWERS: dict[str, Answer] = {
    "401": _fail("401 {key}", "WWW-Authenticate: {key}", "X-Error-Message: {key}"),
    "403": _fail("403 no"),
    "400": _fail("400 no"),
    "404": _fail("404 no"),
    "429": _fail("429 wait", "Retry-After: {key}"),
    "500": _fail("500 {key}", "Set-Cookie: key={key}"),
    "a cut within the key": lambda headers, _: _make(
        "500 no", "x" * 185 + headers["Authorization"]
    ),
    "escaped": lambda headers, _: _make(
        "400 no", '{"error": "' + _spell(headers["Authorization"]) + '"}'
    ),
    "elsewhere": lambda headers, url: _make(
        "302 moved",
        _show(headers),
        f"Location: {url}/v1?key={headers['Authorization'].split()[-1]}",
    ),
    "elsewhere for good": lambda headers, url: _make("308 moved", "", f"Location: {url}/v1"),
    "no JSON": lambda headers, _: _make("200 OK", f"<html>Your headers were {dict(headers)}"),
    "no answer": lambda headers, _: _make("200 OK", _show(headers)),
    "the key as answer": lambda headers, _: _say(
        f"You sent {headers['Authorization']}, thank you.", headers["Authorization"]
    ),
    "the key in JSON": lambda headers, _: _say(
        json.dumps(
            {
                "question": "What falls on the hills today?",
                "answer": f"Rain, says {headers['Authorization'].split()[-1]} softly.",
            }
        ),
        headers["Authorization"],
    ),
    "the key spelt in JSON": lambda headers, _: _say(
        '{"question": "What falls on the hills today?", "answer": "Rain, says '
        + _spell(headers["Authorization"].split()[-1])
        + ' softly."}',
        headers["Authorization"],
    ),
    "cut off": lambda headers, _: _make("200 OK", _show(headers), missing=9),
    "bad status line": lambda headers, _: f"{headers['Authorization']} 200\r\n\r\n".encode(),
    "bad chunk": lambda headers, _: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{headers['Authorization']}\r\nx\r\n"
    ).encode(),
    "bad length": lambda headers, _: (
        f"HTTP/1.1 500 no\r\nContent-Length: {headers['Authorization']}\r\n\r\n{_show(headers)}"
    ).encode(),
    "bad header": lambda headers, _: _make("500 no", _show(headers), headers["Authorization"]),
    "nothing": lambda headers, _: b"",
    "silence": lambda headers, _: time.sleep(SECONDS) or b"",
}


@contextlib.contextmanager
def serve_echo(answer: Answer, elsewhere: str = "") -> Iterator[Echo]:
    echo = Echo()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            headers = dict(
                line.decode().rstrip("\r\n").split(": ", 1)
                for line in iter(self.rfile.readline, b"\r\n")
            )
            self.rfile.read(int(headers.get("Content-Length", 0)))
            echo.keys.append(headers.setdefault("Authorization", ""))
            with contextlib.suppress(OSError):
                self.wfile.write(answer(headers, elsewhere))

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    echo.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield echo
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
