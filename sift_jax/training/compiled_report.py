"""What `--dry_run --topology=v5e:8x8` prints of a step that the devices' own compiler, libtpu or
XLA:GPU, has compiled for them.

    compiled for 64 × TPU v5 lite by libtpu 0.0.42.1 …
    memory per device …
    attention …, kernels …
    products of a device …
    collectives of a device …
    estimated time of a step …, and its floors

Nothing of it is measured: memory, products and bytes are facts of the program, the time is what the
compiler expects and what the links would take.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import time
from collections.abc import Iterator

import jax
import numpy as np

from sift_jax.batch import Batch, BatchShape
from sift_jax.compiled.compiled_step import CompiledStep, read_compiled
from sift_jax.compiled.places import PASSES
from sift_jax.compiled.topologies import find_ahead_options, name_compiler
from sift_jax.models.attention import choose_clip_kind, choose_kind
from sift_jax.models.whisper_encoder import EncoderConfig
from sift_jax.parallel.hardware import DeviceFigures, HardwareConfig, find_figures
from sift_jax.parallel.mesh import count_batch_shards, find_platform
from sift_jax.training.dry_run import (
    GB,
    count_bytes,
    describe_batch,
    format_memory,
    format_parameters,
)
from sift_jax.training.flops import count_costs
from sift_jax.training.job import TrainingJob

MS = 1e3
TERA = 1e12
# of collectives, the places with the most bytes; the rest is summed up
SHOWN = 16
# of a GPU's memory, what JAX takes unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise
GPU_SHARE = 0.75
# how the compiler says by how much a program is too large
_TOO_LARGE = re.compile(
    r"(?:Used |temporaries \()([\d.]+)([KMGT])(?: of |\) exceeds available HBM \()([\d.]+)([KMGT])"
)
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class DoesNotFitError(ValueError):
    """The compiler finds no place in a device's memory; the message says what would fit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compilation:
    """A step as compiled for a mesh, with what it took to compile it."""

    step: CompiledStep
    shape: BatchShape
    figures: DeviceFigures | None
    device_kind: str
    seconds: float


def compile_job(job: TrainingJob) -> Compilation:
    """The job's step over its largest batches, by the compiler of its mesh's devices."""
    shape, mesh = job.shapes[-1], job.mesh
    kind = mesh.devices.flat[0].device_kind
    figures = find_figures(kind)
    options = find_ahead_options(find_platform(mesh))
    begun = time.perf_counter()
    try:
        with _keep_nothing():
            compiled = job.train_step.lower(
                job.abstract_state, describe_batch(shape, mesh)
            ).compile(compiler_options=options or None)
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise DoesNotFitError(_say_what_would_fit(job, str(error))) from error
    seconds = time.perf_counter() - begun
    step = read_compiled(compiled, devices=mesh.devices.size, figures=figures)
    has = figures.memory_gb * GB if figures else math.inf
    if find_platform(mesh) == "gpu" and step.memory.total > has:
        # libtpu refuses it by itself; XLA:GPU compiles what no device holds
        raise DoesNotFitError(_say_by_how_much(job, used=step.memory.total, has=has))
    return Compilation(step=step, shape=shape, figures=figures, device_kind=kind, seconds=seconds)


