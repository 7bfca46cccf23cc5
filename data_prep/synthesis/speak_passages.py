"""The first way: a text's questions about its passages, and the passages spoken.

    passages ─ chunks ─ say_text ─ split_sentences ─ a voice each ─ joined by pauses ─►  audio/<xx>/<id>.flac
        parts/spoken/{lang}_{split}_….jsonl: metadata and questions ─►  metadata.jsonl  triples.jsonl  sift/

A chunk is spoken by one process. What an engine has said is kept until its chunk is done, so that a
run that is stopped resumes within a passage.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.corpora.splits import SPLITS
from data_prep.engine.beam_engine import Engine as BuildEngine
from data_prep.engine.beam_engine import run_chunks
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.pipeline.gather import list_sources
from data_prep.synthesis.gather import HELD, gather_passages, set_aside
from data_prep.synthesis.job_folder import (
    describe_file,
    hold_job,
    read_rejections,
    report_job,
    write_rejections,
)
from data_prep.synthesis.passages.ms_marco import read_ms_marco
from data_prep.synthesis.passages.qa_passage import Found, Passage, PassageReader, parse_passage
from data_prep.synthesis.passages.spoken_text import say_text, split_sentences
from data_prep.synthesis.passages.squad import read_squad
from data_prep.synthesis.triples import Triple, write_sift
from data_prep.synthesis.tts.engine import RATE, Engine, Speaking, Voice
from data_prep.synthesis.tts.registry import make_voice_engine
from data_prep.tasks.decode import place_audio
from sift_jax.audio.files import AudioError, write_audio
from sift_jax.endpoints.client import CallError
from sift_jax.storage.whole_files import open_whole

VERSION = "1"
# name in data_source
SETS: dict[str, tuple[PassageReader, str]] = {
    "ms_marco": (read_ms_marco, "speech_msmarco"),
    "squad": (read_squad, "speech_squad"),
}
_STAGES = ("read", "choose", "speak")
_PAUSE_SECONDS = (0.25, 0.45)
_EDGE_SECONDS = 0.1
# Nobody says more words a second than this; a passage of more than fill the longest clip is not
# begun.
_FASTEST_WORDS = 4.0
# Letters a second that no speech has: it was cut, or goes on after the text.
_FASTEST, _SLOWEST = 35.0, 2.5
_SILENT = 1e-3
_LEVELS_DB = (-30.0, -20.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What is spoken: the files of a set, how many passages of each split, and how long a clip may
    be."""

    corpus: str
    files: tuple[Path, ...]
    language: str
    split: str | None
    sizes: Mapping[str, int | None]
    max_seconds: float
    longest_sentence: int
    seed: int


def speak(reading: Reading, speaking: Speaking, out: Path, build_engine: BuildEngine) -> None:
    """All of it; resumes where the same command was stopped."""
    settings = {
        "way": "speak",
        "version": VERSION,
        **dataclasses.asdict(reading),
        **speaking.identity,
        "files": [describe_file(path) for path in reading.files],
        "source": SETS[reading.corpus][1],
    }
    with hold_job(out, settings):
        if not (out / "parts" / "sources.json").exists():
            gather_passages(_read_files(reading), out, sizes=reading.sizes, seed=reading.seed)
        chunks = list_sources(out, reading.seed)
        run_chunks(
            chunks,
            "spoken",
            functools.partial(speak_chunk, reading=reading, speaking=speaking),
            build_engine,
        )
        _finish(out, chunks, SETS[reading.corpus][1])


def guess_split(path: Path, split: str | None) -> str | None:
    """That of a file: the one given, or by the name that the sets give theirs."""
    if split is not None:
        return split
    name = path.name.lower()
    return HELD if any(word in name for word in ("dev", "val", "test", "eval")) else None


def _read_files(reading: Reading) -> Iterator[Found]:
    for path in reading.files:
        yield from SETS[reading.corpus][0](path, reading.language, guess_split(path, reading.split))


def speak_chunk(chunk: Chunk, *, reading: Reading, speaking: Speaking) -> None:
    """Speaks the passages of a chunk, as many at once as the engine takes."""
    pieces = chunk.path("pieces").with_suffix("")
    engine = make_voice_engine(speaking, pieces, reading.seed)
    (chunk.out / "audio").mkdir(exist_ok=True)
    passages = [parse_passage(line) for line in chunk.read_lines("sources")]
    work = functools.partial(
        _try_passage, chunk=chunk, engine=engine, reading=reading, speaking=speaking
    )
    with concurrent.futures.ThreadPoolExecutor(engine.calls) as pool:
        try:
            found = list(pool.map(work, passages))
        except BaseException:
            engine.stop()
            pool.shutdown(cancel_futures=True)
            raise
    write_rejections(
        chunk, "speak_rejected", [rejection for _, rejections in found for rejection in rejections]
    )
    # Last: it says that the chunk is done.
    chunk.write_lines("spoken", [line for line, _ in found if line is not None])
    shutil.rmtree(pieces, ignore_errors=True)


