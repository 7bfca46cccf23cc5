"""A training step of two layers of width 64, compiled by libtpu for eight chips of a v5e, or by XLA:GPU
for eight H200, that are not here: seconds."""

import dataclasses
import functools
import importlib.metadata
import json
from pathlib import Path

from tiny_model import MODEL
from tiny_run import make_run

from sift_jax.compiled.topologies import open_topology, prepare_to_compile
from sift_jax.models.presets import DECODERS
from sift_jax.parallel.mesh import MeshConfig
from sift_jax.training.job import JobConfigs, describe_job

GOLDEN = Path(__file__).parent.parent / "golden" / "collectives_v5e_2x4.json"
TOPOLOGY = "v5e:2x4"
GPU_TOPOLOGY = "h200:8"
# heads of 128, as the TPU's kernel wants them
DECODERS["test-tpu"] = dataclasses.replace(
    DECODERS["test"], width=64, heads=2, kv_heads=1, head_size=128, hidden=128
)
SMALL = dataclasses.replace(
    MODEL, decoder="test-tpu", lora_rank=4, dtype="bfloat16", remat="full", attention="auto"
)
ROWS = {"rows": 8, "tokens": 256, "targets": 64, "clips": 2}


def make_small_run(corpus, out_dir, **changes):
    """The arguments of `train`: parameters over four devices, features over two. `changes` are the
    model's."""
    arguments = make_run(
        corpus,
        out_dir,
        model=dataclasses.replace(SMALL, **changes),
        data=ROWS,
        trainable=("projector/.*", ".*/lora_.*"),
        frozen_dtype="bfloat16",
    )
    return {**arguments, "mesh": MeshConfig(data=1, fsdp=4, tensor=2)}


def describe_small_job(corpus, out_dir, topology=TOPOLOGY, **changes):
    prepare_to_compile(topology)
    configs = JobConfigs(**make_small_run(corpus, out_dir, **changes))
    return describe_job(configs, devices=open_topology(topology))


def describe_collectives(step):
    """What the golden table holds of a compiled step: a change of sharding shows in it."""
    return {
        "libtpu": name_libtpu(),
        "kernels": [[each.name, str(each.place), each.count] for each in step.kernels],
        "collectives": [
            [row.kind, str(row.place), row.count, row.bytes, row.synchronous_bytes]
            for row in sorted(step.traffic, key=lambda row: (row.kind, row.place))
        ],
    }


def format_golden(described):
    """A line a row, so that a difference is read at a glance."""
    rows = {
        name: value if isinstance(value, str) else [json.dumps(row) for row in value]
        for name, value in described.items()
    }
    lines = []
    for name, value in rows.items():
        if isinstance(value, str):
            lines.append(f"  {json.dumps(name)}: {json.dumps(value)}")
        else:
            inner = ",\n    ".join(value)
            lines.append(f"  {json.dumps(name)}: [\n    {inner}\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


@functools.cache
def name_libtpu():
    return importlib.metadata.version("libtpu")
