"""Which part measures which key: chosen by name, the default needs nothing but numpy.

    key                  name               measures
    average_pitch        "autocorrelation"  median F0 of our own track                 pitch.py
    pitch_variation      "autocorrelation"  spread of the same track                   pitch.py
                         "pyin", "praat",   both of the track of another package       pitch_trackers.py not by default
                         "penn"
    speaking_rate        "phones"           phones a second                            rate.py
    average_intensity    "rms"              dBFS of active frames                      intensity.py
    noise_level          "gaps"             SNR by what is left in the gaps            noise.py
                         "inside"           the same, of the speech without margins    noise.py          not by default
    reverberation        "ridge"            C50 fitted on simulated rooms              reverberation.py
                         "brouhaha"         both by one network                        expert_networks.py not by default
    distortion_level     "energy"           SI-SDR as far as it is lasting noise       distortion.py     not by default
                         "squim"            SI-SDR by torchaudio's SQUIM_OBJECTIVE     expert_networks.py
    speech_quality       "dnsmos"           overall MOS by DNSMOS (P.835)              expert_networks.py not by default
                         "squim"            PESQ by the same network                   expert_networks.py

    emotion              a folder         a free field, by an audio classifier          fields.py        not by default

    "distortion_level=energy,speech_quality=dnsmos,reverberation=none" ─ parse_experts ─► all that is chosen

SI-SDR and PESQ are defined against a clean reference that recordings lack, so each of these three
is an estimate, and DNSMOS one of opinion scores on PESQ's scale of 1 to 5 and not of PESQ. They
take part when asked for. A network hears several recordings at once, and answers all of its keys at
once.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.metadata import (
    distortion,
    expert_networks,
    intensity,
    noise,
    pitch,
    pitch_trackers,
    rate,
    reverberation,
)
from data_prep.metadata.fields import Listener, make_listener_of
from data_prep.metadata.gender_network import make_gender_network
from data_prep.metadata.silence import Heard, cut_silence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A 16 kHz wave, the seconds between which it holds speech, and who finds its F0; `lead`
    seconds of digital silence were cut off before it, and `zeros` samples at both ends. What is
    heard of it has no such silence inside either."""

    wave: np.ndarray
    phonemes: str
    first_word: float
    last_word: float
    lead: float = 0.0
    zeros: int = 0
    track_pitch: pitch_trackers.Track = pitch.track_pitch

    @functools.cached_property
    def tracks(self) -> tuple[np.ndarray, ...]:
        """Of each way to follow the pitch, the best last; other packages have one."""
        if self.track_pitch is pitch.track_pitch:
            return pitch.track_passes(self.wave)
        return (self.track_pitch(self.wave),)

    @property
    def track(self) -> np.ndarray:
        return self.tracks[-1]

    @functools.cached_property
    def power(self) -> np.ndarray:
        return intensity.frame_power(self.wave)

    @functools.cached_property
    def heard(self) -> Heard:
        return cut_silence(self.wave)

    @functools.cached_property
    def heard_power(self) -> np.ndarray:
        return intensity.frame_power(self.heard.wave)

    @property
    def heard_first(self) -> float:
        return self.heard.to_heard(self.first_word)

    @property
    def heard_last(self) -> float:
        return self.heard.to_heard(self.last_word)

    @property
    def speech_track(self) -> np.ndarray:
        return pitch.slice_track(self.track, self.first_word, self.last_word)

    @property
    def is_variation_sure(self) -> bool:
        return pitch.is_variation_sure(
            [pitch.slice_track(track, self.first_word, self.last_word) for track in self.tracks]
        )


