"""Several sets as one: their SIFT files side by side as links, to be packed into records together.

    python -m data_prep.synthesis.join --sift=data/asr/sift,data/llm/sift,data/tts/sift
    --out=data/both/sift

    A/train/open_ended/en/split0.jsonl  B/train/open_ended/en/split0.jsonl  ─►  OUT/train/open_ended/en/split{0,1}.jsonl

Nothing is copied. EvalSIFT is left out: what is tested is not part of a mixture.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_prep.corpora.splits import EVALUATION
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import SPLITS, list_files


def join_sets(folders: Sequence[Path], out: Path) -> int:
    """Returns how many files there are."""
    if out.exists() and any(path.is_file() and not path.is_symlink() for path in out.rglob("*")):
        raise ValueError(f"--out={out} holds files of its own; choose another folder")
    for path in [path for path in out.rglob("*") if path.is_symlink()]:
        path.unlink()
    counts: Counter[Path] = Counter()
    for folder in folders:
        found = [
            path for split in SPLITS if split != EVALUATION for path in list_files(folder, split)
        ]
        if not found:
            raise ValueError(
                f"--sift={folder} has no SIFT files to train on; expected train/<category>/<lang>/"
            )
        for path in found:
            place = out / path.parent.relative_to(folder)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"split{counts[place]}.jsonl").symlink_to(path.resolve())
            counts[place] += 1
    return sum(counts.values())


def make_parser() -> Parser:
    """Which sets, and where they go."""
    parser = Parser(
        "data_prep.synthesis.join",
        description="Joins several sets of SIFT files as one, by links.",
        examples=("--sift=data/asr/sift,data/llm/sift --out=data/both/sift",),
    )
    parser.add_argument(
        "--sift", required=True, help="folders with {train,dev,…}/, comma-separated"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the links")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Links them, and says how many files there are."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    count = join_sets([Path(name) for name in flags.sift.split(",")], flags.out)
    print(f"{count} files in {flags.out}")


if __name__ == "__main__":
    main()
