"""Experts that are networks of other packages, for who has them installed.

    dnsmos   speechmos (MIT, its weights are in the wheel) ─► overall opinion score of P.835, 1 to 5
    squim    torchaudio's SQUIM_OBJECTIVE; fetches its weights from the hub of PyTorch at first use ─► SI-SDR, PESQ

They hear 16 kHz and are one to two orders of magnitude slower than everything else here.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data_prep.metadata.experts import Expert, Recording

_RATE = 16_000


class ExpertError(ValueError):
    """An expert that cannot be had; the message is one line for the user."""


def make_dnsmos() -> Expert:
    """Overall quality by DNSMOS; None where it fails."""
    _demand("speechmos", "onnxruntime", remedy="pip install 'sift_jax[quality]'")
    from speechmos import dnsmos

    def measure(recording: Recording) -> float | None:
        # It refuses samples beyond full scale.
        value = dnsmos.run(np.clip(recording.wave, -1.0, 1.0), sr=_RATE)["ovrl_mos"]
        return float(value) if np.isfinite(value) else None

    return measure


def make_squim_distortion() -> Expert:
    """SI-SDR in dB as SQUIM hears it."""
    return _make_squim(2)


def make_squim_quality() -> Expert:
    """PESQ as SQUIM hears it."""
    return _make_squim(1)


def _make_squim(place: int) -> Expert:
    model = _load_squim()

    def measure(recording: Recording) -> float | None:
        import torch

        with torch.no_grad():
            scores = model(torch.from_numpy(recording.wave)[None])
        value = float(scores[place][0])
        return value if np.isfinite(value) else None

    return measure


@functools.cache
def _load_squim():
    """One network for both of its keys: it answers STOI, PESQ and SI-SDR."""
    _demand("torch", "torchaudio", remedy="pip install torch torchaudio")
    from torchaudio.pipelines import SQUIM_OBJECTIVE

    return SQUIM_OBJECTIVE.get_model().eval()


def _demand(*packages: str, remedy: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ExpertError(f"{' and '.join(missing)} not installed; {remedy}, or choose another expert")
