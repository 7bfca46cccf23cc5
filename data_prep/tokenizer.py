"""Trains a small tokenizer on the texts of SIFT files.

python -m data_prep.tokenizer --sift=runs/quickstart/data/sift --out=runs/quickstart/data/tokenizer
--size=4096
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import list_files, read_rows


def read_texts(sift_dir: Path) -> Iterator[str]:
    """Every text part of the training split, and the words that the chat template adds."""
    # so often that each becomes one token: they stand around every question
    yield from ("user\n", "assistant\n", "system\n") * 20_000
    for path in list_files(sift_dir, "train"):
        for row in read_rows(path):
            for message in row["messages"]:
                yield from (part["text"] for part in message["content"] if "text" in part)


def make_parser() -> Parser:
    """Which texts, and how many tokens."""
    parser = Parser(
        "data_prep.tokenizer",
        description="Trains a small tokenizer on the texts of SIFT files.",
        examples=(
            "--sift=runs/quickstart/data/sift --out=runs/quickstart/data/tokenizer --size=4096",
        ),
    )
    parser.add_argument(
        "--sift", type=Path, required=True, help="folder with {train,dev,EvalSIFT}/…"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer.json")
    parser.add_argument("--size", type=int, default=4096, help="tokens, special ones included")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains it, unless there is one."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags), is_debug=is_debug(flags))


def _run(flags: argparse.Namespace) -> None:
    if (flags.out / "tokenizer.json").is_file():
        print(f"{flags.out} has a tokenizer already: kept")
        return
    if not list_files(flags.sift, "train"):
        raise ValueError(
            f"no training files under {flags.sift}; make them with python -m data_prep.build"
        )
    from sift_jax.text.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(read_texts(flags.sift), flags.size, flags.out)
    print(f"tokenizer of {len(tokenizer)} tokens in {flags.out}")


if __name__ == "__main__":
    main()
