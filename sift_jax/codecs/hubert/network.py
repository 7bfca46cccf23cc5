"""HuBERT and wav2vec2: the hidden states of any layer, or log probabilities of a CTC head, forward
only.

    waves [b, n] ─► strided convolutions [b, t, c] ─► projection ─► + positions by convolution ─► layers ─► [b, t, d]
                                                                                              head ─► [b, t, v]

Three forms exist: group norm in the first convolution or layer norm in all of them; norms behind
(post) or ahead of (stable) each sublayer. A clip may stand in a longer row; what lies behind its
length changes nothing: the group norm counts the clip's own frames only, positions see zeros there,
and attention looks away. The answer is that of the clip alone, also where the published classes
give another one as soon as they pad.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

Params = Mapping[str, Any]
_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "relu": jax.nn.relu,
    "swish": jax.nn.silu,
    "silu": jax.nn.silu,
}
_CONV_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubertConfig:
    """The fields of config.json that decide the forward pass, by their names there."""

    conv_kernel: tuple[int, ...]
    conv_stride: tuple[int, ...]
    feat_extract_norm: str
    feat_extract_activation: str
    feat_proj_layer_norm: bool
    num_hidden_layers: int
    num_attention_heads: int
    num_conv_pos_embeddings: int
    num_conv_pos_embedding_groups: int
    do_stable_layer_norm: bool
    hidden_act: str
    layer_norm_eps: float

    def __post_init__(self) -> None:
        if self.feat_extract_norm not in ("group", "layer"):
            raise ValueError(
                f"feat_extract_norm is {self.feat_extract_norm!r}; group and layer exist"
            )
        for name in (self.feat_extract_activation, self.hidden_act):
            if name not in _ACTIVATIONS:
                raise ValueError(
                    f"activation {name!r} is not known here; known are {', '.join(_ACTIVATIONS)}"
                )

    @property
    def stride(self) -> int:
        """Samples a frame."""
        return math.prod(self.conv_stride)

    def count_frames(self, samples: Any) -> Any:
        """Frames of a clip of so many samples; numbers and arrays alike."""
        # HuBERT's kernels are 10, 3, 3, 3, 3, 2, 2 and its strides 5, 2, 2, 2, 2, 2, 2: a second of
        # 16,000 samples becomes 3,199, 1,599, 799, 399, 199, 99 and at last 49 frames, not 50.
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples


def compute_features(
    config: HubertConfig,
    params: Params,
    waves: jax.Array,
    lengths: jax.Array,
    *,
    layer: int | None = None,
) -> jax.Array:
    """Hidden states [b, t, d] behind so many layers, 0 being what enters the first. None is the
    network's own output: behind all layers, and behind the last norm where it has one.

    Of waves [b, n] the first `lengths` [b] samples are real, and of frames
    `config.count_frames(lengths)`.
    """
    x = _project(config, params, _extract(config, params, waves, lengths))
    is_real = jnp.arange(x.shape[1]) < config.count_frames(lengths)[:, None]
    # The convolution of positions is 128 frames wide: it must see behind the clip's end what it saw
    # behind a clip that stood alone, zeros.
    x = jnp.where(is_real[..., None], x, 0.0)
    x = x + _place(config, params["positions"], x)
    norm = functools.partial(_layer_norm, epsilon=config.layer_norm_eps)
    if not config.do_stable_layer_norm:
        x = norm(x, params["norm"])

    def run_layer(x: jax.Array, layer: Params) -> tuple[jax.Array, None]:
        attend = functools.partial(_attend, config, layer["attention"], is_real=is_real)
        feed = functools.partial(_feed, config, layer["feed"])
        if config.do_stable_layer_norm:
            x = x + attend(norm(x, layer["norm"]))
            return x + feed(norm(x, layer["final_norm"])), None
        x = norm(x + attend(x), layer["norm"])
        return norm(x + feed(x), layer["final_norm"]), None

    # Layers lie stacked along a first axis; of the first `layer` of them only those are run.
    x, _ = jax.lax.scan(run_layer, x, jax.tree.map(lambda leaf: leaf[:layer], params["layers"]))
    return norm(x, params["norm"]) if config.do_stable_layer_norm and layer is None else x


@functools.partial(jax.jit, static_argnums=0)
def compute_log_probs(
    config: HubertConfig, params: Params, waves: jax.Array, lengths: jax.Array
) -> jax.Array:
    """Log probabilities [b, t, v] of waves [b, n] of which the first `lengths` [b] samples are
    real."""
    return jax.nn.log_softmax(
        _linear(compute_features(config, params, waves, lengths), params["head"]), axis=-1
    )


def _extract(
    config: HubertConfig, params: Params, waves: jax.Array, lengths: jax.Array
) -> jax.Array:
    x, activate = waves[..., None], _ACTIVATIONS[config.feat_extract_activation]
    for i, (kernel, stride) in enumerate(zip(config.conv_kernel, config.conv_stride, strict=True)):
        conv = params[f"conv_{i}"]
        if i == 0 and config.feat_extract_norm == "group":
            # of as many frames as the clip alone would have: what lies behind is not counted
            x = activate(_hear_normed(conv, waves, (lengths - kernel) // stride + 1, stride))
            continue
        x = jax.lax.conv_general_dilated(
            x, conv["weight"], (stride,), "VALID", dimension_numbers=("NWC", "OIW", "NWC")
        )
        x = x + conv["bias"] if "bias" in conv else x
        if config.feat_extract_norm == "layer":
            x = _layer_norm(x, conv["norm"], epsilon=_CONV_EPSILON)
        x = activate(x)
    return x


def _hear_normed(conv: Params, waves: jax.Array, frames: jax.Array, stride: int) -> jax.Array:
    """The first convolution, each of whose channels has mean 0 and variance 1 over the clip's own
    frames [b].

    A convolution of one channel is linear in the few samples that it sees: their mean and
    covariance say what each channel's are, so that the norm becomes a kernel for each clip, and
    what is a hundred times as large as the clip is gone through once. A bias would change nothing.
    """
    # Channel c hears y = Σ_k tap_kc · s_k of the samples s_0 … s_9 under it. Over the clip's frames
    # its mean is Σ_k tap_kc · mean(s_k), and its variance tap_c' · Cov(s) · tap_c: ten means and a
    # 10 × 10 covariance in place of 512 channels of two passes each.
    kernel = conv["weight"].shape[-1]
    times = (waves.shape[1] - kernel) // stride + 1
    blocks = -(-kernel // stride)
    padded = jnp.pad(waves, ((0, 0), (0, max((times + blocks - 1) * stride - waves.shape[1], 0))))
    # Windows of 10 samples, 5 apart, as columns: blocks of 5 samples, [0-4] [5-9] [10-14] …, and
    # each window is a block with the next one beside it. Two slices, where a gather would copy
    # sample by sample.
    rows = padded[:, : (times + blocks - 1) * stride].reshape(len(waves), -1, stride)
    seen = jnp.concatenate([rows[:, i : i + times] for i in range(blocks)], axis=-1)[..., :kernel]
    # 1 / frames for the clip's own, 0 for what lies behind: a sum with it is a mean over the clip
    weight = (jnp.arange(times) < frames[:, None]) / frames[:, None]
    highest = jax.lax.Precision.HIGHEST
    mean = jnp.einsum("btk,bt->bk", seen, weight, precision=highest)
    centred = seen - mean[:, None]
    covariance = jnp.einsum("btk,btl,bt->bkl", centred, centred, weight, precision=highest)
    # Highest precision: a TPU would multiply in bfloat16, and a variance is a small difference.
    taps = conv["weight"][:, 0].T
    variance = jnp.einsum("kc,bkl,lc->bc", taps, covariance, taps, precision=highest)
    scale = jax.lax.rsqrt(jnp.maximum(variance, 0) + _CONV_EPSILON) * conv["norm"]["weight"]
    return jnp.einsum("btk,bkc->btc", centred, taps * scale[:, None]) + conv["norm"]["bias"]


def _project(config: HubertConfig, params: Params, x: jax.Array) -> jax.Array:
    if config.feat_proj_layer_norm:
        x = _layer_norm(x, params["projection_norm"], epsilon=config.layer_norm_eps)
    return _linear(x, params["projection"])


def _place(config: HubertConfig, positions: Params, x: jax.Array) -> jax.Array:
    """What a wide grouped convolution says of each frame's place."""
    # An even kernel, 128, has no middle: 64 frames before, 63 behind, as the published one that
    # pads 64 to both sides and drops the last frame.
    half = config.num_conv_pos_embeddings // 2
    y = jax.lax.conv_general_dilated(
        x,
        positions["weight"],
        (1,),
        [(half, half - (config.num_conv_pos_embeddings % 2 == 0))],
        dimension_numbers=("NWC", "OIW", "NWC"),
        feature_group_count=config.num_conv_pos_embedding_groups,
    )
    return _ACTIVATIONS[config.feat_extract_activation](y + positions["bias"])


