"""SALM and SALM-XATT at small scale: packed as apart, causal, deaf to what is no clip of theirs, silent
where it must be."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_examples import (
    LAYOUTS,
    make_batch,
    make_example,
    make_groups,
    make_mixed_batch,
    make_question,
    split_example,
)
from tiny_model import (
    SALM,
    SALM_XATT,
    hear,
    make_config,
    make_gradient,
    make_params,
    measure_logits,
    measure_loss,
)

from sift_jax.models.cross_attention import find_heard_frames, find_hearing
from sift_jax.models.fast_conformer import make_distances, shift_distances
from sift_jax.models.layers import make_sinusoids
from sift_jax.models.speech_lm import compute_hidden, encode_speech, init_params
from sift_jax.training.flops import count_costs

CONFIGS = {
    "salm": make_config(**SALM),
    "salm_xatt": make_config(**SALM_XATT),
    "salm_xatt_placed": make_config(**{**SALM_XATT, "fusion": "cross_placed"}),
}
XATT = CONFIGS["salm_xatt"]
each_model = pytest.mark.parametrize("name", CONFIGS)
measure_hidden = jax.jit(compute_hidden, static_argnums=0)


@each_model
def test_a_packed_group_is_its_questions_apart(name):
    """Loss and gradient, over questions that share a clip, have none in common, or name them in
    another order."""
    config, rng = CONFIGS[name], np.random.default_rng(3)
    example = make_example(
        rng, [make_question(rng, layout) for layout in (*LAYOUTS, "audio_first")]
    )
    packed = make_batch(config, [make_groups(config, [example])])
    apart = [make_batch(config, [[group]]) for group in make_groups(config, split_example(example))]
    gradient, params = make_gradient(config), make_params(config)
    loss, grads = gradient(params, packed)
    losses, each = zip(*(gradient(params, batch) for batch in apart), strict=True)
    assert float(loss) == pytest.approx(sum(map(float, losses)), rel=1e-5)
    wanted = jax.tree.map(lambda *x: sum(x), *each)
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(grads), jax.tree.leaves(wanted), strict=True
    ):
        # of a bias that softmax does not see the gradient is noise
        scale = max(float(np.abs(y).max()), 1e-2)
        np.testing.assert_allclose(
            x, y, rtol=0, atol=2e-5 * scale, err_msg=jax.tree_util.keystr(path)
        )


@each_model
def test_neighbours_and_padding_change_nothing(name):
    config, rng = CONFIGS[name], np.random.default_rng(1)
    groups = make_groups(
        config, [make_example(rng, [make_question(rng, "two_clips")]) for _ in range(2)]
    )
    params = make_params(config)
    alone = [
        float(measure_loss(config, params, make_batch(config, [[group]]))[0]) for group in groups
    ]
    together = make_batch(config, [groups])
    assert float(measure_loss(config, params, together)[0]) == pytest.approx(sum(alone), rel=1e-5)
    is_padding = together["group_bt"] == 0
    dirty = {**together, "slot_bt": np.where(is_padding, 1, together["slot_bt"]).astype(np.int32)}
    behind = np.arange(config.encoder.mel_frames) >= together["frames_ba"][:, :, None]
    dirty["mel_basf"] = np.where(behind[..., None], 9.0, together["mel_basf"]).astype(np.float32)
    assert float(measure_loss(config, params, dirty)[0]) == pytest.approx(sum(alone), rel=1e-6)


@each_model
def test_each_question_hears_its_own_clip(name):
    """By gradient of one question's loss to every clip of the row."""
    config, rng = CONFIGS[name], np.random.default_rng(6)
    groups = make_groups(
        config, [make_example(rng, [make_question(rng, layout)]) for layout in LAYOUTS[1:3]]
    )
    batch, params = make_batch(config, [groups]), make_params(config)

    def loss_of_second(mel):
        hidden = compute_hidden(config, params, {**batch, "mel_basf": mel})
        of_second = np.take_along_axis(batch["group_bt"], batch["predict_bm"], axis=1) == 2
        return jnp.sum(jnp.where((of_second & (batch["weight_bm"] > 0))[..., None], hidden, 0) ** 2)

    reach = np.abs(np.asarray(jax.jit(jax.grad(loss_of_second))(batch["mel_basf"]))).max(
        axis=(2, 3)
    )[0]
    assert (reach > 0).tolist() == [False, False, True, True]


