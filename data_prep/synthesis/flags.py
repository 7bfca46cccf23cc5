"""The flags of the four commands, checked."""

import argparse
from pathlib import Path

from data_prep.corpora.splits import DEV, EVALUATION, SPLITS, TRAIN
from data_prep.synthesis.speech_sources import NAMES, SpeechSource
from sift_jax.flags import read_fields, split_words


def add_size_flags(parser: argparse.ArgumentParser, what: str) -> None:
    for name, split in (("train", TRAIN), ("dev", DEV), ("evaluation", EVALUATION)):
        parser.add_argument(
            f"--{name}", type=int, help=f"{what} of {split} at most; all there are if not given"
        )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for everything that is made"
    )


def make_sizes(flags: argparse.Namespace) -> dict[str, int | None]:
    sizes = dict(zip(SPLITS, (flags.train, flags.dev, flags.evaluation), strict=True))
    for split, size in sizes.items():
        if size is not None and size < 0:
            raise ValueError(f"a size of {size} for {split} is too small; give at least 0")
    return sizes


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Those that say which speech."""
    add = parser.add_argument
    add(
        "--corpus",
        required=True,
        choices=NAMES,
        help="where the speech comes from; build is the folder of a build, "
        "or of another of these commands, and folder whatever audio lies there",
    )
    add("--root", type=Path, help="its folder; for a manifest, where its paths start")
    add("--manifest", type=Path, help="a .jsonl or .tsv with a line a recording")
    add(
        "--name",
        help="in data_source and ids; by default the corpus's, or that of the manifest or folder",
    )
    add("--languages", type=split_words, default="en", help="those spoken, comma-separated")
    add("--min_seconds", type=float, default=0.5, help="recordings that are shorter are skipped")
    add(
        "--max_seconds",
        type=float,
        default=30.0,
        help="recordings that are longer are skipped, undecoded",
    )


def make_source(flags: argparse.Namespace, *, is_said: bool) -> SpeechSource:
    return SpeechSource(**read_fields(SpeechSource, flags), is_said=is_said)