@contextlib.contextmanager
def _keep_nothing() -> Iterator[None]:
    """JAX's cache of programs would take one that no device here can read back."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, float("inf"))
    try:
        yield
    finally:
        jax.config.update(name, before)


def format_compilation(job: TrainingJob, hardware: HardwareConfig) -> str:
    """All lines of the dry run for a topology."""
    found = compile_job(job)
    if found.figures is not None:
        # the devices that are compiled for, whatever the hardware file was written for
        hardware = dataclasses.replace(
            hardware, name=found.device_kind, memory_gb=found.figures.memory_gb
        )
    lines = format_parameters(job.abstract_state, job.mesh)
    lines += [
        f"mesh: {dict(job.mesh.shape)} over {job.mesh.devices.size} × {found.device_kind}, "
        f"compiled by {name_compiler(find_platform(job.mesh))} in {found.seconds:.0f} s"
    ]
    lines += format_memory(found.step.memory, job.abstract_state, found.shape, job.mesh, hardware)
    lines += _format_share(job, found)
    lines += _format_attention(job, found)
    lines += _format_products(found.step)
    lines += _format_traffic(found.step)
    lines += _format_time(job, found)
    return "\n".join(lines)


def _format_share(job: TrainingJob, found: Compilation) -> list[str]:
    """On a GPU a process takes a share of the memory at its start, and no more."""
    if find_platform(job.mesh) != "gpu" or found.figures is None:
        return []
    share = found.step.memory.total / GB / found.figures.memory_gb
    if share <= GPU_SHARE:
        return []
    return [
        f"    JAX takes {GPU_SHARE:.0%} of a GPU's memory at its start, and this is {share:.0%}: set "
        "XLA_PYTHON_CLIENT_MEM_FRACTION=0.95 for the run"
    ]


def name_kernels(job: TrainingJob, shape: BatchShape) -> dict[str, str]:
    """Which attention rows and clips have on these devices."""
    model, platform = job.model, find_platform(job.mesh)
    sizes = {"dtype": model.dtype, "platform": platform}
    kinds = {
        "rows": choose_kind(
            model.attention, tokens=shape.tokens, head_size=model.decoder.head_size, **sizes
        )
    }
    if isinstance(model.encoder, EncoderConfig):
        kinds["clips"] = choose_clip_kind(
            model.attention,
            frames=model.encoder.count_frames(shape.mel_frames),
            head_size=model.encoder.width // model.encoder.heads,
            **sizes,
        )
    return kinds


def _format_attention(job: TrainingJob, found: Compilation) -> list[str]:
    kinds = name_kernels(job, found.shape)
    said = ", ".join(f"{kind} for {what}" for what, kind in kinds.items())
    lines = [f"attention: {said}"]
    lines += [
        f"    {each.name:38} {each.count:6} × a step    {each.place}" for each in found.step.kernels
    ]
    return lines


def _format_products(step: CompiledStep) -> list[str]:
    lines = [
        f"products of a device in a step: {step.operations / TERA:.1f} TFLOP, "
        f"{100 * step.recomputed_share:.1f} % of them recomputed",
        f"    {'':16}" + "".join(f"{name:>12}" for name in PASSES),
    ]
    for part in sorted({place.part for place in step.products}):
        row = [
            sum(
                n
                for place, n in step.products.items()
                if place.part == part and place.step_pass == name
            )
            for name in PASSES
        ]
        lines.append(f"    {part:16}" + "".join(f"{n / TERA:12.3f}" for n in row))
    return lines


def _format_traffic(step: CompiledStep) -> list[str]:
    whole = sum(row.bytes for row in step.traffic)
    waited = sum(row.synchronous_bytes for row in step.traffic)
    lines = [
        f"collectives of a device in a step: {whole / GB:.3f} GB, of which {waited / GB:.3f} GB "
        "synchronous"
    ]
    for row in step.traffic[:SHOWN]:
        mark = f"{row.synchronous_bytes / GB:.3f} GB synchronous" if row.synchronous_bytes else ""
        lines.append(
            f"    {row.kind:20} {row.count:6} × {row.bytes / GB:9.3f} GB  {row.place!s:28} {mark}"
        )
    if rest := step.traffic[SHOWN:]:
        lines.append(
            f"    {'others':20} {sum(r.count for r in rest):6} × "
            f"{sum(r.bytes for r in rest) / GB:9.3f} GB"
        )
    return lines


def count_model_operations(job: TrainingJob, shape: BatchShape) -> float:
    """Operations of a step over full rows as the model needs them (4n a token where the base is
    frozen), on all devices."""
    batch: Batch = {
        key: np.broadcast_to(np.ones((), dtype), dims)
        for key, (dims, dtype) in shape.spec().items()
    }
    batch["frames_ba"] = np.full((shape.rows, shape.clips), shape.mel_frames, np.int32)
    return count_costs(job.model, job.run.trainable).count(batch)


def _format_time(job: TrainingJob, found: Compilation) -> list[str]:
    step, figures = found.step, found.figures
    if figures is None:
        return [f"estimated time: no figures of {found.device_kind} are known"]
    received = sum(row.received for row in step.traffic)
    floors = {
        f"products at {figures.teraflops:g} TFLOP/s": step.operations / TERA / figures.teraflops,
        f"links at {figures.link_gb_s:g} GB/s": received / GB / figures.link_gb_s,
        f"arguments read once at {figures.memory_gb_s:g} GB/s": step.memory.arguments
        / GB
        / figures.memory_gb_s,
    }
    lines = []
    if step.time is None and find_platform(job.mesh) == "gpu":
        waited = sum(row.synchronous_received for row in step.traffic)
        lines += [
            "estimated time of a step: XLA:GPU says no cycles of kernels that no device has timed",
            f"    synchronous collectives, at {figures.link_gb_s:g} GB/s   "
            f"{waited / GB / figures.link_gb_s * MS:.1f} ms",
        ]
    elif step.time is None:
        lines.append("estimated time of a step: this compiler, or this device's clock, says none")
    else:
        parts = sorted(step.time.work_by_part.items(), key=lambda pair: -pair[1])
        kernels = sum(each.count for each in step.kernels)
        lines += [
            f"estimated time of a step (cycles at {figures.clock_ghz:g} GHz, links at "
            f"{figures.link_gb_s:g} GB/s; nothing is measured):",
            f"    work, by the compiler's own cycles      {step.time.work * MS:9.1f} ms   "
            + ", ".join(f"{part} {seconds * MS:.0f}" for part, seconds in parts),
            f"    waiting for collectives                 {step.time.exposed * MS:9.1f} ms",
            f"    together                                {step.time.total * MS:9.1f} ms"
            + (f", and {kernels} runs of kernels, which no cycles count" if kernels else ""),
        ]
        model = count_model_operations(job, found.shape) / job.mesh.devices.size
        rate = model / step.time.total / TERA
        lines.append(
            f"    of full rows the model needs {model / TERA:.1f} TFLOP a device: {rate:.0f} "
            f"TFLOP/s at that time, {100 * rate / figures.teraflops:.0f} % of the peak, at most"
        )
    lines.append(
        "floors: " + " · ".join(f"{what} {seconds * MS:.1f} ms" for what, seconds in floors.items())
    )
    lines.append(f"figures of {found.device_kind}: {figures.source}")
    return lines


def _say_what_would_fit(job: TrainingJob, text: str) -> str:
    """The compiler's figures, and the knobs that bring it below them, by proportion."""
    said = _TOO_LARGE.search(text)
    kind = job.mesh.devices.flat[0].device_kind
    if said is None:
        return f"the step does not fit {kind}: {text.splitlines()[0][:300]}"
    used = float(said.group(1)) * _UNITS[said.group(2)]
    has = float(said.group(3)) * _UNITS[said.group(4)]
    return _say_by_how_much(job, used=used, has=has)


