"""The model as a function: causal, silent adapters, masked frames, the same under any
rematerialisation."""

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
)
from tiny_model import hear, make_config, make_gradient, make_params, measure_logits, measure_loss

from sift_jax.exporting.merge_lora import merge_lora
from sift_jax.models.attention import AttentionMask, make_mask
from sift_jax.models.layers import attend
from sift_jax.models.scanned_stack import REMAT_POLICIES
from sift_jax.models.speech_lm import (
    init_params,
    make_decoder,
)
from sift_jax.training.losses import sum_loss


def test_no_position_sees_a_later_one():
    """By gradient: d hidden[i] / d x[j] is zero exactly where j > i, and not for j ≤ i."""
    config = make_config()
    params, t = make_params(config), 7
    x = jax.random.normal(jax.random.key(1), (1, t, config.decoder.width))
    position = jnp.arange(t)[None]
    mask = AttentionMask.of(make_mask(jnp.ones((1, t), jnp.int32), jnp.zeros((1, t), jnp.int32)))

    def run(x):
        return make_decoder(config).apply({"params": params["decoder"]}, x, position, mask)[0]

    reach = np.abs(np.asarray(jax.jit(jax.jacobian(run))(x))[:, :, 0]).max(axis=(1, 3))
    assert (reach[np.triu_indices(t, 1)] == 0).all()
    assert (reach[np.tril_indices(t)] > 0).all()


def test_questions_see_the_prefix_and_themselves():
    mask = np.asarray(make_mask(jnp.array([[1, 1, 1, 1, 2, 0]]), jnp.array([[0, 1, 1, 2, 0, 0]])))[
        0
    ]
    expected = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(mask, np.array(expected, bool))


def test_rotary_positions_are_relative():
    config = make_config()
    params, t = make_params(config), 5
    x = jax.random.normal(jax.random.key(2), (1, t, config.decoder.width))
    mask = AttentionMask.of(make_mask(jnp.ones((1, t), jnp.int32), jnp.zeros((1, t), jnp.int32)))

    apply = jax.jit(make_decoder(config).apply)

    def run(position):
        return np.asarray(apply({"params": params["decoder"]}, x, position, mask)[0])

    np.testing.assert_allclose(run(jnp.arange(t)[None] + 50), run(jnp.arange(t)[None]), atol=2e-4)
    assert np.abs(run(2 * jnp.arange(t)[None]) - run(jnp.arange(t)[None])).max() > 1e-2


def test_grouped_queries_share_the_keys_of_their_group():
    keys = jax.random.split(jax.random.key(0), 3)
    q, k, v = (jax.random.normal(key, (2, 6, n, 8)) for key, n in zip(keys, (4, 2, 2), strict=True))
    mask = jnp.tril(jnp.ones((2, 6, 6), bool))
    spread = [jnp.repeat(x, 2, axis=2) for x in (k, v)]
    expected = jax.nn.dot_product_attention(q, *spread, mask=mask[:, None]).reshape(2, 6, 32)
    np.testing.assert_allclose(attend(q, k, v, mask), expected, atol=1e-5)


def test_lora_is_silent_at_the_start_and_merges_into_the_kernels():
    config = make_config(lora_rank=4, lora_targets=("q", "k", "v", "o", "gate", "up", "down"))
    batch = make_mixed_batch(config)
    fresh = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    plain = dataclasses.replace(config, lora=make_config().lora)
    bare = jax.tree.map(jnp.asarray, fresh)
    for block in bare["decoder"]["blocks"].values():
        block.pop("lora_a", None), block.pop("lora_b", None)
    assert float(measure_loss(config, fresh, batch)[0]) == float(
        measure_loss(plain, bare, batch)[0]
    )

    params = make_params(config)
    logits = np.asarray(measure_logits(config, params, batch))
    merged_config, merged = merge_lora(config, params)
    assert not any("lora" in path for path in flatten_dict(merged, sep="/"))
    np.testing.assert_allclose(measure_logits(merged_config, merged, batch), logits, atol=1e-4)
    stripped = {path: x for path, x in flatten_dict(params, sep="/").items() if "lora" not in path}
    assert stripped["decoder/blocks/q/kernel"] is params["decoder"]["blocks"]["q"]["kernel"]
    unmerged = jax.tree.map(np.asarray, merged)
    unmerged["decoder"]["blocks"]["gate"]["kernel"] = params["decoder"]["blocks"]["gate"]["kernel"]
    assert np.abs(np.asarray(measure_logits(merged_config, unmerged, batch)) - logits).max() > 1e-3


