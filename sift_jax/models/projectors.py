"""From encoder frames to decoder embeddings: one class a kind, all called with frames and how many
are the clip.

linear     x ─► Linear                                        SIFT-LLM: 50 positions a second
pooled     mean of `frames` before the encoder's last norm ─► Linear            Qwen2-Audio (2): 25 a second
stacked    `frames` side by side ─► Linear ─► gelu ─► Linear                                     5: 10 a second
qformer    `queries` learned vectors read each window of `frames` ─► Linear       SALMONN (17): 3 a second
conformer  `frames` side by side ─► Linear ─► conformer blocks ─► Linear              SALM: 12.5 of a FastConformer

(clips, frames, width) ─► (clips, positions, decoder width)
"""

from __future__ import annotations

import dataclasses
from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from sift_jax.models.fast_conformer import drop_out, is_heard, run_conformer
from sift_jax.models.layers import Array, Counts, LayerNorm, Linear, attend, exact_gelu
from sift_jax.models.scanned_stack import run_stack

# BERT's
QFORMER_EPS = 1e-12
# layers of a Q-Former's block that the table of weights has keys for
LONGEST_BLOCK = 4
# of a conformer's convolution, in frames
CONFORMER_KERNEL = 9


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """`width` is the inner one; what a kind does not have is 0."""

    kind: str
    # whether its frames score the decoder's tokens, and their mean is heard: soft_tokens.py
    soft_tokens: bool
    # encoder frames that become one position, or one window of the Q-Former
    frames: int
    width: int
    queries: int
    layers: int
    heads: int
    # every so many layers the queries look at the speech; between, only at each other
    cross_every: int
    # of a Q-Former: whether it norms the speech first, which an encoder of two has done by parts
    has_norm: bool

    def __post_init__(self) -> None:
        if self.kind not in PROJECTORS:
            raise ValueError(
                f"projector kind {self.kind!r} is unknown; choose one of {', '.join(PROJECTORS)}"
            )
        if self.frames < 1 or self.kind == "linear" and self.frames != 1:
            remedy = (
                "1; to join frames choose the pooled projector"
                if self.kind == "linear"
                else "1 or more"
            )
            raise ValueError(
                f"projector_frames of the {self.kind} projector is {self.frames}; it must be "
                f"{remedy}"
            )
        needed = {
            "stacked": ("width",),
            "qformer": ("width", "queries", "layers", "heads", "cross_every"),
            "conformer": ("width", "layers", "heads"),
        }
        for name in needed.get(self.kind, ()):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} of the {self.kind} projector is {getattr(self, name)}; it must be 1 "
                    "or more"
                )
        if self.cross_every > LONGEST_BLOCK:
            raise ValueError(
                f"cross_every is {self.cross_every}; it is at most {LONGEST_BLOCK}, see "
                "weights/key_table.py"
            )
        if self.kind == "conformer" and self.width % self.heads:
            raise ValueError(
                f"a conformer of width {self.width} over {self.heads} heads does not divide; "
                "change the preset"
            )
        if self.kind == "qformer" and (self.layers % self.cross_every or self.width % self.heads):
            raise ValueError(
                f"a Q-Former of {self.layers} layers, one in {self.cross_every} with speech, and "
                f"width {self.width} over {self.heads} heads does not divide; change the preset"
            )

    @property
    def pool(self) -> int:
        """Frames that the encoder averages before its last norm."""
        return self.frames if self.kind == "pooled" else 1

    @property
    def blocks(self) -> int:
        """Length of the scanned axis of a Q-Former's or a conformer's parameters."""
        return self.layers // max(self.cross_every, 1)

    def count_positions(self, frames: Counts) -> Counts:
        """What becomes of so many encoder frames, and of none at all; the same for ints and arrays.

        Pooling leaves an incomplete group out, as Qwen2-Audio and its processor do; the others fill
        it up.
        """
        groups = frames // self.frames if self.kind == "pooled" else -(-frames // self.frames)
        return (groups + (groups < 1)) * (self.queries if self.kind == "qformer" else 1)


def fill_groups(x_bsd: Array, size: int) -> Array:
    """Zeros behind the last frame, up to a whole number of groups."""
    return jnp.pad(x_bsd, ((0, 0), (0, -x_bsd.shape[1] % size), (0, 0)))


class LinearProjector(nn.Module):
    """One Linear with bias; what is pooled comes pooled from the encoder."""

    config: ProjectorConfig
    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_bsd: Array, frames_b: Array | None = None) -> Array:
        return Linear(features=self.features, use_bias=True, dtype=self.dtype, name="linear")(x_bsd)


class StackedProjector(nn.Module):
    """Frames side by side, then an MLP with one hidden layer."""

    config: ProjectorConfig
    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_bsd: Array, frames_b: Array | None = None) -> Array:
        b, _, d = x_bsd.shape
        stacked = fill_groups(x_bsd, self.config.frames).reshape(b, -1, self.config.frames * d)
        linear = partial(Linear, use_bias=True, dtype=self.dtype)
        return linear(features=self.features, name="down")(
            exact_gelu(linear(features=self.config.width, name="up")(stacked))
        )


