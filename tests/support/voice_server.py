"""Speech, transcription and chat on localhost: what each gets, and what it answers, is a function's
to say."""

import contextlib
import email
import email.policy
import http.server
import io
import json
import threading

import numpy as np
import soundfile
from chat_server import fail


def sing(letters: int, *, rate: int = 24_000, form: str = "FLAC") -> dict:
    """An answer that sounds for as long as so many letters take to say."""
    time = np.arange(int(rate * max(0.2, letters / 14))) / rate
    wave = 0.3 * np.sin(2 * np.pi * 150 * time) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))
    data = io.BytesIO()
    soundfile.write(data, wave, rate, format=form)
    return {"status": 200, "body": data.getvalue()}


def hear(text: str, **known) -> dict:
    return {"status": 200, "body": json.dumps({"text": text, **known}).encode()}


class VoiceServer:
    """`asked` holds (path, what was sent, headers) of every call, in order."""

    def __init__(self):
        self.asked: list[tuple[str, dict, dict]] = []
        self.url = ""

    def of(self, path: str) -> list[dict]:
        return [sent for where, sent, _ in self.asked if where == path]


@contextlib.contextmanager
def serve_voices(**decide):
    """Keyword: speech, transcriptions or completions; each a function of (its number, what was
    sent)."""
    script, lock = VoiceServer(), threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            kind = self.path.rpartition("/")[2]
            sent = (
                read_form(self.headers["Content-Type"], raw)
                if kind == "transcriptions"
                else json.loads(raw)
            )
            with lock:
                number = len(script.of(self.path))
                script.asked.append((self.path, sent, dict(self.headers)))
            answer = decide[kind](number, sent) if kind in decide else fail(404)
            with contextlib.suppress(OSError):
                self.send_response(answer["status"])
                self.send_header("Content-Length", str(len(answer["body"])))
                self.end_headers()
                self.wfile.write(answer["body"])

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


def read_form(content_type: str, raw: bytes) -> dict:
    """The fields of a form, its file as (name, bytes)."""
    message = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw, policy=email.policy.HTTP
    )
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        fields[name] = (part.get_filename(), content) if part.get_filename() else content.decode()
    return fields
