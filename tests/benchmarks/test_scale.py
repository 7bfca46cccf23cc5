"""The benchmark of many rows, on few: every part does its work, and two sizes say what follows."""

import pytest

from benchmarks.scale import (
    FULL_SIZE,
    PARTS,
    format_growth,
    format_size,
    make_index,
    make_records,
    measure_part,
    plan,
    write_rows,
)
from data_prep.released.join import list_usable_places
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.sift.rows import read_rows


def test_rows_become_a_batch(tmp_path):
    write_rows(tmp_path, 400)
    places = list_usable_places(tmp_path / "sift")
    assert sum(1 for place in places for _ in read_rows(place.path)) == 400 and len(places) == 4
    make_records(tmp_path, workers=1)
    reader = RecordReader(tmp_path / "records", "en")
    assert {name: len(found) for name, found in reader.index["train"].items()} == dict.fromkeys(
        (
            "closed_ended/acoustic_level",
            "closed_ended/content_level",
            "closed_ended/word_align",
            "open_ended",
        ),
        40,
    )
    make_index(tmp_path)
    plan(tmp_path)
    found = measure_part("batch", 400, tmp_path, 1)
    assert 0 < found["far_step"] < found["wall"] and found["memory"] > 2**20 and found["disk"] >= 0


def test_what_grows_is_told_by_two_sizes():
    def measured(rows):
        return {
            part: {
                "wall": 1.0,
                "cpu": 2e-5 * rows,
                "memory": 2**20 + 100.0 * rows,
                "memory_of_workers": 0.0,
                "disk": 1e3 * rows,
                "far_step": 0.5,
            }
            for part in PARTS
        }

    page = format_growth({1000: measured(1000), 3000: measured(3000)})
    assert "from 1,000 to 3,000 rows" in page and page.count("100.0 B") == page.count(
        "20.0 µs"
    ) == len(PARTS)
    expected = (2**20 + 100.0 * FULL_SIZE) / 2**30
    assert (
        page.count(f"{expected:.1f} GiB") == len(PARTS)
        and f"{2e-5 * FULL_SIZE / 60:.1f} min" in page
    )
    assert "1,000 rows of 100 utterances" in format_size(1000, measured(1000))


def test_a_part_is_one_of_them(tmp_path):
    with pytest.raises(KeyError):
        measure_part("none", 10, tmp_path, 1)
