"""The page at /: three files that ask nobody but the server, and what the model hears as a picture.

GET /              the page; /demo/page.js and /demo/page.css beside it
POST /demo/log_mel {"model", "data"} ─► {"frames", "bins", "values": base64 of frames × bins bytes}
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.serving.audio_parts import read_audio_part
from sift_jax.serving.errors import RequestError
from sift_jax.serving.service import Service

_FOLDER = Path(__file__).with_name("demo")
_TYPES = {"page.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}
# nothing but what this server gives; a recording is played from the page's own memory
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def send_file(request: Request) -> Response:
    """One of the three files."""
    name = request.path_params.get("name", "page.html")
    if name not in _TYPES:
        raise RequestError(404, f"no file {name!r} belongs to the page")
    return Response(
        (_FOLDER / name).read_bytes(),
        media_type=_TYPES[name],
        headers={
            "content-security-policy": _POLICY,
            "x-content-type-options": "nosniff",
            "cache-control": "no-cache",
        },
    )


def draw_log_mel(service: Service, data: str) -> dict[str, Any]:
    """What the encoder is given of a recording, from its least value to its largest."""
    encoder = service.model.config.encoder
    samples = read_audio_part(data, "audio 1", window_seconds=service.window_seconds)
    mel = np.zeros((encoder.mel_frames, encoder.mel_bins), np.float32)
    frames = max(1, FRONT_ENDS[encoder.front_end].fill(samples, mel))
    heard = mel[:frames]
    low, high = float(heard.min()), float(heard.max())
    values = np.round(255 * (heard - low) / max(high - low, 1e-6)).astype(np.uint8)
    return {
        "frames": frames,
        "bins": encoder.mel_bins,
        "values": base64.b64encode(values.tobytes()).decode(),
    }
