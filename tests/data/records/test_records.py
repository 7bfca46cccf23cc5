"""Records: the audio to the byte, every turn, and a list of what was skipped."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from tiny_corpus import LANGUAGES, SIZES, make_noise, make_row, make_rows, write_records

from sift_jax.audio.files import write_audio
from sift_jax.data.records.record_audio import encode_clip, pack_file
from sift_jax.data.records.record_reader import RecordReader, decode_clip, digest_records
from sift_jax.data.records.record_writer import RowIndex
from sift_jax.data.tasks.mixture_rates import list_record_tasks
from sift_jax.sift.rows import write_rows

CATEGORY = "closed_ended/acoustic_level"


def put_rows(root, ids, language="en", split="train"):
    rows = [
        make_row(
            name,
            [{"audio_path": f"/path/to/{name}.wav"}, {"text": "Hm?"}],
            [{"text": "Ja."}],
            CATEGORY,
            language,
        )
        for name in ids
    ]
    write_rows(root / "sift" / split / CATEGORY / language / "split0.jsonl", rows)


def test_rows_of_an_id_are_found_wherever_they_stand(tmp_path):
    """In several files and categories, between blank lines and after letters of several bytes."""
    folder = tmp_path / "train"
    rows = {
        "open_ended/de/split0": ["ä", "b", "ä"],
        "open_ended/de/split1": ["c", "ä"],
        "open_ended/fr/split0": ["d"],
        f"{CATEGORY}/de/split0": ["c", "b", "b"],
    }
    for place, ids in rows.items():
        asked = [
            [{"text": f"Où {place} {number}?", "audio_path": None}] for number in range(len(ids))
        ]
        made = [
            make_row(name, question, [{"text": "Là."}], CATEGORY, "de")
            for name, question in zip(ids, asked, strict=True)
        ]
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        text = "\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in made)
        (folder / f"{place}.jsonl").write_bytes(text.encode())
    found = RowIndex(tmp_path, "train", "de")
    asked = [
        (name, [turn["messages"][0]["content"][0]["text"] for turn in turns])
        for name, turns in found.items()
    ]
    other, first, second = (
        f"Où {CATEGORY}/de/split0",
        "Où open_ended/de/split0",
        "Où open_ended/de/split1",
    )
    assert asked == [
        ("c", [f"{other} 0?", f"{second} 0?"]),
        ("b", [f"{other} 1?", f"{other} 2?", f"{first} 1?"]),
        ("ä", [f"{first} 0?", f"{first} 2?", f"{second} 1?"]),
    ]
    assert len(found) == 3 and all(
        "audio_path" not in part
        for _, turns in found.items()
        for turn in turns
        for part in turn["messages"][0]["content"]
    )
    assert not RowIndex(tmp_path, "dev", "de")


def test_nothing_is_said_of_downloads(tmp_path):
    """Neither by TFDS nor by TensorFlow, in a process that has neither yet."""
    put_rows(tmp_path, ["a"])
    (tmp_path / "audio").mkdir()
    write_audio(tmp_path / "audio" / "a.flac", make_noise(0))
    program = (
        "import sys; from pathlib import Path\n"
        "from sift_jax.data.records.record_writer import index_audio, write_language\n"
        "root = Path(sys.argv[1])\n"
        "write_language(root / 'sift', index_audio(root / 'audio'), root / 'records', 'en', 'flac')"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_every_row_is_in_a_record(corpus):
    for language in LANGUAGES:
        reader = RecordReader(corpus.records, language)
        for split, size in SIZES.items():
            # an utterance and a pair each
            assert corpus.counts[language][split] == 2 * size
            ids = [f"{split.lower()}_{language}_{i}" for i in range(size)]
            found: dict[str, list] = {}
            for place in range(2 * size):
                record = reader.read(split, place)
                identity, turns = record["id"].decode(), json.loads(record["turns"])
                assert record["language"].decode() == language
                for turn in turns:
                    found.setdefault(turn["category"], []).append((identity, turn["messages"]))
                for category in {turn["category"] for turn in turns}:
                    assert place in reader.index[split][category]
            for category, rows in make_rows(ids, language).items():
                expected = [(row["id"], row["messages"]) for row in rows]
                assert sorted(found[category], key=str) == sorted(expected, key=str)


def test_audio_is_kept_to_the_byte(corpus):
    reader = RecordReader(corpus.records, "de")
    for place in range(corpus.counts["de"]["train"]):
        record = reader.read("train", place)
        names = [name.decode() for name in record["audio_ids"]]
        assert len(names) == (2 if record["id"].startswith(b"comparison") else 1)
        assert reader.read_audio("train", place) == [bytes(data) for data in record["audio"]]
        for name, data in zip(names, record["audio"], strict=True):
            assert bytes(data) == (corpus.audio / f"{name}.flac").read_bytes()


def test_trailing_zero_bytes_survive(tmp_path):
    """A FLAC file ends in a checksum, which ends in NUL once in 256 files: fixed-length byte
    strings would cut it."""
    waves = (
        np.random.default_rng(seed).integers(-3000, 3000, 100).astype(np.int16)
        for seed in range(5000)
    )
    samples = next(wave for wave in waves if encode_clip(wave).endswith(b"\0"))
    data = encode_clip(samples)
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "nul.flac").write_bytes(data)
    put_rows(tmp_path, ["nul"])
    write_records(tmp_path / "sift", tmp_path / "audio", tmp_path / "records")
    (stored,) = RecordReader(tmp_path / "records", "en").read("train", 0)["audio"]
    assert bytes(stored) == data
    np.testing.assert_array_equal(decode_clip(stored), samples)


def test_missing_and_corrupt_audio_is_set_aside(tmp_path):
    (tmp_path / "audio").mkdir()
    for seed, name in enumerate(("good", "cut", "other")):
        write_audio(tmp_path / "audio" / f"{name}.flac", make_noise(seed))
    cut = tmp_path / "audio" / "cut.flac"
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "audio" / "noise.wav").write_bytes(bytes(range(256)))
    put_rows(tmp_path, ["good", "cut", "gone", "noise", "other"])
    counts, rejected = write_records(tmp_path / "sift", tmp_path / "audio", tmp_path / "records")
    assert counts == {"en": {"train": 2}}
    reader = RecordReader(tmp_path / "records", "en")
    assert [reader.read("train", i)["id"].decode() for i in range(2)] == ["good", "other"]
    assert reader.index == {"train": {CATEGORY: [0, 1]}}
    assert {item["id"] for item in rejected} == {"cut", "gone", "noise"}
    assert all(item["split"] == "train" and item["language"] == "en" for item in rejected)
    (reason,) = [item["reason"] for item in rejected if item["id"] == "gone"]
    assert reason == "gone: no audio file of that name; point --audio to the folder that holds it"


def test_other_containers_become_flac(tmp_path):
    wave = make_noise(3)
    soundfile.write(tmp_path / "x.wav", np.stack([wave, wave], axis=1), 48_000)
    samples = decode_clip(pack_file(tmp_path / "x.wav"))
    assert samples.dtype == np.int16 and abs(len(samples) - len(wave) / 3) < 2


def test_nothing_to_do_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no SIFT files under .*; expected {train,dev,EvalSIFT}/"):
        write_records(tmp_path, tmp_path, tmp_path / "records")
    with pytest.raises(
        ValueError, match="no records at .*sift_fr; make them with python -m data_prep.build"
    ):
        RecordReader(tmp_path, "fr")


def test_what_an_interrupted_call_left_is_made_anew(tmp_path):
    (tmp_path / "audio").mkdir()
    write_audio(tmp_path / "audio" / "one.flac", make_noise(0))
    put_rows(tmp_path, ["one"])
    for _ in range(2):
        counts, _ = write_records(tmp_path / "sift", tmp_path / "audio", tmp_path / "records")
        assert counts == {"en": {"train": 1}}
        assert RecordReader(tmp_path / "records", "en").index == {"train": {CATEGORY: [0]}}


def test_the_digest_is_of_all_that_is_in_the_records(tmp_path):
    assert digest_records(tmp_path) is None
    (tmp_path / "audio").mkdir()
    write_audio(tmp_path / "audio" / "a.flac", make_noise(0, 0.5, 0.1))
    put_rows(tmp_path, ["a"])

    def digest(name):
        write_records(tmp_path / "sift", tmp_path / "audio", tmp_path / name)
        return digest_records(tmp_path / name)

    first = digest("first")
    assert digest("again") == first
    write_audio(tmp_path / "audio" / "a.flac", make_noise(1, 0.5, 0.1))
    other_sound = digest("sound")
    put_rows(tmp_path, ["a", "a"])
    assert len({first, other_sound, digest("turns")}) == 3


def test_opus_records_read_as_flac_ones_do(tmp_path):
    (tmp_path / "audio").mkdir()
    waves = {name: make_noise(seed, 0.5 + 0.1 * seed, 0.2) for seed, name in enumerate(("a", "b"))}
    for name, wave in waves.items():
        write_audio(tmp_path / "audio" / f"{name}.flac", wave)
    put_rows(tmp_path, waves)
    sizes = {}
    for compression in ("flac", "opus"):
        write_records(tmp_path / "sift", tmp_path / "audio", tmp_path / compression, compression)
        reader = RecordReader(tmp_path / compression, "en")
        stored = {
            reader.read("train", i)["id"].decode(): bytes(reader.read("train", i)["audio"][0])
            for i in range(2)
        }
        sizes[compression] = sum(map(len, stored.values()))
        for name, wave in waves.items():
            samples = decode_clip(stored[name])
            assert len(samples) == len(wave) and np.corrcoef(samples, wave)[0, 1] > 0.9
    assert sizes["opus"] < sizes["flac"] / 2


def test_what_there_is_to_read_is_known_without_the_lists(corpus, tmp_path):
    """The lists are a gigabyte where there are millions of records, and a run that resumes has no
    need of them."""
    records = shutil.copytree(corpus.records, tmp_path / "records")
    index = records / "sift_de" / "index.json"
    index.write_bytes(b"?" * index.stat().st_size)
    tasks = list_record_tasks(str(records))
    assert tasks["sift.open_ended.de"].splits == ["train", "dev", "EvalSIFT"]
    # older records have the lists alone
    (records / "sift_en" / "counts.json").unlink()
    assert list_record_tasks(str(records)).keys() == tasks.keys()
    # and what somebody has changed is what it says now
    index.write_text(json.dumps({"train": {"open_ended": [0]}}))
    assert RecordReader(records, "de").counts == {"train": {"open_ended": 1}}
