"""Reverberation as a blind estimate of C50, the early-to-late energy ratio in dB.

    wave [n], first and last word times ─► power in five bands [t, 5] less the noise floor ─► 27 features ─► line ─► C50

Reverberation fills the dips between sounds, slows the decays after them and lingers behind the last
word; noise hides all three. The features say how deep the dips are, how steep the steepest decays,
how far the tail has fallen, and how much of that the noise leaves to be seen. Their weights, in
reverberation.json, were fitted by ridge regression on simulated rooms with the training voices of
the embedded corpus; to fit them again:

    python -m data_prep.metadata.fit_reverberation

Digital silence is cut out; frames that hold some yet are left out of the floor, the dips and the
decays.
"""

import functools
import json
from pathlib import Path

import numpy as np
import scipy.fft

from data_prep.metadata.silence import cut_silence, find_heard

WEIGHTS_PATH = Path(__file__).with_name("reverberation.json")
_FRAME, _STEP, _FRAMES_A_SECOND = 256, 128, 125
_BANDS_HZ = (150, 500, 1_000, 2_000, 4_000, 7_500)
_DIP_QUANTILES = (0.05, 0.15, 0.30, 0.50)
_DECAY_QUANTILES = (0.02, 0.08, 0.20)
_TAIL_FRAMES = (0, 5, 10, 15)
_DECAY_SPAN = 5
_LOWEST_DB, _HIGHEST_DB = -6.0, 50.0
# Energy of a windowed frame of zeros, or next to it; and its neighbours that share some of them.
_BLANK_POWER, _OVERLAP = 2e-7, 2


def reverberation(wave: np.ndarray, first_word: float, last_word: float) -> float:
    """C50 in dB, estimated; `first_word` and `last_word` are the times at which speech begins and
    ends."""
    mean, scale, weights, bias = _read_weights()
    value = float((compute_features(wave, first_word, last_word) - mean) / scale @ weights + bias)
    return float(np.clip(value, _LOWEST_DB, _HIGHEST_DB))


def compute_features(wave: np.ndarray, first_word: float, last_word: float) -> np.ndarray:
    """Float [27]: thirteen features of the two low bands, the same of the three high ones, SNR of
    each, kurtosis."""
    heard = cut_silence(wave)
    wave, first_word, last_word = heard.wave, heard.to_heard(first_word), heard.to_heard(last_word)
    power = _measure_bands(wave)
    begin = min(max(int(first_word * _FRAMES_A_SECOND) - 2, 3), len(power) - 12)
    end = min(max(int(last_word * _FRAMES_A_SECOND), begin + 8), len(power) - 3)
    is_heard = find_heard(power.sum(axis=1), _BLANK_POWER, _OVERLAP)
    floor = _estimate_floor(power, is_heard, begin)
    is_speech = (
        is_heard[begin : end + 8]
        if is_heard[begin:end].any()
        else np.ones(len(power[begin : end + 8]), bool)
    )
    level_db = 10 * np.log10(np.quantile(power[begin:end][is_speech[: end - begin]], 0.9, axis=0))
    snr = np.clip(level_db - 10 * np.log10(floor), 0, 60)
    visible = np.minimum(snr, 40)
    # Less the noise, a fifth more of it since it sways; what is left of nothing is 17 dB below it.
    energy_db = 10 * np.log10(np.maximum(power - 1.2 * floor, 0.02 * floor))
    speech_db = energy_db[begin : end + 8][is_speech]
    rows = [
        np.minimum(level_db - np.quantile(speech_db, q, axis=0), visible) for q in _DIP_QUANTILES
    ]
    # What cannot be seen says nothing of the room: a dip is at most as deep as the noise lets it be.
    rows += _measure_decays(np.where(is_heard[:, None], energy_db, np.nan), level_db, begin, end)
    rows.append(np.minimum(np.abs(np.diff(speech_db, axis=0)), 15).mean(axis=0))
    for delay in _TAIL_FRAMES:
        start = min(end + delay, len(energy_db) - 2)
        rows.append(np.minimum(level_db - energy_db[start : start + 4].mean(axis=0), visible))
    rows.append(snr)
    table = np.array(rows)
    speech = wave[int(first_word * 16_000) : int(last_word * 16_000)].astype(np.float64)
    kurtosis = np.log(np.mean(speech**4) / (np.mean(speech**2) ** 2 + 1e-20) + 1e-9)
    return np.concatenate([table[:, :2].mean(axis=1), table[:, 2:].mean(axis=1), [kurtosis]])


def _estimate_floor(power: np.ndarray, is_heard: np.ndarray, begin: int) -> np.ndarray:
    """Noise of each band: the lower of the mean ahead of the speech and twice that of the quietest
    tenth."""
    heard = power[is_heard]
    quiet = 2 * np.sort(heard, axis=0)[: max(len(heard) // 10, 3)].mean(axis=0)
    ahead = power[:begin][is_heard[:begin]]
    # The quietest tenth of noise lies below its mean, about by half: hence twice.
    return np.minimum(ahead.mean(axis=0), quiet) if len(ahead) else quiet


def _measure_decays(
    energy_db: np.ndarray, level_db: np.ndarray, begin: int, end: int
) -> list[np.ndarray]:
    """The steepest falls over 40 ms that start well above the floor, at three quantiles: [bands]
    each."""
    change = (energy_db[_DECAY_SPAN:] - energy_db[:-_DECAY_SPAN])[begin : end + 8]
    is_high = energy_db[:-_DECAY_SPAN][begin : end + 8] > level_db - 25
    # A fall into digital silence, or out of it, is no decay.
    is_known = np.isfinite(change[:, 0])
    if is_known.any():
        change, is_high = change[is_known], is_high[is_known]
    falls = np.nan_to_num(np.quantile(np.where(is_high, change, 0.0), _DECAY_QUANTILES, axis=0))
    return [np.minimum(-fall, 40) for fall in falls]


def _measure_bands(wave: np.ndarray) -> np.ndarray:
    wave = np.pad(wave.astype(np.float32), (0, max(0, 32 * _STEP - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FRAME)[::_STEP]
    spectrum = np.abs(scipy.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), axis=1)) ** 2
    edges = [hz * _FRAME // 16_000 for hz in _BANDS_HZ]
    bands = [spectrum[:, a:b].sum(axis=1) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return np.stack(bands, axis=1).astype(np.float64) + 1e-12


@functools.cache
def _read_weights() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    table = json.loads(WEIGHTS_PATH.read_text())
    return (
        np.array(table["mean"]),
        np.array(table["scale"]),
        np.array(table["weights"]),
        float(table["bias"]),
    )
