"""Shares: all utterances once, quotas kept over them, the same rows from any number of workers,
finished ones kept."""

import json
from pathlib import Path

import pytest
from fake_metadata import write_metadata

from data_prep.engine.beam_engine import Engine
from data_prep.instructions.memory_shares import cut_shares, read_metadata
from data_prep.instructions.write import write_instructions
from sift_jax.sift.rows import CATEGORIES, SPLITS, audio_ids, list_files, read_rows

SIZES = {"train": 11, "dev": 4, "EvalSIFT": 8}
LANGUAGES = ("en", "it")


@pytest.fixture(scope="module")
def metadata(tmp_path_factory) -> Path:
    return write_metadata(
        tmp_path_factory.mktemp("m") / "metadata.jsonl", languages=LANGUAGES, sizes=SIZES
    )


def write(metadata: Path, out: Path, **changes):
    return write_instructions(
        metadata, out, folder=out.parent, seed=2, rows_per_language=12, share_size=4, **changes
    )


def read_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))
    }


def test_each_utterance_is_in_one_share(metadata, tmp_path):
    shares = cut_shares(metadata, tmp_path, seed=0, size=4)
    assert [(share.split, share.language, share.size) for share in shares[:7]] == [
        ("train", "en", 4),
        ("train", "en", 4),
        ("train", "en", 3),
        ("train", "it", 4),
        ("train", "it", 4),
        ("train", "it", 3),
        ("dev", "en", 4),
    ]
    lines = [json.loads(line) for share in shares for line in share.read_lines("shares")]
    assert sorted(lines, key=lambda row: row["id"]) == sorted(
        read_metadata(metadata), key=lambda row: row["id"]
    )
    for share in shares:
        assert {
            (row["split"], row["language"]) for row in map(json.loads, share.read_lines("shares"))
        } == {(share.split, share.language)}


def test_quotas_hold_over_all_shares(metadata, tmp_path):
    counts = write(metadata, tmp_path / "sift")
    for category in CATEGORIES:
        assert counts["EvalSIFT"][category] == dict.fromkeys(LANGUAGES, 12)
        assert counts["dev"][category] == dict.fromkeys(LANGUAGES, 6)
        assert all(counts["train"][category].values())
    splits = {row["id"]: row["split"] for row in read_metadata(metadata)}
    for split in SPLITS:
        paths = list_files(tmp_path / "sift", split, "open_ended", "it")
        assert [path.name for path in paths] == [
            f"split{n}.jsonl" for n in range(-(-SIZES[split] // 4))
        ]
        asked = {
            name
            for path in list_files(tmp_path / "sift", split)
            for row in read_rows(path)
            for name in audio_ids(row)
        }
        assert asked == {name for name, place in splits.items() if place == split}


def test_workers_and_kills_do_not_change_a_byte(metadata, tmp_path):
    counts = write(metadata, tmp_path / "one" / "sift")
    assert write(metadata, tmp_path / "two" / "sift", engine=Engine(workers=2)) == counts
    expected = read_files(tmp_path / "one" / "sift")
    assert read_files(tmp_path / "two" / "sift") == expected
    # as a kill leaves it: two shares without their mark, one of them without its rows
    parts = tmp_path / "one" / "parts" / "counts"
    (parts / "it_train_000004.jsonl").unlink()
    (parts / "en_dev_000000.jsonl").unlink()
    lost = tmp_path / "one" / "sift" / "train" / "open_ended" / "it" / "split1.jsonl"
    lost.unlink()
    kept = tmp_path / "one" / "sift" / "train" / "open_ended" / "it" / "split0.jsonl"
    before = kept.stat().st_mtime_ns
    assert write(metadata, tmp_path / "one" / "sift") == counts
    assert read_files(tmp_path / "one" / "sift") == expected and kept.stat().st_mtime_ns == before
