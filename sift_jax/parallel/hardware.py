"""What a device has: given by a hardware gin file, or said by the device itself."""

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


def find_memory(hardware: HardwareConfig) -> float | None:
    """Bytes of a device."""
    if hardware.memory_gb is not None:
        return hardware.memory_gb * 1e9
    said = jax.local_devices()[0].memory_stats() or {}
    return said.get("bytes_limit")


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
