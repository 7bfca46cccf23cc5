"""A speaker that follows instructions: the embedded synthesizer, which listens to itself and tries
again.

Request, bins ─► a voice of the gender, the middle of each class asked for ─► speak ─► measure ─► turn the knobs ─┐
                                                                                 ▲────────────────────────────────┘
"""

import dataclasses
from pathlib import Path

import numpy as np
import soxr

from data_prep.embedded import espeak
from data_prep.embedded.corpus import split_words
from data_prep.embedded.voices import make_voices
from data_prep.generation.requests import Request
from data_prep.generation.spoken_folder import Spoken, write_spoken
from data_prep.metadata import intensity, pitch, rate
from data_prep.metadata.bins import Bins
from sift_jax.audio.files import write_audio
from sift_jax.sift.labels import LABELS

_RATE = 16_000


@dataclasses.dataclass
class Knobs:
    hz: float
    width: float = 4.0
    words: float = 170.0
    db: float = -26.0


def speak(request: Request, bins: Bins, *, tries: int = 8) -> np.ndarray:
    """The wave that comes nearest to the middle of every class that was asked for."""
    gender = request.asked.get("gender", "female")
    voice = next(voice for voice in make_voices(request.language) if voice.gender == gender)
    goals = {
        key: find_middle(bins[key].get("all") or bins[key][gender], LABELS[key].index(label))
        for key, label in request.asked.items()
        if key in bins
    }
    knobs, best, least = Knobs(hz={"female": 205.0, "male": 115.0}[gender]), None, float("inf")
    for _ in range(tries):
        wave, phones = _speak(request.text, voice, knobs)
        found = _measure(wave, phones)
        cost = sum(
            abs(np.log(max(found[key], 0.05) / goal)) if goal > 0 else abs(found[key] - goal) / 10
            for key, goal in goals.items()
        )
        if cost < least:
            best, least = wave, cost
        _turn(knobs, goals, found)
    return best


def find_middle(table: dict, place: int) -> float:
    """Of a class; the outermost ones are as wide as their neighbours."""
    edges = table["edges"]
    if place == 0:
        return edges[0] - (edges[1] - edges[0]) / 3
    if place == len(edges):
        return edges[-1] + (edges[-1] - edges[-2]) / 2
    return (edges[place - 1] + edges[place]) / 2


def _turn(knobs: Knobs, goals: dict[str, float], found: dict[str, float]) -> None:
    if "average_pitch" in goals:
        knobs.hz = float(
            np.clip(knobs.hz * goals["average_pitch"] / found["average_pitch"], 70, 400)
        )
    if "speaking_rate" in goals:
        knobs.words = float(
            np.clip(knobs.words * goals["speaking_rate"] / found["speaking_rate"], 60, 450)
        )
    if "pitch_variation" in goals:
        wide = knobs.width * (goals["pitch_variation"] / max(found["pitch_variation"], 0.05)) ** 0.8
        knobs.width = float(np.clip(wide, 0.05, 30))
    if "average_intensity" in goals:
        knobs.db += goals["average_intensity"] - found["average_intensity"]


def _speak(text: str, voice, knobs: Knobs) -> tuple[np.ndarray, str]:
    ratio = 2 ** (knobs.width / 12)
    low = knobs.hz / (1 + 0.4 * (ratio - 1))
    delivery = espeak.Delivery(
        variant=voice.variant,
        accent=voice.accent_file,
        rate=round(knobs.words),
        low_hz=round(low),
        high_hz=round(low * ratio),
    )
    speech = espeak.get_synthesizer().speak(split_words(text), delivery)
    wave = soxr.resample(speech.samples.astype(np.float32) / 32768, espeak.RATE, _RATE)
    wave = np.pad(wave, (2_000, 3_000))
    wave = wave * 10 ** ((knobs.db - intensity.average_intensity(intensity.frame_power(wave))) / 20)
    return np.clip(wave, -1, 1).astype(np.float32), speech.phones


def _measure(wave: np.ndarray, phones: str) -> dict[str, float]:
    power = intensity.frame_power(wave)
    first, last = intensity.find_speech(power)
    track = pitch.slice_track(pitch.track_pitch(wave), first, last)
    return {
        "average_pitch": pitch.average_pitch(track) or 100.0,
        "pitch_variation": pitch.pitch_variation(track) or 0.1,
        "speaking_rate": rate.speaking_rate(phones, first, last) or 10.0,
        "average_intensity": intensity.average_intensity(power),
    }


def speak_all(
    requests: list[Request], bins: Bins, folder: Path, *, samples: int = 1, tries: int = 8
) -> None:
    """A folder as a model would leave it; each sample is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for place, request in enumerate(requests):
        write_audio(folder / f"{place}.wav", speak(request, bins, tries=tries))
        lines += [
            Spoken(
                request=request,
                sample=sample,
                seed=sample,
                audio=f"{place}.wav",
                units=0,
                has_ended=True,
            )
            for sample in range(samples)
        ]
    write_spoken(folder, lines)
