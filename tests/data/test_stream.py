"""The stream of batches: a pure function of the config, that can be entered anywhere."""

import dataclasses
import itertools

import numpy as np
import pytest
from tiny_corpus import SIZES
from tiny_model import make_config
from tiny_run import make_data

from sift_jax.batch import check_batch
from sift_jax.data.pipeline import BatchStream, make_shapes, prefetch
from sift_jax.training.loop import make_geometry

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
        slots = CONFIG.projector.count_frames(shape.mel_frames)
        clip = batch["slot_bt"] // slots
        assert batch["slot_bt"].max() < shape.clips * slots
        for b in range(shape.rows):
            for a in range(shape.clips):
                frames = int(batch["frames_ba"][b, a])
                if (clip[b] == a).any():
                    assert (
                        batch["slot_bt"][b][clip[b] == a].max() - a * slots == CONFIG.projector.count_frames(frames) - 1
                    )


def test_the_same_config_gives_the_same_stream(corpus):
    data = make_data(corpus)
    first, _ = read(data, 6)
    assert_same(read(data, 6)[0], first)
    other, _ = read(dataclasses.replace(data, seed=data.seed + 1), 6)
    assert any(not np.array_equal(a["token_bt"], b["token_bt"]) for (_, a), (_, b) in zip(first, other, strict=True))


def test_skipping_is_dropping(corpus):
    data = make_data(corpus)
    whole, _ = read(data, 9)
    assert_same(read(data, 4, skip=5)[0], whole[5:])


def test_one_epoch_holds_every_question_once(corpus, tokenizer):
    data = make_data(corpus, rates={"sift.*": 1.0}, questions_per_record=0)
    batches, stream = read(data, None, split="dev", is_endless=False)
    # of each utterance: two acoustic, and one of each other category
    assert stream.counts.questions == 2 * SIZES["dev"] * 7
    assert stream.counts.questions_dropped == stream.counts.groups_dropped == 0
    ends = sum(int(((b["target_bm"] == tokenizer.ids["<|im_end|>"]) * b["weight_bm"]).sum()) for _, b in batches)
    assert ends == stream.counts.questions


def test_what_is_too_long_is_counted(corpus):
    """Clips of 0.5 to 1.1 s and a window of one second: the longest cannot be used, and all is accounted for."""
    short = dataclasses.replace(GEOMETRY, window_seconds=1.0)
    data = make_data(corpus, clip_seconds=(1.0,), rates={"sift.open_ended.en": 1.0}, questions_per_record=0)
    stream = BatchStream(data, short, split="train", is_endless=False)
    placed = sum(int(batch["group_bt"].max(axis=1).sum()) for _, batch in stream.batches())
    counts = stream.counts
    assert counts.groups == SIZES["train"] and placed == counts.groups - counts.groups_dropped
    assert counts.groups_dropped == counts.questions_dropped == 1


@pytest.mark.parametrize("seconds", [(), (2.0, 1.0), (1.0, 1.0, 2.0), (1.0,), (2.0, 6.0)])
def test_clip_lengths_end_in_the_window(corpus, seconds):
    with pytest.raises(
        ValueError, match=r"must rise and end in the encoder's window of 2.0 s; set DataConfig.clip_seconds"
    ):
        make_shapes(make_data(corpus, clip_seconds=seconds), GEOMETRY)


def test_short_windows_need_an_encoder_that_masks_silence(corpus):
    """Whisper hears the silence up to 30 s: in a shorter window it would hear another clip."""
    hears_silence = dataclasses.replace(GEOMETRY, is_silence_masked=False)
    with pytest.raises(ValueError, match=r"several windows, .* set ModelConfig.frame_mask = 'all' or .*= \(2.0,\)"):
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
