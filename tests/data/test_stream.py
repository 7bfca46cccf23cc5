"""The stream of batches: a pure function of the config, that can be entered anywhere."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
from tiny_corpus import SIZES
from tiny_model import make_config
from tiny_run import make_data

from sift_jax.batch import check_batch
from sift_jax.data.batch_stream import BatchStream, make_shapes
from sift_jax.data.mixtures import make_mixture
from sift_jax.data.prefetch import prefetch
from sift_jax.training.job import make_geometry

CONFIG = make_config()
GEOMETRY = make_geometry(CONFIG)


def read(data, count, skip=0, split="train", is_endless=True):
    stream = BatchStream(data, GEOMETRY, split=split, is_endless=is_endless)
    return list(itertools.islice(stream.batches(skip=skip), count)), stream


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (shape, batch), (other_shape, other) in zip(found, expected, strict=True):
        assert shape == other_shape
        for key in batch:
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)


def test_every_batch_keeps_the_contract(corpus):
    batches, _ = read(make_data(corpus), 20)
    assert {shape.mel_frames for shape, _ in batches} == {75, 200}
    for shape, batch in batches:
        check_batch(batch, shape, vocab_size=CONFIG.decoder.vocab_size)
        assert batch["weight_bm"].sum() > 0
        slots = CONFIG.count_frames(shape.mel_frames)
        clip = batch["slot_bt"] // slots
        assert batch["slot_bt"].max() < shape.clips * slots
        for b in range(shape.rows):
            for a in range(shape.clips):
                frames = int(batch["frames_ba"][b, a])
                if (clip[b] == a).any():
                    assert (
                        batch["slot_bt"][b][clip[b] == a].max() - a * slots
                        == CONFIG.count_frames(frames) - 1
                    )


def test_the_same_config_gives_the_same_stream(corpus):
    data = make_data(corpus)
    first, _ = read(data, 6)
    assert_same(read(data, 6)[0], first)
    other, _ = read(dataclasses.replace(data, seed=data.seed + 1), 6)
    assert any(
        not np.array_equal(a["token_bt"], b["token_bt"])
        for (_, a), (_, b) in zip(first, other, strict=True)
    )


def test_skipping_is_dropping(corpus):
    data = make_data(corpus)
    whole, _ = read(data, 9)
    assert_same(read(data, 4, skip=5)[0], whole[5:])


def test_one_epoch_holds_every_question_once(corpus, tokenizer):
    data = make_data(corpus, rates={"sift.*": 1.0}, questions_per_record=0)
    batches, stream = read(data, None, split="dev", is_endless=False)
    # of each utterance: two acoustic, and one of each other category but that whose answers are
    # speech
    assert stream.counts.questions == 2 * SIZES["dev"] * 6
    assert stream.counts.questions_dropped == stream.counts.groups_dropped == 0
    ends = sum(
        int(((b["target_bm"] == tokenizer.ids["<|im_end|>"]) * b["weight_bm"]).sum())
        for _, b in batches
    )
    assert ends == stream.counts.questions


def test_what_is_too_long_is_counted(corpus):
    """Clips of 0.5 to 1.1 s and a window of one second: the longest cannot be used, and all is
    accounted for."""
    short = dataclasses.replace(GEOMETRY, window_seconds=1.0)
    data = make_data(
        corpus, clip_seconds=(1.0,), rates={"sift.open_ended.en": 1.0}, questions_per_record=0
    )
    stream = BatchStream(data, short, split="train", is_endless=False)
    placed = sum(int(batch["group_bt"].max(axis=1).sum()) for _, batch in stream.batches())
    counts = stream.counts
    assert counts.groups == SIZES["train"] and placed == counts.groups - counts.groups_dropped
    assert counts.groups_dropped == counts.questions_dropped == 1


@pytest.mark.parametrize("seconds", [(), (2.0, 1.0), (1.0, 1.0, 2.0), (1.0,), (2.0, 6.0)])
def test_clip_lengths_end_in_the_window(corpus, seconds):
    with pytest.raises(
        ValueError,
        match=r"must rise and end in the encoder's window of 2.0 s; set DataConfig.clip_seconds",
    ):
        make_shapes(make_data(corpus, clip_seconds=seconds), GEOMETRY)


def test_short_windows_need_an_encoder_that_masks_silence(corpus):
    """Whisper hears the silence up to 30 s: in a shorter window it would hear another clip."""
    hears_silence = dataclasses.replace(GEOMETRY, is_silence_masked=False)
    with pytest.raises(
        ValueError, match=r"several windows, .* set ModelConfig.frame_mask = 'all' or .*= \(2.0,\)"
    ):
        make_shapes(make_data(corpus, clip_seconds=(1.0, 2.0)), hears_silence)
    assert len(make_shapes(make_data(corpus, clip_seconds=(2.0,)), hears_silence)) == 1
    assert len(make_shapes(make_data(corpus, clip_seconds=(1.0, 2.0)), GEOMETRY)) == 2


def test_prefetch_keeps_order_ends_and_raises():
    assert list(prefetch(iter(range(50)), 3)) == list(range(50))

    def fail():
        yield 1
        raise ValueError("the third record is broken")

    items = prefetch(fail(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="the third record is broken"):
        next(items)


def test_prefetch_can_be_left():
    drawn = []

    def count():
        for i in itertools.count():
            drawn.append(i)
            yield i

    items = prefetch(count(), 2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()
    assert len(drawn) <= 7


def test_hosts_have_the_rows_of_one_batch(corpus):
    data = make_data(corpus, rows=8)
    [(shape, batch)], stream = read(data, 1, skip=70)
    for hosts, host in ((2, 0), (2, 1), (4, 2), (8, 7)):
        own = range(8 // hosts * host, 8 // hosts * (host + 1))
        part = BatchStream(data, GEOMETRY, split="train", is_endless=True, own_rows=own)
        own_shape, own_batch = next(part.batches(skip=70))
        assert own_shape == dataclasses.replace(shape, rows=len(own))
        assert part.describe(70) == stream.describe(70) and part.share == 1 / hosts
        for key, value in batch.items():
            np.testing.assert_array_equal(own_batch[key], value[own], err_msg=key)


def test_readers_change_nothing(corpus):
    data = make_data(corpus)
    assert_same(read(dataclasses.replace(data, readers=3), 4)[0], read(data, 4)[0])


def test_what_is_said_of_a_batch_is_so(corpus, tokenizer):
    batches, stream = read(make_data(corpus), 5, skip=3)
    for step, (_, batch) in enumerate(batches, 3):
        facts = stream.describe(step)
        assert facts["tokens"] == (batch["group_bt"] > 0).sum()
        ends = (batch["target_bm"] == tokenizer.ids["<|im_end|>"]) & (batch["weight_bm"] > 0)
        assert facts["questions"] == ends.sum()
    assert len({stream.describe(step)["hash"] for step in range(50)}) == 50


def fingerprint(example):
    return tuple((key, np.asarray(example[key]).tobytes()) for key in sorted(example))


def test_seqio_gives_the_examples_of_the_plan(corpus):
    """Over an epoch: the same features, bit for bit, however they are ordered."""
    data = make_data(corpus, rates={"sift.*": 1.0}, questions_per_record=0)
    stream = BatchStream(data, GEOMETRY, split="train", is_endless=False)
    planned = [
        fingerprint(stream.read_example(batch.groups, g))
        for _, batches in stream.plan.blocks()
        for batch in batches
        for row in batch.rows
        for g in row
    ]
    # any module makes the run define its mixture by SeqIO, and the plan is the same
    other = BatchStream(data, GEOMETRY, split="train", is_endless=False, modules=(object(),))
    assert other.plan.fingerprint == stream.plan.fingerprint
    mixture = make_mixture("all", data.mixture.rates)
    dataset = mixture.get_dataset(None, split="train", shuffle=True, seed=0, num_epochs=1)
    assert sorted(planned) == sorted(
        fingerprint(example) for example in dataset.as_numpy_iterator()
    )


def test_an_index_of_other_records_is_found_out(corpus, tmp_path):
    """The digest is what tells records apart: if someone copies an index by hand, its lengths are
    not theirs."""
    stream = BatchStream(make_data(corpus), GEOMETRY, split="train", is_endless=True)
    for reader in stream.readers.values():
        reader.index.clips = reader.index.clips + 1
    for task in stream.plan.draws.tasks:
        task.index.clips = task.index.clips + 1
    with pytest.raises(
        ValueError, match="9 of 9 recordings .*that folder is not of these records; delete it"
    ):
        list(itertools.islice(stream.batches(), 9))


def test_audio_that_cannot_be_read_is_named(corpus):
    stream = BatchStream(make_data(corpus), GEOMETRY, split="train", is_endless=True)
    reader = next(iter(stream.readers.values())).reader
    for each in stream.readers.values():
        each.reader = type(
            "Torn", (), {"read_audio": lambda self, *place: [reader.read_audio(*place)[0][:50]]}
        )()
    with pytest.raises(
        ValueError,
        match=r"the audio of item \d+ of .*questions-.* cannot be read \(.*\); make those",
    ):
        list(itertools.islice(stream.batches(), 9))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rows": 0}, "DataConfig.rows is 0; give 1 or more"),
        ({"readers": 0}, "DataConfig.readers is 0; give 1 or more"),
        ({"most_unreadable": 1.5}, "DataConfig.most_unreadable is 1.5; give 0 or more, at most 1"),
        (
            {"rates_count": "questions"},
            "DataConfig.rates_count is 'questions'; choose one of examples, records",
        ),
        ({"questions_per_record": -1}, "DataConfig.questions_per_record is -1; give 0 or more"),
    ],
)
def test_sizes_of_nothing_are_refused(corpus, changes, message):
    with pytest.raises(ValueError, match=message):
        make_data(corpus, **changes)


def test_an_edited_index_is_seen(corpus, tmp_path):
    """Of the same size, even: another record in the place of one, then two alone."""
    folder = tmp_path / "records"
    shutil.copytree(corpus.records, folder)
    data = make_data(corpus, records=str(folder), rates={"sift.open_ended.en": 1.0})

    def list_records():
        stream = BatchStream(data, GEOMETRY, split="train", is_endless=True)
        return stream.plan.draws.tasks[0].index.items["record"][
            :-1
        ].tolist(), stream.plan.fingerprint

    whole, plan = list_records()
    path = folder / "sift_en" / "index.json"
    for kept in ([whole[0], *whole[2:], 7], whole[:2]):
        index = json.loads(path.read_text())
        index["train"]["open_ended"] = kept = sorted(place for place in kept if place in whole)
        path.write_text(json.dumps(index))
        found, other = list_records()
        assert found == kept != whole and other != plan


def test_a_task_of_which_nothing_fits_is_refused_by_its_cause(corpus):
    """No row has room for two clips, so that no comparison is ever shown."""
    rates = {"sift.open_ended.en": 0.5, "sift.closed_ended.comparison.en": 0.5}
    data = make_data(corpus, rates=rates, clips=1)
    with pytest.raises(
        ValueError, match="sift.closed_ended.comparison.en: .*more than a row holds"
    ):
        BatchStream(data, GEOMETRY, split="train", is_endless=True)
    # a split that is only measured says so instead
    stream = BatchStream(data, GEOMETRY, split="dev", is_endless=False)
    assert stream.describe_start()[0].startswith("skipped of sift.closed_ended.comparison.en: ")


def test_what_is_set_aside_is_said_at_the_start_and_shares_hold(corpus):
    """A window of one second, and clips of 0.5 to 1.1 s: the longest is never heard, and its task
    has its share."""
    short = dataclasses.replace(GEOMETRY, window_seconds=1.0)
    rates = {"sift.closed_ended.acoustic_level.en": 0.5, "sift.open_ended.en": 0.5}
    stream = BatchStream(
        make_data(corpus, clip_seconds=(1.0,), rates=rates), short, split="train", is_endless=True
    )
    said = stream.describe_start()
    assert said[0] == f"{stream.plan.examples_per_batch:.1f} examples a step"
    assert (
        "skipped of sift.open_ended.en: 1 of 6 questions, 1 as a clip is longer than the encoder's"
    ) in said[2]
    groups = stream.plan.draws.draw(0, 6000)
    examples = np.bincount(groups.task, groups.chosen)
    assert examples[0] / examples.sum() == pytest.approx(0.5, abs=0.002)
