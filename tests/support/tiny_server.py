"""The server over a tiny model, in a thread of the test's process; and what its clients send."""

import asyncio
import base64
import contextlib
import dataclasses
import http.client
import io
import json
import threading
import time

import numpy as np
import soundfile
from tiny_corpus import make_noise

from sift_jax.serving.limits import Limits
from sift_jax.serving.run_server import Listening, Serving, make_application, open_socket

LIMITS = Limits(
    slots=4,
    queue=20,
    positions=1000,
    new_tokens=32,
    body_bytes=1 << 20,
    body_seconds=5.0,
    send_seconds=5.0,
    kept_bytes=1 << 20,
)
NAME = "tiny"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Running:
    application: object
    host: str
    port: int
    stop: object

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/v1"

    def post(self, path, body, **headers):
        """(status, headers, body) of a request that need not be right."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        with contextlib.closing(connection):
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"content-type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            connection.request("POST", path, raw, headers)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def get(self, path, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def wait_until_idle(self, seconds=60.0):
        """Whether all slots have come free, and nobody is inside."""
        (service,) = self.application.services.values()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            is_free = service._decoder.free == service._decoder.slots
            if is_free and not self.application.gate.inside:
                return True
            time.sleep(0.02)
        return False


@contextlib.contextmanager
def run_server(models, limits=LIMITS, *, drain_seconds=20.0, codec=None):
    """A server that listens at a free port, until the block is left."""
    application = make_application(models, limits, codec=codec)
    for service in application.services.values():
        service.start(is_warm=False)
    bound = open_socket("127.0.0.1", 0)
    bound.listen()
    host, port = bound.getsockname()
    serving = Serving(application, Listening(host=host, port=port, drain_seconds=drain_seconds))
    loop = asyncio.new_event_loop()

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serving.run(bound))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    stop = lambda: loop.is_closed() or loop.call_soon_threadsafe(serving.stop)  # noqa: E731
    try:
        yield Running(application=application, host=host, port=port, stop=stop)
    finally:
        if not serving._server.should_exit:
            stop()
        thread.join(timeout=60)
        application.stop()
        bound.close()
        assert not thread.is_alive()


def write_clip(samples, *, rate=16_000, form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def make_clip(seed=0, seconds=0.6, **options):
    """A recording of noise as base64."""
    samples = make_noise(seed, seconds).astype(np.float32)
    return base64.b64encode(write_clip(samples, **options)).decode()


def make_turn(text, *clips):
    parts = [
        {"type": "input_audio", "input_audio": {"data": clip, "format": "wav"}} for clip in clips
    ]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def make_body(text="Is it loud?", *clips, **fields):
    return {"model": NAME, "messages": [make_turn(text, *clips)], **fields}