def _try_passage(
    passage: Passage, *, chunk: Chunk, engine: Engine, reading: Reading, speaking: Speaking
) -> tuple[str | None, list[Rejection]]:
    try:
        voices = engine.list_voices(passage.language, chunk.split)
        draw = draw_number(reading.seed, passage.id)
        voice = voices[draw % len(voices)]
        spoken = say_text(passage.text, passage.language)
        wave, sentences = speak_passage(spoken, voice, passage.language, engine, draw, reading)
    except AudioError as error:
        return None, list(set_aside(passage, error.reason, str(error)))
    except CallError as error:
        return None, list(set_aside(passage, f"no speech: {error.reason}", error.detail))
    path = place_audio(chunk.out / "audio", passage.id)
    path.parent.mkdir(exist_ok=True)
    write_audio(path, wave, rate=RATE)
    metadata = {
        "id": passage.id,
        "language": passage.language,
        "split": chunk.split,
        "speaker": voice.name,
        "duration": round(len(wave) / RATE, 4),
        "transcript": passage.text,
        "gender": voice.gender,
        "age_category": voice.age_category,
        "accent": voice.accent,
        "spoken": spoken,
        "engine": speaking.engine,
        "sentences": sentences,
    }
    questions = [dataclasses.asdict(question) for question in passage.questions]
    return json.dumps({"metadata": metadata, "questions": questions}, ensure_ascii=False), []


def speak_passage(
    spoken: str, voice: Voice, language: str, engine: Engine, draw: int, reading: Reading
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The wave, and where each sentence lies in it; AudioError with its reason where it cannot be
    used."""
    sentences = split_sentences(spoken, reading.longest_sentence)
    words = len(spoken.split())
    if not sentences:
        raise AudioError("the passage has nothing to say; leave it out", "nothing is said")
    if words > _FASTEST_WORDS * reading.max_seconds:
        raise AudioError(
            f"{words} words do not fit in {reading.max_seconds:g} s; raise --max_seconds",
            "too many words",
        )
    rng = np.random.default_rng(draw)
    parts, samples = [_silence(_EDGE_SECONDS)], round(_EDGE_SECONDS * RATE)
    places: list[dict[str, Any]] = []
    for sentence, said in zip(
        sentences, engine.speak(sentences, voice, language, draw), strict=True
    ):
        if places:
            parts.append(_silence(rng.uniform(*_PAUSE_SECONDS)))
            samples += len(parts[-1])
        wave = trim(said, sentence)
        places.append(
            {
                "text": sentence,
                "start": round(samples / RATE, 3),
                "end": round((samples + len(wave)) / RATE, 3),
            }
        )
        parts.append(wave)
        samples += len(wave)
        if samples > reading.max_seconds * RATE:
            raise AudioError(
                f"it takes more than {reading.max_seconds:g} s to say; raise --max_seconds",
                "too long",
            )
    wave = np.concatenate([*parts, _silence(_EDGE_SECONDS)])
    gain = 10 ** (rng.uniform(*_LEVELS_DB) / 20) / float(np.sqrt(np.mean(wave**2)))
    return (wave * min(gain, 0.95 / float(np.abs(wave).max()))).astype(np.float32), places


def trim(wave: np.ndarray, sentence: str) -> np.ndarray:
    """Without the silence around it; an error where it cannot be what was to be said."""
    loud = np.flatnonzero(np.abs(wave) > max(_SILENT, 0.01 * float(np.abs(wave).max(initial=0.0))))
    if not len(loud):
        raise AudioError(f"nothing is heard of {sentence[:60]!r}; see to the engine", "silent")
    wave = wave[loud[0] : loud[-1] + 1]
    letters, seconds = sum(map(str.isalnum, sentence)), len(wave) / RATE
    # short ones are said in any way
    if letters > 20 and not _SLOWEST < letters / seconds < _FASTEST:
        raise AudioError(
            (
                f"{letters} letters in {seconds:.1f} s, beginning with {sentence[:40]!r}; see to "
                "the engine"
            ),
            "cut or drawn out",
        )
    return wave.astype(np.float32)


def draw_number(seed: int, name: str) -> int:
    """A random number of a passage's own."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/voice/{name}".encode(), digest_size=6).digest())


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def _finish(out: Path, chunks: Sequence[Chunk], source: str) -> None:
    """Everything that is made of the chunks, written again at each end."""
    entered = left = 0
    seconds, voices = 0.0, set()
    with open_whole(out / "metadata.jsonl") as joined:
        for chunk in chunks:
            entered += sum(
                len(parse_passage(line).questions) for line in chunk.read_lines("sources")
            )
            triples = []
            for line in chunk.read_lines("spoken"):
                row = json.loads(line)
                joined.write(json.dumps(row["metadata"], ensure_ascii=False) + "\n")
                seconds += row["metadata"]["duration"]
                voices.add(row["metadata"]["speaker"])
                triples += make_triples(row, source)
            chunk.write_lines("triples", [triple.to_json() for triple in triples])
            left += len(triples)
    settle(out, "speak", "questions", entered, left, read_rejections(chunks, "speak_rejected"))
    if not left:
        raise BuildError(f"nothing was spoken; see {out}/parts/accounts for the reasons")
    rows = write_sift(out, chunks, "triples")
    report_job(out, _STAGES, {"rows": rows, "seconds": round(seconds, 1), "voices": len(voices)})
    print(
        "\n".join(
            f"{language}  "
            + "  ".join(f"{split} {rows[language].get(split, 0):,}" for split in SPLITS)
            for language in rows
        )
    )
    print(f"{seconds / 3600:.2f} h in {len(voices)} voices")


def make_triples(row: Mapping[str, Any], source: str) -> list[Triple]:
    """Of a spoken passage: one for each question."""
    known = row["metadata"]
    return [
        Triple(
            id=known["id"],
            key=f"{known['id']}/{question['id']}",
            language=known["language"],
            split=known["split"],
            question=question["question"],
            answer=question["answer"],
            references=tuple(question["references"]),
            transcript=known["transcript"],
            source=source,
        )
        for question in row["questions"]
    ]