def test_nothing_behind_a_clips_end_is_heard():
    config = make_config()
    params = make_params(config)
    rng = np.random.default_rng(4)
    frames, mel_frames = np.array([[101, 37]]), config.encoder.mel_frames
    mel = rng.normal(size=(1, 2, mel_frames, config.encoder.mel_bins)).astype(np.float32)
    dirty = np.where(np.arange(mel_frames)[:, None] >= frames[..., None, None], 9.0, mel).astype(
        np.float32
    )
    clean_out, dirty_out = (np.asarray(hear(config, params, x, frames)) for x in (mel, dirty))
    slots = config.slots_per_clip
    for clip, n in enumerate(frames[0]):
        heard = slice(clip * slots, clip * slots + config.count_frames(int(n)))
        np.testing.assert_array_equal(dirty_out[0, heard], clean_out[0, heard])
    # Whisper's own geometry hears what follows, as it was trained to
    unmasked = dataclasses.replace(
        config, encoder=dataclasses.replace(config.encoder, frame_mask="none")
    )
    heard = [np.asarray(hear(unmasked, params, x, frames)) for x in (mel, dirty)]
    assert np.abs(heard[0][0, 0] - heard[1][0, 0]).max() > 1e-3


def test_a_wider_window_changes_only_what_padding_leaks_into():
    """Batches of short clips use a short window: the same clip gives the same frames there."""
    config = make_config()
    params = make_params(config)
    rng = np.random.default_rng(5)
    wide = np.zeros((1, 1, config.encoder.mel_frames, config.encoder.mel_bins), np.float32)
    wide[0, 0, :61] = rng.normal(size=(61, config.encoder.mel_bins))
    frames = np.array([[61]])
    full = np.asarray(hear(config, params, wide, frames))
    short = np.asarray(hear(config, params, wide[:, :, :80], frames))
    heard = config.count_frames(61)
    np.testing.assert_allclose(short[:, :heard], full[:, :heard], atol=1e-5)


def test_rematerialisation_changes_no_number():
    batch = make_mixed_batch(make_config(), seed=3)
    found = {}
    for remat in REMAT_POLICIES:
        config = make_config(remat=remat)
        loss, grads = make_gradient(config)(make_params(make_config()), batch)
        found[remat] = (float(loss), np.concatenate([np.ravel(g) for g in jax.tree.leaves(grads)]))
    for remat in set(REMAT_POLICIES) - {"none"}:
        assert found[remat][0] == pytest.approx(found["none"][0], rel=1e-6)
        np.testing.assert_allclose(
            found[remat][1], found["none"][1], atol=1e-4 * np.abs(found["none"][1]).max()
        )
    with pytest.raises(
        ValueError,
        match="ModelConfig.remat is 'some'; choose one of none, full, dots, narrow, offload",
    ):
        measure_loss(make_config(remat="some"), make_params(make_config()), batch)


def test_audio_reaches_the_answer():
    config = make_config()
    rng = np.random.default_rng(6)
    groups = make_groups(
        config, [make_example(rng, [make_question(rng, name)]) for name in LAYOUTS]
    )
    batch = make_batch(config, [[group] for group in groups])
    params = make_params(config)
    listen = jax.jit(jax.grad(lambda mel: sum_loss(config, params, {**batch, "mel_basf": mel})[0]))
    grads = listen(batch["mel_basf"])
    reach = np.abs(np.asarray(grads)).max(axis=(2, 3))
    # text_first and audio_first name their first clip alone
    assert (reach[:, 0] > 0).all()
    np.testing.assert_array_equal(
        reach[:, 1] > 0, [name in ("two_clips", "clip_between") for name in LAYOUTS]
    )


def test_bfloat16_stays_close_to_float32():
    batch = make_mixed_batch(make_config())
    params = make_params(make_config())
    exact, rounded = (
        float(measure_loss(make_config(dtype=d), params, batch)[0]) for d in ("float32", "bfloat16")
    )
    assert rounded == pytest.approx(exact, rel=0.03) and rounded != exact