def test_a_clip_takes_one_position_however_long_it_is():
    assert [XATT.count_frames(n) for n in (1, 60, 200)] == [1, 1, 1] and XATT.slots_per_clip == 1
    assert [CONFIGS["salm"].count_frames(n) for n in (1, 16, 17, 60, 200)] == [1, 1, 2, 4, 13]
    rng = np.random.default_rng(0)
    (group,) = make_groups(XATT, [make_example(rng, [make_question(rng, "two_clips")])])
    batch = make_batch(XATT, [[group]])
    assert batch["slot_bt"][0][batch["slot_bt"][0] >= 0].tolist() == [0, 1]


def test_no_position_hears_a_later_clip_or_token():
    """By gradient, from clips and embeddings to hidden states, with a clip between two texts."""
    rng = np.random.default_rng(2)
    tokens, _, clips = make_question(rng, "clip_between")
    # every position predicts, so that all hidden states are seen
    example = make_example(rng, [(tokens, [False] + [True] * (len(tokens) - 1), clips)])
    batch = make_batch(XATT, [make_groups(XATT, [example])], tokens=len(tokens))
    batch["predict_bm"][0, : len(tokens)] = np.arange(len(tokens))
    params = make_params(XATT)

    def run(mel):
        return compute_hidden(XATT, params, {**batch, "mel_basf": mel})[0, : len(tokens)].sum(
            axis=-1
        )

    reach = np.abs(np.asarray(jax.jit(jax.jacobian(run))(batch["mel_basf"]))).max(axis=(3, 4))[:, 0]
    places = [int(np.flatnonzero(batch["slot_bt"][0] == clip)[0]) for clip in (0, 1)]
    assert places[1] < places[0]
    for clip, place in enumerate(places):
        assert (reach[:place, clip] == 0).all() and (reach[place:, clip] > 0).all()
    hidden = np.asarray(measure_hidden(XATT, params, batch))[0]
    changed = {**batch, "token_bt": batch["token_bt"].copy()}
    changed["token_bt"][0, 6] += 1
    moved = np.abs(np.asarray(measure_hidden(XATT, params, changed))[0] - hidden).max(axis=-1)[
        : len(tokens)
    ]
    assert (moved[:6] == 0).all() and (moved[6:] > 0).all()


def test_hearing_follows_what_is_seen():
    mask = np.tril(np.ones((1, 4, 4), bool))
    mask[0, 3, 1] = False
    hears = np.asarray(find_hearing(mask, np.array([[-1, 1, 0, -1]]), np.array([[0, 1]])))[0]
    assert hears.tolist() == [[False, False], [False, True], [True, True], [True, False]]
    frames = np.asarray(find_heard_frames(hears[None], np.array([[2, 1]]), 3))[0]
    assert frames[2].tolist() == [True, True, False, True, False, False] and not frames[0].any()


def test_speech_is_silent_until_it_is_learnt():
    """Fresh cross-attention adds nothing, and text alone hears nothing of it later either."""
    batch = make_mixed_batch(XATT)
    fresh = jax.jit(init_params, static_argnums=0)(XATT, jax.random.key(0))
    louder = {**batch, "mel_basf": 3 * batch["mel_basf"]}
    np.testing.assert_array_equal(
        measure_logits(XATT, fresh, batch), measure_logits(XATT, fresh, louder)
    )
    mute = {**batch, "slot_bt": np.full_like(batch["slot_bt"], -1)}
    params = make_params(XATT)
    loud = {**mute, "mel_basf": louder["mel_basf"]}
    np.testing.assert_array_equal(
        measure_logits(XATT, params, mute), measure_logits(XATT, params, loud)
    )


