"""The decoder as its own teacher: nothing to learn where both read the same, and nothing that moves
it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_examples import (
    LAYOUTS,
    make_batch,
    make_example,
    make_groups,
    make_question,
    make_shape,
)
from tiny_model import make_config, make_params, measure_loss

from sift_jax.checkpoints.train_state import join_params, split_params
from sift_jax.data.row_layout import Row, lay_out_teachers
from sift_jax.models.decoder import compute_logits
from sift_jax.models.speech_lm import compute_hidden
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.training.step import compute_gradients
from sift_jax.training.teacher import (
    TeacherConfig,
    check_teacher,
    compute_teacher_hidden,
    make_taught_objective,
    sum_taught_loss,
)

CONFIG = make_config(lora_rank=4, lora_targets=("q", "v"))
TRAINABLE = ("projector/.*", ".*/lora_.*")
KL = TeacherConfig(positions=256, kl_share=1.0)
measure = jax.jit(sum_taught_loss, static_argnums=(0, 3))


def silence_lora(params):
    """The same parameters, adapters as they are at the start."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: np.zeros_like(x) if path[-1].key == "lora_b" else x, params
    )


def make_text(rng, answers):
    """Questions without audio that have these answers."""
    body = list(rng.integers(10, 300, 5))
    questions = []
    for answer in answers:
        tokens = [1, *body, *rng.integers(10, 300, 3), 2, *answer, 2]
        is_target = [False] * (len(tokens) - len(answer) - 1) + [True] * len(answer) + [False]
        questions.append((tokens, is_target, []))
    example = make_example(rng, questions, clips=0)
    return make_groups(CONFIG, [example])[0]


def make_spoken(seed, layouts=LAYOUTS[:2]):
    """A group with audio, its teacher beside it."""
    rng = np.random.default_rng(seed)
    questions = [make_question(rng, layout) for layout in layouts]
    group = make_groups(CONFIG, [make_example(rng, questions, clips=1)])[0]
    answers = [
        [t for t, learn in zip(tokens, is_target, strict=True) if learn]
        for tokens, is_target, _ in questions
    ]
    return dataclasses.replace(group, teacher=make_text(rng, answers))


def make_taught_batch(rows, teacher_tokens=256):
    batch = make_batch(CONFIG, rows)
    shape = dataclasses.replace(make_shape(CONFIG, rows=len(rows)), teacher_tokens=teacher_tokens)
    batch |= {
        key: np.zeros(dims, dtype)
        for key, (dims, dtype) in shape.spec().items()
        if key not in batch
    }
    filled = []
    for groups in rows:
        row = Row(shape)
        for group in groups:
            row.add(group)
        filled.append(row)
    lay_out_teachers(batch, filled, shape)
    return batch


def make_text_batch():
    """Rows whose prefix is text for student and teacher alike."""
    rng = np.random.default_rng(0)
    groups = [make_text(rng, [[11, 12, 3], [13, 3]]) for _ in range(3)]
    groups = [dataclasses.replace(group, teacher=group) for group in groups]
    return make_taught_batch([groups[:2], groups[2:]])


def test_the_distance_is_zero_where_the_prefix_is_the_text():
    batch, params = make_text_batch(), silence_lora(make_params(CONFIG))
    total, terms = measure(CONFIG, params, batch, KL)
    assert float(terms["kl"][1]) == float(batch["weight_bm"].sum()) == 15
    assert abs(float(total)) < 1e-5 and float(terms["cross_entropy"][0]) == 0.0
    # and is none any more where an adapter speaks
    assert float(measure(CONFIG, make_params(CONFIG), batch, KL)[0]) > 1e-3


def test_the_distance_is_that_of_whole_distributions():
    batch, params = make_taught_batch([[make_spoken(1)], [make_spoken(2)]]), make_params(CONFIG)
    log_p = jax.nn.log_softmax(
        compute_logits(params["decoder"], compute_hidden(CONFIG, params, batch))
    )
    log_q = jax.nn.log_softmax(
        compute_logits(params["decoder"], compute_teacher_hidden(CONFIG, params, batch))
    )
    each = jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1)
    total, terms = measure(CONFIG, params, batch, KL)
    expected = float(jnp.sum(each * batch["weight_bm"]))
    assert float(total) == pytest.approx(expected, rel=1e-4) and expected > 0
    assert float(terms["kl"][0]) == pytest.approx(expected, rel=1e-4)


def test_without_a_share_it_is_the_cross_entropy():
    batch, params = make_taught_batch([[make_spoken(1)]]), make_params(CONFIG)
    total, terms = measure(CONFIG, params, batch, dataclasses.replace(KL, kl_share=0.0))
    assert float(total) == pytest.approx(float(measure_loss(CONFIG, params, batch)[0]), rel=1e-5)
    # measured all the same
    assert float(terms["kl"][0]) > 0


