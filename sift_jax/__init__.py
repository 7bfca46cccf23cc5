"""Speech instruction tuning in JAX: data, models, training, evaluation.

    model = sift_jax.load("runs/quickstart/stage2")
    model.ask("x.wav", "How fast does she speak?")

Importing this imports nothing else: what is named here is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sift_jax.version import __version__ as __version__

if TYPE_CHECKING:
    from sift_jax.previews.examples import read_mixture
    from sift_jax.speech_model import SpeechModel, load

__all__ = ["SpeechModel", "load", "read_mixture"]

_HOMES = {
    "SpeechModel": "sift_jax.speech_model",
    "load": "sift_jax.speech_model",
    "read_mixture": "sift_jax.previews.examples",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sift_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
