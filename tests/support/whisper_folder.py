"""A tiny random Whisper in the layout of the hub, with a tokenizer of single bytes."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from sift_jax.models.layers import make_sinusoids

WIDTH, LAYERS, HEADS, MELS, SECONDS, POSITIONS = 16, 2, 2, 80, 4, 96
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|fr|>",
    "<|transcribe|>",
    "<|notimestamps|>",
)
VOCABULARY = 256 + len(SPECIAL)
ALIGNMENT_HEADS = [[0, 1], [1, 0], [1, 1]]


def write_whisper(folder: Path, *, heads: list[list[int]] | None = None, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "vocab_size": VOCABULARY,
        "num_mel_bins": MELS,
        "d_model": WIDTH,
        "encoder_layers": LAYERS,
        "decoder_layers": LAYERS,
        "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": 4 * WIDTH,
        "decoder_ffn_dim": 4 * WIDTH,
        "max_source_positions": 50 * SECONDS,
        "max_target_positions": POSITIONS,
        "pad_token_id": 256,
        "bos_token_id": 256,
        "eos_token_id": 256,
        "decoder_start_token_id": 257,
    }
    (folder / "config.json").write_text(json.dumps(config))
    if heads is not None:
        (folder / "generation_config.json").write_text(
            json.dumps({"alignment_heads": heads, "is_multilingual": True})
        )
    write_tokenizer(folder)
    save_file(make_tensors(seed), folder / "model.safetensors")
    return folder


def write_tokenizer(folder: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))


def make_tensors(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (0.5 * rng.standard_normal(shape)).astype(np.float32)

    found = {
        "model.encoder.embed_positions.weight": np.asarray(
            make_sinusoids(50 * SECONDS, WIDTH), np.float32
        ),
        "model.decoder.embed_tokens.weight": draw(VOCABULARY, WIDTH),
        "model.decoder.embed_positions.weight": draw(POSITIONS, WIDTH),
    }

    def put(name, *shape, has_bias=True):
        found[f"{name}.weight"] = draw(*shape)
        if has_bias:
            found[f"{name}.bias"] = draw(shape[0])

    put("model.encoder.conv1", WIDTH, MELS, 3)
    put("model.encoder.conv2", WIDTH, WIDTH, 3)
    for part in ("encoder", "decoder"):
        for i in range(LAYERS):
            layer = f"model.{part}.layers.{i}"
            for attention in ("self_attn", "encoder_attn")[: 1 if part == "encoder" else 2]:
                for name in ("q", "k", "v", "out"):
                    put(f"{layer}.{attention}.{name}_proj", WIDTH, WIDTH, has_bias=name != "k")
                put(f"{layer}.{attention}_layer_norm", WIDTH)
            put(f"{layer}.fc1", 4 * WIDTH, WIDTH)
            put(f"{layer}.fc2", WIDTH, 4 * WIDTH)
            put(f"{layer}.final_layer_norm", WIDTH)
        put(f"model.{part}.layer_norm", WIDTH)
    return found
