"""Word times inside a build: from files, or from an aligner; a corpus's own come first.

    --words=FILE | FOLDER ─ spread by utterance ─► parts/word_times/<chunk> ┐
    --aligner=sphinx | ctc | whisper ───── audio/<id>.flac, transcript ─────┴─► parts/words/<chunk>
                            {"id", "words": [{"word", "position", "start", "end"}, …]} or {"id", "reason", "detail"}

An utterance without word times is not asked about its words, and takes part in all else. Times that
are not those of the transcript's words are refused: a question about a word that nobody says would
teach a lie.
"""

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.alignment.align import check_checkpoint, check_language, is_network, make_aligner
from data_prep.alignment.distribute_times import find_times, spread_times
from data_prep.alignment.word_time import (
    Aligner,
    AlignmentError,
    Speech,
    WordTime,
    align_each,
    make_word_spans,
    use_spelling,
)
from data_prep.alignment.word_time_files import find_files
from data_prep.corpora.utterance import Utterance, WordSpan, parse_utterance
from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.engine.versions import hash_files
from sift_jax.audio.files import AudioError, read_audio


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligning:
    """Where word times come from: a file or folder of them (of TextGrids, the tier), an aligner, or
    neither."""

    words: Path | None
    tier: str | None
    aligner: str | None
    checkpoint: Path | None

    def __post_init__(self) -> None:
        if self.words is not None and self.aligner is not None:
            raise ValueError(
                "--words and --aligner are two sources of word times; give one of them"
            )
        if self.tier is not None and self.words is None:
            raise ValueError("--tier names one of the TextGrids' tiers; give --words with it")
        if self.words is not None:
            find_files(self.words)
        check_checkpoint(self.aligner, self.checkpoint)

    @property
    def is_asked(self) -> bool:
        return self.words is not None or self.aligner is not None

    @property
    def fingerprint(self) -> str:
        """What decides the result: the choice, and the files that it names."""
        files = [path for path in (self.words, self.checkpoint) if path is not None]
        return f"{dataclasses.astuple(self)} {[hash_files(path) for path in files]}"


def time_words(out: Path, chunks: Sequence[Chunk], aligning: Aligning, engine: Engine) -> None:
    """Finds the word times of all utterances, as far as they can be had, and closes the account."""
    if not aligning.is_asked:
        return
    if aligning.words is not None:
        spread_times(aligning.words, chunks, out)
    else:
        _load_aligner(aligning.aligner, aligning.checkpoint)
    engine = dataclasses.replace(engine, workers=1) if is_network(aligning.aligner) else engine
    run_chunks(chunks, "words", functools.partial(time_chunk, aligning=aligning), engine)
    counts = Counter("words" in row for row in _read_rows(chunks))
    rejections = (Rejection(**row) for row in _read_rows(chunks) if "reason" in row)
    settle(out, "words", "utterances", counts.total(), counts[True], rejections)


def time_chunk(chunk: Chunk, aligning: Aligning) -> int:
    """Writes the words of each utterance of a chunk, or why it has none."""
    utterances = [parse_utterance(line) for line in chunk.read_lines("utterances")]
    found: dict[str, Sequence[WordTime] | AlignmentError | AudioError] = {}
    waiting = [utterance for utterance in utterances if not utterance.words]
    if aligning.words is not None:
        find = find_times(chunk, aligning.tier)
        for utterance in waiting:
            try:
                found[utterance.id] = find(utterance.id)
            except AlignmentError as error:
                found[utterance.id] = error
    else:
        _align(chunk, waiting, aligning, found)
    rows = []
    for utterance in utterances:
        row: dict[str, Any] = {"id": utterance.id}
        try:
            words = utterance.words or _fit(utterance, found[utterance.id])
            row["words"] = [dataclasses.asdict(word) for word in words]
        except (AlignmentError, AudioError) as error:
            reason = error.reason if isinstance(error, AlignmentError) else "not aligned"
            row |= {"reason": reason, "detail": str(error), "language": utterance.language}
        rows.append(row)
    chunk.write_lines("words", [json.dumps(row, ensure_ascii=False) for row in rows])
    return chunk.last - chunk.first


def read_timed_utterances(chunk: Chunk) -> Iterator[Utterance]:
    """The utterances of a chunk, with the word times that were found for them."""
    utterances = map(parse_utterance, chunk.read_lines("utterances"))
    if not chunk.path("words").exists():
        yield from utterances
        return
    for utterance, row in zip(utterances, map(json.loads, chunk.read_lines("words")), strict=True):
        words = tuple(WordSpan(**word) for word in row.get("words", ()))
        yield dataclasses.replace(utterance, words=words)


def _read_rows(chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for chunk in chunks for line in chunk.read_lines("words"))


def _fit(utterance: Utterance, times: Sequence[WordTime] | Exception) -> tuple[WordSpan, ...]:
    if isinstance(times, Exception):
        raise times
    return make_word_spans(use_spelling(times, utterance.transcript), utterance.duration)


def _align(
    chunk: Chunk,
    waiting: Sequence[Utterance],
    aligning: Aligning,
    found: dict[str, Sequence[WordTime] | AlignmentError | AudioError],
) -> None:
    """Puts the words of each into `found`, or why it has none."""
    names: list[str] = []

    def read() -> Iterator[Speech]:
        for utterance in waiting:
            try:
                check_language(aligning.aligner, utterance.language)
                wave = read_audio(chunk.out / "audio" / f"{utterance.id}.flac")
            except (AlignmentError, AudioError) as error:
                found[utterance.id] = error
                continue
            names.append(utterance.id)
            yield Speech(wave=wave, transcript=utterance.transcript, language=utterance.language)

    for place, words in enumerate(
        align_each(_load_aligner(aligning.aligner, aligning.checkpoint), read())
    ):
        found[names[place]] = words


@functools.cache
def _load_aligner(name: str, checkpoint: Path | None) -> Aligner:
    """Once a process: a network takes its time to load."""
    return make_aligner(name, checkpoint)