@each_model
def test_every_parameter_but_fixed_statistics_trains(name):
    config = CONFIGS[name]
    _, grads = make_gradient(config)(make_params(config), make_mixed_batch(config, rows=1))
    still = {
        path for path, x in flatten_dict(grads, sep="/").items() if not np.abs(np.asarray(x)).max()
    }
    assert still == {f"encoder/blocks/inner_norm/{x}" for x in ("mean", "variance")}


def test_rematerialisation_changes_no_number():
    batch, params = make_mixed_batch(XATT, seed=3, rows=1), make_params(XATT)
    loss, grads = make_gradient(XATT)(params, batch)
    again, others = make_gradient(dataclasses.replace(XATT, remat="full"))(params, batch)
    assert float(again) == pytest.approx(float(loss), rel=1e-6)
    for x, y in zip(jax.tree.leaves(others), jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-4 * max(float(np.abs(y).max()), 1e-2))


@pytest.mark.parametrize("changes", [{}, {"projector": "pooled", "projector_frames": 3}])
def test_a_clip_sounds_alike_in_every_window(changes):
    config = make_config(**{**SALM, **changes})
    mel = np.zeros((1, 1, config.encoder.mel_frames, config.encoder.mel_bins), np.float32)
    mel[0, 0, :61] = np.random.default_rng(5).normal(size=(61, config.encoder.mel_bins))
    params, frames = make_params(config), np.array([[61]])
    full, short = (np.asarray(hear(config, params, x, frames)) for x in (mel, mel[:, :, :80]))
    heard = config.count_frames(61)
    np.testing.assert_allclose(short[:, :heard], full[:, :heard], atol=1e-5)


def test_distances_are_of_query_and_key():
    t = 5
    scores = (
        np.arange(2 * t - 1, dtype=np.float32)[None] + 100 * np.arange(t, dtype=np.float32)[:, None]
    )
    shifted = np.asarray(shift_distances(jnp.asarray(scores)))
    for i in range(t):
        for j in range(t):
            # column r is the distance t − 1 − r of a query from its key
            assert shifted[i, j] == 100 * i + (t - 1 - (i - j))
    assert shift_distances(jnp.ones((1, 1, 1, 1))).shape == (1, 1, 1, 1)
    sines = np.asarray(make_distances(t, 4))
    np.testing.assert_allclose(sines[t - 1], [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(sines[0, :2], [np.sin(4), np.cos(4)], atol=1e-6)


def test_costs_count_what_is_multiplied():
    """FastConformer-large: 17 layers of 6.3 million entries a frame, and a tenth as much before
    them."""
    config = make_config(
        encoder="fastconformer-large", projector="conformer", projector_frames=None
    )
    costs = count_costs(config, ("projector/.*",))
    blocks = 17 * (4 * 512 * 2048 + 5 * 512 * 512 + 3 * 512 * 512 + 9 * 512)
    entry = 2560 * 512 + 160 * 9 * 256 + 40 * (9 + 256) * 256 + 10 * (9 + 256) * 256
    assert costs.frame == 2 * (blocks + entry)
    batch = make_mixed_batch(XATT)
    own = count_costs(XATT, ("cross/.*",))
    frames = np.where(batch["frames_ba"] > 0, XATT.count_positions(batch["frames_ba"]), 0).sum()
    assert own.position > 0 and dataclasses.replace(own, frame=0.0, token=0.0, target=0.0).count(
        batch
    ) == (own.position * frames)


def test_placed_frames_say_where_they_are():
    """Sinusoids of the place in its clip, in each of two clips alike."""
    rng = np.random.default_rng(2)
    mel = rng.normal(size=(1, 2, 96, XATT.encoder.mel_bins)).astype(np.float32)
    frames, params = np.array([[96, 96]]), make_params(XATT)
    without, placed = (
        np.asarray(encode_speech(CONFIGS[name], params, mel, frames))[0]
        for name in ("salm_xatt", "salm_xatt_placed")
    )
    places = np.asarray(make_sinusoids(len(placed) // 2, placed.shape[-1]))
    np.testing.assert_allclose(placed - without, np.concatenate([places, places]), atol=1e-5)
