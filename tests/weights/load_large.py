"""python tests/weights/load_large.py FOLDER: loads a decoder of 200 MB, whole and over eight
devices; prints the costs.

A process of its own, because peak memory belongs to a process, and so does the number of devices.
"""

import dataclasses
import json
import re
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import NamedSharding
from safetensors.numpy import save_file
from tiny_model import make_config

from sift_jax.exporting.hf_configs import make_decoder_config
from sift_jax.models.speech_lm import describe_params
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.parallel.sharding import make_spec
from sift_jax.weights.key_table import QWEN2
from sift_jax.weights.load import load_decoder
from sift_jax.weights.tensor_files import TensorFolder

MODEL = make_config()
CONFIG = dataclasses.replace(
    MODEL.decoder,
    vocab_size=8192,
    width=1024,
    layers=6,
    heads=8,
    kv_heads=4,
    head_size=128,
    hidden=4096,
)
MODEL = dataclasses.replace(MODEL, decoder=CONFIG)
SHAPES = flatten_dict(describe_params(MODEL)["decoder"], sep="/")
SIZE = 2 * sum(leaf.size for leaf in SHAPES.values())


def write_folder(folder: Path) -> None:
    """One file in bfloat16, every tensor filled with a number of its own."""
    tensors = {}
    for path, key, change in QWEN2:
        if path in SHAPES:
            is_stacked = "{i}" in key
            shape = SHAPES[path].shape[1:] if is_stacked else SHAPES[path].shape
            for i in range(CONFIG.layers if is_stacked else 1):
                tensors[key.format(i=i)] = np.full(
                    shape if change == "same" else shape[::-1], len(tensors) / 8, ml_dtypes.bfloat16
                )
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(make_decoder_config(MODEL, 2)))


def read_memory(name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def measure(folder: Path) -> dict:
    wanted = {path: jax.ShapeDtypeStruct(x.shape, "bfloat16") for path, x in SHAPES.items()}
    jax.block_until_ready(jax.device_put(np.zeros(8)))
    before = read_memory("VmRSS")
    whole = jax.block_until_ready(load_decoder(folder, MODEL, wanted))
    costs = {
        "growth": read_memory("VmHWM") - before,
        "arrays": sum(x.nbytes for x in whole.values()),
    }
    reads, read = [], TensorFolder.read

    def note(self, key, index=None):
        found = read(self, key, index)
        reads.append(found.nbytes)
        return found

    TensorFolder.read = note
    mesh = make_mesh(MeshConfig(data=1, fsdp=8, tensor=1))
    for path, x in wanted.items():
        sharding = NamedSharding(mesh, make_spec(f"decoder/{path}", x.shape, mesh))
        wanted[path] = jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
    parts = load_decoder(folder, MODEL, wanted)
    return {
        **costs,
        "sharded_bytes": sum(reads),
        "largest_sharded_read": max(reads),
        "largest_tensor": 2 * CONFIG.vocab_size * CONFIG.width,
        "sharded_arrays": sum(x.nbytes for x in parts.values()),
        "is_same": all(
            bool((np.asarray(parts[path]) == np.asarray(whole[path])).all()) for path in parts
        ),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
