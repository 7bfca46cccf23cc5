"""One step: what trains, what the loss is, and what one update does to the last digit we
promise."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict
from tiny_examples import make_mixed_batch
from tiny_model import make_config, make_gradient, make_params, measure_logits, measure_loss

from sift_jax.checkpoints.train_state import init_state, join_params, make_state, split_params
from sift_jax.compiled.hlo_text import parse_program
from sift_jax.compiled.products import count_products
from sift_jax.models.decoder import compute_logits
from sift_jax.parallel.mesh import MeshConfig, make_mesh, shard_rows
from sift_jax.training.losses import choose_chunk, sum_cross_entropy
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer, make_schedule
from sift_jax.training.other_audio import swap_audio
from sift_jax.training.step import compute_gradients, make_dev_step, make_train_step, split_rows

OPTIMIZER = OptimizerConfig(
    peak_learning_rate=1e-2,
    muon_learning_rate=None,
    warmup_steps=2,
    final_fraction=0.1,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.98,
    clip_norm=1.0,
    spike_factor=None,
)
LORA_ONLY = ("projector/.*", ".*/lora_.*")


def make_lora_config():
    return make_config(lora_rank=4, lora_targets=("q", "v"))


@functools.cache
def make_step(config, trainable):
    """(function that makes the first state, the jitted step, the mesh)."""
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    update = make_optimizer(OPTIMIZER, 100)
    make_first = jax.jit(lambda: init_state(config, trainable, update, 0))
    return make_first, make_train_step(config, update, make_first(), mesh, microbatches=1), mesh


def run_steps(config, trainable, batch, steps):
    """(first state, last state, metrics of each step)."""
    make_first, step, mesh = make_step(config, trainable)
    state, metrics = make_first(), []
    first = jax.tree.map(np.asarray, state)
    for _ in range(steps):
        state, found = step(state, jax.device_put(batch, shard_rows(mesh)))
        metrics.append({key: float(value) for key, value in found.items()})
    return first, jax.tree.map(np.asarray, state), metrics


@functools.cache
def learn_by_heart():
    return run_steps(make_config(), (".*",), make_mixed_batch(make_config()), 60)[2]


@pytest.mark.parametrize(
    ("step", "loss", "grad_norm", "tolerance"),
    [(1, 5.936833, 1.881167, 1e-4), (3, 5.708392, 1.555597, 1e-3), (10, 3.630400, 1.230832, 1e-2)],
)
def test_the_first_steps_are_what_they_were(step, loss, grad_norm, tolerance):
    """One batch, one seed: a change of the model, its initialisation, the loss or the optimizer
    moves these figures, and whoever means it to writes the new ones."""
    found = learn_by_heart()[step - 1]
    assert found["loss"] == pytest.approx(loss, rel=tolerance)
    # sums of rounding grow with the steps, and differ between processors
    assert found["grad_norm"] == pytest.approx(grad_norm, rel=10 * tolerance)


def test_only_what_is_trainable_moves():
    config = make_lora_config()
    first, last, metrics = run_steps(config, LORA_ONLY, make_mixed_batch(config), 3)
    assert int(last["step"]) == 3
    before, after = (flatten_dict(state["trainable"], sep="/") for state in (first, last))
    names = {"q", "v"}
    assert {
        p.split("/")[2] for p in after if p.startswith("decoder")
    } == names and "projector/linear/bias" in after
    for path, x in after.items():
        assert np.abs(x - before[path]).max() > 0, path
    jax.tree.map(np.testing.assert_array_equal, first["frozen"], last["frozen"])
    # moments exist for the trainable parameters alone
    (moments,) = [
        x
        for x in jax.tree.leaves(last["optimizer"], is_leaf=lambda x: hasattr(x, "mu"))
        if hasattr(x, "mu")
    ]
    assert set(flatten_dict(moments.mu, sep="/")) == set(after)
    assert metrics[0]["targets"] == make_mixed_batch(config)["weight_bm"].sum()


def test_parameters_come_apart_and_together():
    params = make_params(make_lora_config())
    chosen, rest = split_params(params, LORA_ONLY)
    flat = flatten_dict(params, sep="/")
    assert set(flatten_dict(chosen, sep="/")) | set(flatten_dict(rest, sep="/")) == set(flat)
    assert not set(flatten_dict(chosen, sep="/")) & set(flatten_dict(rest, sep="/"))
    joined = flatten_dict(join_params(chosen, rest), sep="/")
    assert all(joined[path] is flat[path] for path in flat)
    with pytest.raises(
        ValueError,
        match=r"trainable pattern 'projector/lora_.\*' matches no parameter; see the table",
    ):
        split_params(params, (".*", "projector/lora_.*"))


def test_the_loss_is_the_plain_cross_entropy():
    config = make_config()
    params, batch = make_params(config), make_mixed_batch(config)
    total, weight = measure_loss(config, params, batch)
    logits = measure_logits(config, params, batch)
    each = optax.softmax_cross_entropy_with_integer_labels(logits, batch["target_bm"])
    assert float(total) == pytest.approx(float((each * batch["weight_bm"]).sum()), rel=1e-5)
    assert float(weight) == (batch["weight_bm"] > 0).sum() > 0


@pytest.mark.parametrize("chunk", [1, 7, 24, 64, 1000])
def test_chunks_change_nothing(chunk):
    rng = np.random.default_rng(0)
    decoder = {"embedding": rng.normal(size=(50, 8)).astype(np.float32)}
    hidden = rng.normal(size=(3, 24, 8)).astype(np.float32)
    target, weight = rng.integers(0, 50, (3, 24)), rng.integers(0, 2, (3, 24)).astype(np.float32)

    def measure(hidden, chunk):
        return sum_cross_entropy(decoder, hidden, target, weight, chunk=chunk)

    loss, grad = jax.value_and_grad(measure)(hidden, chunk)
    each = optax.softmax_cross_entropy_with_integer_labels(
        compute_logits(decoder, jnp.asarray(hidden)), target
    )
    assert float(loss) == pytest.approx(float((each * weight).sum()), rel=1e-5)
    assert (np.abs(np.asarray(grad)).max(axis=-1) > 0).tolist() == (weight > 0).tolist()


@pytest.mark.parametrize("is_tied", [True, False])
def test_chunks_are_the_plain_cross_entropy_with_its_gradients(is_tied):
    """To 1e-6, for the hidden states and for the head."""
    rng = np.random.default_rng(1)
    shape = (50, 8) if is_tied else (8, 50)
    decoder = {"embedding" if is_tied else "head": jnp.asarray(rng.normal(size=shape), jnp.float32)}
    hidden = jnp.asarray(rng.normal(size=(3, 40, 8)), jnp.float32)
    target, weight = rng.integers(0, 50, (3, 40)), rng.uniform(0, 1, (3, 40)).astype(np.float32)

    def measure_plain(decoder, hidden):
        logits = compute_logits(decoder, hidden)
        return jnp.sum(weight * optax.softmax_cross_entropy_with_integer_labels(logits, target))

    def measure_chunks(decoder, hidden):
        return sum_cross_entropy(decoder, hidden, target, weight, chunk=16)

    found, expected = (
        jax.value_and_grad(f, argnums=(0, 1))(decoder, hidden)
        for f in (measure_chunks, measure_plain)
    )
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6 * float(jnp.abs(y).max()))


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_frozen_head_has_two_products_and_the_same_gradient(is_tied):
    """Logits, and the gradient of the hidden states beside them; with a head that trains the logits
    are made again, and its own gradient comes to it."""
    rng = np.random.default_rng(2)
    shape = (50, 8) if is_tied else (8, 50)
    decoder = {"embedding" if is_tied else "head": jnp.asarray(rng.normal(size=shape), jnp.float32)}
    hidden = jnp.asarray(rng.normal(size=(3, 40, 8)), jnp.float32)
    target, weight = rng.integers(0, 50, (3, 40)), rng.uniform(0, 1, (3, 40)).astype(np.float32)

    def measure(hidden, decoder):
        return 3.0 * sum_cross_entropy(decoder, hidden, target, weight, chunk=10)

    frozen, both = (jax.jit(jax.value_and_grad(measure, argnums)) for argnums in (0, (0, 1)))
    (_, found), (_, (expected, _)) = frozen(hidden, decoder), both(hidden, decoder)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * float(jnp.abs(expected).max()))
    product = 2 * 3 * 40 * 8 * 50
    for step, times in ((frozen, 2), (both, 4)):
        program = parse_program(step.lower(hidden, decoder).compile().as_text())
        assert sum(count_products(program).values()) == times * product


@pytest.mark.parametrize(
    "rows, targets, chunk", [(1, 768, 768), (8, 768, 128), (4, 300, 150), (2048, 64, 1)]
)
def test_a_piece_has_the_targets_that_pay_for_reading_the_head(rows, targets, chunk):
    assert choose_chunk(rows, targets) == chunk


def test_logits_of_a_whole_row_are_never_held():
    """By XLA's own analysis: one chunk's logits and their gradient, not the row's."""
    rows, targets, width, vocabulary, chunk = 2, 512, 16, 8192, 64
    decoder = {"head": jax.ShapeDtypeStruct((width, vocabulary), jnp.float32)}
    hidden = jax.ShapeDtypeStruct((rows, targets, width), jnp.float32)
    ids, weight = (
        jax.ShapeDtypeStruct((rows, targets), dtype) for dtype in (jnp.int32, jnp.float32)
    )

    def measure_peak(chunk):
        def total(hidden, decoder, ids, weight):
            return sum_cross_entropy(decoder, hidden, ids, weight, chunk=chunk)

        compiled = jax.jit(jax.value_and_grad(total)).lower(hidden, decoder, ids, weight).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    one_chunk, whole_row = rows * chunk * vocabulary * 4, rows * targets * vocabulary * 4
    assert measure_peak(targets) > whole_row
    assert measure_peak(chunk) < 4 * one_chunk < whole_row