def _say_by_how_much(job: TrainingJob, *, used: float, has: float) -> str:
    kind = job.mesh.devices.flat[0].device_kind
    state = count_bytes(
        [job.abstract_state["frozen"], job.abstract_state["trainable"]]
    ) + count_bytes(job.abstract_state["optimizer"])
    return (
        f"does not fit: {used / GB:.2f} of the {has / GB:.2f} GB of a {kind} that a program has; "
        f"{suggest(job, used=used, has=has, state=state)}"
    )


def suggest(job: TrainingJob, *, used: float, has: float, state: float) -> str:
    """Parameters that do not fit are spread over more devices; activations, which follow the rows
    that are computed at once, are cut into pieces."""
    if state > 0.9 * has:
        devices = job.mesh.shape["fsdp"] * job.mesh.shape["tensor"]
        needed = math.ceil(devices * state / (0.8 * has))
        return (
            f"parameters alone take {state / GB:.2f} GB: spread them over {needed} devices or more "
            f"(fsdp × tensor is {devices})"
        )
    rows = job.data.rows // count_batch_shards(job.mesh)
    pieces = job.run.microbatches
    # activations follow the rows of a piece: 12 GB of 2 rows in 1 piece are 6 GB of 1 row in 2
    for count in range(pieces + 1, rows + 1):
        if rows % count == 0 and state + (used - state) * pieces / count < 0.95 * has:
            return f"MICROBATCHES={count} would, by proportion"
    if job.model.remat != "full":
        return "one row at a time does not either; REMAT='full' keeps less of it"
    return (
        "one row at a time does not either; spread it by MeshConfig.tensor, or give rows fewer "
        "POSITIONS"
    )
