"""Slices that only the data centre's network joins, as devices that say where they are."""

import dataclasses

import numpy as np
import pytest

from sift_jax.parallel.mesh import MeshConfig, make_mesh


@dataclasses.dataclass(frozen=True)
class Device:
    """What JAX's mesh makers ask of a device."""

    id: int
    slice_index: int
    process_index: int
    platform: str = "cpu"
    device_kind: str = "made up"


def make_devices(slices, hosts, each):
    """So many hosts a slice, so many devices a host; not in the order of their slices."""
    devices = [
        Device(id=(s * hosts + h) * each + d, slice_index=s, process_index=s * hosts + h)
        for s in range(slices)
        for h in range(hosts)
        for d in range(each)
    ]
    return devices[::2] + devices[1::2]


def read_slices(mesh):
    return np.vectorize(lambda device: device.slice_index)(mesh.devices)


@pytest.mark.parametrize(
    "sizes, across",
    [
        # fsdp = -1 is all that remains, and is not cut in two while data can be
        ((2, -1, 1), 0),
        ((4, 4, 1), 0),
        ((2, 4, 2), 0),
        ((1, -1, 1), 1),
        ((1, 8, 2), 1),
    ],
)
def test_one_axis_goes_over_slices_and_the_others_stay_inside(sizes, across):
    names = dict(zip(("data", "fsdp", "tensor"), sizes, strict=True))
    mesh = make_mesh(MeshConfig(**names), make_devices(slices=2, hosts=2, each=4))
    slices = read_slices(mesh)
    assert slices.size == 16 and sorted(slices.flat) == [0] * 8 + [1] * 8
    for axis in range(3):
        # along any other axis a device meets those of its own slice alone
        is_crossed = bool((np.diff(slices, axis=axis) != 0).any())
        assert is_crossed is (axis == across), (axis, slices)
    # the network is crossed once, not at every step of the axis
    assert (np.diff(slices, axis=across) != 0).any(axis=tuple({0, 1, 2} - {across})).sum() == 1
    assert len({device.id for device in mesh.devices.flat}) == 16


def test_three_slices_need_an_axis_that_they_divide():
    devices = make_devices(slices=3, hosts=1, each=4)
    with pytest.raises(ValueError, match="over 3 slices; set MeshConfig.data = 3, or a multiple"):
        make_mesh(MeshConfig(data=2, fsdp=2, tensor=3), devices)
    mesh = make_mesh(MeshConfig(data=3, fsdp=-1, tensor=2), devices)
    assert mesh.devices.shape == (3, 2, 2) and (read_slices(mesh)[1] == 1).all()
