"""Command line that takes a part of a SIFT folder: some of the utterances, with all of their rows.

    python -m data_prep.subset --sift=data/sift_50m/sift --share=1/8 --out=data/sift_50m_eighth/sift

    sift/train/…/split<N>.jsonl ─ rows whose id has a hash below the share ─► out/train/…/split<N>.jsonl
    sift/{dev,EvalSIFT}/…       ─ as they are ─► out/{dev,EvalSIFT}/…

What is taken follows from the ids alone: an eighth is part of a quarter, and that of a half. A
comparison has an id of its own. The files of dev and EvalSIFT are whole in every part, so that
results can be compared.
"""

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from sift_jax.sift.rows import SPLITS, Row, SiftError, list_files, read_rows, write_rows


def take_share(sift: Path, out: Path, share: Fraction) -> tuple[int, int]:
    """Writes the part; returns how many training rows there were, and how many are in it."""
    files = {split: list_files(sift, split) for split in SPLITS}
    if not files["train"]:
        raise SiftError(
            f"no training rows under {sift}; expected train/{{category}}/{{lang}}/split0.jsonl"
        )
    if out.is_dir() and any(out.iterdir()):
        raise SiftError(f"--out={out} is not empty; choose another folder, or remove it")
    there = taken = 0

    def choose(path: Path) -> Iterator[Row]:
        nonlocal there
        for row in read_rows(path):
            there += 1
            if is_taken(row["id"], share):
                yield row

    for path in tqdm(files["train"], desc="train", unit="file"):
        taken += write_rows(out / path.relative_to(sift), choose(path))
    for path in files["dev"] + files["EvalSIFT"]:
        target = out / path.relative_to(sift)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return there, taken


def is_taken(identity: str, share: Fraction) -> bool:
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the part, and says how large it is."""
    parser = argparse.ArgumentParser(
        prog="data_prep.subset", description="A part of a SIFT folder's utterances."
    )
    parser.add_argument(
        "--sift",
        type=Path,
        required=True,
        help="folder with {train,dev,EvalSIFT}/{category}/{lang}/",
    )
    parser.add_argument("--share", required=True, help="of the training utterances: 1/2, 0.2, …")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the part, in the same layout"
    )
    flags = parser.parse_args(arguments)
    try:
        share = parse_share(flags.share)
        there, taken = take_share(flags.sift, flags.out, share)
    except (SiftError, OSError) as error:
        sys.exit(f"data_prep.subset: {error}")
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
            f"--share={text} is no part of a whole; give a number between 0 and 1, as 1/8 or 0.2"
        )
    return share


if __name__ == "__main__":
    main()
