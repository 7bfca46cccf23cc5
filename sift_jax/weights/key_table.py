"""One table: our parameter paths ↔ the keys of Hugging Face checkpoints, read both ways.

(our path, their key, change)      {i} in a key is the layer: ours is stacked over layers, theirs is one tensor each
change: "same", "turn" (out, in) ↔ (in, out), "conv" (out, in, *widths) ↔ (*widths turned over, in,
out),
        "point" (out, in, 1) ↔ (in, out), "plane" (out, in, 1, 1) ↔ (in, out)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.joined_encoder import JoinedConfig
from sift_jax.models.projectors import LONGEST_BLOCK
from sift_jax.models.speech_lm import SpeechLMConfig

Row = tuple[str, str, str]


def _attention(name: str, theirs: str, has_bias: bool) -> list[Row]:
    rows = [(f"blocks/{name}/kernel", f"layers.{{i}}.self_attn.{theirs}.weight", "turn")]
    return rows + (
        [(f"blocks/{name}/bias", f"layers.{{i}}.self_attn.{theirs}.bias", "same")]
        if has_bias
        else []
    )


def _norm(ours: str, theirs: str) -> list[Row]:
    return [
        (f"{ours}/scale", f"{theirs}.weight", "same"),
        (f"{ours}/bias", f"{theirs}.bias", "same"),
    ]


def _linear(path: str, key: str) -> list[Row]:
    return _pointwise(path, key, "turn")


def _pointwise(path: str, key: str, change: str) -> list[Row]:
    return [(f"{path}/kernel", f"{key}.weight", change), (f"{path}/bias", f"{key}.bias", "same")]


def _strided(name: str, place: int) -> list[Row]:
    return _pointwise(f"subsampling/{name}", f"subsampling.layers.{place}", "conv")


# keys below `model.encoder.` of a Whisper checkpoint; its sinusoids are computed here, not read
WHISPER: tuple[Row, ...] = (
    ("conv1/kernel", "conv1.weight", "conv"),
    ("conv1/bias", "conv1.bias", "same"),
    ("conv2/kernel", "conv2.weight", "conv"),
    ("conv2/bias", "conv2.bias", "same"),
    *_attention("q", "q_proj", True),
    *_attention("k", "k_proj", False),
    *_attention("v", "v_proj", True),
    *_attention("o", "out_proj", True),
    *_norm("blocks/attention_norm", "layers.{i}.self_attn_layer_norm"),
    *_norm("blocks/mlp_norm", "layers.{i}.final_layer_norm"),
    ("blocks/up/kernel", "layers.{i}.fc1.weight", "turn"),
    ("blocks/up/bias", "layers.{i}.fc1.bias", "same"),
    ("blocks/down/kernel", "layers.{i}.fc2.weight", "turn"),
    ("blocks/down/bias", "layers.{i}.fc2.bias", "same"),
    *_norm("norm", "layer_norm"),
)
# keys of the encoder of a Parakeet checkpoint
FAST_CONFORMER: tuple[Row, ...] = (
    *_strided("conv0", 0),
    *_strided("depth1", 2),
    *_pointwise("subsampling/point1", "subsampling.layers.3", "plane"),
    *_strided("depth2", 5),
    *_pointwise("subsampling/point2", "subsampling.layers.6", "plane"),
    *_linear("subsampling/linear", "subsampling.linear"),
    *_linear("blocks/first_up", "layers.{i}.feed_forward1.linear1"),
    *_linear("blocks/first_down", "layers.{i}.feed_forward1.linear2"),
    *(row for n in "qkvo" for row in _linear(f"blocks/{n}", f"layers.{{i}}.self_attn.{n}_proj")),
    ("blocks/distance/kernel", "layers.{i}.self_attn.relative_k_proj.weight", "turn"),
    ("blocks/bias_u", "layers.{i}.self_attn.bias_u", "same"),
    ("blocks/bias_v", "layers.{i}.self_attn.bias_v", "same"),
    *_pointwise("blocks/gate", "layers.{i}.conv.pointwise_conv1", "point"),
    ("blocks/depth_kernel", "layers.{i}.conv.depthwise_conv.weight", "conv"),
    ("blocks/depth_bias", "layers.{i}.conv.depthwise_conv.bias", "same"),
    *_norm("blocks/inner_norm", "layers.{i}.conv.norm"),
    ("blocks/inner_norm/mean", "layers.{i}.conv.norm.running_mean", "same"),
    ("blocks/inner_norm/variance", "layers.{i}.conv.norm.running_var", "same"),
    *_pointwise("blocks/point", "layers.{i}.conv.pointwise_conv2", "point"),
    *_linear("blocks/second_up", "layers.{i}.feed_forward2.linear1"),
    *_linear("blocks/second_down", "layers.{i}.feed_forward2.linear2"),
    *_norm("blocks/first_norm", "layers.{i}.norm_feed_forward1"),
    *_norm("blocks/attention_norm", "layers.{i}.norm_self_att"),
    *_norm("blocks/conv_norm", "layers.{i}.norm_conv"),
    *_norm("blocks/second_norm", "layers.{i}.norm_feed_forward2"),
    *_norm("blocks/out_norm", "layers.{i}.norm_out"),
)
# keys of a published BEATs, but for three tensors that lie otherwise there: foreign/beats_file.py
BEATS_BIASES = "encoder.relative_attention_bias.weight"
_BEATS_BLOCK = "encoder.layers.{i}"
BEATS: tuple[Row, ...] = (
    ("patch/kernel", "patch_embedding.weight", "turn"),
    *_norm("patch_norm", "layer_norm"),
    *_linear("projection", "post_extract_proj"),
    *_pointwise("places", "encoder.pos_conv.0", "conv"),
    *_norm("norm", "encoder.layer_norm"),
    ("biases", BEATS_BIASES, "same"),
    *(
        row
        for ours, theirs in (("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("o", "out_proj"))
        for row in _linear(f"blocks/{ours}", f"{_BEATS_BLOCK}.self_attn.{theirs}")
    ),
    *_linear("blocks/gate", f"{_BEATS_BLOCK}.self_attn.grep_linear"),
    ("blocks/gate_scale", f"{_BEATS_BLOCK}.self_attn.grep_a", "same"),
    *_norm("blocks/attention_norm", f"{_BEATS_BLOCK}.self_attn_layer_norm"),
    *_linear("blocks/up", f"{_BEATS_BLOCK}.fc1"),
    *_linear("blocks/down", f"{_BEATS_BLOCK}.fc2"),
    *_norm("blocks/mlp_norm", f"{_BEATS_BLOCK}.final_layer_norm"),
)
# ours alone: the two of them, and SALMONN's names of its norms
JOINED: tuple[Row, ...] = (
    *((f"whisper/{ours}", f"whisper.{theirs}", change) for ours, theirs, change in WHISPER),
    *((f"beats/{ours}", f"beats.{theirs}", change) for ours, theirs, change in BEATS),
    *_norm("whisper_norm", "ln_speech"),
    *_norm("beats_norm", "ln_audio"),
)
WHISPER_COMPUTED = ("embed_positions.weight",)
# keys below `model.decoder.`; the output is tied to the embedding
WHISPER_DECODER: tuple[Row, ...] = (
    ("embedding", "embed_tokens.weight", "same"),
    ("positions", "embed_positions.weight", "same"),
    *_attention("q", "q_proj", True),
    *_attention("k", "k_proj", False),
    *_attention("v", "v_proj", True),
    *_attention("o", "out_proj", True),
    *_linear("blocks/cross_q", "layers.{i}.encoder_attn.q_proj"),
    ("blocks/cross_k/kernel", "layers.{i}.encoder_attn.k_proj.weight", "turn"),
    *_linear("blocks/cross_v", "layers.{i}.encoder_attn.v_proj"),
    *_linear("blocks/cross_o", "layers.{i}.encoder_attn.out_proj"),
    *_norm("blocks/attention_norm", "layers.{i}.self_attn_layer_norm"),
    *_norm("blocks/cross_norm", "layers.{i}.encoder_attn_layer_norm"),
    *_norm("blocks/mlp_norm", "layers.{i}.final_layer_norm"),
    *_linear("blocks/up", "layers.{i}.fc1"),
    *_linear("blocks/down", "layers.{i}.fc2"),
    *_norm("norm", "layer_norm"),
)


def _scale(name: str, theirs: str) -> Row:
    return (f"blocks/{name}/scale", f"model.layers.{{i}}.{theirs}.weight", "same")


# what all decoders' checkpoints name alike; one has biases, another norms of heads
_DECODER: tuple[Row, ...] = (
    ("embedding", "model.embed_tokens.weight", "same"),
    ("head", "lm_head.weight", "turn"),
    ("norm/scale", "model.norm.weight", "same"),
    _scale("attention_norm", "input_layernorm"),
    *(
        (ours, f"model.{theirs}", change)
        for n in "qkv"
        for ours, theirs, change in _attention(n, f"{n}_proj", True)
    ),
    _scale("q_norm", "self_attn.q_norm"),
    _scale("k_norm", "self_attn.k_norm"),
    ("blocks/o/kernel", "model.layers.{i}.self_attn.o_proj.weight", "turn"),
    ("blocks/gate/kernel", "model.layers.{i}.mlp.gate_proj.weight", "turn"),
    ("blocks/up/kernel", "model.layers.{i}.mlp.up_proj.weight", "turn"),
    ("blocks/down/kernel", "model.layers.{i}.mlp.down_proj.weight", "turn"),
)
# keys of a Qwen, Llama, Mistral or SmolLM checkpoint: the second norm is the MLP's
QWEN2: tuple[Row, ...] = (*_DECODER, _scale("mlp_norm", "post_attention_layernorm"))
# keys of a Gemma 3 checkpoint, where that name is a norm behind attention
GEMMA3: tuple[Row, ...] = (
    *_DECODER,
    _scale("attention_out_norm", "post_attention_layernorm"),
    _scale("mlp_norm", "pre_feedforward_layernorm"),
    _scale("mlp_out_norm", "post_feedforward_layernorm"),
)


def _qformer_layer(layer: str, has_cross: bool) -> list[Row]:
    rows = [
        row
        for part in ("up", "down")
        for row in _linear(f"blocks/{layer}/{part}", f"blocks.{{i}}.{layer}.{part}")
    ]
    for name in ("self", "cross") if has_cross else ("self",):
        for part in "qkvo":
            rows += _linear(f"blocks/{layer}/{name}_{part}", f"blocks.{{i}}.{layer}.{name}_{part}")
        rows += _norm(f"blocks/{layer}/{name}_norm", f"blocks.{{i}}.{layer}.{name}_norm")
    return rows + _norm(f"blocks/{layer}/mlp_norm", f"blocks.{{i}}.{layer}.mlp_norm")


def _same_names(*paths: str) -> list[Row]:
    """Linear layers and norms of blocks that nobody else has."""
    keys = {path: path.replace("blocks/", "blocks.{i}.") for path in paths}
    return [
        row
        for path, key in keys.items()
        for row in (_norm if path.endswith("norm") else _linear)(path, key)
    ]


CONFORMER_LINEARS = (
    "first_up",
    "first_down",
    "q",
    "k",
    "v",
    "o",
    "gate",
    "point",
    "second_up",
    "second_down",
)
CONFORMER_NORMS = (
    "first_norm",
    "attention_norm",
    "conv_norm",
    "inner_norm",
    "second_norm",
    "out_norm",
)

# ours alone: a projector's parameters are named as here wherever they are written. Every kind in
# one table
PROJECTOR: tuple[Row, ...] = (
    *_linear("linear", "linear"),
    *_linear("up", "up"),
    *_linear("down", "down"),
    ("rest/kernel", "rest.weight", "turn"),
    ("queries", "queries", "same"),
    *_norm("speech_norm", "speech_norm"),
    *_norm("query_norm", "query_norm"),
    *_qformer_layer("layer0", True),
    *(row for i in range(1, LONGEST_BLOCK) for row in _qformer_layer(f"layer{i}", False)),
    *_same_names(*(f"blocks/{name}" for name in (*CONFORMER_LINEARS, *CONFORMER_NORMS))),
    ("blocks/distance/kernel", "blocks.{i}.distance.weight", "turn"),
    ("blocks/depth_kernel", "blocks.{i}.depth_kernel", "conv"),
    *(
        (f"blocks/{name}", f"blocks.{{i}}.{name}", "same")
        for name in ("bias_u", "bias_v", "depth_bias")
    ),
)

CROSS_NORMS = ("self_norm", "cross_norm", "mlp_norm")
# ours alone, too
CROSS: tuple[Row, ...] = (
    *_same_names(*(f"blocks/{kind}_{part}" for kind in ("self", "cross") for part in "qkvo")),
    *_same_names("blocks/up", "blocks/down", *(f"blocks/{name}" for name in CROSS_NORMS)),
    *_norm("norm", "norm"),
)


def make_adapter_rows() -> tuple[Row, ...]:
    """Keys of a PEFT adapter on such a decoder: lora_A is (rank, in), lora_B (out, rank)."""
    rows: list[Row] = []
    for path, key, change in QWEN2:
        if change == "turn" and path.startswith("blocks/"):
            stem, name = (
                path.removesuffix("/kernel"),
                "base_model.model." + key.removesuffix(".weight"),
            )
            rows += [(f"{stem}/lora_a", f"{name}.lora_A.weight", "turn")]
            rows += [(f"{stem}/lora_b", f"{name}.lora_B.weight", "turn")]
    return tuple(rows)


# axes of one that theirs has behind (out, in), and ours has not
LONE_AXES = {"point": 1, "plane": 2}


def _turn(x: np.ndarray, change: str) -> np.ndarray:
    """Ours as theirs: the axes in reverse, and behind them those that are of one."""
    if change == "same":
        return x
    return np.ascontiguousarray(x.T.reshape(*x.shape[::-1], *(1,) * LONE_AXES.get(change, 0)))


def list_tables(config: SpeechLMConfig) -> dict[str, tuple[Row, ...]]:
    """Part of the parameters to its table."""
    encoders = {FastConformerConfig: FAST_CONFORMER, JoinedConfig: JOINED}
    encoder = encoders.get(type(config.encoder), WHISPER)
    decoder = QWEN2 if config.decoder.gemma is None else GEMMA3
    if config.hears_units:
        return {"decoder": decoder}
    tables = {"encoder": encoder, "projector": PROJECTOR, "decoder": decoder}
    return tables | ({"cross": CROSS} if config.cross else {})


def to_theirs(
    rows: tuple[Row, ...], params: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Their (key, tensor) for a flat dict of ours. Every one of ours must be in the table."""
    table = {ours: (theirs, change) for ours, theirs, change in rows}
    for path, value in params.items():
        if path not in table:
            raise ValueError(
                f"parameter {path} has no key in the weights table; merge LoRA before the export"
            )
        key, change = table[path]
        if "{i}" in key:
            for i, layer in enumerate(value):
                yield key.format(i=i), _turn(np.asarray(layer), change)
        else:
            yield key, _turn(np.asarray(value), change)
