"""Devices that are not here: their names, and what is said where their compiler is missing."""

import argparse

import numpy as np
import pytest

from sift_jax.cli import find_topology
from sift_jax.compiled import topologies
from sift_jax.compiled.topologies import Topology, open_topology, prepare_to_compile, read_topology
from sift_jax.config_files import ConfigError
from sift_jax.extras import MissingExtraError, is_installed
from sift_jax.parallel.hardware import DEVICES, find_figures
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.train import make_parser

pytestmark = pytest.mark.tpu
needs_libtpu = pytest.mark.skipif(
    not is_installed("libtpu"), reason="libtpu is not installed: pip install 'libtpu==0.0.42.*'"
)


@pytest.mark.parametrize(
    "text, topology",
    [
        ("v5e:8x8", Topology(generation="v5e", sides=(8, 8), slices=1)),
        ("v5p:4x4x4", Topology(generation="v5p", sides=(4, 4, 4), slices=1)),
        ("2xv6e:16x16", Topology(generation="v6e", sides=(16, 16), slices=2)),
        ("tpu7x:2x2x1", Topology(generation="tpu7x", sides=(2, 2, 1), slices=1)),
    ],
)
def test_names(text, topology):
    assert read_topology(text) == topology


@pytest.mark.parametrize("text", ["v5e", "v5e:", "v9:2x2", "v5e:8x8x8x8", "2x v5e:8x8", "b7:8"])
def test_other_names_are_refused(text):
    with pytest.raises(ValueError, match="write one of v4, v5e, v5p, v6e, tpu7x and its chips"):
        read_topology(text)


def test_a_missing_compiler_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(topologies, "is_installed", lambda module: False)
    with pytest.raises(MissingExtraError, match=r"not installed; pip install 'libtpu==0\.0\.42"):
        prepare_to_compile("v5e:8x8")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--topology=v5e:8x8"], "compiles for devices that are not here; add --dry_run"),
        (["--topology=v5e:8x8", "--dry_run", "--virtual_devices=8"], "both name devices; keep one"),
    ],
)
def test_a_topology_is_for_dry_runs(words, message):
    flags, _ = make_parser().parse_known_args(words)
    with pytest.raises(ConfigError, match=message):
        find_topology(flags)


def test_commands_without_the_flag_have_no_topology():
    assert find_topology(argparse.Namespace(dry_run=True, virtual_devices=None)) is None


def test_figures_agree_with_each_other():
    """Peak by matrix units and clock, where both are known: 2 operations a cell and cycle."""
    cells = {"TPU v4": 4 * 128**2, "TPU v5 lite": 4 * 128**2, "TPU v5": 8 * 128**2}
    for kind, count in cells.items():
        figures = DEVICES[kind]
        peak = 2 * count * figures.clock_ghz / 1e3
        assert peak == pytest.approx(figures.teraflops, rel=0.01), kind
    assert find_figures("cpu") is None
    assert all(each.source for each in DEVICES.values())


@needs_libtpu
@pytest.mark.parametrize(
    "text, devices, kind",
    [
        ("v5e:2x4", 8, "TPU v5 lite"),
        ("v5e:1x1", 1, "TPU v5 lite"),
        ("v5p:2x2x2", 8, "TPU v5"),
        ("v6e:4x4", 16, "TPU v6 lite"),
        ("2xv5e:4x4", 32, "TPU v5 lite"),
        ("tpu7x:2x2x1", 8, "TPU7x"),
    ],
)
def test_topologies_open_without_a_device(text, devices, kind):
    prepare_to_compile(text)
    found = open_topology(text)
    assert len(found) == devices and {each.device_kind for each in found} == {kind}
    assert {each.platform for each in found} == {"tpu"}
    assert find_figures(kind) is not None


@needs_libtpu
def test_a_topology_that_no_compiler_knows():
    prepare_to_compile("v5e:3x5")
    with pytest.raises(ValueError, match="v5e:3x5 is none that libtpu knows"):
        open_topology("v5e:3x5")


@needs_libtpu
@pytest.mark.parametrize(
    "sizes, axis",
    [({"data": 2, "fsdp": 16, "tensor": 1}, 0), ({"data": 1, "fsdp": -1, "tensor": 2}, 1)],
)
def test_slices_lie_along_one_axis(sizes, axis):
    """Neighbours along the other axes share a slice, and so its fast links."""
    prepare_to_compile("2xv5e:4x4")
    mesh = make_mesh(MeshConfig(**sizes), open_topology("2xv5e:4x4"))
    found = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    halves = np.split(found, 2, axis=axis)
    assert [set(half.flat) for half in halves] == [{0}, {1}]


@needs_libtpu
def test_a_mesh_that_slices_do_not_divide():
    prepare_to_compile("2xv5e:2x2")
    with pytest.raises(ValueError, match="neither data nor fsdp over 2 slices; set MeshConfig.dat"):
        make_mesh(MeshConfig(data=1, fsdp=1, tensor=8), open_topology("2xv5e:2x2"))
