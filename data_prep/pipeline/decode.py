"""From a recording on disk to 16 kHz FLAC and an utterance, or a reason why not.

    clips/….mp3 ─ decode, check ─► mono 16 kHz ─ too short? silent? clipped? ─► audio/<id>.flac and its Utterance

The limits are those of speech that can be measured and heard as one turn; what a file itself can
have wrong is known to `sift_jax.audio.files`. A recording over which the process died is first
tried in a process of its own, and skipped if that dies too: a build that is stopped, however
often, loses none by it. Two ids with the same samples would be one utterance on two sides: the
second is skipped. Word times that are not of the transcript's words are dropped, and the
utterance goes on without. Phonemes are the corpus's own, or those that espeak reads off the
transcript, if it is asked: it knows no accents.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.alignment.word_time import AlignmentError, WordTime, use_spelling
from data_prep.corpora.recording import Recording, parse_recording
from data_prep.corpora.registry import Reading
from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.corpora.utterance import Utterance, WordSpan
from data_prep.embedded.voices import ACCENTS
from data_prep.engine.chunks import Chunk
from data_prep.engine.ledger import Rejection, settle
from sift_jax.audio.files import AudioError, decode_audio, mix_channels, resample, write_audio

RATE = 16_000
# The loudest 20 ms of a recording that is no more than the noise of its converter.
_SILENT = 10 ** (-65 / 20)
# Full scale, and how many samples there are too many.
_CEILING, _CLIPPED_SHARE = 0.998, 0.01
# What has somebody stopped rather than died.
_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TRIAL = """
import sys
from sift_jax.audio.files import decode_audio
path, *numbers = sys.argv[1:]
most, start, seconds = (float(number) if number else None for number in numbers)
try:
    decode_audio(path, max_seconds=most, start=start, seconds=seconds)
except Exception:
    pass