Expert = Callable[[Recording], float | None]
NONE = "none"
# (key, name) of all that is measured
Chosen = tuple[tuple[str, str], ...]
DEFAULT_EXPERTS: Chosen = (
    ("average_pitch", "autocorrelation"),
    ("pitch_variation", "autocorrelation"),
    ("speaking_rate", "phones"),
    ("average_intensity", "rms"),
    ("noise_level", "gaps"),
    ("reverberation", "ridge"),
)
_TRACKERS: dict[str, Callable[[], pitch_trackers.Track]] = {
    "autocorrelation": lambda: pitch.track_pitch,
    "pyin": pitch_trackers.make_pyin,
    "praat": pitch_trackers.make_praat,
    "penn": pitch_trackers.make_penn,
}
_EXPERTS: dict[str, dict[str, Expert]] = {
    "average_pitch": dict.fromkeys(_TRACKERS, lambda r: pitch.average_pitch(r.speech_track)),
    "pitch_variation": dict.fromkeys(_TRACKERS, lambda r: pitch.pitch_variation(r.speech_track)),
    "speaking_rate": {
        "phones": lambda r: rate.speaking_rate(r.phonemes, r.first_word, r.last_word)
    },
    "average_intensity": {"rms": lambda r: intensity.average_intensity(r.heard_power)},
    "noise_level": {
        "gaps": lambda r: noise.noise_level(r.heard_power, r.heard_first),
        "inside": lambda r: noise.inside_noise_level(r.heard.wave, r.heard_first, r.heard_last),
    },
    "reverberation": {
        "ridge": lambda r: reverberation.reverberation(r.wave, r.first_word, r.last_word)
    },
    "distortion_level": {
        "energy": lambda r: distortion.distortion_level(r.heard_power, r.heard_first)
    },
    "speech_quality": {},
}
_NETWORKS: dict[str, tuple[str, ...]] = {
    "brouhaha": ("noise_level", "reverberation"),
    "dnsmos": ("speech_quality",),
    "squim": ("distortion_level", "speech_quality"),
}
_MAKERS = {
    "brouhaha": expert_networks.make_brouhaha,
    "dnsmos": expert_networks.make_dnsmos,
    "squim": expert_networks.make_squim,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """All experts of a build: those that hear one recording, and the networks with the keys that
    each is asked for."""

    singles: Mapping[str, Expert]
    networks: Sequence[tuple[expert_networks.Network, tuple[str, ...]]]
    track_pitch: pitch_trackers.Track
    # Hears the gender of those of whom the corpus does not tell it.
    gender: expert_networks.Network | None
    # Hear the free fields of which the corpus says nothing.
    listeners: Sequence[Listener]

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.singles, *(key for _, keys in self.networks for key in keys))

    @property
    def hears_many(self) -> bool:
        """Whether some of them hear several recordings at once."""
        return bool(self.networks or self.gender or self.listeners)


def parse_experts(text: str, fields: Sequence[str] = ()) -> Chosen:
    """The default, changed as a command line says; the expert of a free field is a folder."""
    chosen = dict(DEFAULT_EXPERTS)
    for part in filter(None, text.split(",")):
        key, _, name = part.partition("=")
        if name == NONE and key in (*_EXPERTS, *fields):
            chosen.pop(key, None)
        elif key in fields:
            if not Path(name).is_dir():
                raise ValueError(
                    f"{key}={name}: no such folder; fetch an audio classifier of {key} there"
                )
            chosen[key] = name
        elif name in _list_names(key):
            chosen[key] = name
        else:
            known = ", ".join(
                [
                    *(f"{key}={name}" for key in _EXPERTS for name in (*_list_names(key), NONE)),
                    *(f"{field}=<folder>" for field in fields),
                ]
            )
            raise ValueError(f"no expert {name!r} for {key!r}; choose of {known}")
    if len({chosen[key] for key in ("average_pitch", "pitch_variation") if key in chosen}) > 1:
        raise ValueError(
            "average_pitch and pitch_variation are read from one track; give both the same "
            "expert, or one of them none"
        )
    if not chosen.keys() & _EXPERTS.keys():
        raise ValueError("no expert is left, so nothing is measured; leave one key without =none")
    return tuple((key, chosen[key]) for key in (*_EXPERTS, *fields) if key in chosen)


@functools.cache
def make_panel(chosen: Chosen = DEFAULT_EXPERTS, gender_model: Path | None = None) -> Panel:
    """The experts of these keys; once a process, for networks take their time to load."""
    measured = [(key, name) for key, name in chosen if key in _EXPERTS]
    singles = {key: _EXPERTS[key][name] for key, name in measured if name in _EXPERTS[key]}
    asked = {
        name: tuple(key for key, other in measured if other == name and key in keys)
        for name, keys in _NETWORKS.items()
    }
    tracker = next((name for _, name in measured if name in _TRACKERS), "autocorrelation")
    listeners = [make_listener_of(key, Path(name)) for key, name in chosen if key not in _EXPERTS]
    gender = None if gender_model is None else make_gender_network(gender_model)
    return Panel(
        singles=singles,
        track_pitch=_TRACKERS[tracker](),
        gender=gender,
        listeners=listeners,
        networks=[(_MAKERS[name](), keys) for name, keys in asked.items() if keys],
    )


def _list_names(key: str) -> list[str]:
    return [*_EXPERTS.get(key, ()), *(name for name, keys in _NETWORKS.items() if key in keys)]
