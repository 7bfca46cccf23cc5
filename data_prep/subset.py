"""Command line that takes a part of a SIFT folder: some of the utterances, with all of their rows.

    python -m data_prep.subset --sift=data/sift_50m/sift --share=1/8 --out=data/sift_50m_eighth/sift
    python -m data_prep.subset --sift=runs/mine/sift --hours=20 --metadata=runs/mine/metadata.jsonl
        --out=runs/mine_20h/sift

    sift/train/…/split<N>.jsonl ─ rows whose id has a hash below the share ─► out/train/…/split<N>.jsonl
                                ─ rows that hear only the first recordings, by that hash, of so many hours a language
    sift/{dev,EvalSIFT}/…       ─ as they are ─► out/{dev,EvalSIFT}/…

What is taken follows from the ids alone: an eighth is part of a quarter, and that of a half, as ten
hours are part of twenty. A comparison has an id of its own: by share it is drawn by itself, by
hours it is taken where both of its recordings are. The files of dev and EvalSIFT are whole in every part, so that
results can be compared.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import (
    SPLITS,
    Row,
    SiftError,
    audio_ids,
    list_files,
    read_rows,
    write_rows,
)


def rewrite_training(sift: Path, out: Path, change: Callable[[Path], Iterable[Row]]) -> int:
    """Writes what `change` makes of each file of training rows, and dev and EvalSIFT as they are;
    returns how many training rows were written."""
    files = {split: list_files(sift, split) for split in SPLITS}
    if not files["train"]:
        raise SiftError(
            f"no training rows under {sift}; expected train/{{category}}/{{lang}}/split0.jsonl"
        )
    if out.is_dir() and any(out.iterdir()):
        raise SiftError(f"--out={out} is not empty; choose another folder, or remove it")
    written = 0
    for path in tqdm(files["train"], desc="train", unit="file"):
        written += write_rows(out / path.relative_to(sift), change(path))
    for path in files["dev"] + files["EvalSIFT"]:
        target = out / path.relative_to(sift)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return written


def take_part(sift: Path, out: Path, is_wanted: Callable[[Row], bool]) -> tuple[int, int]:
    """Writes the part of the rows that are wanted; returns how many training rows there were, and
    how many are in it."""
    there = 0

    def choose(path: Path) -> Iterator[Row]:
        nonlocal there
        for row in read_rows(path):
            there += 1
            if is_wanted(row):
                yield row

    taken = rewrite_training(sift, out, choose)
    return there, taken


def is_taken(identity: str, share: Fraction) -> bool:
    return _hash(identity) < share * 2**64


def _hash(identity: str) -> int:
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest())


def choose_recordings(metadata: Path, hours: float) -> set[str]:
    """The training recordings that together last so many hours in each language, in the order of
    their hashes: 0.01 hours are the first 36 s, and the recording that would go beyond them is not
    taken."""
    lasting: dict[str, list[tuple[int, str, float]]] = {}
    try:
        with metadata.open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if line["split"] == "train":
                    entry = (_hash(line["id"]), line["id"], float(line["duration"]))
                    lasting.setdefault(line["language"], []).append(entry)
    except (ValueError, KeyError, TypeError) as error:
        raise SiftError(
            f"--metadata={metadata}: {type(error).__name__}: {error}; give the metadata.jsonl of "
            "the build that wrote the SIFT files"
        ) from error
    taken: set[str] = set()
    for language, recordings in sorted(lasting.items()):
        there = sum(seconds for _, _, seconds in recordings) / 3600
        if hours >= there:
            raise SiftError(
                f"--hours={hours:g} is not part of the {there:.2f} hours of {language}; give fewer"
            )
        left = hours * 3600
        own: set[str] = set()
        for _, identity, seconds in sorted(recordings):
            left -= seconds
            # written so that hours that are no number end it, too
            if not left >= 0:
                break
            own.add(identity)
        if not own:
            raise SiftError(
                f"--hours={hours:g} is less than the first recording of {language} lasts; give more"
            )
        taken |= own
    return taken


def make_parser() -> Parser:
    """Of what, how much, and where it goes."""
    parser = Parser(
        "data_prep.subset",
        description="Takes a share of the utterances of a SIFT folder, with all of their rows.",
        examples=("--sift=data/sift_50m/sift --share=1/50 --out=data/sift_small/sift",),
    )
    parser.add_argument(
        "--sift",
        type=Path,
        required=True,
        help="folder with {train,dev,EvalSIFT}/{category}/{lang}/",
    )
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--share", help="of the training utterances: 1/2, 0.2, …")
    amount.add_argument("--hours", type=float, help="of training recordings in each language")
    parser.add_argument("--metadata", type=Path, help="with --hours: the build's metadata.jsonl")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the part, in the same layout"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the part, and says how large it is."""
    parser = make_parser()
    flags = parser.parse_args(arguments)
    if (flags.hours is None) != (flags.metadata is None):
        parser.error("--hours and --metadata go together; give both or neither")
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    if flags.hours is None:
        share = parse_share(flags.share)
        there, taken = take_part(flags.sift, flags.out, lambda row: is_taken(row["id"], share))
    else:
        chosen = choose_recordings(flags.metadata, flags.hours)
        there, taken = take_part(
            flags.sift, flags.out, lambda row: chosen.issuperset(audio_ids(row))
        )
    print(
        f"{taken:,} of {there:,} training rows ({taken / there:.1%}) in {flags.out}; dev and "
        "EvalSIFT are whole"
    )


def parse_share(text: str) -> Fraction:
    try:
        share = Fraction(text)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share < 1:
        raise SiftError(
            f"--share={text} is not part of a whole; give a number between 0 and 1, as 1/8 or 0.2"
        )
    return share


if __name__ == "__main__":
    main()
