"""Experts that are networks of other packages, for who has them installed.

    dnsmos   speechmos (MIT, its weights are in the wheel) ─► overall opinion score of P.835, 1 to 5
    squim    torchaudio's SQUIM_OBJECTIVE; fetches its weights from the hub of PyTorch at first use ─► SI-SDR, PESQ

They hear 16 kHz and are one to two orders of magnitude slower than everything else here.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data_prep.metadata.experts import Expert, Recording

# What the network hears at once, which of its three answers is the overall one, and the polynomial that its authors
# fitted to bring that answer to the scale of opinion scores.
_WINDOW, _OVERALL = 144_160, 2
_CALIBRATION = (-0.06766283, 1.11546468, 0.04602535)


class ExpertError(ValueError):
    """An expert that cannot be had; the message is one line for the user."""


def make_dnsmos() -> Expert:
    """Overall quality by DNSMOS: the mean over windows of 9 s that cover the recording; a short one is repeated.

    The package's own way takes a window each second, and several of a clip that it has repeated: ten times the work.
    """
    _demand("speechmos", "onnxruntime", remedy="pip install 'sift_jax[quality]'")
    import onnxruntime
    import speechmos

    options = onnxruntime.SessionOptions()
    # As everywhere in data_prep, it is processes that share out the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(speechmos.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def measure(recording: Recording) -> float | None:
        if not len(recording.wave):
            return None
        raw = session.run(None, {name: cut_windows(recording.wave)})[0][:, _OVERALL]
        value = float(np.polyval(_CALIBRATION, raw).mean())
        return min(max(value, 1.0), 5.0) if np.isfinite(value) else None

    return measure


def cut_windows(wave: np.ndarray) -> np.ndarray:
    """Float32 [windows, 144160], as few as cover the wave, evenly placed."""
    wave = np.clip(wave, -1.0, 1.0).astype(np.float32)
    if len(wave) < _WINDOW:
        return np.resize(wave, _WINDOW)[None]
    starts = np.linspace(0, len(wave) - _WINDOW, math.ceil(len(wave) / _WINDOW)).astype(int)
    return np.stack([wave[start : start + _WINDOW] for start in starts])


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
