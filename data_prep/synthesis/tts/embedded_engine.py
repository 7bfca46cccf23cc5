"""The embedded synthesizer as an engine: espeak-ng, twenty voices a language, each split with its
own.

sentences, voice, draw ─►  the voice at a pace, pitch and liveliness drawn for the passage ─►  float32 [n] at 16 kHz
"""

from collections.abc import Iterator, Sequence

import numpy as np
import soxr

from data_prep.embedded.espeak import RATE as ESPEAK_RATE
from data_prep.embedded.espeak import Delivery, SilentTextError, get_synthesizer
from data_prep.embedded.voices import make_voices
from data_prep.synthesis.tts.engine import RATE, EngineError, Voice
from sift_jax.audio.files import AudioError
from sift_jax.extras import is_installed, say_install

# Words a minute, and the width of the intonation in semitones, of one who reads out to another.
_PACE, _WIDTH = (130.0, 200.0), (4.0, 12.0)
_HIGHER = (0.9, 1.15)
_MEDIAN_PLACE = 0.69


class EmbeddedEngine:
    """Whatever a machine it runs on, the same words sound the same."""

    calls = 1

    def __init__(self) -> None:
        if not is_installed("espeakng_loader"):
            raise EngineError(
                f"--engine=embedded needs the wheel espeakng-loader; {say_install('demo')}"
            )

    def list_voices(self, language: str, split: str) -> Sequence[Voice]:
        return [
            Voice(
                name=voice.speaker,
                gender=voice.gender,
                age_category=voice.age_category,
                accent=voice.accent,
            )
            for voice in make_voices(language)
            if voice.split == split
        ]

    def speak(
        self, texts: Sequence[str], voice: Voice, language: str, draw: int
    ) -> Iterator[np.ndarray]:
        talker = next(one for one in make_voices(language) if one.speaker == voice.name)
        rng = np.random.default_rng(draw)
        ratio = 2 ** (rng.uniform(*_WIDTH) / 12)
        low = talker.base_hz * rng.uniform(*_HIGHER) / (1 + _MEDIAN_PLACE * (ratio - 1))
        delivery = Delivery(
            variant=talker.variant,
            accent=talker.accent_file,
            rate=round(rng.uniform(*_PACE)),
            low_hz=round(low),
            high_hz=round(low * ratio),
        )
        for place, text in enumerate(texts):
            try:
                speech = get_synthesizer().speak(text.split(), delivery, goes_on=place > 0)
            except SilentTextError as error:
                raise AudioError(str(error), "nothing is said") from None
            yield soxr.resample(speech.samples.astype(np.float32) / 32768, ESPEAK_RATE, RATE)

    def stop(self) -> None:
        """It waits for nobody."""
