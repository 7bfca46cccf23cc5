"""How good the acoustic measures are on any recordings: beside Praat, in known rooms and noise,
with zeros put in.

    python -m benchmarks.measures FOLDER [FOLDER | manifest.jsonl …] [--clips=60]
    [--json=measures.json]

    as they are    F0, variation and intensity beside Praat's (`pip install praat-parselmouth`); rate beside the
                   syllables that Praat's intensity shows, where a manifest gives the texts
    with noise     white, pink, babble at a known SNR        what noise_level says, by both experts
    in rooms       simulated responses of a known C50        what reverberation says
    altered        digital silence before and after, in the middle, MP3, gated pauses; cut close to the words: how far
                   each measure moves, and how many clips change their class

Each folder is sampled, and reported, by itself. What is added to comes with a noise and a room of
its own: a known SNR or C50 is that of what was added, and the first rows of a table are bounded by
the recordings. Praat's F0 is of two passes, after De Looze and Hirst: the quartiles of the first
set floor and ceiling of the second.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import scipy.stats
import soundfile
import soxr

from data_prep.corpora.manifest import make_recording, read_manifest_rows
from data_prep.corpora.recording import Recording
from data_prep.corpora.utterance import Utterance
from data_prep.embedded import rooms
from data_prep.generation.measure_speech import read_phones
from data_prep.metadata import intensity, pitch
from data_prep.metadata.absolute import EVENNESS, SECONDS, find_place, find_scales
from data_prep.metadata.bins import make_edges
from data_prep.metadata.experts import DEFAULT_EXPERTS, make_panel, parse_experts
from data_prep.metadata.measure import measure_utterance
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES

RATE = 16_000
_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".opus"}
_SHORTEST, _LONGEST = 0.75, 60.0
_NOISES, _SNRS = ("white", "pink", "babble"), (0, 10, 20, 30)
_ROOMS = (25, 13, 7, 3)
_ZERO_SECONDS, _KEPT_SECONDS = 0.3, 0.05
_WIDTHS = ((0.0, 2.0), (2.0, 3.0), (3.0, 4.5), (4.5, 12.0))
_SYLLABLE_DIP_DB = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """A recording, and what its manifest tells."""

    name: str
    wave: np.ndarray
    language: str
    phonemes: str | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables of each source."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.measures", description="Tries the measures on recordings."
    )
    parser.add_argument("sources", nargs="+", type=Path, help="folders of recordings, or manifests")
    parser.add_argument("--clips", type=int, default=60, help="of each source")
    parser.add_argument("--seed", type=int, default=0, help="decides what is drawn")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    flags = parser.parse_args(arguments)
    found = {}
    for source in flags.sources:
        clips = read_clips(source, flags.clips, flags.seed)
        if not clips:
            raise SystemExit(
                f"error: {source}: no recordings of {_SHORTEST} to {_LONGEST:.0f} s; name a "
                f"folder that holds {', '.join(sorted(_SUFFIXES))}, or a manifest"
            )
        found[str(source)] = try_clips(clips, flags.seed)
        print(format_figures(str(source), found[str(source)]), flush=True)
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def read_clips(source: Path, count: int, seed: int) -> list[Clip]:
    """A sample that does not depend on what else is there to be read."""
    if source.suffix == ".jsonl":
        read = read_manifest_rows(source, lambda row: make_recording(row, source.parent, LANGUAGES))
        rows = [
            (item.audio, item.language, item.transcript)
            for item in read
            if isinstance(item, Recording)
        ]
    else:
        rows = [
            (str(path), "en", "")
            for path in sorted(source.rglob("*"))
            if path.suffix.lower() in _SUFFIXES
        ]
    clips = []
    for place in np.random.default_rng(seed).permutation(len(rows)):
        audio, language, text = rows[place]
        try:
            wave = read_audio(audio, max_seconds=_LONGEST)
        except AudioError:
            continue
        if len(wave) >= _SHORTEST * RATE:
            phonemes = read_phones(text, language) if text else None
            clips.append(Clip(name=audio, wave=wave, language=language, phonemes=phonemes))
        if len(clips) == count:
            break
    return clips


def try_clips(clips: Sequence[Clip], seed: int) -> dict[str, Any]:
    """All figures of one source."""
    rng = np.random.default_rng(seed)
    own = [measure(clip, clip.wave) for clip in clips]
    found = {
        "clips": len(clips),
        "seconds": round(sum(len(clip.wave) for clip in clips) / RATE, 1),
        "medians": {
            key: round(float(np.median(values)), 2)
            for key in ACOUSTIC_LABELS
            if (values := [row[key] for row in own if key in row])
        },
        "not measured": sum(not row for row in own),
    }
    if importlib.util.find_spec("parselmouth"):
        found["praat"] = compare_with_praat(clips, own)
    found["noise"] = add_noises(clips, rng)
    found["rooms"] = add_rooms(clips, rng)
    found["altered"] = {
        name: compare(own, [measure(clip, alter(clip.wave)) for clip in clips])
        for name, alter in ALTERATIONS.items()
    }
    return found


def measure(
    clip: Clip, wave: np.ndarray, experts: str = "distortion_level=energy"
) -> dict[str, float]:
    """The values of a wave of a clip, its length, and how even its floor is; none where it is
    skipped."""
    utterance = Utterance(
        id=clip.name,
        language=clip.language,
        split="train",
        speaker=None,
        duration=len(wave) / RATE,
        transcript="",
        topic=None,
        phonemes=clip.phonemes,
        is_question=None,
        gender=None,
        age_category=None,
        accent=None,
        words=(),
        truth={},
    )
    row = measure_utterance(
        wave.astype(np.float32), utterance, make_panel(parse_experts(experts))
    ).row
    if row is None:
        return {}
    told = {**row["values"], SECONDS: len(wave) / RATE}
    return told if row[EVENNESS] is None else {**told, EVENNESS: row[EVENNESS]}


# ---- beside Praat


def compare_with_praat(clips: Sequence[Clip], own: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Differences of medians, frames, variation, intensity and rate."""
    gross = both = differing = frames = 0
    medians, variations, levels, rates = [], [], [], []
    for clip, values in zip(clips, own, strict=True):
        times, hz = track_by_praat(clip.wave)
        first, last = intensity.find_speech(intensity.frame_power(clip.wave))
        track = pitch.track_pitch(clip.wave)
        places = np.round((times - pitch.FRAME_SECONDS / 2) / pitch.STEP_SECONDS).astype(int)
        fits = (places >= 0) & (places < len(track)) & (times >= first) & (times <= last)
        ours, theirs = track[places[fits]], hz[fits]
        is_both = np.isfinite(ours) & (theirs > 0)
        gross += int((np.abs(ours[is_both] / theirs[is_both] - 1) > 0.2).sum())
        both, frames = both + int(is_both.sum()), frames + len(ours)
        differing += int((np.isfinite(ours) != (theirs > 0)).sum())
        voiced = theirs[theirs > 0]
        if len(voiced) < 10 or "average_pitch" not in values:
            continue
        medians.append(12 * np.log2(values["average_pitch"] / np.median(voiced)))
        variations.append((pitch.pitch_variation(voiced), values["pitch_variation"]))
        level, rate = measure_by_praat(clip.wave, times[fits], theirs, last - first)
        levels.append((level, values["average_intensity"]))
        if "speaking_rate" in values:
            rates.append((rate, values["speaking_rate"]))
    theirs, ours = np.array(variations).T
    widths = {
        f"{low:g} to {high:g} st": [
            int(is_in.sum()),
            *_round(theirs[is_in].mean(), ours[is_in].mean()),
        ]
        for low, high in _WIDTHS
        if (is_in := (theirs >= low) & (theirs < high)).any()
    }
    return {
        "F0 gross error %": round(100 * gross / max(both, 1), 2),
        "voicing differs %": round(100 * differing / max(frames, 1), 1),
        "median F0 off by > 1 semitone %": round(
            100 * float(np.mean(np.abs(medians) > np.float64(1))), 1
        ),
        "variation": {**_correlate(variations), "n, theirs, ours": widths},
        "intensity": _correlate(levels),
        "rate": _correlate(rates),
    }


