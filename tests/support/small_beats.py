"""A small BEATs in the names and shapes of its published files, every number drawn by a rule that
another program can follow."""

import zlib

import numpy as np
from flax.traverse_util import unflatten_dict

from sift_jax.models.beats_encoder import BeatsConfig
from sift_jax.weights.key_table import BEATS

CFG = {
    "input_patch_size": 16,
    "embed_dim": 12,
    "conv_bias": False,
    "encoder_layers": 3,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 40,
    "encoder_attention_heads": 3,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "relative_position_embedding": True,
    "num_buckets": 20,
    "max_distance": 40,
    "gru_rel_pos": True,
    "finetuned_model": True,
    "predictor_class": 5,
}


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Norms about 1, all else about 0, each by the checksum of its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(size=shape)
    return (0.3 * noise + name.endswith("norm.weight")).astype(np.float32)


def list_shapes(cfg: dict) -> dict[str, tuple[int, ...]]:
    d, e, h = cfg["encoder_embed_dim"], cfg["embed_dim"], cfg["encoder_ffn_embed_dim"]
    n, k = cfg["encoder_attention_heads"], cfg["conv_pos"]

    def linear(name: str, out: int, inner: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (out, inner), f"{name}.bias": (out,)}

    def norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (size,), f"{name}.bias": (size,)}

    patch = cfg["input_patch_size"]
    shapes = {"patch_embedding.weight": (e, 1, patch, patch), **norm("layer_norm", e)}
    shapes |= linear("post_extract_proj", d, e) | norm("encoder.layer_norm", d)
    shapes |= {
        "encoder.pos_conv.0.bias": (d,),
        "encoder.pos_conv.0.weight_g": (1, 1, k),
        "encoder.pos_conv.0.weight_v": (d, d // cfg["conv_pos_groups"], k),
    }
    for i in range(cfg["encoder_layers"]):
        layer = f"encoder.layers.{i}"
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= linear(f"{layer}.self_attn.{name}", d, d)
        shapes |= {
            f"{layer}.self_attn.grep_a": (1, n, 1, 1),
            f"{layer}.self_attn.relative_attention_bias.weight": (cfg["num_buckets"], n),
            **linear(f"{layer}.self_attn.grep_linear", 8, d // n),
            **norm(f"{layer}.self_attn_layer_norm", d),
            **linear(f"{layer}.fc1", h, d),
            **linear(f"{layer}.fc2", d, h),
            **norm(f"{layer}.final_layer_norm", d),
        }
    return shapes | linear("predictor", cfg["predictor_class"], d)


def make_state(cfg: dict) -> dict[str, np.ndarray]:
    """{name: array}, as a file's "model"; the biases of distances are those of the first block."""
    state = {name: draw(name, shape) for name, shape in list_shapes(cfg).items()}
    shared = state["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    return {
        name: shared if "relative_attention_bias" in name else value
        for name, value in state.items()
    }


def take_params(config: BeatsConfig, tensors: dict[str, np.ndarray]) -> dict:
    """Our nested params of the tensors of a file, beside the loader, which has tests of its own."""
    found = {}
    for path, key, change in BEATS:
        keys = [key.format(i=i) for i in range(config.layers)] if "{i}" in key else [key]
        arrays = [tensors[name] if change == "same" else tensors[name].T for name in keys]
        found[path] = np.stack(arrays) if "{i}" in key else arrays[0]
    return unflatten_dict(found, sep="/")
