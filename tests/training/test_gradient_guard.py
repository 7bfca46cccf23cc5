"""Updates that would do harm are left out, counted and written down; a run of nothing but them
ends."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_examples import make_mixed_batch
from tiny_model import make_config
from tiny_run import make_run

from sift_jax.training import gradient_guard
from sift_jax.training.gradient_guard import SkipWatch, guard_updates
from sift_jax.training.loop import train

PARAMS = {"w": jnp.ones(4)}


def run_updates(optimizer, gradients, values=None):
    """(parameters after each update, last state)."""
    params, state, seen = PARAMS, optimizer.init(PARAMS), []
    update = jax.jit(optimizer.update)
    for i, gradient in enumerate(gradients):
        value = 1.0 if values is None else values[i]
        updates, state = update(
            {"w": jnp.full(4, gradient)}, state, params, value=jnp.asarray(value)
        )
        params = optax.apply_updates(params, updates)
        seen.append(np.asarray(params["w"]))
    return seen, state


@pytest.mark.parametrize(
    "gradient, value", [(np.nan, 1.0), (np.inf, 1.0), (0.1, np.nan), (0.1, np.inf)]
)
def test_what_is_not_finite_changes_nothing(gradient, value):
    seen, state = run_updates(
        guard_updates(optax.adam(0.1), None), [0.1, gradient, 0.1], [1.0, value, 1.0]
    )
    without, expected = run_updates(optax.with_extra_args_support(optax.adam(0.1)), [0.1, 0.1])
    np.testing.assert_array_equal(seen[1], seen[0])
    np.testing.assert_array_equal(seen[2], without[1])
    jax.tree.map(np.testing.assert_array_equal, state.inner, expected)
    assert (int(state.skipped), int(state.skipped_in_a_row), int(state.accepted)) == (1, 0, 2)


def test_a_spike_is_left_out_once_norms_are_known(monkeypatch):
    monkeypatch.setattr(gradient_guard, "ACQUAINTANCE", 3)
    gradients = [9.0, 0.1, 0.1, 0.1, 9.0, 0.2, 9.0, 9.0]
    seen, state = run_updates(guard_updates(optax.sgd(0.1), 4.0), gradients)
    still = [bool((after == before).all()) for before, after in zip(seen, seen[1:], strict=False)]
    # the first 9.0 made the mean large: by 0.98 a step it forgets slowly
    assert still == [False, False, False, False, False, False, False]
    seen, state = run_updates(
        guard_updates(optax.sgd(0.1), 4.0), [0.1, 0.1, 0.1, 9.0, 0.2, 9.0, 9.0]
    )
    still = [bool((after == before).all()) for before, after in zip(seen, seen[1:], strict=False)]
    assert still == [False, False, True, False, True, True]
    assert (int(state.skipped), int(state.skipped_in_a_row)) == (3, 2)
    _, state = run_updates(guard_updates(optax.sgd(0.1), None), [0.1, 0.1, 0.1, 9.0])
    assert int(state.skipped) == 0


@pytest.mark.parametrize("size, every", [(30.0, 25), (100.0, 25), (100.0, 200)])
def test_a_rare_task_of_large_gradients_gets_in(size, every, monkeypatch):
    """One by one they are no row of skips; whatever their size, they must not be left out for
    ever."""
    monkeypatch.setattr(gradient_guard, "ACQUAINTANCE", 10)
    params = {"w": jnp.ones(())}
    optimizer = guard_updates(optax.sgd(0.0), 10.0)

    def step(state, number):
        is_rare = number % every == every - 1
        _, new = optimizer.update(
            {"w": jnp.where(is_rare, size, 1.0)}, state, params, value=jnp.asarray(1.0)
        )
        return new, (is_rare, new.skipped > state.skipped)

    last, (is_rare, is_left) = jax.lax.scan(step, optimizer.init(params), jnp.arange(60 * every))
    is_rare, is_left = np.asarray(is_rare), np.asarray(is_left)
    # a spike is still a spike when it comes first, and nothing else is ever left out
    assert is_left[is_rare][0] and not is_left[~is_rare].any()
    assert 3 < is_left.sum() < 50 and not is_left[is_rare][-10:].any()
    # the mean has moved, but not to where one batch of them is
    assert 1.0 < float(last.mean_norm) < 10.0


def test_what_is_no_number_moves_no_mean():
    _, state = run_updates(guard_updates(optax.sgd(0.1), 10.0), [0.1, np.nan, np.inf])
    assert float(state.mean_norm) == pytest.approx(0.2) and int(state.skipped) == 2


def test_a_large_share_of_skips_ends_the_run(tmp_path, capsys):
    """Every tenth step, as a task in the mixture may come: never two in a row."""
    batch = make_mixed_batch(make_config())

    def see(watch, steps):
        for step in steps:
            items = [["sift.closed_ended.en#4", f"my.poems#{step}"], []]
            metrics = {"skipped_in_a_row": int(step % 10 == 0), "loss": 2.0, "grad_norm": 70.0}
            watch.see(step, batch, metrics, lambda items=items: {"items": items})
        watch.settle()

    def make(first_step, share=0.04):
        return SkipWatch(
            tmp_path, most_in_a_row=3, most_share=share, first_step=first_step, is_writer=True
        )

    message = (
        r"9 of the last 200 updates were skipped \(more than RunConfig.most_skipped_share = "
        r"0.04\), the last at steps "
        r"50, 60, 70, 80, 90; of their batches there is .*my.poems in 9.*skipped.jsonl: look at "
        r"them, lower PEAK_LR"
    )
    with pytest.raises(FloatingPointError, match=message):
        see(make(0), range(1, 300))
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "step 10: the update is left out (loss 2, gradient norm 70), 1 of the last 200 steps; "
    )
    assert len(said) == 9
    # one that goes on at step 85 does not begin to count again, and says the steps after it once
    with pytest.raises(FloatingPointError, match="9 of the last 200 updates were skipped"):
        see(make(85), range(86, 300))
    lines = (tmp_path / "skipped" / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(10, 100, 10))
    # a share that is allowed ends nothing, however long it lasts
    see(make(0, share=0.1), range(1, 900))


def test_skipped_batches_are_written_down(tmp_path):
    batch = make_mixed_batch(make_config())
    watch = SkipWatch(tmp_path, most_in_a_row=3, most_share=1.0, first_step=0, is_writer=True)
    for step, in_a_row in ((1, 0), (2, 1), (3, 0), (4, 1), (5, 2)):
        metrics = {"skipped_in_a_row": in_a_row, "loss": np.nan, "grad_norm": 2.0}
        watch.see(step, batch, metrics, lambda step=step: {"batch": step})
    watch.settle()
    lines = [
        json.loads(line)
        for line in (tmp_path / "skipped" / "skipped.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert lines[0] == {"step": 2, "loss": "nan", "grad_norm": "2.0", "batch": 2}
    with np.load(tmp_path / "skipped" / "step4.npz", allow_pickle=False) as kept:
        np.testing.assert_array_equal(kept["token_bt"], batch["token_bt"])
    watch.see(6, batch, {"skipped_in_a_row": 3, "loss": np.nan, "grad_norm": np.nan}, dict)
    with pytest.raises(
        FloatingPointError,
        match=r"3 updates in a row were skipped up to step 6 \(loss nan, gradient",
    ):
        watch.settle()


def test_a_run_that_only_skips_ends(corpus, tmp_path, monkeypatch):
    """An infinite learning rate ruins the parameters at the first step; every later gradient is no
    number."""
    import dataclasses

    arguments = make_run(
        corpus,
        tmp_path / "run",
        steps=12,
        log_every=1,
        dev_batches=0,
        data={"clip_seconds": (2.0,)},
    )
    optimizer = dataclasses.replace(arguments["optimizer"], warmup_steps=1)
    # no config may say so
    object.__setattr__(optimizer, "peak_learning_rate", 1e38)
    with pytest.raises(FloatingPointError, match="3 updates in a row were skipped up to step"):
        train(**{**arguments, "optimizer": optimizer})
    lines = (tmp_path / "run" / "skipped" / "skipped.jsonl").read_text().splitlines()
    assert len(lines) == 3
    for line in map(json.loads, lines):
        assert all(item.startswith("sift.") for row in line["items"] for item in row) and any(
            line["items"]
        )
        assert line["hash"] in (tmp_path / "run" / "batches.jsonl").read_text()
