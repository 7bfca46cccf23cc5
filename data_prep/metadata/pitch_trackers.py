"""F0 by other packages, on the frames of pitch.py.

pyin    librosa's probabilistic YIN, the usual reference; 13 times real time on a core where ours is 627
praat   parselmouth (GPL, so it is no dependency here): Praat's autocorrelation, 63 to 600 Hz
penn    data-speech's choice (MIT, no dependency); fetches its weights, which its own loader unpickles, at first use

wave [n] ─ F0 at their times ─► F0 [t] in Hz every 10 ms, nan unvoiced
"""

from collections.abc import Callable

import numpy as np

from data_prep.metadata.expert_networks import demand
from data_prep.metadata.pitch import FRAME_SECONDS, HIGHEST_HZ, LOWEST_HZ, STEP_SECONDS

Track = Callable[[np.ndarray], np.ndarray]
_RATE = 16_000
# Praat refuses what is shorter than three periods of its lowest pitch.
_SHORTEST_SECONDS = 3.1 / LOWEST_HZ
# Below this periodicity data-speech takes a frame of penn's for unvoiced.
_PERIODIC = 0.065


# Four periods of the lowest pitch: fewer and a deep voice jumps an octave.
_PYIN_FRAME = 1024


def make_pyin() -> Track:
    """librosa's pyin."""
    demand("librosa", remedy="pip install librosa")
    import librosa

    def find(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = round(STEP_SECONDS * _RATE)
        hz, is_voiced, _ = librosa.pyin(
            wave.astype(np.float32),
            fmin=LOWEST_HZ,
            fmax=HIGHEST_HZ,
            sr=_RATE,
            frame_length=_PYIN_FRAME,
            hop_length=step,
        )
        return np.arange(len(hz)) * STEP_SECONDS, np.where(is_voiced, hz, 0.0)

    return _make_track(find)


def make_praat() -> Track:
    """Praat's autocorrelation."""
    demand("parselmouth", remedy="pip install praat-parselmouth")
    import parselmouth

    def find(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = parselmouth.Sound(wave.astype(np.float64), _RATE).to_pitch_ac(
            time_step=STEP_SECONDS, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ
        )
        return found.xs(), found.selected_array["frequency"]

    return _make_track(find)


def make_penn() -> Track:
    """The network FCNF0++."""
    demand("torch", "penn", remedy="pip install penn")
    import penn
    import torch

    def find(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hz, periodicity = penn.from_audio(
            torch.from_numpy(wave.astype(np.float32))[None],
            _RATE,
            hopsize=STEP_SECONDS,
            fmin=LOWEST_HZ,
            fmax=HIGHEST_HZ,
            center="half-hop",
        )
        hz = np.where(periodicity[0].cpu().numpy() < _PERIODIC, 0.0, hz[0].cpu().numpy())
        return (np.arange(len(hz)) + 0.5) * STEP_SECONDS, hz

    return _make_track(find)


def _make_track(find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Track:
    """On our frames: each takes what was found nearest to its middle. `find` gives times and F0, 0
    where unvoiced."""

    def track_pitch(wave: np.ndarray) -> np.ndarray:
        seconds = len(wave) / _RATE
        count = max(round((seconds - FRAME_SECONDS) / STEP_SECONDS) + 1, 0)
        track = np.full(count, np.nan)
        if seconds < _SHORTEST_SECONDS:
            return track
        times, hz = find(wave)
        places = np.round((times - FRAME_SECONDS / 2) / STEP_SECONDS).astype(int)
        fits = (places >= 0) & (places < count) & (hz > 0)
        track[places[fits]] = hz[fits]
        return track

    return track_pitch
