"""Peak memory of a training step by XLA's own analysis, with and without what keeps it small.

    python -m benchmarks.step_memory                                         stage 2 of the 7B model on 8 devices
    python -m benchmarks.step_memory --gin_file=configs/small/stage2.gin
    --gin_file=configs/hardware/any.gin --devices=1

    as it is               logits of 1,024 targets at a time, gradients for what trains
    whole logits           all targets of a row at once
    logits everywhere      of every position, targets or not, as most trainers have them
    masked gradients       float32 and gradients for all, those of the frozen thrown away by the optimizer

Compiled for virtual CPU devices; no array is made. The last line is JSON, in 10⁹ bytes a device.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

import jax
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

CONFIGS = ["configs/stage2.gin", "configs/hardware/h200_8.gin"]


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compiles variants of a step and prints their memory."
    )
    parser.add_argument("--gin_file", action="append", help=f"else {' and '.join(CONFIGS)}")
    parser.add_argument("--devices", type=int, default=8, help="virtual devices")
    return parser.parse_args()


def mask_frozen(
    optimizer: optax.GradientTransformation, trained: set[str]
) -> optax.GradientTransformation:
    """The optimizer that sees gradients of all parameters, and moves the trained ones."""

    def choose(params) -> dict:
        return unflatten_dict(
            {path: path in trained for path in flatten_dict(params, sep="/")}, sep="/"
        )

    def choose_frozen(params) -> dict:
        return jax.tree.map(lambda is_trained: not is_trained, choose(params))

    return optax.chain(
        optax.masked(optax.set_to_zero(), choose_frozen), optax.masked(optimizer, choose)
    )


def measure(gin_files: list[str]) -> dict[str, float]:
    """Variant → gigabytes on a device."""
    from sift_jax.cli import build_arguments
    from sift_jax.data.batch_stream import make_shapes
    from sift_jax.models.presets import make_model_config
    from sift_jax.parallel.mesh import make_mesh
    from sift_jax.training import loop, losses, step
    from sift_jax.training.dry_run import measure_memory
    from sift_jax.training.gradient_guard import guard_updates
    from sift_jax.training.job import describe_state, make_geometry
    from sift_jax.training.optimizer import make_optimizer

    arguments = build_arguments(loop.train, gin_files, [])
    run, config, mesh = (
        arguments["run"],
        make_model_config(arguments["model"]),
        make_mesh(arguments["mesh"]),
    )
    shape = make_shapes(arguments["data"], make_geometry(config))[-1]
    update = make_optimizer(arguments["optimizer"], run.steps)
    state, _ = describe_state(config, run, update, mesh)
    masked = guard_updates(
        mask_frozen(update, set(flatten_dict(state["trainable"], sep="/"))), None
    )
    everything = dataclasses.replace(run, trainable=(".*",))
    everywhere = dataclasses.replace(shape, targets=shape.tokens)
    variants = {
        "as it is": (run, update, shape, losses.LOSS_TARGETS),
        "whole logits": (run, update, shape, shape.rows * shape.targets),
        "logits everywhere": (run, update, everywhere, shape.rows * shape.tokens),
        "masked gradients": (everything, masked, shape, losses.LOSS_TARGETS),
    }
    found = {}
    for name, (run, update, shape, chunk) in variants.items():
        losses.LOSS_TARGETS = chunk
        state, _ = describe_state(config, run, update, mesh)
        train_step = step.make_train_step(
            config, update, state, mesh, microbatches=run.microbatches
        )
        found[name] = measure_memory(train_step, state, shape, mesh).total / 1e9
        print(f"  {name:20} {found[name]:8.2f} GB", flush=True)
    return found


def main() -> None:
    flags = parse_flags()
    from sift_jax.parallel.hardware import use_virtual_devices

    use_virtual_devices(flags.devices)
    print(json.dumps(measure(flags.gin_file or CONFIGS)))


if __name__ == "__main__":
    main()
