"""Three steps of the tiny model on a mesh; run as a program, it prints the losses, gradient norms
and a checksum.

python three_steps.py data fsdp tensor model
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from tiny_examples import make_mixed_batch
from tiny_model import SALM_XATT, make_config

from sift_jax.checkpoints.checksums import checksum_leaves
from sift_jax.checkpoints.train_state import init_state, shard_state
from sift_jax.parallel.mesh import MeshConfig, make_mesh, shard_rows
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer
from sift_jax.training.step import make_dev_step, make_train_step

OPTIMIZER = OptimizerConfig(
    peak_learning_rate=3e-3,
    # matrices by Muon, adapters, norms and embeddings by AdamW: both are seen
    muon_learning_rate=2e-3,
    warmup_steps=1,
    final_fraction=0.5,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.98,
    clip_norm=1.0,
    spike_factor=None,
)


MODELS = {
    "sift_llm": {},
    "int8": {"quantized": "int8"},
    "soft_tokens": {"soft_tokens": True},
    "salm_xatt": SALM_XATT,
}


def run_steps(sizes: MeshConfig, model: str, steps: int = 3) -> dict[str, list[float]]:
    """Four rows whose shards hold unequal numbers of targets."""
    config = make_config(
        lora_rank=2, lora_targets=("q", "k", "v", "o", "gate", "up", "down"), **MODELS[model]
    )
    mesh = make_mesh(sizes)
    update = make_optimizer(OPTIMIZER, 10)
    trainable = ("projector/.*", ".*/lora_.*", "encoder/.*", "decoder/embedding")
    trainable += ("cross/.*",) if config.cross else ()

    def make():
        return init_state(config, trainable, update, 0)

    shardings = shard_state(jax.eval_shape(make), mesh)
    state = jax.jit(make, out_shardings=shardings)()
    step = make_train_step(config, update, state, mesh, microbatches=1)
    found: dict[str, list[float]] = {"loss": [], "grad_norm": [], "targets": []}
    for number in range(steps):
        batch = make_mixed_batch(config, seed=number, rows=4)
        state, metrics = step(state, jax.device_put(batch, shard_rows(mesh)))
        for name, values in found.items():
            values.append(float(metrics[name]))
    task_bm = np.arange(batch["target_bm"].size).reshape(batch["target_bm"].shape) // 3 % 3
    dev = make_dev_step(config, mesh, tasks=4)(
        state, jax.device_put({**batch, "task_bm": task_bm}, shard_rows(mesh))
    )
    found |= {f"dev_{name}": np.asarray(value).tolist() for name, value in dev.items()}
    found["parameters"] = [
        float(sum(jnp.abs(x).sum() for x in jax.tree.leaves(state["trainable"])))
    ]
    data, spec = (
        jnp.arange(64.0).reshape(8, 8),
        jax.sharding.PartitionSpec("data", ("fsdp", "tensor")),
    )
    spread = jax.device_put(data, jax.sharding.NamedSharding(mesh, spec))
    found["checksum"] = [float(value) for value in checksum_leaves([spread]).values()]
    found["devices"] = [
        len({d for x in jax.tree.leaves(state["trainable"]) for d in x.sharding.device_set})
    ]
    is_split = [not x.sharding.is_fully_replicated for x in jax.tree.leaves(state["optimizer"])]
    found["split_moments"] = [float(sum(is_split))]
    return found


if __name__ == "__main__":
    data, fsdp, tensor = map(int, sys.argv[1:4])
    print(json.dumps(run_steps(MeshConfig(data=data, fsdp=fsdp, tensor=tensor), sys.argv[4])))
