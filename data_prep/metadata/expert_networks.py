"""Experts that are networks of other packages, for who has them installed.

    dnsmos   speechmos (MIT, its weights are in the wheel) ─► overall opinion score of P.835, 1 to 5
    squim    torchaudio's SQUIM_OBJECTIVE; fetches its weights from the hub of PyTorch at first use ─► SI-SDR, PESQ
    brouhaha data-speech's choice, over pyannote; fetches its weights, which their loader unpickles ─► SNR, C50

    waves ─ windows of one length ─► [windows, samples] in batches ─ network ─► the mean over the windows of each wave

They hear 16 kHz and are one to two orders of magnitude slower than everything else here.
"""

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sift_jax.endpoints.hub import find_file
from sift_jax.extras import say_install

# From several waves to the values of each by key; None where it has none.
Network = Callable[[Sequence[np.ndarray]], list[dict[str, float | None]]]

# What DNSMOS hears at once, which of its three answers is the overall one, and the polynomial that
# its authors fitted to bring that answer to the scale of opinion scores.
_DNSMOS_WINDOW, _OVERALL = 144_160, 2
_CALIBRATION = (-0.06766283, 1.11546468, 0.04602535)
# Ours: long enough for a judgement, short enough that few recordings are repeated to fill it.
_SQUIM_WINDOW = 80_000
_BATCH_WINDOWS = 16
# Where data-speech takes the weights from, and how many frames they make of a second.
_BROUHAHA, _BROUHAHA_FRAMES = ("ylacombe/brouhaha-best", "best.ckpt"), 16_000 / 270


class ExpertError(ValueError):
    """An expert that cannot be had; the message is one line for the user."""


def make_dnsmos() -> Network:
    """Overall quality by DNSMOS: the mean over windows of 9 s that cover the recording; a short one
    is repeated.

    The package's own way takes a window each second, and several of a clip that it has repeated:
    ten times the work.
    """
    demand("speechmos", "onnxruntime", remedy=say_install("quality"))
    import onnxruntime
    import speechmos

    options = onnxruntime.SessionOptions()
    # As everywhere in data_prep, it is processes that share out the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(speechmos.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def hear(windows: np.ndarray) -> dict[str, np.ndarray]:
        scores = np.polyval(_CALIBRATION, session.run(None, {name: windows})[0][:, _OVERALL])
        return {"speech_quality": np.clip(scores, 1.0, 5.0)}

    return make_network(hear, _DNSMOS_WINDOW)


def make_squim() -> Network:
    """SI-SDR in dB and PESQ as SQUIM hears them: the means over windows of 5 s."""
    demand("torch", "torchaudio", remedy="pip install torch torchaudio")
    import torch
    from torchaudio.pipelines import SQUIM_OBJECTIVE

    model = SQUIM_OBJECTIVE.get_model().eval()

    def hear(windows: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            _, quality, distortion = model(torch.from_numpy(windows))
        return {"distortion_level": distortion.numpy(), "speech_quality": quality.numpy()}

    return make_network(hear, _SQUIM_WINDOW)


def make_brouhaha() -> Network:
    """SNR and C50 in dB by Brouhaha, each the mean over the frames that it takes for speech."""
    demand(
        "torch",
        "pyannote.audio",
        "brouhaha",
        remedy="pip install https://github.com/marianne-m/brouhaha-vad/archive/main.zip",
    )
    import torch
    from brouhaha.pipeline import RegressiveActivityDetectionPipeline
    from pyannote.audio import Model

    model = Model.from_pretrained(find_file(*_BROUHAHA), strict=False)
    pipeline = RegressiveActivityDetectionPipeline(segmentation=model)

    def listen(waves: Sequence[np.ndarray]) -> list[dict[str, float | None]]:
        answers = []
        for wave in waves:
            found = pipeline({"sample_rate": 16_000, "waveform": torch.from_numpy(wave)[None]})
            snr, c50 = np.asarray(found["snr"]), np.asarray(found["c50"])
            is_speech = np.zeros(snr.shape, bool)
            for segment, _ in found["annotation"].itertracks():
                is_speech[
                    int(segment.start * _BROUHAHA_FRAMES) : int(segment.end * _BROUHAHA_FRAMES)
                ] = True
            # It pads with frames of which it knows nothing: both of their values are 0.
            is_speech &= (snr != 0) | (c50 != 0)
            answers.append(
                {"noise_level": _average(snr[is_speech]), "reverberation": _average(c50[is_speech])}
            )
        return answers

    return listen


def make_network(hear: Callable[[np.ndarray], dict[str, np.ndarray]], window: int) -> Network:
    """A network over recordings of any length, of one that hears batches of windows."""

    def listen(waves: Sequence[np.ndarray]) -> list[dict[str, float | None]]:
        cut = [cut_windows(wave, window) for wave in waves]
        together = np.concatenate(cut) if cut else np.zeros((0, window), np.float32)
        heard = [
            hear(together[first : first + _BATCH_WINDOWS])
            for first in range(0, len(together), _BATCH_WINDOWS)
        ]
        scores = {
            key: np.concatenate([part[key] for part in heard])
            for key in (heard[0] if heard else ())
        }
        ends = np.cumsum([len(windows) for windows in cut])
        return [
            {key: _average(values[end - len(windows) : end]) for key, values in scores.items()}
            for windows, end in zip(cut, ends, strict=True)
        ]

    return listen


def cut_windows(wave: np.ndarray, window: int) -> np.ndarray:
    """Float32 [windows, window], as few as cover the wave, evenly placed; a short wave is
    repeated."""
    wave = np.clip(wave, -1.0, 1.0).astype(np.float32)
    if len(wave) < window:
        return np.resize(wave, window)[None]
    starts = np.linspace(0, len(wave) - window, math.ceil(len(wave) / window)).astype(int)
    return np.stack([wave[start : start + window] for start in starts])


def demand(*packages: str, remedy: str) -> None:
    """An error where a package is not installed."""
    # Of a package inside another one, to look for the outer one imports nothing.
    missing = [
        name for name in packages if importlib.util.find_spec(name.partition(".")[0]) is None
    ]
    if missing:
        raise ExpertError(
            f"{' and '.join(missing)} not installed; {remedy}, or choose another expert"
        )


def _average(values: np.ndarray) -> float | None:
    value = float(values.mean()) if len(values) else math.nan
    return value if math.isfinite(value) else None
