"""Cycles of the attention kernels of a packed row, from the schedules that the TPU's compiler makes.

    python -m benchmarks.kernel_bundles --topology=v6e:2x2 --blocks=128,512
    python -m benchmarks.kernel_bundles --topology=v6e:2x2 --kernel=packed --blocks=256
    python -m benchmarks.kernel_bundles --topology=v6e:2x2 --clips           Whisper-medium's, forward

The compiler's estimate of a step leaves custom kernels out. Their schedule it writes down: a bundle is
what a core does in one cycle, and a kernel is a loop over blocks. Of the loop's bundles a part runs
only where a block is seen by anybody, and two parts only where a row of blocks begins or ends:

    splash     heads · (blocks · common + blocks seen · body + rows of blocks · (begin + end))
    packed     key heads · (blocks seen · (common + body) + rows of blocks · (begin + end))

Our own kernel visits what is seen alone, and its body is of all heads that share a key head. Of a clip
every block is seen. Waiting for memory is not in it, so it is a lower bound: least for splash, which
reads a matrix for every block that is seen in part. How many blocks are seen is counted on rows of
made-up utterances of 4 to 15 s with three questions each, packed as training packs them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

KERNELS = {
    "splash": {
        "forward": "splash_mha_fwd_residuals",
        "d query": "splash_mha_dq_no_residuals",
        "d key, value": "splash_mha_dkv_no_res",
    },
    "packed": {
        "forward": "packed_attention_fwd",
        "d query": "packed_attention_dq",
        "d key, value": "packed_attention_dkv",
    },
    "clips": {"forward": "splash_mha_fwd_segmented"},
}
# Whisper-medium: frames, padded to whole blocks; heads, layers
CLIP, CLIP_BLOCK, CLIP_HEADS, CLIP_LAYERS = 1500, 512, 16, 24
_ADDRESS = re.compile(r"^\s*0x([0-9a-f]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bundles:
    """Of one turn of a kernel's loop."""

    common: int
    body: int
    ends: int

    def count_cycles(self, *, heads: int, blocks: int, seen: float, visited: float = 1.0) -> float:
        """Over a square of blocks × blocks for each head, of which a share is seen, and a share
        visited at all."""
        square = heads * blocks**2
        turns = square * (visited * self.common + seen * self.body)
        return turns + heads * blocks * self.ends


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Counts the bundles of the attention kernel.")
    parser.add_argument("--topology", default="v6e:2x2", help="the devices to compile for")
    parser.add_argument("--kernel", default="splash", choices=("splash", "packed"))
    parser.add_argument("--blocks", default="128,512", help="positions of a block, several")
    parser.add_argument("--positions", type=int, default=3584, help="of a row")
    parser.add_argument("--heads", type=int, default=28)
    parser.add_argument("--kv_heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--clips", action="store_true", help="the encoder's, for one clip of 30 s")
    parser.add_argument("--dump", help=argparse.SUPPRESS)
    return parser.parse_args()


def read_bundles(text: str) -> Bundles:
    """Of the text of a schedule: its loop, and the regions in it that a branch skips."""
    loop: list[int] = []
    regions: list[int] = []
    opened: int | None = None
    place = 0
    for line in text.splitlines():
        found = _ADDRESS.match(line)
        if not found:
            continue
        place = int(found.group(1), 16)
        if re.match(r"\s*0x[0-9a-f]+\s+LB:", line) and not loop:
            loop.append(place)
        if "loop exit test" in line and len(loop) == 1:
            loop.append(place)
        if re.match(r"\s*0x[0-9a-f]+\s+PF:", line) and opened is not None:
            regions.append(place - opened)
            opened = None
        if "sbr.rel" in line and "loop exit" not in line:
            opened = place
    # where how often it turns is not known beforehand, no test is marked: it ends with the program
    start, stop = (*loop, place)[:2]
    body = max(regions)
    middle = regions.index(body)
    # begin and end stand around it; what is left are copies, as if they were made in every turn
    ends = sum(regions[max(middle - 1, 0) : middle] + regions[middle + 1 : middle + 2])
    return Bundles(common=stop - start - body - ends, body=body, ends=ends)


