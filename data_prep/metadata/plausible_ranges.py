"""The range of each key outside of which a value says that measuring failed, not that the speech is
special.

pitch and rate: what voices do      intensity, noise, room: what recordings hold      quality: the scale's own ends
"""

FEASIBLE: dict[str, tuple[float, float]] = {
    "average_pitch": (63.0, 600.0),
    "pitch_variation": (0.0, 9.0),
    "speaking_rate": (2.0, 35.0),
    "average_intensity": (-70.0, 0.0),
    "noise_level": (-5.0, 80.0),
    "reverberation": (-10.0, 60.0),
    "distortion_level": (-40.0, 60.0),
    "speech_quality": (1.0, 5.0),
}


def is_feasible(key: str, value: float | None) -> bool:
    """Whether a value can be believed; NaN and None cannot."""
    low, high = FEASIBLE[key]
    return value is not None and low <= value <= high