def test_the_teacher_does_not_move():
    """Its gradient is zero: by the parameters that it alone reads, and by its hidden states."""
    batch, params = make_taught_batch([[make_spoken(1)]]), make_params(CONFIG)

    def measure_teacher(params):
        return jnp.sum(jnp.abs(compute_teacher_hidden(CONFIG, params, batch)))

    for path, grad in jax.tree_util.tree_leaves_with_path(jax.grad(measure_teacher)(params)):
        assert not np.asarray(grad).any(), jax.tree_util.keystr(path)
    before = compute_teacher_hidden(CONFIG, params, batch)
    chosen, rest = split_params(params, TRAINABLE)
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    _, _, grads, _ = compute_gradients(
        CONFIG,
        {"trainable": chosen, "frozen": rest},
        batch,
        microbatches=1,
        mesh=mesh,
        objective=make_taught_objective(CONFIG, KL),
    )
    assert all(np.asarray(x).any() for x in jax.tree.leaves(grads))
    moved = jax.tree.map(lambda x, g: x - 0.5 * g, chosen, grads)
    after = compute_teacher_hidden(CONFIG, join_params(moved, rest), batch)
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_the_distance_is_learnt():
    """A batch by heart: the student comes nearer to what the teacher says of the text."""
    batch = make_taught_batch([[make_spoken(1)], [make_spoken(2)]])
    chosen, rest = split_params(make_params(CONFIG), TRAINABLE)
    update = optax.adam(1e-2)

    @jax.jit
    def learn(chosen, moments):
        def mean(chosen):
            total, _ = sum_taught_loss(CONFIG, join_params(chosen, rest), batch, KL)
            return total / batch["weight_bm"].sum()

        loss, grads = jax.value_and_grad(mean)(chosen)
        changes, moments = update.update(grads, moments)
        return optax.apply_updates(chosen, changes), moments, loss

    moments, losses = update.init(chosen), []
    for _ in range(40):
        chosen, moments, loss = learn(chosen, moments)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


def test_what_would_move_the_teacher_is_refused():
    params = make_params(CONFIG)
    check_teacher(split_params(params, TRAINABLE)[0])
    with pytest.raises(ValueError, match="trains decoder/embedding, which the teacher"):
        check_teacher(split_params(params, (".*lora_.*", "decoder/embedding"))[0])


def test_packing_changes_nothing():
    """Two groups of one row, one of them untaught, are what they are in rows of their own."""
    taught, plain, other = make_spoken(1), make_spoken(2), make_spoken(3)
    plain = dataclasses.replace(plain, teacher=None)
    params = make_params(CONFIG)
    share = dataclasses.replace(KL, kl_share=0.7)
    packed, terms = measure(CONFIG, params, make_taught_batch([[plain, taught, other]]), share)
    alone = [
        measure(CONFIG, params, make_taught_batch([[group]]), share)
        for group in (taught, plain, other)
    ]
    assert float(packed) == pytest.approx(sum(float(total) for total, _ in alone), rel=1e-5)
    for name in ("kl", "cross_entropy"):
        for place in (0, 1):
            expected = sum(float(found[name][place]) for _, found in alone)
            assert float(terms[name][place]) == pytest.approx(expected, rel=1e-5)


def test_what_finds_no_room_learns_from_the_tokens():
    groups = [make_spoken(1), make_spoken(2)]
    room = groups[0].teacher.tokens
    batch = make_taught_batch([groups], teacher_tokens=room)
    assert batch["taught_bm"].sum() == groups[0].targets
    assert (batch["taught_bm"][0, : groups[0].targets] == 1).all()
    total, terms = measure(CONFIG, make_params(CONFIG), batch, KL)
    assert float(terms["cross_entropy"][1]) == groups[1].targets and np.isfinite(float(total))


def test_microbatches_are_one_batch():
    batch = make_taught_batch([[make_spoken(1)], [make_spoken(2)]])
    chosen, rest = split_params(make_params(CONFIG), TRAINABLE)
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])

    def compute(microbatches):
        options = {"microbatches": microbatches, "mesh": mesh}
        gradients = functools.partial(
            compute_gradients, CONFIG, objective=make_taught_objective(CONFIG, KL), **options
        )
        return jax.jit(gradients)({"trainable": chosen, "frozen": rest}, batch)

    for x, y in zip(jax.tree.leaves(compute(1)), jax.tree.leaves(compute(2)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-6)
