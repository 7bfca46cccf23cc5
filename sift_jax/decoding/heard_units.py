"""Recordings as units, for a model that has no encoder: what training read beside the records, made
for whatever is asked about.

    {"audio_path": "x.wav"} ─► samples ─ the codec of training ─► {"audio_path": "x.wav", "units": [17, 203, …]}
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sift_jax.codecs.codec import Codec
from sift_jax.codecs.registry import load_codec
from sift_jax.pretrained import Model
from sift_jax.text.chat import Message

# recordings whose units are remembered, a few hundred numbers each
_KEPT = 4096
_known: dict[tuple[str, bytes], list[int]] = {}


@functools.lru_cache(maxsize=2)
def _open_codec(folder: str, fingerprint: str) -> Codec:
    if not Path(folder).is_dir():
        raise ValueError(
            f"the codec by whose units this model hears is not at {folder}; give its folder by "
            "--codec (codec= in Python); for an evaluation write it into units.json beside the "
            "checkpoint, as folder"
        )
    return load_codec(folder, fingerprint=fingerprint)


def write_units(
    model: Model, messages: Sequence[Message], read_clip: Callable[[str], np.ndarray]
) -> list[Message]:
    """The messages with the units of every recording that is heard."""
    if model.codec is None:
        raise ValueError(
            "this model hears by units and has no units.json that says of which codec; copy the "
            "run's or the export's folder again"
        )
    found = []
    for message in messages:
        parts = [
            {**part, "units": _encode(model, read_clip(part["audio_path"]), part["audio_path"])}
            if part.get("audio_path") and part.get("units") is None
            else part
            for part in message["content"]
        ]
        found.append({**message, "content": parts})
    return found


def _encode(model: Model, clip: np.ndarray, name: str) -> list[int]:
    assert model.codec is not None
    key = model.codec.fingerprint, hashlib.blake2b(np.ascontiguousarray(clip).tobytes()).digest()
    if key not in _known:
        codec = _open_codec(model.codec.folder, model.codec.fingerprint)
        (units,) = codec.encode([clip], names=[name])
        while len(_known) >= _KEPT:
            _known.pop(next(iter(_known)), None)
        _known[key] = units.tolist()
    return _known[key]