class QFormerLayer(nn.Module):
    """A BERT layer of queries: itself, the speech in every `cross_every`th, and an MLP; each normed
    after adding."""

    config: ProjectorConfig
    dtype: jnp.dtype
    has_cross: bool

    @nn.compact
    def __call__(self, x_bqd: Array, speech_bsd: Array, mask_bqs: Array) -> Array:
        c = self.config
        linear = partial(Linear, use_bias=True, dtype=self.dtype)

        def read(x: Array, source: Array, mask: Array | None, name: str) -> Array:
            def split(y: Array, part: str) -> Array:
                y = linear(features=c.width, name=f"{name}_{part}")(y)
                return y.reshape(*y.shape[:2], c.heads, c.width // c.heads)

            y = attend(split(x, "q"), split(source, "k"), split(source, "v"), mask)
            return LayerNorm(eps=QFORMER_EPS, name=f"{name}_norm")(
                linear(features=c.width, name=f"{name}_o")(y) + x
            )

        x_bqd = read(x_bqd, x_bqd, None, "self")
        if self.has_cross:
            x_bqd = read(x_bqd, speech_bsd, mask_bqs, "cross")
        y = linear(features=c.width, name="down")(
            exact_gelu(linear(features=4 * c.width, name="up")(x_bqd))
        )
        return LayerNorm(eps=QFORMER_EPS, name="mlp_norm")(y + x_bqd)


class QFormerBlock(nn.Module):
    """What is scanned: a layer that looks at the speech and those up to the next."""

    config: ProjectorConfig
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array, speech_bsd: Array, mask_bqs: Array) -> tuple[Array, None]:
        for i in range(self.config.cross_every):
            layer = QFormerLayer(
                config=self.config, dtype=self.dtype, has_cross=i == 0, name=f"layer{i}"
            )
            x = layer(x, speech_bsd, mask_bqs)
        return x, None


class QFormerProjector(nn.Module):
    """The same queries read every window of the speech by itself; a last window that is not full is
    masked."""

    config: ProjectorConfig
    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_bsd: Array, frames_b: Array | None = None) -> Array:
        c = self.config
        b, s, d = x_bsd.shape
        queries_qd = self.param("queries", nn.initializers.normal(0.02), (c.queries, c.width))
        norm = LayerNorm(eps=1e-5, name="speech_norm")
        speech = fill_groups(norm(x_bsd) if c.has_norm else x_bsd, c.frames).reshape(
            -1, c.frames, d
        )
        is_heard_bs = jnp.arange(speech.shape[0] // b * c.frames).reshape(-1, c.frames) < s
        mask_bqs = jnp.broadcast_to(
            jnp.tile(is_heard_bs, (b, 1))[:, None], (len(speech), c.queries, c.frames)
        )
        x = LayerNorm(eps=QFORMER_EPS, name="query_norm")(queries_qd.astype(self.dtype))
        x = jnp.broadcast_to(x, (len(speech), c.queries, c.width))
        fields = {"config": c, "dtype": self.dtype}
        x = run_stack(QFormerBlock, fields, x, (speech, mask_bqs), layers=c.blocks, remat="none")
        return Linear(features=self.features, use_bias=True, dtype=self.dtype, name="linear")(
            x.reshape(b, -1, c.width)
        )


class ConformerProjector(nn.Module):
    """SALM's adapter: frames side by side, conformer blocks that hear the clip alone, and a Linear
    to the decoder."""

    config: ProjectorConfig
    features: int
    dtype: jnp.dtype
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x_bsd: Array, frames_b: Array | None = None) -> Array:
        c = self.config
        if frames_b is None:
            frames_b = jnp.full(x_bsd.shape[:1], x_bsd.shape[1])
        heard = jnp.where(is_heard(x_bsd.shape[1], frames_b)[:, :, None], x_bsd, 0)
        stacked = fill_groups(heard, c.frames).reshape(len(x_bsd), -1, c.frames * x_bsd.shape[2])
        x = Linear(features=c.width, use_bias=True, dtype=self.dtype, name="up")(stacked)
        x = run_conformer(
            drop_out(self, self.dropout, x),
            is_heard(x.shape[1], c.count_positions(frames_b)),
            layers=c.layers,
            remat="none",
            width=c.width,
            heads=c.heads,
            hidden=4 * c.width,
            kernel=CONFORMER_KERNEL,
            has_bias=True,
            is_published=False,
            dtype=self.dtype,
            dropout=self.dropout,
        )
        return Linear(features=self.features, use_bias=True, dtype=self.dtype, name="linear")(x)


PROJECTORS: dict[str, type[nn.Module]] = {
    "linear": LinearProjector,
    "pooled": LinearProjector,
    "stacked": StackedProjector,
    "qformer": QFormerProjector,
    "conformer": ConformerProjector,
}


def make_projector(
    config: ProjectorConfig, features: int, dtype: jnp.dtype, *, dropout: float = 0.0
) -> nn.Module:
    fields = {"dropout": dropout} if config.kind == "conformer" else {}
    return PROJECTORS[config.kind](config=config, features=features, dtype=dtype, **fields)
