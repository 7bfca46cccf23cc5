"""What a device has: given by a hardware gin file, said by the device itself, or published by its
maker."""

from __future__ import annotations

import dataclasses

import jax

from sift_jax.field_ranges import CheckedConfig, Positive, Text


@dataclasses.dataclass(frozen=True, kw_only=True)
class HardwareConfig(CheckedConfig):
    """One device. None is what nobody knows: the device is asked for memory, and no share of the
    peak is reported."""

    name: Text
    # 10⁹ bytes
    memory_gb: Positive | None
    # the peak of dense bfloat16 products, 10¹² operations a second
    teraflops: Positive | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceFigures:
    """What the maker publishes of one device, as JAX counts devices."""

    # 10⁹ bytes
    memory_gb: float
    # dense bfloat16 products, 10¹² operations a second
    teraflops: float
    # 10⁹ bytes a second, of its memory
    memory_gb_s: float
    # 10⁹ bytes a second that a device receives in a ring: both ways of one axis of a TPU's torus,
    # one way of a GPU's links
    link_gb_s: float
    # cycles a second, 10⁹: the peak by operations a cycle of its matrix units; None where they are
    # not published
    clock_ghz: float | None
    source: str


_CLOUD_TPU = "docs.cloud.google.com/tpu/docs"
# by the kind that a device says it is
DEVICES: dict[str, DeviceFigures] = {
    # The compiler counts the two cores of a v4 chip as two devices: half of a chip each.
    # 4 matrix units of 128 × 128 a core at 1.05 GHz.
    "TPU v4": DeviceFigures(
        memory_gb=16.0,
        teraflops=137.5,
        memory_gb_s=614.0,
        link_gb_s=100.0,
        clock_ghz=1.05,
        source=f"{_CLOUD_TPU}/v4",
    ),
    # 4 matrix units of 128 × 128 at 1.5 GHz; four ports of 400 GB/s in all, in a torus of two axes
    "TPU v5 lite": DeviceFigures(
        memory_gb=16.0,
        teraflops=197.0,
        memory_gb_s=819.0,
        link_gb_s=100.0,
        clock_ghz=1.5,
        source=f"{_CLOUD_TPU}/v5e",
    ),
    # 8 of them at 1.75 GHz; six ports of 1,200 GB/s in all
    "TPU v5": DeviceFigures(
        memory_gb=95.0,
        teraflops=459.0,
        memory_gb_s=2765.0,
        link_gb_s=200.0,
        clock_ghz=1.75,
        source=f"{_CLOUD_TPU}/v5p",
    ),
    # Matrix units of 256 × 256. The clock is the one at which the compiler's own estimate of large
    # products stays below the peak; four ports of 800 GB/s in all.
    "TPU v6 lite": DeviceFigures(
        memory_gb=32.0,
        teraflops=918.0,
        memory_gb_s=1640.0,
        link_gb_s=200.0,
        clock_ghz=1.75,
        source=f"{_CLOUD_TPU}/v6e",
    ),
    # one of a chip's two cores, which JAX counts as devices; its clock is not published
    "TPU7x": DeviceFigures(
        memory_gb=96.0,
        teraflops=1153.5,
        memory_gb_s=3690.0,
        link_gb_s=200.0,
        clock_ghz=None,
        source=f"{_CLOUD_TPU}/tpu7x",
    ),
    # The clock is the one at which its matrix units reach the published peak: 4 on each of 108
    # multiprocessors, 256 products and sums a cycle. Twelve links of 25 GB/s, one way.
    "NVIDIA A100-SXM4-80GB": DeviceFigures(
        memory_gb=80.0,
        teraflops=312.0,
        memory_gb_s=2039.0,
        link_gb_s=300.0,
        clock_ghz=1.41,
        source="NVIDIA A100 Tensor Core GPU data sheet (SXM, 80 GB)",
    ),
    # 4 on each of 132, 512 a cycle; eighteen links
    "NVIDIA H100 80GB HBM3": DeviceFigures(
        memory_gb=80.0,
        teraflops=989.4,
        memory_gb_s=3350.0,
        link_gb_s=450.0,
        clock_ghz=1.83,
        source="NVIDIA H100 Tensor Core GPU data sheet (SXM)",
    ),
    # the same processor
    "NVIDIA H200": DeviceFigures(
        memory_gb=141.0,
        teraflops=989.4,
        memory_gb_s=4800.0,
        link_gb_s=450.0,
        clock_ghz=1.83,
        source="NVIDIA H200 Tensor Core GPU data sheet (SXM)",
    ),
}


def find_figures(device_kind: str) -> DeviceFigures | None:
    """What is published of a device; None of one that no table knows."""
    return DEVICES.get(device_kind)


def find_memory(hardware: HardwareConfig) -> float | None:
    """Bytes of a device."""
    if hardware.memory_gb is not None:
        return hardware.memory_gb * 1e9
    said = jax.local_devices()[0].memory_stats() or {}
    return said.get("bytes_limit")


def measure_memory() -> dict[str, float]:
    """What this process's fullest device has in use, and has had, in GB; nothing where the devices
    do not tell."""
    said = [device.memory_stats() or {} for device in jax.local_devices()]
    names = {"memory_gb": "bytes_in_use", "memory_peak_gb": "peak_bytes_in_use"}
    return {
        name: max(each.get(key, 0) for each in said) / 1e9
        for name, key in names.items()
        if any(key in each for each in said)
    }


def use_virtual_devices(count: int) -> None:
    """This process sees so many CPU devices and nothing else; call it before anything touches a
    device."""
    if count < 1:
        raise ValueError(f"--virtual_devices={count}; give 1 or more")
    try:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise ValueError(
            f"--virtual_devices={count} comes too late: this process already uses its devices"
        ) from error
    if len(jax.devices()) != count:
        raise ValueError(
            f"--virtual_devices={count} comes too late, or XLA_FLAGS says otherwise: this process "
            f"has {len(jax.devices())} devices; unset XLA_FLAGS"
        )
