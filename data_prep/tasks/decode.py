"""The audio of examples: each recording once as 16 kHz FLAC under its id, whichever tasks ask about
it.

    parts/sources/de_train_000000.jsonl ─► audio/a7/<id>.flac, parts/kept/de_train_000000.jsonl, parts/decode_rejected/…

The 256 folders below audio/ are for file systems, which do not like millions of files in one.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from data_prep.corpora.recording import Recording
from data_prep.corpora.registry import Reading
from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import Chunk
from data_prep.engine.ledger import Rejection
from data_prep.pipeline.decode import RATE, Watch, read_speech
from data_prep.tasks.example import parse_example
from sift_jax.audio.files import AudioError, write_audio


def decode_examples(chunks: Sequence[Chunk], audio: Path, reading: Reading, engine: Engine) -> None:
    """Decodes all chunks that are not done yet."""
    audio.mkdir(parents=True, exist_ok=True)
    run_chunks(
        chunks, "kept", functools.partial(decode_chunk, audio=audio, reading=reading), engine
    )


def decode_chunk(chunk: Chunk, audio: Path, reading: Reading) -> None:
    """Writes the audio of one chunk, and which of its examples have all of theirs."""
    kept, rejections = [], []
    watch = Watch(chunk)
    for line in chunk.read_lines("sources"):
        example = parse_example(line)
        recording = example.recording
        try:
            for recording in example.recordings:
                with watch.over(recording, reading):
                    _decode(recording, audio, reading)
            kept.append(line)
        except AudioError as error:
            rejections.append(
                Rejection(
                    reason=error.reason,
                    detail=str(error),
                    id=recording.id,
                    language=recording.language,
                    file=recording.audio,
                )
            )
    chunk.write_lines("decode_rejected", [rejection.to_json() for rejection in rejections])
    # Last: it says that the chunk is done.
    chunk.write_lines("kept", kept)
    watch.end()


def place_audio(audio: Path, identity: str) -> Path:
    """Where the audio of an id lies."""
    return (
        audio / hashlib.blake2b(identity.encode(), digest_size=1).hexdigest() / f"{identity}.flac"
    )


def _decode(recording: Recording, audio: Path, reading: Reading) -> None:
    path = place_audio(audio, recording.id)
    if path.is_file():
        # Another task decoded it, perhaps within other limits.
        seconds = soundfile.info(path).frames / RATE
        if seconds < reading.min_seconds:
            raise AudioError(
                f"{recording.audio}: shorter than {reading.min_seconds:g} s", "too short"
            )
        if seconds > reading.max_seconds:
            raise AudioError(
                f"{recording.audio}: longer than {reading.max_seconds:g} s", "too long"
            )
        return
    # Two processes may have the same recording at hand: each writes a file of its own, and either
    # is as good.
    path.parent.mkdir(exist_ok=True)
    draft = path.parent / f".{os.getpid()}_{recording.id}.flac"
    write_audio(draft, read_speech(recording, reading), rate=RATE)
    draft.replace(path)