def compute(config, batch, microbatches):
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    chosen, rest = split_params(make_params(config), LORA_ONLY)
    gradients = jax.jit(
        functools.partial(compute_gradients, config, microbatches=microbatches, mesh=mesh)
    )
    return gradients({"trainable": chosen, "frozen": rest}, batch)


def test_microbatches_are_one_large_batch():
    """Rows of very unequal numbers of targets, one of none at all: one division by the weight of
    all."""
    config = make_lora_config()
    batch = make_mixed_batch(config, rows=4)
    batch["weight_bm"][0, 1:] = 0.0
    batch["weight_bm"][2] = 0.0
    whole = compute(config, batch, 1)
    for microbatches in (2, 4):
        found = compute(config, batch, microbatches)
        assert float(found[1]) == float(whole[1]) == batch["weight_bm"].sum()
        for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=2e-6 * max(float(jnp.abs(y).max()), 1e-3))
    # what the mean of the microbatches' means would be is something else
    pieces = split_rows(batch, 4)
    means = [
        measure_loss(config, make_params(config), {k: x[i] for k, x in pieces.items()})
        for i in range(4)
    ]
    means = [total / max(weight, 1.0) for total, weight in means]
    assert float(sum(means) / 4) != pytest.approx(float(whole[0]), rel=1e-2)


