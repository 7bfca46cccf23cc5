"""What a run says of itself: the arithmetic that a model needs, padding, what is left, and
compilations."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_examples import make_mixed_batch
from tiny_model import make_config
from tiny_run import make_run

from sift_jax.models.speech_lm import describe_params
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.sharding import flatten_paths
from sift_jax.training.compile_counter import Compilations
from sift_jax.training.flops import StepCosts, count_costs
from sift_jax.training.metrics import Meter
from sift_jax.training.optimizer import make_schedule

LORA_ONLY = ("projector/.*", ".*/lora_.*")


def count(config, *endings, part="decoder/blocks"):
    leaves = flatten_paths(describe_params(config)).items()
    return sum(x.size for path, x in leaves if path.startswith(part) and path.endswith(endings))


def test_a_frozen_base_costs_four_and_a_trained_one_six():
    config = make_config(lora_rank=2)
    base, lora = count(config, "kernel"), count(config, "lora_a", "lora_b")
    frozen, trained = count_costs(config, LORA_ONLY), count_costs(config, (".*",))
    assert frozen.token == 4 * base + 6 * lora and trained.token == 6 * (base + lora)
    head = config.decoder.vocab_size * config.decoder.width
    assert frozen.target == 4 * head and trained.target == 6 * head
    # nothing passes back through an encoder that does not train
    assert trained.frame > 2.5 * frozen.frame
    encoder = count(config, "kernel", part="encoder/blocks") + count(
        config, "conv2/kernel", part="encoder"
    )
    assert frozen.frame == 2 * encoder + 2 * 2 * count(config, "conv1/kernel", part="encoder")


def test_seven_billion_at_four_a_token():
    config = make_config(
        encoder="whisper-medium",
        decoder="qwen2.5-7b",
        projector="linear",
        projector_frames=None,
        lora_rank=16,
    )
    costs = count_costs(config, LORA_ONLY)
    assert costs.token == pytest.approx(4 * 6.525e9, rel=0.01)
    assert costs.target == 4 * 152_064 * 3584
    # Whisper-medium: 1.14 TFLOP a window, of which attention's scores, left out here, are a part
    assert costs.frame * 1500 == pytest.approx(0.92e12, rel=0.02) and costs.is_window_heard


COUNTS = {"count_frames": make_config().encoder.count_frames, "count_positions": None}


def test_only_what_is_real_is_counted():
    batch = make_mixed_batch(make_config())
    frames = batch["frames_ba"]
    costs = StepCosts(
        frame=1.0, position=0.0, token=0.0, target=0.0, is_window_heard=False, **COUNTS
    )
    assert costs.count(batch) == ((frames + 1) // 2).sum()
    window = dataclasses.replace(costs, is_window_heard=True)
    assert window.count(batch) == (frames > 0).sum() * batch["mel_basf"].shape[2] // 2
    tokens = StepCosts(
        frame=0.0, position=0.0, token=1.0, target=0.0, is_window_heard=False, **COUNTS
    )
    assert tokens.count(batch) == (batch["group_bt"] > 0).sum()
    positions = dataclasses.replace(tokens, token=0.0, position=1.0)
    assert positions.count(batch) == (batch["slot_bt"] >= 0).sum()
    assert (
        dataclasses.replace(tokens, token=0.0, target=1.0).count(batch) == batch["weight_bm"].sum()
    )


def test_a_report(monkeypatch):
    from sift_jax.training import metrics

    now = iter(np.arange(0.0, 1000.0))
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: float(next(now)))
    batch = make_mixed_batch(make_config())
    costs = StepCosts(
        frame=0.0, position=0.0, token=1e12, target=0.0, is_window_heard=False, **COUNTS
    )
    meter = Meter(
        costs, HardwareConfig(name="test", memory_gb=None, teraflops=50.0), devices=2, share=1.0
    )
    for loss in (1.0, np.nan, 3.0):
        meter.add(batch, loss, 0.1)
    values = meter.report(steps_left=30)
    tokens = (batch["group_bt"] > 0).sum()
    seconds = 3 * tokens / values["tokens_per_second"]
    assert values["loss"] == 2.0
    assert values["eta_seconds"] == pytest.approx(10 * seconds)
    assert values["data_wait_share"] == pytest.approx(0.3 / seconds)
    assert values["token_padding"] == pytest.approx(1 - tokens / batch["group_bt"].size)
    assert values["token_efficiency"] == pytest.approx(1 - values["token_padding"])
    assert 0 < values["audio_padding"] < 1
    assert values["model_teraflops"] == pytest.approx(values["tokens_per_second"])
    assert values["mfu"] == pytest.approx(values["model_teraflops"] / 100)


def test_a_second_compilation_for_a_shape_is_seen():
    @jax.jit
    def step(x):
        return x * 2

    compilations = Compilations()
    first, second = jnp.ones(3), jnp.ones(4)
    other = jnp.ones(3, jnp.int32)
    for shape, x in (("a", first), ("b", second), ("a", first), ("b", second)):
        with compilations.over(shape):
            step(x)
    assert (compilations.made, compilations.repeated) == (2, 0)
    with compilations.over("a"):
        step(other)
    assert (compilations.made, compilations.repeated) == (3, 1)


def test_a_run_compiles_its_shapes_once(trained_run):
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    reports = [line for line in lines if "loss" in line]
    assert all(line["recompilations"] == 0 and line["skipped"] == 0 for line in reports)
    assert 1 <= reports[-1]["compilations"] <= 2
    assert reports[-1]["eta_seconds"] == 0.0 and 0 < reports[0]["mfu"] < 1


def test_the_rate_that_is_reported_is_the_one_that_was_applied(corpus, tmp_path, trained_run):
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    schedule = make_schedule(make_run(corpus, tmp_path)["optimizer"], 6, 1e-2)
    # the first update is number 0
    expected = [float(schedule(step - 1)) for step in (2, 4, 6)]
    assert [line["learning_rate"] for line in lines if "loss" in line] == pytest.approx(
        expected, rel=1e-5
    )
