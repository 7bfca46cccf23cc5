"""The contract between data and model is held at the door."""

import dataclasses

import numpy as np
import pytest

from sift_jax.batch import BatchShape, check_batch, make_empty_batch

SHAPE = BatchShape(rows=2, tokens=8, targets=4, clips=1, mel_frames=10, mel_bins=3)


def test_a_shape_in_words():
    assert str(SHAPE) == "2 × 8 positions, 1 clip of up to 0.1 s in each row"
    assert "4 clips" in str(dataclasses.replace(SHAPE, clips=4))
    # speech as units has no clips
    assert str(dataclasses.replace(SHAPE, mel_frames=0)) == "2 × 8 positions"


def test_an_empty_batch_keeps_the_contract():
    batch = make_empty_batch(SHAPE)
    check_batch(batch, SHAPE, vocab_size=1)
    assert (
        (batch["slot_bt"] == -1).all()
        and not batch["weight_bm"].any()
        and not batch["group_bt"].any()
    )


@pytest.mark.parametrize("key", ["token_bt", "target_bm"])
@pytest.mark.parametrize("value", [-1, 100])
def test_ids_outside_the_vocabulary(key, value):
    batch = make_empty_batch(SHAPE)
    batch[key][1, 2] = value
    with pytest.raises(
        ValueError,
        match=rf"batch\['{key}'\] holds token id {value}, outside .* of 100; use the tokenizer",
    ):
        check_batch(batch, SHAPE, vocab_size=100)


def test_a_wrong_shape_dtype_or_key():
    batch = make_empty_batch(SHAPE)
    with pytest.raises(
        ValueError, match=r"batch\['predict_bm'\] is int64\(2, 4\); the contract says int32\(2, 4\)"
    ):
        check_batch(
            {**batch, "predict_bm": batch["predict_bm"].astype(np.int64)}, SHAPE, vocab_size=9
        )
    with pytest.raises(ValueError, match=r"batch\['slot_bt'\] is int32\(2, 7\)"):
        check_batch({**batch, "slot_bt": batch["slot_bt"][:, 1:]}, SHAPE, vocab_size=9)
    with pytest.raises(ValueError, match=r"batch keys differ from the contract: \['mask_bt'\]"):
        check_batch({**batch, "mask_bt": batch["slot_bt"]}, SHAPE, vocab_size=9)