def test_sums_add_up_over_unequal_shards():
    """A row with few targets and one with many: the parts' sums are the whole's, their means are
    not."""
    config = make_config()
    params, batch = make_params(config), make_mixed_batch(config, rows=2)
    batch["weight_bm"][0, 2:] = 0.0
    parts = [
        measure_loss(config, params, {key: x[i : i + 1] for key, x in batch.items()})
        for i in range(2)
    ]
    total, weight = measure_loss(config, params, batch)
    assert float(total) == pytest.approx(sum(float(loss) for loss, _ in parts), rel=1e-5)
    assert float(weight) == sum(float(n) for _, n in parts)
    means = [float(loss / n) for loss, n in parts]
    assert float(total / weight) != pytest.approx(sum(means) / 2, rel=1e-3)


def test_a_batch_without_targets_moves_nothing_to_nan():
    config = make_config()
    batch = make_mixed_batch(config)
    batch["weight_bm"][:] = 0.0
    _, last, metrics = run_steps(config, (".*",), batch, 1)
    assert metrics[0]["loss"] == 0.0 and all(
        np.isfinite(x).all() for x in jax.tree.leaves(last["trainable"])
    )


def test_a_tiny_batch_is_learnt_by_heart():
    losses = [metrics["loss"] for metrics in learn_by_heart()]
    assert losses[0] > 5.0 and losses[-1] < 0.5


def test_the_first_steps_give_the_golden_figures():
    """A change of these is a change of the model, the packing or the initialisation: say why in the
    change."""
    metrics = learn_by_heart()
    assert metrics[0]["targets"] == 50
    assert metrics[0]["loss"] == pytest.approx(5.936833, rel=1e-4)
    assert metrics[0]["grad_norm"] == pytest.approx(1.881167, rel=1e-3)
    assert metrics[2]["loss"] == pytest.approx(5.708392, rel=1e-3)


