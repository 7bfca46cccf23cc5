"""Weights as GGUF packs them, back into float32. A block is 32 numbers, of the K kinds 256, with
scales of its own.

    Q4_0   d ─ 16 bytes                       w = d (q − 8)       q: low halves of the bytes, then high halves
    Q4_1   d ─ m ─ 16 bytes                   w = d q + m
    Q5_0   d ─ 4 bytes ─ 16 bytes             w = d (q − 16)      bit i of the four bytes is the fifth bit of q[i]
    Q5_1   d ─ m ─ 4 bytes ─ 16 bytes         w = d q + m
    Q8_0   d ─ 32 bytes                       w = d q             q is signed
    Q4_K   d ─ m ─ 12 bytes ─ 128 bytes       w = d s q − m t     s, t: six bits for each of eight runs of 32
    Q5_K   d ─ m ─ 12 ─ 32 ─ 128 bytes        the same, with a fifth bit
    Q6_K   128 bytes ─ 64 bytes ─ 16 ─ d      w = d s (q − 32)    s: signed, for each of sixteen runs of 16

d and m are half precision. Worked example, Q4_0 with d = 0.5 and first byte 0x9C: w[0] = .5 (12 −
8) = 2, and w[16] = .5 (9 − 8) = .5.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import ml_dtypes
import numpy as np

Unpack = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packing:
    """How many numbers a block holds, in how many bytes; `unpack` takes (blocks, bytes) and gives
    (blocks, numbers)."""

    name: str
    numbers: int
    bytes: int
    unpack: Unpack


def _half(raw_nb: np.ndarray, start: int) -> np.ndarray:
    """The number in half precision at a byte of each block, (n, 1)."""
    return np.ascontiguousarray(raw_nb[:, start : start + 2]).view("<f2").astype(np.float32)


def _halves(raw_nb: np.ndarray) -> np.ndarray:
    """The low four bits of all bytes, then the high ones."""
    return np.concatenate([raw_nb & 15, raw_nb >> 4], axis=1)


def _fifth_bits(raw_n4: np.ndarray) -> np.ndarray:
    return np.unpackbits(raw_n4, axis=1, bitorder="little") << 4


def _unpack_q4_0(raw: np.ndarray) -> np.ndarray:
    return _half(raw, 0) * (_halves(raw[:, 2:]).astype(np.float32) - 8)


def _unpack_q4_1(raw: np.ndarray) -> np.ndarray:
    return _half(raw, 0) * _halves(raw[:, 4:]) + _half(raw, 2)


def _unpack_q5_0(raw: np.ndarray) -> np.ndarray:
    return _half(raw, 0) * (
        (_halves(raw[:, 6:]) | _fifth_bits(raw[:, 2:6])).astype(np.float32) - 16
    )


def _unpack_q5_1(raw: np.ndarray) -> np.ndarray:
    return _half(raw, 0) * (_halves(raw[:, 8:]) | _fifth_bits(raw[:, 4:8])) + _half(raw, 2)


def _unpack_q8_0(raw: np.ndarray) -> np.ndarray:
    return _half(raw, 0) * raw[:, 2:].view(np.int8).astype(np.float32)


def _read_scales(raw_n12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(scales, minima) of eight runs, six bits each.

    bytes 0 … 3    low six bits: scales 0 … 3    high two bits: the high ones of scales 4 … 7
    bytes 4 … 7    low six bits: minima 0 … 3    high two bits: the high ones of minima 4 … 7
    bytes 8 … 11   low four: of scales 4 … 7     high four: of minima 4 … 7
    """
    a, b, c = raw_n12[:, :4], raw_n12[:, 4:8], raw_n12[:, 8:12]
    scales = np.concatenate([a & 63, (c & 15) | (a >> 6 << 4)], axis=1)
    minima = np.concatenate([b & 63, (c >> 4) | (b >> 6 << 4)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _scale_runs(raw: np.ndarray, q_n256: np.ndarray) -> np.ndarray:
    scales, minima = _read_scales(raw[:, 4:16])
    q = q_n256.reshape(-1, 8, 32).astype(np.float32)
    found = (_half(raw, 0) * scales)[:, :, None] * q - (_half(raw, 2) * minima)[:, :, None]
    return found.reshape(-1, 256)


def _halves_of_32(raw_n128: np.ndarray) -> np.ndarray:
    """Of each 32 bytes the low halves, then the high ones."""
    return _halves(raw_n128.reshape(-1, 32)).reshape(-1, 256)


def _unpack_q4_k(raw: np.ndarray) -> np.ndarray:
    return _scale_runs(raw, _halves_of_32(raw[:, 16:]))


def _unpack_q5_k(raw: np.ndarray) -> np.ndarray:
    # bit r of byte j is the fifth bit of number j in run r
    bits = np.unpackbits(raw[:, 16:48], axis=1, bitorder="little").reshape(-1, 32, 8)
    fifth = bits.transpose(0, 2, 1).reshape(-1, 256) << 4
    return _scale_runs(raw, _halves_of_32(raw[:, 48:]) | fifth)


def _unpack_q6_k(raw: np.ndarray) -> np.ndarray:
    # each half of the block: 64 bytes with four low bits of 128 numbers, 32 bytes with their two
    # high bits
    low = _halves(raw[:, :128].reshape(-1, 64)).reshape(-1, 4, 32)
    high = raw[:, 128:192].reshape(-1, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    q = (low | high << 4).reshape(-1, 16, 16).astype(np.float32) - 32
    scales = raw[:, 192:208].view(np.int8).astype(np.float32)
    return ((_half(raw, 208) * scales)[:, :, None] * q).reshape(-1, 256)


def _plain(name: str, dtype: np.dtype) -> Packing:
    return Packing(
        name=name,
        numbers=1,
        bytes=dtype.itemsize,
        unpack=lambda raw: raw.view(dtype).astype(np.float32),
    )


# by the number that a GGUF has for it
PACKINGS: dict[int, Packing] = {
    0: _plain("F32", np.dtype("<f4")),
    1: _plain("F16", np.dtype("<f2")),
    2: Packing(name="Q4_0", numbers=32, bytes=18, unpack=_unpack_q4_0),
    3: Packing(name="Q4_1", numbers=32, bytes=20, unpack=_unpack_q4_1),
    6: Packing(name="Q5_0", numbers=32, bytes=22, unpack=_unpack_q5_0),
    7: Packing(name="Q5_1", numbers=32, bytes=24, unpack=_unpack_q5_1),
    8: Packing(name="Q8_0", numbers=32, bytes=34, unpack=_unpack_q8_0),
    12: Packing(name="Q4_K", numbers=256, bytes=144, unpack=_unpack_q4_k),
    13: Packing(name="Q5_K", numbers=256, bytes=176, unpack=_unpack_q5_k),
    14: Packing(name="Q6_K", numbers=256, bytes=210, unpack=_unpack_q6_k),
    30: _plain("BF16", np.dtype(ml_dtypes.bfloat16)),
}


def unpack(packing: Packing, raw: np.ndarray) -> np.ndarray:
    """The numbers of whole blocks, flat."""
    return packing.unpack(np.ascontiguousarray(raw).reshape(-1, packing.bytes)).reshape(-1)
