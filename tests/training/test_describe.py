"""What --dry_run estimates."""

import pytest
from tiny_model import make_config

from sift_jax.batch import BatchShape
from sift_jax.models.speech_lm import describe_params
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.parallel.sharding import flatten_paths
from sift_jax.training.describe import estimate_memory


def test_frozen_parameters_count_in_their_dtype():
    config, mesh = make_config(), make_mesh(MeshConfig(data=-1, fsdp=1, tensor=1))
    shape = BatchShape(rows=8, tokens=64, targets=16, clips=2, mel_frames=200, mel_bins=config.encoder.mel_bins)

    def estimate(dtype):
        return estimate_memory(config, ("projector/.*",), dtype, shape, mesh)

    sizes = {path: leaf.size for path, leaf in flatten_paths(describe_params(config)).items()}
    trained = 4 * sum(size for path, size in sizes.items() if path.startswith("projector/"))
    frozen = 4 * sum(sizes.values()) - trained
    assert estimate("float32")["parameters"] == pytest.approx(trained + frozen)
    assert estimate("bfloat16")["parameters"] == pytest.approx(trained + frozen / 2)
    assert estimate("bfloat16")["gradients"] == pytest.approx(trained)
