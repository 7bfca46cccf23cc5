"""A decoder out of a GGUF: config.json and the tensors under the names of the Hugging Face layout.

    token_embd.weight            model.embed_tokens.weight
    blk.3.attn_q.weight          model.layers.3.self_attn.q_proj.weight     llama: its rows in another order, see below
    output.weight                lm_head.weight                             not there: the head is tied

llama.cpp turns neighbouring pairs of a head, Hugging Face the first half with the second. Rows of q
and k of a llama therefore stand interleaved in the file: 0 1 2 3 4 5 6 7 of a head are there 0 4 1
5 2 6 3 7. Those of a qwen2 do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sift_jax.weights.foreign.gguf_file import GgufFile

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
EMBEDDING, HEAD, FREQUENCIES = "token_embd.weight", "output.weight", "rope_freqs.weight"
# Llama 3.1's and 3.2's stretch; a GGUF holds what follows from it
LOW_FACTOR, HIGH_FACTOR, TRAINED_POSITIONS = 1.0, 4.0, 8192
LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": LOW_FACTOR,
    "high_freq_factor": HIGH_FACTOR,
    "original_max_position_embeddings": TRAINED_POSITIONS,
}
# rows of two tables that were one before they were packed point the same way; those of two that
# were never do not
SAME_DIRECTION = 0.95


def _shorten(number: float) -> float:
    """The shortest decimal number with the same float32: 1e-05 for 9.999999747378752e-06."""
    return float(str(np.float32(number)))


def make_config(file: GgufFile) -> dict[str, Any]:
    """config.json; what the code here does not compute is an error."""
    kind = file.get("general.architecture")
    if kind not in ARCHITECTURES:
        raise ValueError(
            f"{file.path} holds a {kind}; decoders are read from GGUFs of "
            f"{' and '.join(sorted(ARCHITECTURES))}"
        )
    if file.facts.get(f"{kind}.expert_count"):
        raise ValueError(
            f"{file.path} holds a mixture of experts, which is not supported; take a dense model"
        )
    heads, width = file.get(f"{kind}.attention.head_count"), file.get(f"{kind}.embedding_length")
    theta = _shorten(file.facts.get(f"{kind}.rope.freq_base", 10_000.0))
    head_size = file.facts.get(f"{kind}.attention.key_length", width // heads)
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "vocab_size": file.tensors[EMBEDDING].shape[0],
        "hidden_size": width,
        "num_hidden_layers": file.get(f"{kind}.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.facts.get(f"{kind}.attention.head_count_kv", heads),
        "head_dim": head_size,
        "intermediate_size": file.get(f"{kind}.feed_forward_length"),
        "max_position_embeddings": file.get(f"{kind}.context_length"),
        "rms_norm_eps": _shorten(file.get(f"{kind}.attention.layer_norm_rms_epsilon")),
        "rope_theta": theta,
        "rope_scaling": _read_stretch(file, kind, theta, head_size),
        "tie_word_embeddings": HEAD not in file.tensors or _is_head_tied(file),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
    }


def _read_stretch(file: GgufFile, kind: str, theta: float, head_size: int) -> dict[str, Any] | None:
    """Of rotary positions. A GGUF of Llama 3.1 has, for each pair, by how much it is slowed: 1 …
    the factor."""
    scaling = file.facts.get(f"{kind}.rope.scaling.type", "none")
    if scaling != "none":
        raise ValueError(
            f"{file.path}: rotary positions of scaling {scaling!r} are not supported; take "
            "another model"
        )
    if FREQUENCIES not in file.tensors:
        return None
    slowed = file.read(FREQUENCIES)
    factor = round(float(slowed.max()), 3)
    half = head_size // 2
    turns = theta ** (-np.arange(half) / half) * TRAINED_POSITIONS / (2 * np.pi)
    kept = np.clip((turns - LOW_FACTOR) / (HIGH_FACTOR - LOW_FACTOR), 0.0, 1.0)
    if slowed.shape != (half,) or not np.allclose(
        slowed, 1 / (kept + (1 - kept) / factor), rtol=1e-3
    ):
        raise ValueError(
            f"{file.path}: {FREQUENCIES} is not Llama 3's stretch of positions; take another model"
        )
    return {**LLAMA3, "factor": factor}


def _is_head_tied(file: GgufFile) -> bool:
    """Whether the head is the embedding, packed another way: of a thousand rows at random."""
    shape = file.tensors[HEAD].shape
    if shape != file.tensors[EMBEDDING].shape:
        return False
    rows = np.random.default_rng(0).choice(shape[0], min(1000, shape[0]), replace=False)
    head, embedding = (file.read_rows(name, rows) for name in (HEAD, EMBEDDING))
    sizes = np.linalg.norm(head, axis=1) * np.linalg.norm(embedding, axis=1)
    alike = np.sum(head * embedding, axis=1) / np.maximum(sizes, np.finfo(np.float32).tiny)
    return bool(np.median(alike) > SAME_DIRECTION)


def list_tensors(file: GgufFile, config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """In the file's order. Of a tied head that was packed apart, the finer of the two is the
    embedding."""
    table = EMBEDDING
    if config["tie_word_embeddings"] and HEAD in file.tensors:
        table = max((EMBEDDING, HEAD), key=lambda name: file.tensors[name].bytes)
    for name in file.tensors:
        if name == FREQUENCIES or (name == HEAD and config["tie_word_embeddings"]):
            continue
        if name in (EMBEDDING, HEAD, "output_norm.weight"):
            theirs = {EMBEDDING: "model.embed_tokens", HEAD: "lm_head"}.get(name, "model.norm")
            yield f"{theirs}.weight", file.read(table if name == EMBEDDING else name)
        else:
            yield _name(file, name), _turn(file.read(name), name, config)


def _name(file: GgufFile, name: str) -> str:
    """blk.3.attn_q.weight: model.layers.3.self_attn.q_proj.weight."""
    parts = name.split(".")
    if (
        len(parts) != 4
        or parts[0] != "blk"
        or parts[2] not in BLOCK
        or parts[3] not in ("weight", "bias")
    ):
        raise ValueError(
            f"{file.path}: tensor {name} is of no supported decoder; take another model"
        )
    return f"model.layers.{parts[1]}.{BLOCK[parts[2]]}.{parts[3]}"


def _turn(value: np.ndarray, name: str, config: dict[str, Any]) -> np.ndarray:
    """Rows of a llama's q and k in Hugging Face's order."""
    part = name.split(".")[2]
    if config["model_type"] != "llama" or part not in ("attn_q", "attn_k"):
        return value
    heads = config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
    pairs = value.reshape(heads, -1, 2, *value.shape[1:])
    return pairs.swapaxes(1, 2).reshape(value.shape)