def compile_kernel(flags: argparse.Namespace, block: int) -> None:
    """In a process of its own, whose compiler writes its schedules into flags.dump."""
    from sift_jax.compiled.topologies import open_topology, prepare_to_compile

    prepare_to_compile(flags.topology)
    os.environ["LIBTPU_INIT_ARGS"] = f"--xla_jf_dump_to={flags.dump} --xla_jf_dump_llo_text=true"
    import jax
    import jax.numpy as jnp

    from sift_jax.models.attention import attend_clips_by_splash, attend_splash, make_mask
    from sift_jax.models.packed_attention import attend_packed
    from sift_jax.models.packed_sight import find_sight

    sharding = jax.sharding.SingleDeviceSharding(open_topology(flags.topology)[0])

    def total(q: jax.Array, k: jax.Array, v: jax.Array, g: jax.Array, s: jax.Array) -> jax.Array:
        if flags.kernel == "packed":
            out = attend_packed(q, k, v, find_sight(g, s), block=block)
        else:
            out = attend_splash(q, k, v, make_mask(g, s), block=block)
        return jnp.sum(out.astype(jnp.float32))

    def describe(*dims: int, dtype: str) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(dims, dtype, sharding=sharding)

    if flags.clips:
        shape = describe(1, CLIP, CLIP_HEADS, 64, dtype="bfloat16")
        jax.jit(lambda q, k, v: attend_clips_by_splash(q, k, v, None)).lower(
            shape, shape, shape
        ).compile()
        return
    t = flags.positions
    heads = [
        describe(1, t, n, 128, dtype="bfloat16")
        for n in (flags.heads, flags.kv_heads, flags.kv_heads)
    ]
    ids = [describe(1, t, dtype="int32")] * 2
    jax.jit(jax.value_and_grad(total, (0, 1, 2))).lower(*heads, *ids).compile()


def measure_seen(positions: int, block: int, rows: int = 20) -> float:
    """The share of blocks that anybody sees."""
    rng, shares = np.random.default_rng(0), []
    place = np.arange(positions)
    for _ in range(rows):
        group, segment = np.zeros(positions, int), np.zeros(positions, int)
        start = number = 0
        while True:
            parts = [int(rng.uniform(4, 15) * 50) + 15, *rng.integers(30, 70, 3)]
            if start + sum(parts) > positions:
                break
            number += 1
            for index, length in enumerate(parts):
                group[start : start + length] = number
                segment[start : start + length] = index
                start += length
        is_seen = (place[None] <= place[:, None]) & (group[None] == group[:, None])
        is_seen &= (segment[None] == 0) | (segment[None] == segment[:, None])
        is_seen &= (group[:, None] > 0) | np.eye(positions, dtype=bool)
        n = -(-positions // block)
        filled = n * block - positions
        is_seen = np.pad(is_seen, ((0, filled), (0, filled)))
        shares.append(is_seen.reshape(n, block, n, block).any((1, 3)).mean())
    return float(np.mean(shares))


def list_bundles(flags: argparse.Namespace, kernel: str, block: int) -> dict[str, Bundles]:
    """Of each of its kernels, compiled in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.kernel_bundles", *sys.argv[1:]]
        command += [f"--blocks={block}", f"--dump={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return {
            name: read_bundles(
                next(
                    path
                    for path in sorted(Path(folder).glob(f"*{part}*final_bundles.txt"))
                    if "schedule-analysis" not in path.name
                ).read_text(encoding="utf-8")
            )
            for name, part in KERNELS[kernel].items()
        }


def main() -> None:
    flags = parse_flags()
    if flags.dump:
        compile_kernel(flags, int(flags.blocks))
        return
    from sift_jax.compiled.topologies import open_topology, prepare_to_compile
    from sift_jax.parallel.hardware import find_figures

    prepare_to_compile(flags.topology)
    figures = find_figures(open_topology(flags.topology)[0].device_kind)
    assert figures is not None and figures.clock_ghz, "the device's clock is not known"
    found = {}
    kernel = "clips" if flags.clips else flags.kernel
    blocks_asked = [CLIP_BLOCK] if flags.clips else map(int, flags.blocks.split(","))
    positions = CLIP + -CLIP % CLIP_BLOCK if flags.clips else flags.positions
    heads, layers = (CLIP_HEADS, CLIP_LAYERS) if flags.clips else (flags.heads, flags.layers)
    for block in blocks_asked:
        bundles = list_bundles(flags, kernel, block)
        seen = 1.0 if flags.clips else measure_seen(positions, block)
        size = {"blocks": -(-positions // block), "heads": heads, "seen": seen}
        if kernel == "packed":
            size = {**size, "heads": flags.kv_heads, "visited": seen}
        cycles = {name: each.count_cycles(**size) for name, each in bundles.items()}
        seconds = layers * sum(cycles.values()) / (figures.clock_ghz * 1e9)
        found[block] = {"seen": seen, "cycles": cycles, "ms_a_row": 1e3 * seconds}
        said = ", ".join(f"{name} {count / 1e6:.2f}" for name, count in cycles.items())
        print(
            f"{kernel}, blocks of {block}: {100 * seen:.0f} % are seen; million cycles a layer: "
            f"{said}; {1e3 * seconds:.1f} ms for {positions} positions over {layers} layers"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
