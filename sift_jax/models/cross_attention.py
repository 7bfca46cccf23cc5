"""Speech by cross-attention, as SALM-XATT has it: a clip is one token, its marker, however long it
is.

    token_bt   <im_start> user ♪ How fast ? …          slot_bt  -1 -1 0 -1 -1 -1      clip 0 stands at the third place
    x_btd      embeddings ─► + self-attention ─► + cross-attention to the clips ─► + MLP ─► … ─► norm ─► + embeddings

A position hears the clips whose markers it sees: those before it in its own question or in what its
question shares. So nothing of another question's audio reaches it, what several questions share is
the same for all of them, and a clip that comes later changes nothing before it. Who hears nothing
gets zeros.

The last norm starts at 0: the decoder reads its own embeddings until training lets speech in.
Rotary positions of the decoder's kind are ours. The speech of a Whisper knows its place in the
clip; that of a FastConformer, whose positions are relative, does not, and with `is_placed` it is
told: what comes next can then be looked for where it must be, and not by what it follows alone.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from sift_jax.models.layers import Array, LayerNorm, Linear, attend, exact_gelu, rotate, spread
from sift_jax.models.scanned_stack import run_stack

NORM_EPS = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossConfig:
    """`widening` is the MLP's inner width in widths of the decoder."""

    layers: int
    heads: int
    widening: int
    # whether sinusoids of its place in the clip are added to each projected frame
    is_placed: bool

    def head_size(self, width: int) -> int:
        if width % (2 * self.heads):
            raise ValueError(
                f"cross-attention of {self.heads} heads does not divide a decoder of width "
                f"{width} into heads of even size; change the preset in sift_jax/models/presets.py"
            )
        return width // self.heads


def find_hearing(mask_bts: Array, slot_bt: Array, clip_ba: Array) -> Array:
    """(b, t, a): whether a position sees the marker of each of these clips."""
    # mask_bts says which places each place sees, stands_bsa which clip's marker stands at a place: the
    # product counts the markers of a clip that are seen, 0 or 1.
    stands_bsa = slot_bt[:, :, None] == clip_ba[:, None]
    seen_bta = jnp.einsum(
        "bts,bsa->bta", mask_bts.astype(jnp.float32), stands_bsa.astype(jnp.float32)
    )
    return seen_bta > 0


def find_heard_frames(hears_bta: Array, positions_ba: Array, positions: int) -> Array:
    """(b, t, a · positions): which projected frames those are; a clip has `positions_ba` in room
    for `positions`."""
    is_clip_bas = jnp.arange(positions) < positions_ba[:, :, None]
    found = hears_bta[:, :, :, None] & is_clip_bas[:, None]
    return found.reshape(*found.shape[:2], -1)


def hear(q_btnk: Array, k_bsnk: Array, v_bsnk: Array, hears_bts: Array) -> Array:
    """Attention to speech: nothing where nothing is heard."""
    mixed = attend(q_btnk, k_bsnk, v_bsnk, hears_bts)
    return jnp.where(jnp.any(hears_bts, axis=-1, keepdims=True), mixed, 0)


class CrossBlock(nn.Module):
    config: CrossConfig
    width: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        x: Array,
        rotation: tuple[Array, Array],
        mask_bts: Array,
        speech_bsd: Array,
        hears_bts: Array,
    ) -> tuple[Array, None]:
        n, k = self.config.heads, self.config.head_size(self.width)
        linear = partial(Linear, use_bias=True, dtype=self.dtype)
        norm = partial(LayerNorm, eps=NORM_EPS)

        def split(y: Array, name: str) -> Array:
            return linear(features=self.width, name=name)(y).reshape(*y.shape[:2], n, k)

        x = spread(x)
        y = norm(name="self_norm")(x)
        q, key = rotate(split(y, "self_q"), rotation), rotate(split(y, "self_k"), rotation)
        mixed = attend(q, key, split(y, "self_v"), mask_bts)
        x = spread(x + linear(features=self.width, name="self_o")(mixed))
        y = norm(name="cross_norm")(x)
        mixed = hear(
            split(y, "cross_q"),
            split(speech_bsd, "cross_k"),
            split(speech_bsd, "cross_v"),
            hears_bts,
        )
        x = spread(x + linear(features=self.width, name="cross_o")(mixed))
        y = exact_gelu(
            linear(features=self.config.widening * self.width, name="up")(norm(name="mlp_norm")(x))
        )
        return spread(x + linear(features=self.width, name="down")(spread(y, "tensor"))), None


class CrossAttention(nn.Module):
    """Embeddings, with what the speech says to them added."""

    config: CrossConfig
    width: int
    dtype: jnp.dtype
    remat: str

    @nn.compact
    def __call__(
        self,
        x_btd: Array,
        rotation: tuple[Array, Array],
        mask_bts: Array,
        speech_bsd: Array,
        hears_bts: Array,
    ) -> Array:
        fields = {"config": self.config, "width": self.width, "dtype": self.dtype}
        shared = (rotation, mask_bts, speech_bsd, hears_bts)
        y = run_stack(
            CrossBlock, fields, x_btd, shared, layers=self.config.layers, remat=self.remat
        )
        return x_btd + LayerNorm(eps=NORM_EPS, first_scale=0.0, name="norm")(y)
