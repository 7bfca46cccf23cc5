"""A manifest of several corpora: what a line says of where it is from decides on which scale its
level is."""

import json
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
import soundfile
from corpus_layouts import make_voice

from data_prep.build import parse_arguments
from data_prep.instructions.comparison import order_pair
from data_prep.pipeline.build_stages import build
from sift_jax.sift.labels import ACOUSTIC_LABELS

EACH = 40
LEVELS = ACOUSTIC_LABELS["average_intensity"]


def write_two_corpora(folder: Path, field: str | None) -> None:
    """Near the microphone and far from it, thirty decibels apart."""
    lines = []
    for place, (corpus, number) in enumerate(product(("near", "far"), range(EACH))):
        gain = (1.0 if corpus == "near" else 0.03) * 10 ** (-number / (5 * EACH))
        soundfile.write(folder / f"{corpus}{number}.wav", gain * make_voice(place), 16_000)
        line = {
            "audio": f"{corpus}{number}.wav",
            "text": f"sentence number {place}",
            "split": "train",
        }
        lines.append(json.dumps(line | ({field: corpus} if field else {})) + "\n")
    (folder / "list.jsonl").write_text("".join(lines))


def build_metadata(folder: Path) -> list[dict]:
    flags = [
        "--corpus=manifest",
        f"--manifest={folder}/list.jsonl",
        "--languages=en",
        "--workers=1",
        "--dev=0",
        "--evaluation=0",
        f"--out={folder}/out",
    ]
    build(parse_arguments(flags), ("corpus", "words", "measure", "metadata"))
    return [
        json.loads(line)
        for line in (folder / "out" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("field", ["corpus", "collection"])
def test_each_corpus_of_a_manifest_has_its_own_scale_of_levels(tmp_path, field):
    write_two_corpora(tmp_path, field)
    rows = build_metadata(tmp_path)
    by_corpus = {
        corpus: [row for row in rows if row["collection"] == corpus] for corpus in ("near", "far")
    }
    for found in by_corpus.values():
        counts = Counter(row["labels"]["average_intensity"] for row in found)
        # Of made-up voices one or two are no feasible speech.
        assert len(found) > 0.9 * EACH and min(counts[level] for level in LEVELS) > EACH / 5
    bins = json.loads((tmp_path / "out" / "bins.json").read_text())
    assert set(bins["average_intensity"]) == {"all", "near", "far"}
    # No class, no table and no question comes of it, and levels are compared within one corpus
    # alone.
    assert all(
        row["fields"] == {} and not (tmp_path / "out" / "fields.json").exists() for row in rows
    )
    soft, loud = (
        [
            next(row for row in found if row["labels"]["average_intensity"] == level)
            for found in by_corpus.values()
        ]
        for level in (LEVELS[0], LEVELS[-1])
    )
    assert order_pair((soft[0], loud[0]), "average_intensity") > 0
    assert order_pair((soft[0], loud[1]), "average_intensity") == 0


def test_without_the_field_all_are_on_one_scale(tmp_path):
    write_two_corpora(tmp_path, None)
    rows = build_metadata(tmp_path)
    assert {row["collection"] for row in rows} == {None}
    told = {
        corpus: {row["labels"]["average_intensity"] for row in rows if row["id"].startswith(corpus)}
        for corpus in ("near", "far")
    }
    assert LEVELS[-1] not in told["far"] and LEVELS[0] not in told["near"]
