"""Packing: nothing is lost but what is counted, nothing is over the limits, and all can be found
again in the batch."""

import numpy as np
import pytest
from tiny_examples import (
    AUDIO_ID,
    END,
    LAYOUTS,
    START,
    TURN,
    make_example,
    make_groups,
    make_question,
    make_shape,
)
from tiny_model import make_config

from sift_jax.batch import check_batch
from sift_jax.data.plan.bin_packing import RowFiller, Sizes
from sift_jax.data.row_layout import Row, count_shared, expand_question, lay_out

CONFIG = make_config()


def make_many(count, seed=0, questions=3):
    rng = np.random.default_rng(seed)
    return make_groups(
        CONFIG,
        [
            make_example(
                rng,
                [
                    make_question(rng, str(rng.choice(LAYOUTS)))
                    for _ in range(rng.integers(1, questions + 1))
                ],
            )
            for _ in range(count)
        ],
    )


def read_batch(batch, slots):
    """Every question of a batch as (ids, clips' slots, targets), in order: the inverse of
    lay_out."""
    found = []
    for b in range(len(batch["token_bt"])):
        group, segment = batch["group_bt"][b], batch["segment_bt"][b]
        wanted = zip(
            *(batch[key][b].tolist() for key in ("predict_bm", "target_bm", "weight_bm")),
            strict=True,
        )
        targets = {place + 1: target for place, target, weight in wanted if weight}
        # the target stands right behind its question's part of the row
        assert all(batch["token_bt"][b, place] == target for place, target in targets.items())
        for g in range(1, group.max() + 1):
            for s in range(1, segment[group == g].max() + 1):
                places = np.flatnonzero((group == g) & ((segment == 0) | (segment == s)))
                assert (batch["position_bt"][b, places] == np.arange(len(places))).all()
                ids = batch["token_bt"][b, places]
                learnt = [targets[p] for p in places if p in targets]
                found.append((ids.tolist(), (batch["slot_bt"][b, places] % slots).tolist(), learnt))
    return found


def test_a_marker_becomes_its_clips_frames():
    tokens = np.array([START, 7, AUDIO_ID, 8, AUDIO_ID, TURN, 9, END])
    is_target = tokens == END
    piece = expand_question(tokens, is_target, np.array([1, 0]), AUDIO_ID, [2, 3])
    assert piece.tokens.tolist() == [START, 7, *[AUDIO_ID] * 3, 8, *[AUDIO_ID] * 2, TURN, 9, END]
    assert piece.clip.tolist() == [-1, -1, 1, 1, 1, -1, 0, 0, -1, -1, -1]
    assert piece.frame.tolist() == [-1, -1, 0, 1, 2, -1, 0, 1, -1, -1, -1]
    assert np.flatnonzero(piece.is_target).tolist() == [10]


def make_piece(tokens, answer_from, clip=None):
    tokens = np.array(tokens)
    clips = np.zeros(int((tokens == AUDIO_ID).sum()), np.int64) if clip is None else np.array(clip)
    return expand_question(tokens, np.arange(len(tokens)) >= answer_from, clips, AUDIO_ID, [3, 4])


@pytest.mark.parametrize(
    "pieces, shared",
    [
        # speech first: everything up to the questions' own words
        ([make_piece([1, 5, 20, 21, 2, 30, 3], 5), make_piece([1, 5, 22, 21, 2, 30, 3], 5)], 4),
        # speech last: the words differ before it, so that only the start is shared
        ([make_piece([1, 20, 5, 2, 30, 3], 4), make_piece([1, 21, 5, 2, 30, 3], 4)], 1),
        # the same words over another clip
        ([make_piece([1, 5, 2, 30, 3], 3, [0]), make_piece([1, 5, 2, 30, 3], 3, [1])], 1),
        # the same question twice: the position that predicts the answer is each question's own
        ([make_piece([1, 5, 20, 2, 30, 3], 4), make_piece([1, 5, 20, 2, 31, 3], 4)], 5),
        # one question alone
        ([make_piece([1, 5, 20, 2, 30, 3], 4)], 5),
        # nothing in common
        ([make_piece([1, 20, 2, 30], 3), make_piece([9, 20, 2, 30], 3)], 0),
        # the answer follows the clip at once: its last frame, which predicts, is not shared, and so
        # none of it is
        ([make_piece([1, 20, 5, 30], 3), make_piece([1, 20, 5, 31], 3)], 2),
    ],
)
def test_the_longest_common_beginning_is_shared(pieces, shared):
    assert count_shared(pieces) == shared


def test_a_group_holds_its_speech_once():
    rng = np.random.default_rng(0)
    example = make_example(rng, [make_question(rng, "audio_first") for _ in range(6)], clips=1)
    (group,) = make_groups(CONFIG, [example])
    frames = int((group.prefix.clip >= 0).sum())
    assert frames == CONFIG.count_frames(int(example["audio_lengths"][0]) // 160)
    assert all((question.clip < 0).all() for question in group.questions)
    assert group.tokens < frames + len(example["tokens"])


def put_in_rows(groups, shape):
    """Rows that hold the groups, best fit, and how many there was no room for."""
    columns = [[g.tokens, g.targets, len(g.clips), 0] for g in groups]
    tokens, targets, clips, level = np.array(columns).T
    filler = RowFiller(
        Sizes(tokens=tokens, targets=targets, clips=clips, level=level), shape, most_rows=shape.rows
    )
    left = filler.fill(range(len(groups)))
    rows = [Row(shape) for _ in range(shape.rows)]
    for row, members in zip(rows, filler.rows, strict=False):
        for g in members:
            assert row.can_hold(groups[g])
            row.add(groups[g])
    return rows, left


def test_what_is_laid_out_is_what_was_given():
    groups = make_many(12)
    shape = make_shape(CONFIG, rows=4)
    rows, rest = put_in_rows(groups, shape)
    batch, clips = lay_out(rows, shape, CONFIG.slots_per_clip)
    check_batch(batch, shape, vocab_size=384)
    expected = [
        (
            np.concatenate([group.prefix.tokens, question.tokens]).tolist(),
            np.concatenate([group.prefix.frame, question.frame]),
            question.tokens[question.is_target].tolist(),
        )
        for row in rows
        for group in row.groups
        for question in group.questions
    ]
    found = read_batch(batch, CONFIG.slots_per_clip)
    assert len(found) == len(expected)
    for (ids, slots, learnt), (wanted_ids, frames, targets) in zip(found, expected, strict=True):
        assert ids == wanted_ids and learnt == targets
        is_speech = frames >= 0
        np.testing.assert_array_equal(np.array(slots)[is_speech], frames[is_speech])
    assert [id(c) for _, _, c in clips] == [
        id(c) for row in rows for group in row.groups for c in group.clips
    ]
    assert sum(len(row.groups) for row in rows) + len(rest) == 12


def test_clips_of_a_row_have_places_of_their_own():
    shape = make_shape(CONFIG, rows=2)
    rows, _ = put_in_rows(make_many(8, seed=2), shape)
    batch, clips = lay_out(rows, shape, CONFIG.slots_per_clip)
    places = [(b, a) for b, a, _ in clips]
    assert len(set(places)) == len(places) and max(a for _, a in places) < shape.clips
    used = {
        (b, slot // CONFIG.slots_per_clip)
        for b in range(2)
        for slot in batch["slot_bt"][b]
        if slot >= 0
    }
    assert used <= set(places)
