"""Speech of the embedded synthesizer of which everything that is measured is known, one thing
varied at a time.

Truth(hz, rate, level_db, snr, c50) ─► espeak ─► * room ─► + noise ─► × gain ─► wave, dry wave, Utterance
"""

import dataclasses

import numpy as np
import soxr

from data_prep.corpora.utterance import Utterance, WordSpan
from data_prep.embedded import espeak, rooms
from data_prep.embedded.voices import make_voices

SENTENCES = (
    "The old clock on the wall has stopped again",
    "We carried seven boxes up the narrow stairs",
    "Nobody knows why the river turned so green",
    "She would rather walk home than wait for a bus",
)
LEAD, TAIL = 0.2, 0.3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    hz: float = 150.0
    rate: int = 170
    level_db: float = -26.0
    snr: float = 45.0
    c50: float = rooms.DRY_C50


def speak(truth: Truth, index: int) -> tuple[np.ndarray, np.ndarray, Utterance]:
    """The recording, the same without room and noise, and what a corpus would tell of it."""
    rng = np.random.default_rng([7, index])
    voices = make_voices("en")
    voice = voices[index % len(voices)]
    words = SENTENCES[index % len(SENTENCES)].split()
    # A range of three semitones: pitch is known to the width of the intonation.
    delivery = espeak.Delivery(
        variant=voice.variant,
        accent=voice.accent_file,
        rate=truth.rate,
        low_hz=round(truth.hz * 0.9),
        high_hz=round(truth.hz * 1.07),
    )
    speech = espeak.get_synthesizer().speak(words, delivery)
    dry = soxr.resample(speech.samples.astype(np.float32) / 32768, espeak.RATE, rooms.RATE)
    dry = np.pad(dry, (int(LEAD * rooms.RATE), int(TAIL * rooms.RATE)))
    wave = rooms.add_room(dry, rooms.make_response(truth.c50, rng))
    power = rooms.measure_active_power(wave)
    noise = rooms.make_noise("white" if index % 2 else "pink", len(wave), rng, np.zeros(1))
    wave = wave + noise * np.sqrt(power / 10 ** (truth.snr / 10))
    gain = 10 ** (truth.level_db / 20) / np.sqrt(power)
    spans = tuple(
        WordSpan(
            word=word, position=i + 1, start=a / espeak.RATE + LEAD, end=b / espeak.RATE + LEAD
        )
        for i, (word, (a, b)) in enumerate(zip(words, speech.words, strict=True))
    )
    utterance = Utterance(
        id=f"known_{index}",
        language="en",
        split="train",
        speaker=voice.speaker,
        duration=len(wave) / rooms.RATE,
        transcript=" ".join(words),
        topic="",
        phonemes=speech.phones,
        is_question=False,
        gender=voice.gender,
        age_category="",
        accent="",
        words=spans,
        truth={},
    )
    return (wave * gain).astype(np.float32), (dry * gain).astype(np.float32), utterance


def compute_si_sdr(wave: np.ndarray, clean: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, by its definition."""
    x, s = wave.astype(np.float64), clean.astype(np.float64)
    target = (x @ s) / (s @ s) * s
    return float(10 * np.log10((target @ target) / ((x - target) @ (x - target))))
