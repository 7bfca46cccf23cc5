"""Command line that gives finished records the units of one codec, for training on answers that are
speech.

    python -m data_prep.units --records=runs/quickstart/data/records --codec=runs/codec
    [--heard] [--workers=1]

    records/sift_en, audio that an assistant speaks ─ chunks, through the engine ─► units-<codec>/parts/…/<chunk>.jsonl
                                                                             ─ join ─► units-<codec>/en_train/ …

The records stay as they are, so that they can have the units of several codecs. A command that was
stopped resumes with the chunks that have no part; what is done, of the same records, is kept.
Codecs compute on all cores of a process, or on its accelerators: more workers are for machines with
many.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.engine.beam_engine import Engine, make_engine, run_chunks
from data_prep.engine.chunks import Chunk, sweep
from sift_jax.data.records.record_reader import RecordReader, decode_clip
from sift_jax.data.records.record_units import (
    list_audio,
    list_spoken,
    name_set,
    name_split,
    read_counts,
    write_unit_set,
)
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import LANGUAGES, SPLITS, SPOKEN_CATEGORIES, name_utterance

if TYPE_CHECKING:
    from sift_jax.text.unit_tokens import CodecIdentity

# records of a chunk, and clips that are encoded together
_CHUNK, _TOGETHER = 512, 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extraction:
    """What a chunk's work must know; the codec is opened in each process once."""

    records: Path
    codec: CodecIdentity
    # all clips, for a model that hears units, or those that an assistant speaks
    has_heard: bool


@functools.lru_cache(maxsize=1)
def _load_codec(folder: str, fingerprint: str) -> Any:
    from sift_jax.codecs.registry import load_codec

    return load_codec(folder, fingerprint=fingerprint)


@functools.lru_cache(maxsize=4)
def _open_records(records: Path, language: str) -> RecordReader:
    return RecordReader(records, language)


def list_places(reader: RecordReader, split: str, *, has_heard: bool) -> list[int]:
    """The records of a split with an answer that is speech, or all."""
    categories = reader.index[split] if has_heard else SPOKEN_CATEGORIES
    lists = (reader.index[split].get(category, ()) for category in categories)
    return sorted(set().union(*lists))


def extract_chunk(chunk: Chunk, kind: str, extraction: Extraction) -> None:
    """A line for each clip of these records that is wanted: record, clip, units, samples."""
    reader = _open_records(extraction.records, chunk.language)
    codec = _load_codec(extraction.codec.folder, extraction.codec.fingerprint)
    lines: list[str] = []
    waiting: list[tuple[int, int, str, np.ndarray]] = []
    has_heard = extraction.has_heard
    places = list_places(reader, chunk.split, has_heard=has_heard)
    for place in places[chunk.first : chunk.last]:
        waiting += _read_clips(reader, chunk.split, place, list_audio if has_heard else list_spoken)
        if len(waiting) >= _TOGETHER:
            lines += _encode(codec, waiting)
            waiting = []
    lines += _encode(codec, waiting) if waiting else []
    chunk.write_lines(kind, lines)


def _read_clips(
    reader: RecordReader, split: str, place: int, list_parts: Callable[..., list[dict[str, Any]]]
) -> Iterator[tuple[int, int, str, np.ndarray]]:
    record = reader.read(split, place)
    names = [name.decode() for name in record["audio_ids"]]
    parts = [part for turn in json.loads(record["turns"]) for part in list_parts(turn["messages"])]
    for name in dict.fromkeys(name_utterance(part["audio_path"]) for part in parts):
        clip = names.index(name)
        yield place, clip, name, decode_clip(record["audio"][clip]).astype(np.float32) / 32768.0


def _encode(codec: Any, clips: Sequence[tuple[int, int, str, np.ndarray]]) -> list[str]:
    found = codec.encode([wave for *_, wave in clips], names=[name for _, _, name, _ in clips])
    return [
        json.dumps([place, clip, units.tolist(), len(wave)])
        for (place, clip, _, wave), units in zip(clips, found, strict=True)
    ]


