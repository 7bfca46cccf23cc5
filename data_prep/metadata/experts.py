"""Which part measures which key: chosen by name, the default needs nothing but numpy.

    key                  name               measures
    average_pitch …      "autocorrelation"  median and spread of our F0 track          pitch.py
    speaking_rate        "phones"           phones a second                            rate.py
    average_intensity    "rms"              dBFS of active frames                      intensity.py
    noise_level          "gaps"             SNR by what is left in the gaps            noise.py
    reverberation        "ridge"            C50 fitted on simulated rooms              reverberation.py
    distortion_level     "energy"           SI-SDR as far as it is lasting noise       distortion.py     not by default
                         "squim"            SI-SDR by torchaudio's SQUIM_OBJECTIVE     networks.py
    speech_quality       "dnsmos"           overall MOS by DNSMOS (P.835)              networks.py       not by default
                         "squim"            PESQ by the same network                   networks.py

SI-SDR and PESQ are defined against a clean reference that recordings lack, so each of these three is an estimate, and
DNSMOS one of opinion scores on PESQ's scale of 1 to 5 and not of PESQ. They take part when asked for.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from data_prep.metadata import distortion, intensity, noise, pitch, rate, reverberation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A 16 kHz wave, and the seconds between which it holds speech."""

    wave: np.ndarray
    phonemes: str
    first_word: float
    last_word: float

    @functools.cached_property
    def track(self) -> np.ndarray:
        return pitch.track_pitch(self.wave)

    @functools.cached_property
    def power(self) -> np.ndarray:
        return intensity.frame_power(self.wave)

    @property
    def speech_track(self) -> np.ndarray:
        return pitch.slice_track(self.track, self.first_word, self.last_word)


Expert = Callable[[Recording], float | None]
DEFAULT_EXPERTS: Mapping[str, str] = {
    "average_pitch": "autocorrelation", "pitch_variation": "autocorrelation", "speaking_rate": "phones",
    "average_intensity": "rms", "noise_level": "gaps", "reverberation": "ridge"}


def make_experts(chosen: Mapping[str, str] = DEFAULT_EXPERTS) -> dict[str, Expert]:
    """An expert for each key of {key: name}."""
    experts = {}
    for key, name in chosen.items():
        if name not in _EXPERTS.get(key, {}):
            known = ", ".join(f"{key}={name}" for key, names in _EXPERTS.items() for name in names)
            raise ValueError(f"no expert {name!r} for {key!r}; choose of {known}")
        experts[key] = _EXPERTS[key][name]()
    return experts


def _make_network(name: str) -> Expert:
    from data_prep.metadata import networks

    return getattr(networks, name)()


_EXPERTS: dict[str, dict[str, Callable[[], Expert]]] = {
    "average_pitch": {"autocorrelation": lambda: lambda r: pitch.average_pitch(r.speech_track)},
    "pitch_variation": {"autocorrelation": lambda: lambda r: pitch.pitch_variation(r.speech_track)},
    "speaking_rate": {"phones": lambda: lambda r: rate.speaking_rate(r.phonemes, r.first_word, r.last_word)},
    "average_intensity": {"rms": lambda: lambda r: intensity.average_intensity(r.power)},
    "noise_level": {"gaps": lambda: lambda r: noise.noise_level(r.power, r.first_word)},
    "reverberation": {"ridge": lambda: lambda r: reverberation.reverberation(r.wave, r.first_word, r.last_word)},
    "distortion_level": {"energy": lambda: lambda r: distortion.distortion_level(r.power, r.first_word),
                         "squim": lambda: _make_network("make_squim_distortion")},
    "speech_quality": {"dnsmos": lambda: _make_network("make_dnsmos"),
                       "squim": lambda: _make_network("make_squim_quality")},
}