def _attend(
    config: HubertConfig, attention: Params, x: jax.Array, *, is_real: jax.Array
) -> jax.Array:
    """Heads ahead of times: a CPU is a fifth quicker so than by jax.nn.dot_product_attention."""

    def split(name: str) -> jax.Array:
        y = _linear(x, attention[name])
        return y.reshape(*y.shape[:2], config.num_attention_heads, -1).transpose(0, 2, 1, 3)

    query, key, value = (split(name) for name in ("q_proj", "k_proj", "v_proj"))
    scores = jnp.einsum("bhtk,bhsk->bhts", query * query.shape[-1] ** -0.5, key)
    weights = jax.nn.softmax(jnp.where(is_real[:, None, None], scores, -1e30), axis=-1)
    mixed = jnp.einsum("bhts,bhsk->bhtk", weights, value).transpose(0, 2, 1, 3)
    return _linear(mixed.reshape(x.shape), attention["out_proj"])


def _feed(config: HubertConfig, feed: Params, x: jax.Array) -> jax.Array:
    return _linear(_ACTIVATIONS[config.hidden_act](_linear(x, feed["inner"])), feed["outer"])


def _linear(x: jax.Array, linear: Params) -> jax.Array:
    return x @ linear["weight"].T + linear["bias"]


def _layer_norm(x: jax.Array, norm: Params, *, epsilon: float) -> jax.Array:
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon) * norm["weight"] + norm["bias"]