def extract(
    records: Path, codec: CodecIdentity, engine: Engine, *, has_heard: bool = False
) -> dict[str, int]:
    """The units of all languages and splits; returns what was made now and what there is: clips,
    units, samples."""
    out = name_set(records, codec)
    readers = {
        language: RecordReader(records, language)
        for language in LANGUAGES
        if (records / f"sift_{language}" / "index.json").is_file()
    }
    if not readers:
        raise ValueError(f"no records under {records}; make them with python -m data_prep.build")
    splits = [
        (language, split)
        for language, reader in readers.items()
        for split in SPLITS
        if split in reader.index
    ]
    names = {
        (language, split): name_split(language, split, has_heard=has_heard)
        for language, split in splits
    }
    waiting = [
        (language, split)
        for language, split in splits
        if not _is_done(out / names[language, split], readers[language])
    ]
    extraction = Extraction(records=records, codec=codec, has_heard=has_heard)
    if out.is_dir():
        sweep(out)
    counts = {"made": 0, "clips": 0, "units": 0, "samples": 0}
    for language, split in waiting:
        reader = readers[language]
        # parts of other records have another name
        kind = f"{'heard' if has_heard else 'units'}-{reader.digest[:16]}"
        places = len(list_places(reader, split, has_heard=has_heard))
        chunks = [
            Chunk(
                out=out,
                language=language,
                split=split,
                first=first,
                last=min(first + _CHUNK, places),
                seed=0,
            )
            for first in range(0, places, _CHUNK)
        ]
        run_chunks(
            chunks, kind, functools.partial(extract_chunk, kind=kind, extraction=extraction), engine
        )
        rows = [json.loads(line) for chunk in chunks for line in chunk.read_lines(kind)]
        write_unit_set(
            out / names[language, split],
            ((place, clip, units) for place, clip, units, _ in rows),
            codec=codec,
            records=reader.digest,
        )
        counts["made"] += len(rows)
        counts["samples"] += sum(row[3] for row in rows)
    shutil.rmtree(out / "parts", ignore_errors=True)
    for language, split in splits:
        found = read_counts(out / names[language, split])
        if found is None:
            raise ValueError(f"{out / names[language, split]} is not whole; start again")
        counts["clips"] += found["clips"]
        counts["units"] += found["units"]
    return counts


def _is_done(folder: Path, reader: RecordReader) -> bool:
    found = read_counts(folder)
    return found is not None and found["records"] == reader.digest


def make_parser() -> Parser:
    """Which records, by which codec."""
    parser = Parser(
        "data_prep.units",
        description="Adds the units of a codec to finished records, for answers that are speech, "
        "or for a model that hears units.",
        examples=(
            "--records=runs/quickstart/data/records --codec=runs/codec",
            "--records=runs/quickstart/data/records --codec=runs/codec --heard",
        ),
    )
    parser.add_argument("--records", type=Path, required=True, help="folder with sift_<language>/")
    parser.add_argument(
        "--codec", required=True, help="folder of a codec, as python -m sift_jax.units writes it"
    )
    parser.add_argument(
        "--heard",
        action="store_true",
        help="of all recordings, for ModelConfig.encoder = None; else of answers alone",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes on this machine, each with the codec in it",
    )
    parser.add_argument(
        "--beam_options", default="", help="Apache Beam's own, as in '--runner=DaskRunner …'"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes what is missing, and says how much there is."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags), can_resume=True)


def _run(flags: argparse.Namespace) -> None:
    from sift_jax.audio.whisper_mel import RATE
    from sift_jax.text.unit_tokens import read_codec_identity

    start = time.monotonic()
    codec = read_codec_identity(flags.codec)
    _load_codec(codec.folder, codec.fingerprint)
    engine = make_engine(flags.workers, flags.beam_options)
    counts = extract(flags.records, codec, engine, has_heard=flags.heard)
    took, spoken = time.monotonic() - start, counts["samples"] / RATE
    speed = f", {spoken / took:.0f} times real time" if counts["made"] else ""
    print(
        f"{counts['clips']:,} clips{'' if flags.heard else ' that are answers'}, {counts['units']:,} units in "
        f"{name_set(flags.records, codec)}; {counts['made']:,} of them made now, {spoken:.0f} s "
        f"of speech in {took:.1f} s{speed}"
    )


if __name__ == "__main__":
    main()
