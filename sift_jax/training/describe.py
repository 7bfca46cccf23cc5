"""What `--dry_run` prints: every parameter and whether it trains, batch shapes, an estimate of memory per device."""

from __future__ import annotations

import math
from functools import partial

import jax
from jax.sharding import Mesh

from sift_jax.batch import BatchShape
from sift_jax.models.speech_lm import SpeechLMConfig, describe_params
from sift_jax.parallel.mesh import count_batch_shards
from sift_jax.parallel.sharding import flatten_paths, make_spec
from sift_jax.training.state import cast_params, split_params
from sift_jax.training.step import LOSS_CHUNK


def _count(leaves) -> int:
    return sum(math.prod(x.shape) for x in leaves)


def _bytes_per_device(tree, mesh: Mesh) -> float:
    total = 0.0
    for path, leaf in flatten_paths(tree).items():
        spec = make_spec(path, leaf.shape, mesh)
        total += math.prod(leaf.shape) * leaf.dtype.itemsize / math.prod(mesh.shape[a] for a in spec if a)
    return total


def estimate_memory(
    config: SpeechLMConfig, trainable: tuple[str, ...], frozen_dtype: str, shape: BatchShape, mesh: Mesh
) -> dict[str, float]:
    """Bytes per device, by what they hold. Activations are counted for the blocks' inputs and one block's inside."""
    chosen, rest = split_params(describe_params(config), trainable)
    rest = jax.eval_shape(partial(cast_params, dtype=frozen_dtype), rest)
    rows = shape.rows / count_batch_shards(mesh)
    d, e = config.decoder, config.encoder
    itemsize = jax.numpy.dtype(config.dtype).itemsize
    kept = 1 if config.remat == "full" else 12
    decoder = rows * shape.tokens * d.width * (d.layers * kept + 12) * itemsize
    scores = rows * d.heads * shape.tokens**2 * 4 * (1 if config.remat == "full" else d.layers)
    encoder = rows * shape.clips * shape.mel_frames / 2 * e.width * (e.layers * kept + 12) * itemsize
    return {
        "parameters": _bytes_per_device(chosen, mesh) + _bytes_per_device(rest, mesh),
        "gradients": _bytes_per_device(chosen, mesh),
        "optimizer": 2 * _bytes_per_device(chosen, mesh),
        "batch": sum(math.prod(s) * t.itemsize for s, t in shape.spec().values()) / count_batch_shards(mesh),
        "activations (estimate)": decoder + scores + encoder,
        "logits (one chunk)": rows * LOSS_CHUNK * d.vocab_size * 4 * 2,
    }


def format_dry_run(
    config: SpeechLMConfig, trainable: tuple[str, ...], frozen_dtype: str, shapes: list[BatchShape], mesh: Mesh
) -> str:
    params = describe_params(config)
    chosen, _ = split_params(params, trainable)
    trained = flatten_paths(chosen)
    lines = [f"{'parameter':44} {'shape':24} {'axes':28} trains"]
    for path, leaf in sorted(flatten_paths(params).items()):
        axes = tuple(a or "·" for a in make_spec(path, leaf.shape, mesh))
        mark = "yes" if path in trained else ""
        lines.append(f"{path:44} {str(tuple(leaf.shape)):24} {' '.join(axes):28} {mark}")
    lines.append(f"parameters: {_count(jax.tree.leaves(params)):,}")
    lines.append(f"trainable:  {_count(trained.values()):,}")
    lines.append(f"mesh: {dict(mesh.shape)} over {mesh.devices.size} {mesh.devices.flat[0].platform} devices")
    for shape in shapes:
        lines.append(f"batch with clips up to {shape.mel_frames / 100:g} s:")
        for key, (dims, dtype) in shape.spec().items():
            lines.append(f"    {key:12} {str(dims):24} {dtype}")
    memory = estimate_memory(config, trainable, frozen_dtype, shapes[-1], mesh)
    lines.append("memory per device:")
    for name, size in memory.items():
        lines.append(f"    {name:24} {size / 2**30:9.3f} GiB")
    lines.append(f"    {'total':24} {sum(memory.values()) / 2**30:9.3f} GiB")
    return "\n".join(lines)
