"""The talkers of the embedded corpus: 20 a language, each an espeak variant of our own.

    number      1 … 12   13 14   15 … 20
    split        train     dev   EvalSIFT        the same number is nobody else: variants differ in every language
    gender     f m f m …                         odd numbers are women
    age        three ages × two genders in turn  heard by vocal-tract size, tremor, roughness, breath and dullness

A variant scales the formants of espeak's vowels (tract length) and sets flutter (tremor),
roughness, breath and tone (spectral tilt); its pitch line is added for each utterance. All is drawn
from a fixed seed, whatever the corpus's, so that a talker is always itself.
"""

import dataclasses
import functools

import numpy as np

from data_prep.corpora.splits import DEV, EVALUATION, TRAIN

LANGUAGES = ("en", "de", "fr", "it", "es")
# Espeak's language file, and what it sounds like.
ACCENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("gmw/en-US", "American"),
        ("gmw/en", "British"),
        ("gmw/en-GB-scotland", "Scottish"),
        ("gmw/en-029", "Caribbean"),
    ),
    "de": (("gmw/de", "German"),),
    "fr": (("roa/fr", "French"),),
    "it": (("roa/it", "Italian"),),
    "es": (("roa/es", "Castilian"), ("roa/es-419", "Latin American")),
}
AGES = ("twenties", "forties", "seventies")
_SPLIT_NUMBERS = {TRAIN: range(1, 13), DEV: range(13, 15), EVALUATION: range(15, 21)}
# Median F0 of a talker who has not been asked to speak higher or lower.
_BASE_HZ = {"female": 207.0, "male": 115.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Voice:
    speaker: str
    language: str
    gender: str
    age_category: str
    accent: str
    accent_file: str
    base_hz: float
    split: str
    variant: str


@functools.cache
def make_voices(language: str) -> tuple[Voice, ...]:
    """The twenty voices of a language, in order of their numbers."""
    voices = []
    for split, numbers in _SPLIT_NUMBERS.items():
        for place, number in enumerate(numbers):
            gender = ("female", "male")[place % 2]
            accents = ACCENTS[language]
            # Shifting the accent by a place each round of six gives every age and gender several
            # accents.
            accent_file, accent = accents[(place + place // 6) % len(accents)]
            rng = np.random.default_rng([2504, LANGUAGES.index(language), number])
            speaker = f"{language}_{gender[0]}{number:02d}"
            age = AGES[place // 2 % 3]
            base = _BASE_HZ[gender] * rng.uniform(0.95, 1.05)
            variant = _write_variant(speaker, gender, age, rng)
            voices.append(
                Voice(
                    speaker=speaker,
                    language=language,
                    gender=gender,
                    age_category=age,
                    accent=accent,
                    accent_file=accent_file,
                    base_hz=float(base),
                    split=split,
                    variant=variant,
                )
            )
    return tuple(voices)


def _write_variant(name: str, gender: str, age: str, rng: np.random.Generator) -> str:
    is_female, is_young, is_old = gender == "female", age == AGES[0], age == AGES[2]
    tract = (
        (114 if is_female else 94) + (3 if is_young else -2 if is_old else 0) + rng.uniform(-3, 3)
    )
    lines = [
        "language variant",
        f"name {name}",
        f"gender {gender}",
        f"flutter {18 + rng.integers(5) if is_old else 2 + rng.integers(2)}",
        f"roughness {4 if is_old else 0}",
    ]
    # Old voices lose their upper formants, young ones keep them bright; women's first harmonic is
    # the stronger one.
    height = np.linspace(100, 55 if is_old else 130 if is_young else 100, 9) * (
        0.85 if is_female else 1.0
    )
    for i in range(9):
        scale = 100 if i == 0 else tract + rng.uniform(-2, 2)
        width = (140 if is_female else 105) + (25 if is_old else 0) + rng.uniform(-8, 8)
        lines.append(
            f"formant {i} {round(scale)} {round(height[i] + rng.uniform(-6, 6))} {round(width)}"
        )
    breath = (3 if is_female else 1) + (4 if is_old else 0)
    lines.append("breath 0 " + " ".join([str(breath)] * 7))
    tilt = rng.uniform(-15, 15) + (25 if is_young else -25 if is_old else 0)
    lines.append(
        f"tone 600 {round(170)} 1200 {round(135 + tilt / 2)} 2000 {round(110 + tilt)} 3500 "
        f"{round(90 + tilt)}"
    )
    lines.append(f"consonants {round(rng.uniform(85, 125))} {round(rng.uniform(85, 125))}")
    return "\n".join(lines) + "\n"
