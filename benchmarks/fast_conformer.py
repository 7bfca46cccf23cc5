"""FastConformer's step: forward and backward through all parameters against transformers'
ParakeetEncoder, in one run.

    python -m benchmarks.fast_conformer [--clips=4] [--seconds=10] [--rounds=3]
    [--sides=ours,eager,compiled]

The same weights (random), the same clips, from 60 to 100 % of `seconds` long, padded and masked
alike, float32 on the same cores. Dropout is off and the batch norms keep their statistics on both
sides, so that the losses must agree. Sides take turns, a side's time is that of its best round; CPU
time (of all threads) stands beside the wall's, for machines that have other work: on such ones give
--cores=1, since threads that wait for each other count, too. The last line is JSON; `ratio` is
against the faster side of PyTorch.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable

from benchmarks.sides import measure, take_cores


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Times FastConformer's forward and backward pass against PyTorch."
    )
    parser.add_argument("--encoder", default="fastconformer-large", help="a preset's name")
    parser.add_argument("--clips", type=int, default=4, help="recordings that are measured")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the longest clip")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--sides", default="ours,eager,compiled", help="which of them")
    parser.add_argument("--cores", type=int, default=2, help="cores of each side")
    return parser.parse_args()


def make_clips(config, clips: int, seconds: float):
    """(mel, frames of each clip, what the loss multiplies the frames that come out with)."""
    import numpy as np

    rng = np.random.default_rng(0)
    longest = round(100 * seconds)
    frames = np.linspace(0.6, 1.0, clips) * longest
    frames = frames.round().astype(np.int32)
    mel = rng.normal(size=(clips, longest, config.mel_bins)).astype(np.float32)
    mel[np.arange(longest)[None] >= frames[:, None]] = 0.0
    weight = rng.normal(size=(clips, config.count_frames(longest), config.width)).astype(np.float32)
    weight[np.arange(weight.shape[1])[None] >= config.count_frames(frames)[:, None]] = 0.0
    return mel, frames, weight / weight.size


def make_ours(config, params, data, devices: int) -> Callable[[], tuple[float, float]]:
    """A step that gives the loss and the gradient's norm."""
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import PartitionSpec

    from sift_jax.models.fast_conformer import FastConformerEncoder
    from sift_jax.parallel.mesh import MeshConfig, make_mesh, replicate, shard_rows

    mesh = make_mesh(MeshConfig(data=-1, fsdp=1, tensor=1), jax.devices()[:devices])
    encoder = FastConformerEncoder(config=config, dtype=jnp.dtype("float32"), remat="none")

    def compute(params, mel, frames, weight):
        return jnp.sum(encoder.apply({"params": params}, mel, frames) * weight)

    def step(params, *data):
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            loss, grads = jax.value_and_grad(compute)(params, *data)
        return loss, optax.tree.norm(grads)

    run = jax.jit(step, out_shardings=jax.sharding.NamedSharding(mesh, PartitionSpec()))
    placed = jax.device_put(data, shard_rows(mesh))
    params = jax.device_put(params, replicate(mesh))
    return lambda: tuple(float(x) for x in run(params, *placed))


def make_theirs(
    config, params, data, cores: int, is_compiled: bool
) -> Callable[[], tuple[float, float]]:
    import numpy as np
    import torch
    import transformers
    from flax.traverse_util import flatten_dict

    from sift_jax.exporting.hf_configs import make_fast_conformer_config
    from sift_jax.weights.key_table import FAST_CONFORMER, to_theirs

    torch.set_num_threads(cores)
    sizes = {
        k: v
        for k, v in make_fast_conformer_config(config).items()
        if k not in ("architectures", "model_type")
    }
    model = transformers.ParakeetEncoder(transformers.ParakeetEncoderConfig(**sizes)).eval()
    flat = flatten_dict(params, sep="/")
    state = {key: torch.tensor(np.asarray(x)) for key, x in to_theirs(FAST_CONFORMER, flat)}
    lost = model.load_state_dict(state, strict=False)
    if lost.unexpected_keys or any(
        not key.endswith("num_batches_tracked") for key in lost.missing_keys
    ):
        raise SystemExit(f"error: the weights do not fit transformers' class: {lost}")
    mel, frames, weight = (torch.from_numpy(x) for x in data)
    mask = torch.arange(mel.shape[1])[None] < frames[:, None]
    encode = torch.compile(model) if is_compiled else model

    def step() -> tuple[float, float]:
        model.zero_grad(set_to_none=True)
        loss = (encode(mel, attention_mask=mask).last_hidden_state * weight).sum()
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        return float(loss.detach()), float(norm)

    return step


def main() -> None:
    flags = parse_flags()
    if flags.clips % flags.cores:
        raise SystemExit(
            f"error: {flags.cores} cores for {flags.clips} clips; set --cores or --clips"
        )
    take_cores(flags.cores, flag="cores")
    from sift_jax.parallel.hardware import use_virtual_devices

    # two devices of one core are faster than one of two
    use_virtual_devices(flags.cores)
    import jax
    import jax.numpy as jnp

    from sift_jax.models.fast_conformer import FastConformerEncoder
    from sift_jax.models.presets import ENCODERS

    config = ENCODERS[flags.encoder]
    encoder = FastConformerEncoder(config=config, dtype=jnp.dtype("float32"), remat="none")
    params = jax.jit(encoder.init)(
        jax.random.key(0), jnp.zeros((1, 16, config.mel_bins)), jnp.ones((1,), jnp.int32)
    )
    params, data = jax.device_get(params["params"]), make_clips(config, flags.clips, flags.seconds)
    make = {
        "ours": lambda: make_ours(config, params, data, flags.cores),
        "eager": lambda: make_theirs(config, params, data, flags.cores, is_compiled=False),
        "compiled": lambda: make_theirs(config, params, data, flags.cores, is_compiled=True),
    }
    sides = {name: make[name]() for name in flags.sides.split(",")}
    results = {name: step() for name, step in sides.items()}
    report(results, measure(sides, flags.rounds), flags.clips * flags.seconds)


def report(results: dict, taken: dict, seconds: float) -> None:
    """A line a side, and the figures as JSON."""
    figures: dict = {"losses": results}
    for kind in ("wall", "cpu"):
        best = {name: min(found[kind]) for name, found in taken.items()}
        figures[f"{kind}_seconds"] = best
        for name, value in best.items():
            print(
                f"  {kind:4} {name:9} {value:8.3f} s a step   {seconds / value:8.1f} times "
                "real time"
            )
        rivals = [value for name, value in best.items() if name != "ours"]
        if rivals and "ours" in best:
            figures["ratio" if kind == "wall" else "ratio_cpu"] = min(rivals) / best["ours"]
    for name, (loss, norm) in results.items():
        print(f"  {name:9} loss {loss:.6e}   gradient norm {norm:.6e}")
    figures["load"] = os.getloadavg()[0]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
