"""Pairs of answers about the recordings of the tiny corpus, as a person would write them."""

import json
from pathlib import Path

from tiny_corpus import Corpus

ANSWERS = ("It is loud.", "It is soft.")


def write_pairs(folder: Path, rows: list[dict], split: str = "train") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return folder


def make_rows(corpus: Corpus, split: str = "train") -> list[dict]:
    """One wrong answer beside a right one about each recording."""
    rows = []
    for path in sorted(corpus.audio.glob(f"{split}_en_*.flac")):
        number = int(path.stem[-1])
        answers = {"chosen": ANSWERS[number % 2], "rejected": ANSWERS[1 - number % 2]}
        rows.append({"audio": str(path), "question": "Is it loud?", **answers})
    return rows
