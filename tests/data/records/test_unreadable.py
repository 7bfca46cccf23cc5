"""A recording that cannot be read is left out and counted; the rest goes on as it was, and a run of
many ends."""

import json
import shutil

import numpy as np
import pytest
from tiny_model import make_config
from tiny_run import make_data, make_run

from sift_jax.batch import check_batch
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.records.index_records import index_records
from sift_jax.data.records.question_index import QuestionIndex
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.records.unreadable import UnreadableAudio, UnreadableLog, count_logged, name_log
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train

CONFIG = make_config()
GEOMETRY = make_geometry(CONFIG)


@pytest.fixture
def break_records(monkeypatch):
    """Makes records of these places of the training split undecodable, or all."""
    read = RecordReader.read_audio

    def damage(*places, keep=60):
        def read_some(self, split, place):
            audio = read(self, split, place)
            is_torn = split == "train" and (place in places or not places)
            return [data[:keep] for data in audio] if is_torn else audio

        monkeypatch.setattr(RecordReader, "read_audio", read_some)

    return damage


def open_stream(corpus, rows=4, **changes):
    data = make_data(
        corpus, rows=rows, rates={"sift.open_ended.en": 1.0}, most_unreadable=1.0, **changes
    )
    return BatchStream(data, GEOMETRY, split="train", is_endless=True)


def test_the_others_of_its_row_are_as_they_were(corpus, break_records, capsys):
    stream = open_stream(corpus)
    planned = stream.plan.get_batch(0)
    (_, whole), *_ = stream.read([planned])
    place = int(planned.groups.item[planned.rows[0][0]])
    record = int(stream.plan.draws.tasks[0].index.items[place]["record"])
    break_records(record)
    torn = open_stream(corpus)
    (shape, batch), *_ = torn.read([planned])
    check_batch(batch, shape, vocab_size=CONFIG.decoder.vocab_size)
    tasks = torn.tell_tasks(planned, batch)
    assert tasks.shape == batch["target_bm"].shape
    for b, row in enumerate(planned.rows):
        left = [n for n, g in enumerate(row, 1) if int(planned.groups.item[g]) != place]
        assert sorted(set(batch["group_bt"][b].tolist()) - {0}) == left
        for n in left:
            for key in ("token_bt", "position_bt", "segment_bt"):
                there = whole["group_bt"][b] == n
                np.testing.assert_array_equal(
                    batch[key][b][batch["group_bt"][b] == n], whole[key][b][there]
                )
    assert 0 < batch["weight_bm"].sum() < whole["weight_bm"].sum()
    said = capsys.readouterr().out
    assert said.count("left out: the audio of item") == 1 and "cannot be read" in said
    # what a batch is, is known from the plan alone
    assert torn.describe(0) == stream.describe(0)


def test_a_run_goes_on_and_says_so(corpus, tmp_path, break_records, capsys):
    rates = {"sift.open_ended.en": 1.0}
    break_records(2)
    arguments = make_run(
        corpus, tmp_path / "run", data={"rates": rates, "rows": 1, "most_unreadable": 1.0}, steps=8
    )
    folder = train(**arguments)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["unreadable"] for line in lines if "loss" in line][-1] == 1 == count_logged(folder)
    assert all(np.isfinite(line["loss"]) for line in lines if "loss" in line)
    (kept,) = name_log(folder, 0).read_text().splitlines()
    assert (
        json.loads(kept)["task"] == "sift.open_ended.en"
        and "cannot be read" in json.loads(kept)["reason"]
    )
    assert capsys.readouterr().out.count("left out: ") == 1


def test_a_batch_without_targets_changes_no_loss(corpus, tmp_path, break_records):
    """Nothing at all can be read: each loss is a sum of nothing over nothing, which is 0."""
    break_records()
    data = {"rates": {"sift.open_ended.en": 1.0}, "most_unreadable": 1.0}
    folder = train(**make_run(corpus, tmp_path / "run", data=data, steps=3, dev_batches=0))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines if "loss" in line] == [0.0, 0.0]


def test_many_end_a_run(tmp_path):
    log = UnreadableLog(0.01, tmp_path / "unreadable-0.jsonl", "train")
    for item in range(8):
        log.note("a", item % 3, UnreadableAudio(f"item {item} is torn"), item + 1)
    with pytest.raises(
        ValueError,
        match=r"9 of 9 recordings .* more than DataConfig.most_unreadable = 0.01 .*item 8",
    ):
        log.note("a", 8, UnreadableAudio("item 8 is torn"), 9)
    assert count_logged(tmp_path) == 4
    # what has been named is not named again by the run that goes on
    again = UnreadableLog(1.0, log.path, "train")
    again.note("a", 1, UnreadableAudio("item 1 is torn"), 1)
    assert count_logged(tmp_path) == 4
    strict = UnreadableLog(0.0, None, "train")
    with pytest.raises(ValueError, match="1 of 1 recordings"):
        strict.note("a", 1, UnreadableAudio("item 1 is torn"), 1)


def test_few_of_many_do_not():
    log = UnreadableLog(0.01, None, "train")
    for item in range(5000):
        if item % 200 == 0:
            log.note("a", item, UnreadableAudio(f"item {item} is torn"), item + 1)


def test_a_record_without_a_readable_header_is_not_indexed(
    corpus, tmp_path, monkeypatch, tokenizer, capsys
):
    folder = tmp_path / "records"
    shutil.copytree(corpus.records, folder, ignore=shutil.ignore_patterns("questions-*"))
    reader, read = RecordReader(folder, "en"), RecordReader.read

    def tear(self, split, place):
        record = read(self, split, place)
        return {**record, "audio": [b"fLaC"]} if place == 1 else record

    monkeypatch.setattr(RecordReader, "read", tear)
    with pytest.raises(
        ValueError, match=r"record 1 of .*sift_en train cannot be read .*as 0 of \d+ before it"
    ):
        index_records(reader, "train", tokenizer)
    made = index_records(reader, "train", tokenizer, most_unreadable=0.01)
    found = QuestionIndex(made / "open_ended").items["record"][:-1].tolist()
    assert found == [place for place in reader.index["train"]["open_ended"] if place != 1]
    assert "left out: record 1 of" in capsys.readouterr().out
