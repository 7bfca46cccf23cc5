"""Arithmetic of a program's matrix products and convolutions, with the turns of its loops.

    %y = bf16[3584,18944] dot(bf16[3584,3584], bf16[3584,18944])      2 · 3584 · 3584 · 18944 operations

On a TPU every product is a convolution, a batch of products one with a window that meets each
matrix with its own partner alone; so the pairs that a window really meets are counted.
"""

from __future__ import annotations

import collections
import functools
import json
import math
import re

import numpy as np

from sift_jax.compiled.hlo_text import Computation, Instruction, Program, list_arrays
from sift_jax.compiled.places import Place, find_place

# the calls by which XLA asks a library of the GPU for a product
LIBRARY_PRODUCTS = ("__cublas$gemm", "__cublas$lt$matmul", "__triton_gemm")
# and for a convolution: which of (first operand, second operand, result) are its left side, its right
# side and its output, whose window and labels are those of the forward pass
LIBRARY_CONVOLUTIONS = {
    "__cudnn$convForward": (0, 1, 2),
    "__cudnn$convBiasActivationForward": (0, 1, 2),
    "__cudnn$convBackwardInput": (2, 1, 0),
    "__cudnn$convBackwardFilter": (0, 2, 1),
}


def count_products(program: Program) -> dict[Place, float]:
    """Operations by place, kernels that others wrote not among them."""
    found: dict[Place, float] = collections.defaultdict(float)
    for computation, instruction, times in program.walk():
        if operations := count_operations(instruction, computation):
            found[find_place(instruction)] += times * operations
    return dict(found)


def count_operations(instruction: Instruction, computation: Computation) -> float:
    """2 for each pair of numbers that is multiplied and added; 0 for what is no product."""
    target = instruction.target if instruction.kind == "custom-call" else ""
    is_library = target in LIBRARY_PRODUCTS
    places = LIBRARY_CONVOLUTIONS.get(target)
    if instruction.kind not in ("dot", "convolution") and not is_library and places is None:
        return 0.0
    sides = [_find_dims(computation, name) for name in instruction.operands[:2]]
    if len(sides) < 2 or None in sides:
        return 0.0
    left, right = (side or () for side in sides)
    out = list_arrays(instruction.shape)[0][1]
    if instruction.kind == "convolution":
        return _count_convolution(instruction, left, right, out)
    if places is not None:
        return _count_convolution(instruction, *((left, right, out)[place] for place in places))
    contracted = (
        _read_library_dims(instruction)
        if is_library
        else _read_list(r"lhs_contracting_dims=\{([0-9,]*)\}", instruction.text)
    )
    return 2.0 * math.prod(out) * math.prod(left[d] for d in contracted)


def _find_dims(computation: Computation, name: str) -> tuple[int, ...] | None:
    made = computation.by_name.get(name)
    arrays = list_arrays(made.shape) if made else []
    return arrays[0][1] if arrays else None


def _read_list(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    return [int(n) for n in found.group(1).split(",") if n] if found else []


def _read_library_dims(instruction: Instruction) -> list[int]:
    found = re.search(r'"lhs_contracting_dimensions":(\[[^\]]*\])', instruction.text)
    return [int(n) for n in json.loads(found.group(1))] if found else []


def _count_convolution(
    instruction: Instruction,
    left: tuple[int, ...],
    right: tuple[int, ...],
    out: tuple[int, ...],
) -> float:
    labels = re.search(r"dim_labels=([\w?]+)_([\w?]+)->([\w?]+)", instruction.text)
    if labels is None:
        return 0.0
    left_labels, right_labels, out_labels = labels.groups()
    pairs = 1
    for place, window in enumerate(_read_windows(instruction, left_labels)):
        pairs *= _count_pairs(
            left[left_labels.index(str(place))], out[out_labels.index(str(place))], window
        )
    features = out[out_labels.index("b")] * out[out_labels.index("f")]
    return 2.0 * features * right[right_labels.index("i")] * pairs


# size, stride, padding before, dilation of the left side, of the right side
Window = tuple[int, int, int, int, int]


def _read_windows(instruction: Instruction, labels: str) -> list[Window]:
    spatial = sum(letter.isdigit() for letter in labels)
    found = re.search(r"window=\{([^}]*)\}", instruction.text)
    said = dict(word.split("=") for word in found.group(1).split()) if found else {}

    def read(name: str) -> list[int]:
        return [int(n) for n in said[name].split("x")] if name in said else [1] * spatial

    before = [int(pair.split("_")[0]) for pair in said["pad"].split("x")] if "pad" in said else []
    before = before or [0] * spatial
    sizes = (read("size"), read("stride"), before, read("lhs_dilate"), read("rhs_dilate"))
    return list(zip(*sizes, strict=True))


@functools.lru_cache(maxsize=4096)
def _count_pairs(length: int, outputs: int, window: Window) -> int:
    """How many (output, tap) pairs meet an entry of the left side, and neither padding nor a gap."""
    size, stride, before, left_gap, right_gap = window
    if (size, stride, before, left_gap) == (1, 1, 0, 1):
        return min(length, outputs)
    place = np.arange(outputs)[:, None] * stride + np.arange(size)[None] * right_gap - before
    is_met = (place >= 0) & (place % left_gap == 0) & (place // left_gap < length)
    return int(is_met.sum())
