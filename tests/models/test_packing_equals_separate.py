"""Packing, padding, and whoever else is in the row change neither the loss nor its gradient."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_examples import (
    LAYOUTS,
    make_batch,
    make_example,
    make_groups,
    make_question,
    split_example,
)
from tiny_model import make_config, make_gradient, make_params, measure_loss

from sift_jax.models.decoder import LayerPattern
from sift_jax.models.speech_lm import compute_hidden

CONFIG = make_config()


def assert_same_trees(found, expected, tolerance):
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        scale = max(float(np.abs(y).max()), 1e-3)
        np.testing.assert_allclose(
            x, y, rtol=0, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path)
        )


@pytest.mark.parametrize("layouts", [*((name,) * 3 for name in LAYOUTS), LAYOUTS])
def test_a_packed_group_is_its_questions_apart(layouts):
    rng = np.random.default_rng(len(layouts) + len(layouts[0]))
    example = make_example(rng, [make_question(rng, layout) for layout in layouts])
    packed = make_batch(CONFIG, [make_groups(CONFIG, [example])])
    apart = [make_batch(CONFIG, [[group]]) for group in make_groups(CONFIG, split_example(example))]
    gradient, params = make_gradient(CONFIG), make_params(CONFIG)
    loss, grads = gradient(params, packed)
    losses, each = zip(*(gradient(params, batch) for batch in apart), strict=True)
    assert float(loss) == pytest.approx(sum(map(float, losses)), rel=1e-5)
    assert packed["weight_bm"].sum() == sum(batch["weight_bm"].sum() for batch in apart)
    assert_same_trees(grads, jax.tree.map(lambda *x: sum(x), *each), 2e-5)


def test_the_same_question_with_two_answers():
    """All but the answers is shared: the second answer's first token is predicted from the prefix,
    too."""
    rng = np.random.default_rng(7)
    tokens, is_target, clips = make_question(rng, "audio_first")
    other = list(tokens)
    other[is_target.index(True)] += 1
    example = make_example(rng, [(tokens, is_target, clips), (other, is_target, clips)])
    packed = make_batch(CONFIG, [make_groups(CONFIG, [example])])
    apart = [make_batch(CONFIG, [[group]]) for group in make_groups(CONFIG, split_example(example))]
    params = make_params(CONFIG)
    losses = [float(measure_loss(CONFIG, params, batch)[0]) for batch in apart]
    assert float(measure_loss(CONFIG, params, packed)[0]) == pytest.approx(sum(losses), rel=1e-5)


def test_a_window_reaches_as_far_back_as_in_a_row_of_its_own():
    """Other questions stand between a question and the prefix: positions are counted, not
    places."""
    pattern = LayerPattern(every=2, window=6, rope_theta=1e2, is_odd_rotated=True)
    decoder = dataclasses.replace(CONFIG.decoder, pattern=pattern)
    config = dataclasses.replace(CONFIG, decoder=decoder)
    rng = np.random.default_rng(8)
    example = make_example(rng, [make_question(rng, layout) for layout in LAYOUTS])
    packed = make_batch(config, [make_groups(config, [example])])
    apart = [make_batch(config, [[group]]) for group in make_groups(config, split_example(example))]
    params = make_params(config)
    losses = [float(measure_loss(config, params, batch)[0]) for batch in apart]
    loss = float(measure_loss(config, params, packed)[0])
    assert loss == pytest.approx(sum(losses), rel=1e-5)
    by_blocks = dataclasses.replace(config, attention="blockwise")
    assert float(measure_loss(by_blocks, params, packed)[0]) == pytest.approx(loss, rel=1e-5)
    # the check can fail: a model that sees all of the prefix has another loss
    assert float(measure_loss(CONFIG, params, packed)[0]) != pytest.approx(loss, rel=1e-3)


def test_neighbours_and_padding_change_nothing():
    rng = np.random.default_rng(1)
    examples = [
        make_example(rng, [make_question(rng, name) for name in LAYOUTS[:2]], clips=1)
        for _ in range(3)
    ]
    groups = make_groups(CONFIG, examples)
    alone = [make_batch(CONFIG, [[group]]) for group in groups]
    together = make_batch(CONFIG, [groups])
    wide = make_batch(CONFIG, [groups, groups[:1]], tokens=320)
    params = make_params(CONFIG)
    each = [[float(x) for x in measure_loss(CONFIG, params, batch)] for batch in alone]
    loss, weight = (sum(values) for values in zip(*each, strict=True))
    assert [float(x) for x in measure_loss(CONFIG, params, together)] == pytest.approx(
        [loss, weight], rel=1e-5
    )
    found = [float(x) for x in measure_loss(CONFIG, params, wide)]
    assert found == pytest.approx([loss + each[0][0], weight + each[0][1]], rel=1e-5)


def test_what_lies_in_the_padding_is_not_seen():
    rng = np.random.default_rng(2)
    groups = make_groups(CONFIG, [make_example(rng, [make_question(rng, "text_first")], clips=1)])
    batch = make_batch(CONFIG, [groups])
    is_padding = batch["group_bt"] == 0
    dirty = dict(batch)
    dirty["token_bt"] = np.where(
        is_padding, rng.integers(0, 384, is_padding.shape), batch["token_bt"]
    ).astype(np.int32)
    dirty["slot_bt"] = np.where(is_padding, 3, batch["slot_bt"]).astype(np.int32)
    dirty["target_bm"] = np.where(batch["weight_bm"] == 0, 17, batch["target_bm"]).astype(np.int32)
    params = make_params(CONFIG)
    loss = float(measure_loss(CONFIG, params, batch)[0])
    assert float(measure_loss(CONFIG, params, dirty)[0]) == loss
    # the check itself can fail: the same change to a real position is seen
    dirty["token_bt"] = batch["token_bt"].copy()
    dirty["token_bt"][0, 1] += 1
    assert float(measure_loss(CONFIG, params, dirty)[0]) != pytest.approx(loss, rel=1e-6)


def test_hidden_states_of_one_question_ignore_the_others_answers():
    rng = np.random.default_rng(3)
    questions = [make_question(rng, "audio_first") for _ in range(3)]
    example = make_example(rng, questions)
    batch = make_batch(CONFIG, [make_groups(CONFIG, [example])])
    params = make_params(CONFIG)
    measure_hidden = jax.jit(compute_hidden, static_argnums=0)
    hidden = np.asarray(measure_hidden(CONFIG, params, batch))
    second = batch["segment_bt"] == 2
    changed = {**batch, "token_bt": np.where(second, 11, batch["token_bt"]).astype(np.int32)}
    moved = np.abs(np.asarray(measure_hidden(CONFIG, params, changed)) - hidden).max(axis=-1)
    segment = np.take_along_axis(batch["segment_bt"], batch["predict_bm"], axis=1)
    real = batch["weight_bm"] > 0
    assert moved[real & (segment != 2)].max() == 0.0
    assert moved[real & (segment == 2)].min() > 1e-3
