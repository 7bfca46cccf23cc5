"""Records of any number are written in their order, a part of them in memory at a time."""

import pytest

from sift_jax.audio.files import write_audio
from sift_jax.data.records import record_keys
from sift_jax.data.records.record_audio import FLAC
from sift_jax.data.records.record_keys import KeyMaker
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.records.record_writer import index_audio, write_language
from sift_jax.sift.rows import write_rows

KILO = 1 << 10


@pytest.fixture
def sorted_at_once(monkeypatch):
    """Bytes of each file that TFDS reads and sorts in memory, where it keeps no gigabyte there
    first."""
    from tensorflow_datasets.core import shuffle

    sizes, read = [], shuffle._Bucket.read_values

    def count(bucket):
        if bucket.size:
            sizes.append(bucket.size)
        return read(bucket)

    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 4 * KILO)
    monkeypatch.setattr(shuffle._Bucket, "read_values", count)
    return sizes


def test_records_are_sorted_a_part_at_a_time(tmp_path, monkeypatch, sorted_at_once):
    monkeypatch.setattr(record_keys, "FILE_BYTES", 8 * KILO)
    (tmp_path / "audio").mkdir()
    rows = []
    for number in range(60):
        write_audio(tmp_path / "audio" / f"u{number:02}.flac", [0.0, 0.5] * 300)
        content = [{"audio_path": f"/path/u{number:02}.wav"}, {"text": "?" * 1000}]
        messages = [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"text": "!"}]},
        ]
        rows.append(
            {
                "id": f"u{number:02}",
                "messages": messages,
                "task": "open_ended",
                "data_source": "made_en",
            }
        )
    write_rows(tmp_path / "sift/train/open_ended/en/split0.jsonl", rows)
    counts, _ = write_language(
        tmp_path / "sift", index_audio(tmp_path / "audio"), tmp_path / "records", "en", FLAC
    )
    assert counts == {"train": 60}
    reader = RecordReader(tmp_path / "records", "en")
    assert [reader.read("train", place)["id"].decode() for place in range(60)] == [
        row["id"] for row in rows
    ]
    assert len(sorted_at_once) > 4 and max(sorted_at_once) < 16 * KILO < sum(sorted_at_once)


def test_keys_grow_and_fill_one_file_after_the_other():
    from tensorflow_datasets.core.shuffle import BUCKETS_NUMBER, get_bucket_number

    maker = KeyMaker()
    keys = [maker.make(1 << 30) for _ in range(1200)]
    files = [get_bucket_number(key, BUCKETS_NUMBER) for key in keys]
    assert keys == sorted(set(keys)) and files == sorted(files)
    # a gigabyte and no more in a file, until records take a terabyte
    assert [files.count(n) for n in range(200)] == [1] * 200 and max(map(files.count, files)) <= 4
    # beyond all bounds the last one takes the rest
    rest = {get_bucket_number(maker.make(1 << 40), BUCKETS_NUMBER) for _ in range(1200)}
    assert max(rest) == BUCKETS_NUMBER - 1
