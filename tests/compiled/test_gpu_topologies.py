"""Names and figures of GPUs that are not here; where XLA:GPU is installed, what opens."""

import importlib.metadata
import importlib.util

import jax
import jax.numpy as jnp
import pytest

from sift_jax.compiled import topologies
from sift_jax.compiled.gpu_targets import GPUS, write_target
from sift_jax.compiled.hlo_text import parse_program
from sift_jax.compiled.step_time import list_kernels
from sift_jax.compiled.topologies import (
    GPU_PARTS,
    Topology,
    find_ahead_options,
    open_topology,
    prepare_to_compile,
    read_topology,
)
from sift_jax.extras import MissingExtraError, is_installed
from sift_jax.models.attention import attend_by, make_row_mask
from sift_jax.parallel.hardware import DEVICES, find_figures
from sift_jax.parallel.mesh import MeshConfig, make_mesh

pytestmark = pytest.mark.gpu
needs_compiler = pytest.mark.skipif(
    not all(is_installed(name) and importlib.util.find_spec(name) for name in GPU_PARTS),
    reason="XLA:GPU is not installed: make gpu",
)


@pytest.mark.parametrize("text, count", [("h100:8", 8), ("h200:1", 1), ("a100:4", 4)])
def test_names(text, count):
    name = text.partition(":")[0]
    assert read_topology(text) == Topology(generation=name, sides=(count,), slices=1)
    assert read_topology(text).is_gpu and not read_topology("v5e:2x4").is_gpu


@pytest.mark.parametrize("text", ["h200:0", "h200:16", "h200:2x4", "2xh200:8"])
def test_what_is_no_box_is_refused(text):
    with pytest.raises(ValueError, match=f"{text} is no box of GPUs; write h200:1 to h200:8"):
        read_topology(text)


def test_an_unknown_gpu_names_those_that_are_known():
    with pytest.raises(ValueError, match="or one of a100, h100, h200 and how many, as h200:8"):
        read_topology("b300:8")


def test_a_missing_part_is_named_with_its_line(monkeypatch):
    def find(module):
        return not module.startswith("nvidia")

    monkeypatch.setattr(topologies, "is_installed", find)
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: module)
    with pytest.raises(
        MissingExtraError,
        match=r"of which nvidia-cuda-nvcc-cu12, nvidia-cudnn-cu12 are not installed; "
        r"pip install jax-cuda12-plugin==0\.10\.2",
    ):
        prepare_to_compile("h200:8")


def test_a_plugin_of_another_release_is_refused(monkeypatch):
    versions = {"jax-cuda12-plugin": "0.9.0", "jaxlib": "0.10.2"}
    monkeypatch.setattr(topologies, "is_installed", lambda module: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: module)
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    with pytest.raises(ValueError, match="0.9.0 is not for jaxlib 0.10.2; pip install jax-cuda12"):
        prepare_to_compile("h200:8")


@pytest.mark.parametrize("name, pairs", [("a100", 256), ("h100", 512), ("h200", 512)])
def test_peaks_follow_from_matrix_units_and_clock(name, pairs):
    """Four units a multiprocessor, and so many products with their sums a cycle."""
    gpu = GPUS[name]
    figures = DEVICES[gpu.kind]
    peak = 2 * 4 * gpu.multiprocessors * pairs * figures.clock_ghz / 1e3
    assert peak == pytest.approx(figures.teraflops, rel=0.001)
    # 25 GB/s a link, one way
    assert gpu.links * 25 == figures.link_gb_s


def test_the_target_is_the_proto_s_text():
    text = write_target(GPUS["h200"], (9, 28, 0))
    assert "core_count: 132" in text and "device_memory_size: 141000000000" in text
    assert "major: 9 feature_extension: ACCELERATED_FEATURES" in text
    assert "dnn_version_info { major: 9 minor: 28 patch: 0 }" in text
    assert text.count("{") == text.count("}")


@needs_compiler
@pytest.mark.parametrize("text", ["h200:8", "h100:1", "a100:2"])
def test_boxes_open_without_a_device(text):
    prepare_to_compile(text)
    found = open_topology(text)
    kind = GPUS[read_topology(text).generation].kind
    assert len(found) == read_topology(text).sides[0]
    assert {each.device_kind for each in found} == {kind} and find_figures(kind)
    assert {each.platform for each in found} == {"gpu"}


@pytest.fixture
def nothing_kept():
    """JAX's cache of programs takes ones for devices, but reads them back for devices alone."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, float("inf"))
    yield
    jax.config.update(name, before)


@needs_compiler
@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize(
    "kind, kernels",
    [
        ("auto", {"cudnn$fmhaScaleBiasSoftmax", "cudnn$fmhaScaleBiasSoftmaxBackward"}),
        ("packed", {"cudnn$fmhaScaleBiasSoftmax", "cudnn$fmhaScaleBiasSoftmaxBackward"}),
        ("plain", set()),
    ],
)
def test_attention_is_the_gpu_s(kind, kernels):
    """A process with a CPU alone compiles what the devices of the mesh have."""
    prepare_to_compile("h200:1")
    mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), open_topology("h200:1"))

    def sum_squares(q, k, v, ids):
        mask = make_row_mask(kind, ids, ids, head_size=128, dtype="bfloat16")
        return jnp.sum(attend_by(q, k, v, mask).astype(jnp.float32) ** 2)

    def describe(*dims, dtype=jnp.bfloat16):
        spec = jax.sharding.PartitionSpec()
        sharding = jax.sharding.NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(dims, dtype, sharding=sharding)

    with jax.sharding.set_mesh(mesh):
        lowered = jax.jit(jax.grad(sum_squares, (0, 1, 2))).lower(
            describe(1, 256, 4, 128),
            describe(1, 256, 2, 128),
            describe(1, 256, 2, 128),
            describe(1, 256, dtype=jnp.int32),
        )
    compiled = lowered.compile(compiler_options=find_ahead_options("gpu"))
    found = list_kernels(parse_program(compiled.as_text()))
    assert {each.name for each in found} == kernels
