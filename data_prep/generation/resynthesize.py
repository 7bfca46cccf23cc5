"""The ceiling: the true recordings through the codec and back, as if a model had spoken them.

    items.jsonl, build/audio/u1.flac ─ encode ─► units ─ decode ─►  DIR/u1.wav, DIR/spoken.jsonl, DIR/speaking.json

Without a codec the recordings are copied as they are: what they score is what measuring without
word times can tell. No model that speaks in these units can be expected to do better than the
recordings that it learnt from do after the codec. Requests about one utterance share one recording.
A request that its own recording does not fulfil (a sweep's) has no ceiling, and is counted.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.generation.requests import Request, is_true_of, read_known
from data_prep.generation.spoken_folder import ABOUT, Spoken, write_spoken
from sift_jax.audio.files import AudioError, read_audio, write_audio
from sift_jax.storage.whole_files import write_whole

_RATE = 16_000
# read before they are encoded together
_GROUP_SECONDS = 256


def resynthesize(
    requests: Sequence[Request], codec_folder: Path | None, build: Path, out: Path, *, seed: int
) -> tuple[int, Counter[str]]:
    """Writes the folder; returns the recordings in it, and why requests are not among them."""
    known = read_known(build, {request.utterance for request in requests})
    kept = []
    left: Counter[str] = Counter()
    for request in requests:
        utterance = known.get(request.utterance)
        if utterance is None or utterance["transcript"] != request.text:
            left["its recording is not in the build"] += 1
        elif request.swept or not is_true_of(utterance, request.asked, request.fields):
            left["asks for something else than its recording has"] += 1
        else:
            kept.append(request)
    if not kept:
        raise ValueError(
            f"none of {len(requests)} requests can be resynthesized ({_say(left)}); give the "
            f"items.jsonl that was made of --build={build}, not that of a sweep"
        )
    names = list(dict.fromkeys(request.utterance for request in kept))
    out.mkdir(parents=True, exist_ok=True)
    units, broken = _speak(names, codec_folder, build, out, seed)
    left.update(broken[request.utterance] for request in kept if request.utterance in broken)
    write_spoken(
        out,
        (
            Spoken(
                request=request,
                sample=0,
                seed=seed,
                audio=f"{request.utterance}.wav",
                units=units[request.utterance],
                has_ended=True,
            )
            for request in kept
            if request.utterance in units
        ),
    )
    return len(units), left


def _speak(
    names: Sequence[str], codec_folder: Path | None, build: Path, out: Path, seed: int
) -> tuple[dict[str, int], dict[str, str]]:
    """Writes a recording a name; returns the units of each, and of those that cannot be read the
    reason."""
    units: dict[str, int] = {}
    broken: dict[str, str] = {}
    groups = _read_groups(names, build, broken)
    if codec_folder is None:
        for name, wave in (
            (name, wave) for group in groups for name, wave in zip(*group, strict=True)
        ):
            write_audio(out / f"{name}.wav", wave, rate=_RATE)
            units[name] = 0
        return units, broken
    from sift_jax.codecs.registry import load_codec

    codec = load_codec(codec_folder)
    write_whole(out / ABOUT, json.dumps({"codec": codec.fingerprint, "seed": seed}) + "\n")
    for group, waves in groups:
        for name, ids in zip(group, codec.encode(waves, names=group), strict=True):
            write_audio(
                out / f"{name}.wav", codec.decode(ids, seed=seed), rate=codec.config.sample_rate
            )
            units[name] = len(ids)
    return units, broken


def _read_groups(
    names: Sequence[str], build: Path, broken: dict[str, str]
) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    """Some minutes of recordings at a time; those that cannot be read go to `broken` with the
    reason."""
    group: list[str] = []
    waves: list[np.ndarray] = []
    for name in names:
        try:
            wave = read_audio(build / "audio" / f"{name}.flac")
        except AudioError as error:
            broken[name] = f"its recording: {error.reason}"
            continue
        group.append(name)
        waves.append(wave)
        if sum(map(len, waves)) >= _GROUP_SECONDS * _RATE:
            yield group, waves
            group, waves = [], []
    if group:
        yield group, waves


def _say(left: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in left.items())