def test_decay_touches_kernels_alone():
    config = make_lora_config()
    state = make_state(make_params(config), (".*",), make_optimizer(OPTIMIZER, 100))
    update = make_optimizer(dataclasses.replace(OPTIMIZER, warmup_steps=0), 100)
    still = jax.tree.map(np.zeros_like, state["trainable"])
    updates, _ = jax.jit(update.update)(still, update.init(state["trainable"]), state["trainable"])
    for path, x in flatten_dict(updates, sep="/").items():
        has_decay = path.split("/")[-1] in ("kernel", "lora_a", "lora_b")
        assert bool(np.abs(x).max() > 0) == has_decay, path


def test_muon_steps_matrices_and_leaves_the_rest_to_adam():
    """Every direction of a matrix takes a step of the same size; both optimizers have a rate of
    their own."""
    config = make_lora_config()
    params, rng = make_params(config), np.random.default_rng(0)
    grads = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), params)

    def step(**changes):
        rates = {"warmup_steps": 0, "weight_decay": 0.0, "muon_learning_rate": 1e-2, **changes}
        update = make_optimizer(dataclasses.replace(OPTIMIZER, **rates), 100)
        updates, _ = jax.jit(update.update)(grads, update.init(params), params)
        return flatten_dict(jax.tree.map(np.asarray, updates), sep="/")

    found, faster = step(), step(muon_learning_rate=2e-2)
    for path, x in found.items():
        is_matrix = path.endswith("/kernel")
        np.testing.assert_allclose(
            faster[path], (2 if is_matrix else 1) * x, rtol=1e-4, atol=1e-8, err_msg=path
        )
        if is_matrix:
            matrices = x if "blocks" in path else x.reshape(1, -1, x.shape[-1])
            sizes = np.linalg.svd(matrices, compute_uv=False)
            assert (sizes > 0.3 * sizes.max()).mean() > 0.8, path
            assert np.sqrt(np.mean(x**2)) == pytest.approx(0.2 * 1e-2, rel=0.4), path


def test_large_gradients_are_clipped():
    """Scaled a thousandfold, the first update is the same: Adam and the clip both see to it."""
    config = make_config()
    params, batch = make_params(config), make_mixed_batch(config)
    _, grads = make_gradient(config)(params, batch)
    update = make_optimizer(dataclasses.replace(OPTIMIZER, clip_norm=1e-3, warmup_steps=0), 100)
    small, _ = update.update(grads, update.init(params), params)
    large, _ = update.update(jax.tree.map(lambda g: 1000 * g, grads), update.init(params), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), small, large)


def test_the_schedule_warms_up_and_decays():
    config = dataclasses.replace(OPTIMIZER, warmup_steps=10, final_fraction=0.2)
    schedule = make_schedule(config, 100, config.peak_learning_rate)
    values = [float(schedule(step)) for step in (0, 5, 10, 55, 100, 200)]
    assert values == pytest.approx([0.0, 0.005, 0.01, 0.006, 0.002, 0.002], rel=1e-4, abs=1e-9)
    constant = make_schedule(
        dataclasses.replace(config, final_fraction=1.0), 100, config.peak_learning_rate
    )
    assert [float(constant(step)) for step in (10, 60, 100)] == pytest.approx([0.01] * 3)
    with pytest.raises(
        ValueError,
        match="warm-up of 10 steps does not fit in a run of 10; lower WARMUP_STEPS or raise STEPS",
    ):
        make_schedule(config, 10, config.peak_learning_rate)


def test_audio_gain_compares_with_others_audio():
    config = make_config()
    batch = make_mixed_batch(config, rows=2)
    swapped = swap_audio(batch, config.slots_per_clip)
    np.testing.assert_array_equal(swapped["token_bt"], batch["token_bt"])
    np.testing.assert_array_equal(swapped["weight_bm"], batch["weight_bm"])
    state = {"trainable": make_params(config), "frozen": {}}
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.devices()[:1])
    found = make_dev_step(config, mesh)(state, batch)
    assert float(found["loss"]) == pytest.approx(
        float(measure_loss(config, make_params(config), batch)[0]), rel=1e-5
    )
    assert (
        float(found["paired_loss"]) == float(found["loss"])
        and found["paired_weight"] == found["weight"]
    )
    expected = float(measure_loss(config, make_params(config), swapped)[0])
    assert (
        float(found["swapped_loss"])
        == pytest.approx(expected, rel=1e-5)
        != pytest.approx(float(found["loss"]))
    )
