"""The loss of DPO: what the paper's formula says, whatever shares a row with what; nothing where the
policy is the reference, which never moves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_examples import make_example, make_groups, make_shape
from tiny_model import make_config, make_params

from sift_jax.audio.front_ends import FRONT_ENDS
from sift_jax.checkpoints.train_state import join_params, split_params
from sift_jax.data.row_layout import Row, lay_out, split_answers, weigh_pairs
from sift_jax.models.decoder import compute_logits
from sift_jax.models.lora_off import drop_lora, switch_off_lora
from sift_jax.models.speech_lm import compute_hidden
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.preference import (
    DpoConfig,
    check_preference,
    check_reference,
    make_preference_objective,
    sum_preference_loss,
)
from sift_jax.training.step import compute_gradients

CONFIG = make_config(lora_rank=4, lora_targets=("q", "v"))
BARE = switch_off_lora(CONFIG)
LORA = (".*/lora_.*",)
DPO = DpoConfig(beta=0.3, is_length_normalized=False)
PAIRS = [([11, 12, 3], [13, 3]), ([14, 3], [15, 16, 17, 18, 3]), ([19, 20, 3], [21, 3])]
measure = jax.jit(sum_preference_loss, static_argnums=(0, 3))


def make_pair(seed, answers, audio_id=5):
    """A group as the stream makes it: a prompt with a clip, and two answers behind its last token."""
    rng = np.random.default_rng(seed)
    prompt = [1, audio_id, *rng.integers(10, 300, 4), 2]
    chosen, rejected = answers
    tokens = [*prompt, *chosen, prompt[-1], *rejected]
    learnt = [False] * len(prompt) + [True] * len(chosen) + [False] + [True] * len(rejected)
    (group,) = make_groups(CONFIG, [make_example(rng, [(tokens, learnt, [0])], clips=1)])
    return split_answers(group)


def make_pair_batch(rows):
    shape = make_shape(CONFIG, rows=len(rows))
    filled = []
    for groups in rows:
        row = Row(shape)
        for group in groups:
            assert row.can_hold(group)
            row.add(group)
        filled.append(row)
    batch, clips = lay_out(filled, shape, CONFIG.slots_per_clip)
    for b, a, samples in clips:
        heard = samples.astype(np.float32) / 32768.0
        batch["frames_ba"][b, a] = FRONT_ENDS[CONFIG.encoder.front_end].fill(
            heard, batch["mel_basf"][b, a]
        )
    weigh_pairs(batch, filled)
    return batch


GROUPS = [make_pair(seed, answers) for seed, answers in enumerate(PAIRS)]


def silence_lora(params):
    return jax.tree_util.tree_map_with_path(
        lambda path, x: np.zeros_like(x) if path[-1].key == "lora_b" else x, params
    )


def list_answer_sums(config, params, group):
    """Σ log p of both answers of a group alone in a row, by softmax in numpy, and their tokens."""
    batch = make_pair_batch([[group]])
    logits = compute_logits(params["decoder"], compute_hidden(config, params, batch))
    logits = np.asarray(logits, np.float64)[0]
    log_p = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    log_p -= logits.max(-1, keepdims=True)
    first, second = (int(question.is_target.sum()) for question in group.questions)
    each = log_p[np.arange(first + second), batch["target_bm"][0, : first + second]]
    return each[:first].sum(), each[first:].sum(), first, second


def compute_by_hand(params, groups, dpo):
    """(loss, margin, right) of each pair by the formula of the paper."""
    bare = {**params, "decoder": drop_lora(params["decoder"])}
    found = []
    for group in groups:
        chosen, rejected, first, second = list_answer_sums(CONFIG, params, group)
        chosen_ref, rejected_ref, _, _ = list_answer_sums(BARE, bare, group)
        ratios = np.array([chosen - chosen_ref, rejected - rejected_ref])
        if dpo.is_length_normalized:
            ratios /= (first, second)
        margin = dpo.beta * (ratios[0] - ratios[1])
        found.append((np.log1p(np.exp(-margin)), margin, float(margin > 0)))
    return np.array(found)


def test_a_pair_is_a_prompt_with_two_answers_that_counts_once():
    group, batch = GROUPS[1], make_pair_batch([GROUPS[1:]])
    assert [question.tokens[1:].tolist() for question in group.questions] == list(PAIRS[1])
    assert {question.tokens[0] for question in group.questions} == {2}
    first = len(PAIRS[1][0]) + len(PAIRS[1][1])
    assert np.flatnonzero(batch["weight_bm"][0]).tolist() == [0, first]
    places = batch["predict_bm"][0, : len(PAIRS[1][0])]
    assert set(batch["segment_bt"][0, places]) == {1}


@pytest.mark.parametrize("is_length_normalized", [False, True])
def test_the_loss_is_that_of_the_formula(is_length_normalized):
    dpo = dataclasses.replace(DPO, is_length_normalized=is_length_normalized)
    params = make_params(CONFIG)
    total, terms = measure(CONFIG, params, make_pair_batch([GROUPS[:2], GROUPS[2:]]), dpo)
    expected = compute_by_hand(params, GROUPS, dpo)
    assert float(total) == pytest.approx(expected[:, 0].sum(), rel=1e-4)
    for name, column in (("margin", 1), ("pair_accuracy", 2)):
        assert float(terms[name][0]) == pytest.approx(expected[:, column].sum(), rel=1e-3, abs=1e-5)
        assert float(terms[name][1]) == 3
    rewards = float(terms["chosen_reward"][0]) - float(terms["rejected_reward"][0])
    assert rewards == pytest.approx(float(terms["margin"][0]), rel=1e-4)
    # the pairs do differ, or nothing was compared
    assert np.abs(expected[:, 1]).min() > 1e-3


def test_where_the_policy_is_the_reference_the_loss_is_log_two():
    params = silence_lora(make_params(CONFIG))
    total, terms = measure(CONFIG, params, make_pair_batch([GROUPS[:2], GROUPS[2:]]), DPO)
    assert float(total) == pytest.approx(3 * np.log(2), rel=1e-6)
    assert float(terms["margin"][0]) == pytest.approx(0, abs=1e-6)
    assert float(terms["pair_accuracy"][0]) == pytest.approx(1.5)


def test_packing_and_order_change_nothing():
    params = make_params(CONFIG)
    expected = sum(
        float(measure(CONFIG, params, make_pair_batch([[group]]), DPO)[0]) for group in GROUPS
    )
    a, b, c = GROUPS
    for rows in ([[a, b, c]], [[c, a], [b]], [[b], [], [a, c]]):
        total, terms = measure(CONFIG, params, make_pair_batch(rows), DPO)
        assert float(total) == pytest.approx(expected, rel=1e-5)
        assert float(terms["margin"][1]) == 3


def test_microbatches_are_one_batch():
    batch, params = make_pair_batch([GROUPS[:2], GROUPS[2:]]), make_params(CONFIG)
    chosen, rest = split_params(params, LORA)
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])

    def compute(microbatches):
        return jax.jit(
            lambda state, batch: compute_gradients(
                CONFIG,
                state,
                batch,
                microbatches=microbatches,
                mesh=mesh,
                objective=make_preference_objective(CONFIG, DPO),
            )
        )({"trainable": chosen, "frozen": rest}, batch)

    one, two = compute(1), compute(2)
    assert float(one[0]) == pytest.approx(
        compute_by_hand(params, GROUPS, DPO)[:, 0].mean(), rel=1e-4
    )
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-6)


def test_the_reference_does_not_move_and_the_pairs_are_learnt():
    """Learnt by heart: every pair comes out right, and what LoRA off says is what it said."""
    batch = make_pair_batch([GROUPS[:2], GROUPS[2:]])
    chosen, rest = split_params(silence_lora(make_params(CONFIG)), LORA)
    update = optax.adam(1e-2)

    def read_reference(chosen):
        params = join_params(chosen, rest)
        bare = {**params, "decoder": drop_lora(params["decoder"])}
        return np.asarray(compute_hidden(BARE, bare, batch))

    @jax.jit
    def learn(chosen, moments):
        def mean(chosen):
            total, terms = sum_preference_loss(CONFIG, join_params(chosen, rest), batch, DPO)
            return total / batch["weight_bm"].sum(), terms

        (loss, terms), grads = jax.value_and_grad(mean, has_aux=True)(chosen)
        changes, moments = update.update(grads, moments)
        return optax.apply_updates(chosen, changes), moments, loss, terms

    before, moments, found = read_reference(chosen), update.init(chosen), []
    for _ in range(30):
        chosen, moments, loss, terms = learn(chosen, moments)
        found.append((float(loss), float(terms["pair_accuracy"][0]) / 3))
    assert found[0] == (pytest.approx(np.log(2), rel=1e-5), pytest.approx(0.5))
    assert found[-1][0] < 0.5 * np.log(2) and found[-1][1] == 1.0
    np.testing.assert_array_equal(before, read_reference(chosen))


def test_what_would_move_the_reference_is_refused():
    params = make_params(CONFIG)
    check_preference(split_params(params, LORA)[0])
    with pytest.raises(ValueError, match="trains projector/linear"):
        check_preference(split_params(params, (*LORA, "projector/.*"))[0])


def test_adapters_that_speak_at_the_start_are_refused():
    chosen, _ = split_params(jax.tree.map(jnp.asarray, make_params(CONFIG)), LORA)
    with pytest.raises(ValueError, match="starts from trained adapters"):
        check_reference(chosen)
    check_reference(silence_lora(chosen))
