"""The first stage: chunks of speech as 16 kHz FLAC, each utterance with what its corpus knows of
it.

embedded: plans ─ synthesize ─┐
on disk: gather ─ decode ─────┴─►  audio/<id>.flac   parts/utterances/<chunk>.jsonl ─ join ─►  utterances.jsonl
"""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence

from data_prep.corpora.registry import EMBEDDED, read_corpus
from data_prep.corpora.splits import SPLITS, TRAIN
from data_prep.embedded.corpus import make_babble, make_plans, synthesize
from data_prep.engine.beam_engine import run_chunks
from data_prep.engine.chunks import Chunk, join_parts
from data_prep.engine.cloud_storage import fetch
from data_prep.engine.ledger import settle
from data_prep.pipeline.build_config import BuildConfig
from data_prep.pipeline.decode import decode_chunk, settle_decoding
from data_prep.pipeline.gather import gather, list_sources
from data_prep.pipeline.split_gaps import check_trained, load_splits
from sift_jax.audio.files import write_audio

_CHUNK = 25


def make_corpus(config: BuildConfig) -> None:
    """Speaks or decodes all chunks that are not there yet, and closes the account."""
    (config.out / "audio").mkdir(exist_ok=True)
    if config.corpus == EMBEDDED:
        chunks = list_chunks(config)
        run_chunks(chunks, "utterances", make_chunk, config.engine)
        count = sum(chunk.size for chunk in chunks)
        settle(config.out, "synthesis", "plans", count, count_lines(chunks, "utterances"), [])
    else:
        # Drawn afresh only with the stage itself: a build that goes on must find the chunks that it
        # left.
        if not (config.out / "parts" / "sources.json").exists():
            reading = config.reading
            if reading.bucket and reading.root:
                fetch(reading.bucket, reading.root, config.out, config.engine)
            items = read_corpus(config.corpus, config.reading, config.languages)
            gather(
                items,
                config.out,
                drawing=config.drawing,
                languages=config.languages,
                seed=config.seed,
            )
        chunks = list_chunks(config)
        run_chunks(
            chunks,
            "utterances",
            functools.partial(decode_chunk, reading=config.reading),
            config.engine,
        )
        settle_decoding(config.out, chunks)
        trained: Counter[str] = Counter()
        for chunk in chunks:
            trained[chunk.language] += (
                count_lines([chunk], "utterances") if chunk.split == TRAIN else 0
            )
        splits = load_splits(config.out)
        if splits is None:
            raise ValueError(f"{config.out}: its splits are gone from parts; build it again")
        check_trained(splits, trained, config.drawing, "when they were decoded")
    join_parts(chunks, "utterances", config.out / "utterances.jsonl")


def make_chunk(chunk: Chunk) -> None:
    """Has the embedded corpus's utterances of a chunk spoken."""
    plans = make_plans(chunk.language, chunk.split, chunk.last, seed=chunk.seed)[chunk.first :]
    make_babble(chunk.seed)
    lines = []
    for plan in plans:
        wave, utterance = synthesize(plan)
        write_audio(chunk.out / "audio" / f"{utterance.id}.flac", wave)
        lines.append(utterance.to_json())
    chunk.write_lines("utterances", lines)


def list_chunks(config: BuildConfig) -> list[Chunk]:
    """All chunks of a build, in the order of its files."""
    if config.corpus != EMBEDDED:
        return list_sources(config.out, config.seed)
    return [
        Chunk(
            out=config.out,
            language=language,
            split=split,
            first=first,
            last=min(first + _CHUNK, size),
            seed=config.seed,
        )
        for language in config.languages
        for split, size in _list_sizes(config)
        for first in range(0, size, _CHUNK)
    ]


def _list_sizes(config: BuildConfig) -> Iterator[tuple[str, int]]:
    """How many utterances the embedded corpus, which has no end, speaks of each split."""
    for split in SPLITS:
        size = config.sizes[split]
        if size is None:
            raise ValueError(f"the embedded corpus has no end; say how many of {split} it speaks")
        yield split, size


def count_lines(chunks: Sequence[Chunk], kind: str) -> int:
    """Over the parts of all chunks."""
    return sum(len(chunk.read_lines(kind)) for chunk in chunks)
