"""The loss of GRPO: its ratio and its distance begin where they must, and a packed group is its
answers one by one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_examples import make_example, make_groups, make_question, make_shape
from tiny_model import make_config, make_params

from sift_jax.checkpoints.train_state import join_params, split_params
from sift_jax.models.lora_off import drop_lora, switch_off_lora
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.rewarding.advantages import Advantages
from sift_jax.rewarding.config import GrpoConfig
from sift_jax.rewarding.policy_loss import (
    check_policy,
    list_log_probs,
    make_scorer,
    sum_policy_loss,
)
from sift_jax.rewarding.prompts import Asked
from sift_jax.rewarding.rollouts import Answer, lay_out_rollouts

CONFIG = make_config(lora_rank=4, lora_targets=("q", "v"))
LORA = (".*/lora_.*",)
GRPO = GrpoConfig(rollouts=3, max_new_tokens=5, temperature=0.8, updates=1, clip=0.2, kl_weight=0.1)
ANSWERS = ([11, 12, 3], [13, 3], [14, 15, 16, 17, 18])
measure = jax.jit(sum_policy_loss, static_argnums=(0, 3))
score = jax.jit(list_log_probs, static_argnums=(0, 3))


def make_asked(seed):
    rng = np.random.default_rng(seed)
    example = make_example(rng, [make_question(rng, "audio_first")], clips=1)
    (group,) = make_groups(CONFIG, [example])
    piece = dataclasses.replace(group.prefix)
    own = group.questions[0]
    first = int(np.argmax(own.is_target))
    fields = ("tokens", "clip", "frame", "is_target")
    whole = {
        name: np.concatenate([getattr(piece, name), getattr(own, name)[:first]]) for name in fields
    }
    return Asked(
        item="a#1",
        task="a",
        language="en",
        piece=dataclasses.replace(piece, **whole),
        clips=group.clips,
        text="?",
        reference="!",
    )


def make_batch(asked, answers, values=None):
    """A row for each prompt; advantages as given, or 1, −1, ½."""
    values = np.array([[1.0, -1.0, 0.5][: len(found)] for found in answers], np.float32)
    advantages = Advantages(values=values, is_used=np.ones(values.shape, bool), flat=0, lone=0)
    made = [
        [Answer(ids=np.array(ids, np.int32), is_whole=ids[-1] == 3) for ids in found]
        for found in answers
    ]
    shape = dataclasses.replace(make_shape(CONFIG, rows=len(asked)), is_rewarded=True)
    return lay_out_rollouts(asked, made, advantages, shape, CONFIG)


def add_scores(batch, params):
    bare = {**params, "decoder": drop_lora(params["decoder"])}
    old = score(CONFIG, params, batch, GRPO.temperature)
    reference = score(switch_off_lora(CONFIG), bare, batch, GRPO.temperature)
    return {**batch, "old_bm": old, "reference_bm": reference}


def silence_lora(params):
    return jax.tree_util.tree_map_with_path(
        lambda path, x: np.zeros_like(x) if path[-1].key == "lora_b" else x, params
    )


def test_the_batch_holds_each_answer_behind_the_prompt_s_last_token():
    asked = make_asked(0)
    batch = make_batch([asked], [ANSWERS])
    n = sum(map(len, ANSWERS))
    assert batch["target_bm"][0, :n].tolist() == [t for ids in ANSWERS for t in ids]
    assert batch["weight_bm"].sum() == n
    places = batch["predict_bm"][0, :n]
    assert (batch["token_bt"][0, places + 1] == batch["target_bm"][0, :n]).all()
    # each answer's first token is predicted where the prompt ends, by position and by token
    firsts = np.cumsum([0, *map(len, ANSWERS[:-1])])
    assert set(batch["position_bt"][0, places[firsts]]) == {len(asked.piece) - 1}
    assert set(batch["token_bt"][0, places[firsts]]) == {asked.piece.tokens[-1]}
    assert batch["advantage_bm"][0, :n].tolist() == [1.0] * 3 + [-1.0] * 2 + [0.5] * 5


def test_a_group_in_one_row_is_its_answers_in_rows_of_their_own():
    asked, params = make_asked(1), make_params(CONFIG)
    packed = make_batch([asked], [ANSWERS])
    n = sum(map(len, ANSWERS))
    together = np.asarray(score(CONFIG, params, packed, 0.8))[0, :n]
    alone = [
        np.asarray(score(CONFIG, params, make_batch([asked], [[ids]]), 0.8))[0, : len(ids)]
        for ids in ANSWERS
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=2e-5, atol=2e-5)


def test_at_the_rollout_the_ratio_is_one_and_nothing_is_clipped():
    params = make_params(CONFIG)
    batch = add_scores(make_batch([make_asked(0), make_asked(1)], [ANSWERS, ANSWERS]), params)
    total, terms = measure(CONFIG, params, batch, GRPO)
    expected = -float((batch["weight_bm"] * batch["advantage_bm"]).sum())
    assert float(terms["policy"][0]) == pytest.approx(expected, rel=1e-4)
    assert float(terms["clipped"][0]) == 0.0
    policy, distance = (float(terms[name][0]) for name in ("policy", "kl"))
    assert float(total) == pytest.approx(policy + GRPO.kl_weight * distance, rel=1e-5)
    assert distance > 0


def test_the_distance_is_zero_where_no_adapter_speaks():
    params = silence_lora(make_params(CONFIG))
    batch = add_scores(make_batch([make_asked(0)], [ANSWERS]), params)
    _, terms = measure(CONFIG, params, batch, GRPO)
    assert abs(float(terms["kl"][0])) < 1e-9


def test_the_gradient_is_that_of_the_policy_gradient_at_the_rollout():
    params = make_params(CONFIG)
    batch = add_scores(make_batch([make_asked(0)], [ANSWERS]), params)
    grpo = dataclasses.replace(GRPO, kl_weight=0.0)
    chosen, rest = split_params(params, LORA)

    def plain(chosen):
        log_p = list_log_probs(CONFIG, join_params(chosen, rest), batch, grpo.temperature)
        return -jnp.sum(batch["weight_bm"] * batch["advantage_bm"] * log_p)

    def clipped(chosen):
        return sum_policy_loss(CONFIG, join_params(chosen, rest), batch, grpo)[0]

    found, expected = jax.jit(jax.grad(clipped))(chosen), jax.jit(jax.grad(plain))(chosen)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


def test_a_ratio_beyond_the_clip_is_not_paid_further():
    params = make_params(CONFIG)
    batch = add_scores(make_batch([make_asked(0)], [ANSWERS]), params)
    # as if every token had become e times as likely
    batch["old_bm"] = batch["old_bm"] - 1.0
    grpo = dataclasses.replace(GRPO, kl_weight=0.0)
    _, terms = measure(CONFIG, params, batch, grpo)
    weight, advantage = batch["weight_bm"], batch["advantage_bm"]
    expected = -(weight * np.where(advantage > 0, 1.2 * advantage, np.e * advantage)).sum()
    assert float(terms["policy"][0]) == pytest.approx(float(expected), rel=1e-4)
    assert float(terms["clipped"][0]) == (weight * (advantage > 0)).sum()


def test_a_rollout_that_is_not_used_counts_for_nothing():
    params, asked = make_params(CONFIG), make_asked(0)
    batch = add_scores(make_batch([asked], [ANSWERS]), params)
    batch["weight_bm"][0, 3:5] = 0.0
    batch["old_bm"] = np.asarray(batch["old_bm"]).copy()
    batch["old_bm"][0, 3:5] = np.nan
    total, terms = measure(CONFIG, params, batch, GRPO)
    assert np.isfinite(float(total)) and float(terms["policy"][1]) == 8


def test_a_scorer_gives_both():
    params = make_params(CONFIG)
    chosen, rest = split_params(params, LORA)
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    batch = make_batch([make_asked(0)], [ANSWERS])
    old, reference = make_scorer(CONFIG, GRPO, mesh)({"trainable": chosen, "frozen": rest}, batch)
    expected = add_scores(batch, params)
    np.testing.assert_allclose(old, expected["old_bm"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(reference, expected["reference_bm"], rtol=1e-5, atol=1e-5)


def test_what_would_move_the_reference_is_refused():
    params = make_params(CONFIG)
    check_policy(split_params(params, LORA)[0])
    with pytest.raises(ValueError, match="trains projector/linear"):
        check_policy(split_params(params, (*LORA, "projector/.*"))[0])