"""


def decode_chunk(chunk: Chunk, reading: Reading) -> None:
    """Writes the audio, the utterances, their digests and what was skipped of one chunk."""
    utterances, digests, rejections, given = [], [], [], []
    watch = Watch(chunk)
    for recording in map(parse_recording, chunk.read_lines("sources")):
        try:
            with watch.over(recording, reading):
                wave = read_speech(recording, reading)
        except AudioError as error:
            rejections.append(
                Rejection(
                    reason=error.reason,
                    detail=_explain(error, chunk),
                    id=recording.id,
                    language=recording.language,
                    file=recording.audio,
                )
            )
            continue
        write_audio(chunk.out / "audio" / f"{recording.id}.flac", wave, rate=RATE)
        phonemes = recording.phonemes or make_phonemes(recording, reading)
        words, fault = check_words(recording)
        given += (
            [{"id": recording.id, "fault": fault, "language": recording.language}]
            if recording.words
            else []
        )
        utterances.append(_describe(recording, chunk.split, len(wave), phonemes, words))
        digests.append([recording.id, hash_samples(wave)])
    chunk.write_lines("decode_rejected", [rejection.to_json() for rejection in rejections])
    chunk.write_lines("digests", [json.dumps(pair) for pair in digests])
    chunk.write_lines("given_words", [json.dumps(row, ensure_ascii=False) for row in given])
    # The utterances last: they say that the chunk is done.
    chunk.write_lines("utterances", [utterance.to_json() for utterance in utterances])
    watch.end()


def _explain(error: AudioError, chunk: Chunk) -> str:
    """The error; with the command that cuts what is too long."""
    if error.reason != "too long":
        return str(error)
    return (
        f"{str(error).rpartition('; cut')[0]}; cut it at its pauses by python -m data_prep.cut "
        f"--build={chunk.out} --out={chunk.out}_cut --aligner=whisper --checkpoint=…, or raise "
        "--max_seconds"
    )


class Watch:
    """Remembers on disk over what the process died: {"now": id of what is being decoded, "deadly":
    [id, …]}."""

    def __init__(self, chunk: Chunk):
        self._path = chunk.path("at_work")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        left: dict[str, Any] = {}
        if self._path.exists():
            with contextlib.suppress(ValueError):  # torn by the death of the machine
                left = json.loads(self._path.read_text(encoding="utf-8"))
        self._suspect: str | None = left.get("now")
        self._deadly: list[str] = left.get("deadly", [])

    @contextlib.contextmanager
    def over(self, recording: Recording, reading: Reading) -> Iterator[None]:
        # It may be the machine's fault that it died, or that of who stopped the build.
        if recording.id == self._suspect and is_deadly(recording, reading):
            self._deadly.append(recording.id)
        if recording.id in self._deadly:
            self._note(None)
            raise AudioError(
                f"{recording.audio}: two processes that decoded it died; encode it again",
                "kills its decoder",
            )
        self._note(recording.id)
        try:
            yield
        except Exception:
            self._note(None)
            raise

    def end(self) -> None:
        self._path.unlink(missing_ok=True)

    def _note(self, now: str | None) -> None:
        self._path.write_text(json.dumps({"now": now, "deadly": self._deadly}), encoding="utf-8")


def is_deadly(recording: Recording, reading: Reading) -> bool:
    """Whether a process that does no more than decode it dies."""
    numbers = (reading.max_seconds, recording.start, recording.seconds)
    command = [
        sys.executable,
        "-c",
        _TRIAL,
        str(recording.audio),
        *("" if n is None else str(n) for n in numbers),
    ]
    # The workers of a cluster may have found this package in their own way.
    paths = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        check=False,
        stderr=subprocess.DEVNULL,
    )
    return ended.returncode < 0 and -ended.returncode not in _STOPPED


def read_speech(recording: Recording, reading: Reading) -> np.ndarray:
    """The recording as mono float32 at 16 kHz; AudioError with its reason where it cannot be
    used."""
    decoded = decode_audio(
        recording.audio,
        max_seconds=reading.max_seconds,
        start=recording.start,
        seconds=recording.seconds,
    )
    seconds = len(decoded.samples) / decoded.rate
    if seconds < reading.min_seconds:
        raise AudioError(
            f"{recording.audio}: {seconds:.2f} s is shorter than {reading.min_seconds:g} s; lower "
            f"--min_seconds to keep it",
            "too short",
        )
    if float(np.mean(np.abs(decoded.samples) >= _CEILING)) > _CLIPPED_SHARE:
        raise AudioError(
            f"{recording.audio}: more than {_CLIPPED_SHARE:.0%} of its samples are at full scale; "
            "record it again at a lower level",
            "clipped",
        )
    wave = resample(mix_channels(decoded.samples, recording.audio), decoded.rate, RATE)
    frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
    if not len(frames) or float(np.sqrt((frames**2).mean(axis=1).max())) < _SILENT:
        raise AudioError(f"{recording.audio}: nothing is heard in it; record it again", "silent")
    if recording.words and recording.words[-1].end > len(wave) / RATE + 0.1:
        raise AudioError(
            f"{recording.audio}: its last word ends after it; fix the word times",
            "times beyond the end",
        )
    return wave


def hash_samples(wave: np.ndarray) -> str:
    """The same for the same samples, whatever container they came in."""
    return hashlib.sha256(np.round(wave * 32767).astype("<i2").tobytes()).hexdigest()


def settle_decoding(out: Path, chunks: Sequence[Chunk]) -> None:
    """Sets aside what sounds exactly like another utterance, and closes the account of decoding."""
    order = {split: place for place, split in enumerate((EVALUATION, DEV, TRAIN))}
    owners: dict[str, str] = {}
    twins: dict[str, str] = {}
    for chunk in sorted(chunks, key=lambda chunk: order[chunk.split]):
        for identity, digest in map(json.loads, chunk.read_lines("digests")):
            if owners.setdefault(digest, identity) != identity:
                twins[identity] = owners[digest]
    rejections, left = [], 0
    for chunk in chunks:
        rejections += [
            Rejection(**json.loads(line)) for line in chunk.read_lines("decode_rejected")
        ]
        lines = chunk.read_lines("utterances")
        kept = [line for line in lines if json.loads(line)["id"] not in twins]
        # A build that was killed here may have dropped them before: the digests still have them
        # all.
        for identity, _ in map(json.loads, chunk.read_lines("digests")):
            if identity in twins:
                rejections.append(
                    Rejection(
                        reason="same audio as another",
                        detail=twins[identity],
                        id=identity,
                        language=chunk.language,
                    )
                )
                (out / "audio" / f"{identity}.flac").unlink(missing_ok=True)
        if len(kept) < len(lines):
            chunk.write_lines("utterances", kept)
        left += len(kept)
    settle(
        out,
        "decode",
        "recordings",
        sum(chunk.last - chunk.first for chunk in chunks),
        left,
        rejections,
    )
    given = [json.loads(line) for chunk in chunks for line in chunk.read_lines("given_words")]
    if given:
        faults = [
            Rejection(
                reason="other words", detail=row["fault"], id=row["id"], language=row["language"]
            )
            for row in given
            if row["fault"]
        ]
        settle(out, "given_words", "utterances", len(given), len(given) - len(faults), faults)


def check_words(recording: Recording) -> tuple[tuple[WordSpan, ...], str | None]:
    """The corpus's own word times as the transcript spells them, or none and why."""
    times = [
        WordTime(word=span.word, start=span.start, end=span.end, score=1.0)
        for span in recording.words
    ]
    try:
        spelt = use_spelling(times, recording.transcript) if times else []
    except AlignmentError as error:
        return (), str(error)
    return tuple(
        WordSpan(word=time.word, position=place, start=time.start, end=time.end)
        for place, time in enumerate(spelt, 1)
    ), None


def make_phonemes(recording: Recording, reading: Reading) -> str | None:
    """The phones of the transcript, where somebody is to read them off it."""
    if reading.phonemes != "espeak":
        return None
    from data_prep.embedded.espeak import get_synthesizer

    return (
        get_synthesizer().read_phones(recording.transcript, ACCENTS[recording.language][0][0])
        or None
    )


def _describe(
    recording: Recording,
    split: str,
    samples: int,
    phonemes: str | None,
    words: tuple[WordSpan, ...],
) -> Utterance:
    text = recording.transcript
    # A corpus without punctuation does not tell which sentence is a question.
    is_question = (
        text.rstrip("\"'»”) ").endswith("?") if any(c in ".,;:!?…" for c in text) else None
    )
    return Utterance(
        id=recording.id,
        language=recording.language,
        split=split,
        speaker=recording.speaker,
        duration=round(samples / RATE, 4),
        transcript=text,
        topic=None,
        phonemes=phonemes,
        is_question=is_question,
        gender=recording.gender,
        age_category=recording.age_category,
        accent=recording.accent,
        words=words,
        truth={},
        fields=dict(recording.fields),
        collection=recording.collection,
    )
