"""CTranslate2's names of a Whisper, and Hugging Face's.

    encoder/layer_0/self_attention/linear_0    q, k and v, one upon the other     …layers.0.self_attn.{q,k,v}_proj
    encoder/layer_0/self_attention/linear_1                                       …layers.0.self_attn.out_proj
    decoder/layer_0/attention/linear_1         k and v, one upon the other        …layers.0.encoder_attn.{k,v}_proj

k has no bias in a Whisper; in the fused one stand zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

Pairs = Iterator[tuple[str, np.ndarray]]
Variables = Mapping[str, np.ndarray]


def list_whisper_tensors(variables: Variables, source: Path) -> Pairs:
    """All tensors of a WhisperForConditionalGeneration, whose output is tied."""
    try:
        for conv in ("conv1", "conv2"):
            yield from _name_linear(variables, f"encoder/{conv}", f"model.encoder.{conv}")
        yield "model.decoder.embed_tokens.weight", variables["decoder/embeddings/weight"]
        for part in ("encoder", "decoder"):
            positions = variables[f"{part}/position_encodings/encodings"]
            yield f"model.{part}.embed_positions.weight", positions
            yield from _name_norm(variables, f"{part}/layer_norm", f"model.{part}.layer_norm")
            layer = 0
            while f"{part}/layer_{layer}/ffn/linear_0/weight" in variables:
                yield from _name_layer(
                    variables, f"{part}/layer_{layer}", f"model.{part}.layers.{layer}", part
                )
                layer += 1
    except KeyError as error:
        raise ValueError(
            f"{source} lacks {error}, which a Whisper of CTranslate2's has; download it again"
        ) from None


def _name_layer(variables: Variables, theirs: str, ours: str, part: str) -> Pairs:
    yield from _name_norm(
        variables, f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm"
    )
    yield from _split(variables, f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv")
    yield from _name_linear(
        variables, f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj"
    )
    if part == "decoder":
        yield from _name_norm(
            variables, f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm"
        )
        yield from _name_linear(
            variables, f"{theirs}/attention/linear_0", f"{ours}.encoder_attn.q_proj"
        )
        yield from _split(variables, f"{theirs}/attention/linear_1", f"{ours}.encoder_attn", "kv")
        yield from _name_linear(
            variables, f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj"
        )
    yield from _name_norm(variables, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
    for i in (0, 1):
        yield from _name_linear(variables, f"{theirs}/ffn/linear_{i}", f"{ours}.fc{i + 1}")


def _name_linear(variables: Variables, theirs: str, ours: str) -> Pairs:
    for name in ("weight", "bias"):
        yield f"{ours}.{name}", variables[f"{theirs}/{name}"]


def _name_norm(variables: Variables, theirs: str, ours: str) -> Pairs:
    yield f"{ours}.weight", variables[f"{theirs}/gamma"]
    yield f"{ours}.bias", variables[f"{theirs}/beta"]


def _split(variables: Variables, theirs: str, ours: str, parts: str) -> Pairs:
    """ "qkv": a matrix (3 d, d) is three."""
    weights = np.split(variables[f"{theirs}/weight"], len(parts))
    biases = np.split(variables[f"{theirs}/bias"], len(parts))
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        yield f"{ours}.{part}_proj.weight", weight
        if part != "k":
            yield f"{ours}.{part}_proj.bias", bias
        elif np.any(bias):
            raise ValueError(
                f"{theirs} has a bias of its keys, which no Whisper has; take a published one"
            )