def track_by_praat(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and F0 of the second pass; 0 where unvoiced."""
    import parselmouth

    sound = parselmouth.Sound(wave.astype(np.float64), RATE)
    first = sound.to_pitch_ac(time_step=pitch.STEP_SECONDS, pitch_floor=60, pitch_ceiling=700)
    hz = first.selected_array["frequency"]
    if np.count_nonzero(hz) < 10:
        return first.xs(), hz
    low, high = np.quantile(hz[hz > 0], [0.25, 0.75])
    second = sound.to_pitch_ac(
        time_step=pitch.STEP_SECONDS,
        pitch_floor=max(0.75 * low, 50),
        pitch_ceiling=min(2.5 * high, 700),
    )
    return second.xs(), second.selected_array["frequency"]


def measure_by_praat(
    wave: np.ndarray, times: np.ndarray, hz: np.ndarray, seconds: float
) -> tuple[float, float]:
    """Mean level in dB of the loud half of the frames, and syllables a second: voiced peaks of
    intensity."""
    import parselmouth

    found = parselmouth.Sound(wave.astype(np.float64), RATE).to_intensity(
        minimum_pitch=60, time_step=0.01
    )
    level, at = found.values[0], found.xs()
    loud = level[level >= np.quantile(level, 0.5)]
    peaks, _ = scipy.signal.find_peaks(
        level, prominence=_SYLLABLE_DIP_DB, height=np.quantile(level, 0.95) - 25
    )
    voiced = times[hz > 0]
    syllables = sum(len(voiced) and np.abs(voiced - at[peak]).min() < 0.02 for peak in peaks)
    return 10 * np.log10(np.mean(10 ** (loud / 10))), syllables / max(seconds, 0.1)


# ---- what is known because it was added


def add_noises(clips: Sequence[Clip], rng: np.random.Generator) -> dict[str, Any]:
    """By kind and SNR: the median that each expert says."""
    experts = ("gaps", "inside")
    babble = _make_babble(clips, rng)
    found: dict[str, Any] = {}
    for kind in _NOISES:
        for snr in _SNRS:
            said: dict[str, list[float]] = {name: [] for name in experts}
            for clip in clips:
                power = intensity.frame_power(clip.wave)
                level = power[intensity.find_active(power)].mean()
                noise = rooms.make_noise(kind, len(clip.wave), rng, babble)
                wave = clip.wave + noise * np.sqrt(level / 10 ** (snr / 10))
                for name in experts:
                    value = measure(clip, wave, f"noise_level={name}").get("noise_level")
                    if value is not None:
                        said[name].append(value)
            found[f"{kind}, {snr} dB"] = {name: _describe(values) for name, values in said.items()}
    return found


def _make_babble(clips: Sequence[Clip], rng: np.random.Generator) -> np.ndarray:
    """Six of the clips at once, of unit power."""
    length = max(len(clip.wave) for clip in clips)
    mixed = sum(
        np.roll(np.resize(clips[place].wave, length), int(rng.integers(length)))
        for place in rng.integers(len(clips), size=6)
    )
    return mixed / np.sqrt(np.mean(mixed**2))


def add_rooms(clips: Sequence[Clip], rng: np.random.Generator) -> dict[str, Any]:
    """By C50: the median that is said; and the rank correlation over all."""
    found: dict[str, Any] = {}
    pairs = []
    for c50 in _ROOMS:
        said = []
        for clip in clips:
            response = rooms.make_response(float(c50), rng)
            value = measure(clip, rooms.add_room(clip.wave, response)).get("reverberation")
            if value is not None:
                said.append(value)
                pairs.append((rooms.measure_c50(response), value))
        found[f"{c50} dB"] = _describe(said)
    return {**found, "all": _correlate(pairs)}


# ---- what must not change a measure


def _pad(wave: np.ndarray) -> np.ndarray:
    zeros = np.zeros(int(_ZERO_SECONDS * RATE), np.float32)
    return np.concatenate([zeros, wave, zeros])


def _edit(wave: np.ndarray) -> np.ndarray:
    """A tenth of a second of zeros at the quietest place of the middle third."""
    power = intensity.frame_power(wave)
    third = len(power) // 3
    place = (third + int(power[third : 2 * third].argmin()) + 1) * 160
    return np.concatenate([wave[:place], np.zeros(RATE // 10, np.float32), wave[place:]])


def _code(wave: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(wave, RATE, 2 * RATE), 2 * RATE, format="MP3")
    file.seek(0)
    return soxr.resample(soundfile.read(file, dtype="float32")[0], 2 * RATE, RATE)


def _gate(wave: np.ndarray) -> np.ndarray:
    """Zeros wherever 50 ms are 30 dB below the loud parts: in pauses, and not in what is spoken
    softly."""
    envelope = np.convolve(np.abs(wave), np.ones(800) / 800, "same")
    return wave * (envelope > 0.03 * np.quantile(envelope, 0.9))


def _cut(wave: np.ndarray) -> np.ndarray:
    first, last = intensity.find_speech(intensity.frame_power(wave))
    return wave[max(int((first - _KEPT_SECONDS) * RATE), 0) : int((last + _KEPT_SECONDS) * RATE)]


ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeros at both ends": _pad,
    "zeros within": _edit,
    "zeros at both ends, MP3": lambda wave: _code(_pad(wave)),
    "MP3 alone": _code,
    "pauses gated": _gate,
    "cut close to the words": _cut,
}


def compare(own: Sequence[dict[str, float]], other: Sequence[dict[str, float]]) -> dict[str, Any]:
    """By key: mean change, per cent of the clips that change by more than 1, or their class, of
    those that have one before and after; and how many lose the value."""
    found: dict[str, dict[str, float]] = {}
    for key, labels in ACOUSTIC_LABELS.items():
        before = [row[key] for row in own if key in row]
        pairs = np.array(
            [
                (row[key], changed[key])
                for row, changed in zip(own, other, strict=True)
                if key in row and key in changed
            ]
        )
        if len(before) < len(labels):
            continue
        lost = len(before) - len(pairs)
        if not len(pairs):
            found[key] = {"lost": lost}
            continue
        moved = np.abs(pairs[:, 1] - pairs[:, 0])
        classes = classify(key, own, other, make_edges(before, len(labels))["edges"])
        found[key] = {
            "mean change": round(float(moved.mean()), 3),
            "> 1 %": round(100 * float((moved > 1).mean()), 1),
            "class %": round(
                100 * float(np.mean([old != new for old, new in classes] or [False])), 1
            ),
            "told": len(classes),
            "lost": lost,
        }
    return found


def classify(
    key: str,
    own: Sequence[dict[str, float]],
    other: Sequence[dict[str, float]],
    edges: Sequence[float],
) -> list[tuple[int, int]]:
    """The classes before and after of each clip that has both: those that rows tell where there is a
    scale, and places among these clips by their `edges` elsewhere."""
    scale = find_scales(DEFAULT_EXPERTS).get(key)
    table = scale.describe() if scale else {"edges": list(edges)}
    pairs = [
        (find_place(key, row, table), find_place(key, changed, table))
        for row, changed in zip(own, other, strict=True)
        if key in row and key in changed
    ]
    return [(old, new) for old, new in pairs if old is not None and new is not None]


def _round(*values: float) -> list[float]:
    return [round(float(value), 2) for value in values]


def _describe(values: Sequence[float]) -> dict[str, float] | None:
    """Median, and the quarter below and above it."""
    if not values:
        return None
    return dict(
        zip(("median", "q25", "q75"), _round(*np.quantile(values, [0.5, 0.25, 0.75])), strict=True)
    )


def _correlate(pairs: Sequence[tuple[float, float]]) -> dict[str, float] | None:
    if len(pairs) < 3:
        return None
    theirs, ours = np.array(pairs).T
    return {
        "n": len(pairs),
        **dict(
            zip(
                ("r", "rho"),
                _round(
                    scipy.stats.pearsonr(theirs, ours)[0], scipy.stats.spearmanr(theirs, ours)[0]
                ),
                strict=True,
            )
        ),
    }


def format_figures(name: str, found: dict[str, Any]) -> str:
    """A table for people."""
    lines = [
        (
            f"{name}: {found['clips']} clips, {found['seconds']:,.0f} s, {found['not measured']} "
            "skipped"
        ),
        "  medians    " + "  ".join(f"{key} {value:g}" for key, value in found["medians"].items()),
    ]
    lines += [
        f"  Praat      {key}: {json.dumps(value)}" for key, value in found.get("praat", {}).items()
    ]
    for title in ("noise", "rooms"):
        lines += [
            f"  {title:<10} {key:<14} {json.dumps(value)}" for key, value in found[title].items()
        ]
    for title, keys in found["altered"].items():
        lines.append(f"  {title}")
        lines += [
            f"    {key:<18} {'  '.join(f'{what} {number:g}' for what, number in value.items())}"
            for key, value in keys.items()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
