"""A small SALMONN in the names and shapes of its published files: Whisper's folder, BEATs' file, its
own, and a decoder's folder. Every number is drawn by small_beats.draw."""

import json
from pathlib import Path

import jax
import numpy as np
from chat_templates import write_tokenizer_folder
from flax.traverse_util import flatten_dict
from foreign_files import step_dict, step_number, step_tensor, step_text, write_torch
from safetensors.numpy import save_file
from small_beats import CFG, draw, make_state

from sift_jax.models.whisper_encoder import EncoderConfig, WhisperEncoder
from sift_jax.weights.key_table import WHISPER, to_theirs

BEATS_CFG = {**CFG, "num_buckets": 320, "max_distance": 800}
SIZES = EncoderConfig(
    mel_bins=80, width=16, layers=2, heads=2, window_seconds=30.0, frame_mask="none"
)
WIDTH, LAYERS, RANK, ALPHA = 128, 2, 4, 12
DECODER = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 384,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
}


def _linear(name: str, out: int, inner: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inner), f"{name}.bias": (out,)}


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def make_whisper_state() -> dict[str, np.ndarray]:
    """Of the encoder, but for its sinusoids."""
    encoder = WhisperEncoder(config=SIZES, dtype=np.dtype("float32"), remat="none")
    mel = jax.ShapeDtypeStruct((1, SIZES.mel_frames, SIZES.mel_bins), np.float32)
    frames = jax.ShapeDtypeStruct((1,), np.int32)
    params = jax.eval_shape(encoder.init, jax.random.key(0), mel, frames)["params"]
    empty = {p: np.zeros(leaf.shape) for p, leaf in flatten_dict(params, sep="/").items()}
    return {key: draw(key, value.shape) for key, value in to_theirs(WHISPER, empty)}


def make_decoder_state() -> dict[str, np.ndarray]:
    d, h, v = (DECODER[name] for name in ("hidden_size", "intermediate_size", "vocab_size"))
    shapes = {"model.embed_tokens.weight": (v, d), "lm_head.weight": (v, d)}
    shapes["model.norm.weight"] = (d,)
    for i in range(2):
        layer = f"model.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            shapes[f"{layer}.self_attn.{name}.weight"] = (d, d)
        for name, shape in (("gate_proj", (h, d)), ("up_proj", (h, d)), ("down_proj", (d, h))):
            shapes[f"{layer}.mlp.{name}.weight"] = shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}.{name}.weight"] = (d,)
    return {name: draw(name, shape) for name, shape in shapes.items()}


def make_salmonn_state() -> dict[str, np.ndarray]:
    """The "model" of a .pth: what was trained, and what it keeps beside that."""
    w, heard, d = WIDTH, SIZES.width + CFG["encoder_embed_dim"], DECODER["hidden_size"]
    shapes = {"speech_query_tokens": (1, 1, w), **_norm("ln_speech", SIZES.width)}
    shapes |= _norm("ln_audio", CFG["encoder_embed_dim"])
    shapes |= _norm("speech_Qformer.bert.embeddings.LayerNorm", w)
    for i in range(LAYERS):
        layer = f"speech_Qformer.bert.encoder.layer.{i}"
        for kind, inner in (("attention", w), ("crossattention", heard)):
            shapes |= _linear(f"{layer}.{kind}.self.query", w, w)
            shapes |= _linear(f"{layer}.{kind}.self.key", w, inner)
            shapes |= _linear(f"{layer}.{kind}.self.value", w, inner)
            shapes |= _linear(f"{layer}.{kind}.output.dense", w, w)
            shapes |= _norm(f"{layer}.{kind}.output.LayerNorm", w)
        shapes |= _linear(f"{layer}.intermediate_query.dense", 4 * w, w)
        shapes |= _linear(f"{layer}.output_query.dense", w, 4 * w)
        shapes |= _norm(f"{layer}.output_query.LayerNorm", w)
    shapes |= _linear("speech_llama_proj", d, w)
    for i in range(2):
        for name in ("q_proj", "v_proj"):
            module = f"llama_model.base_model.model.model.layers.{i}.self_attn.{name}"
            shapes[f"{module}.lora_A.default.weight"] = (RANK, d)
            shapes[f"{module}.lora_B.default.weight"] = (d, RANK)
    state = {name: draw(name, shape) for name, shape in shapes.items()}
    biases = make_state(BEATS_CFG)["encoder.layers.1.self_attn.relative_attention_bias.weight"]
    state["beats.encoder.layers.1.self_attn.relative_attention_bias.weight"] = biases
    return state


def _steps(value) -> bytes:
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    return step_number(value) if isinstance(value, int) else step_text(value)


def write_pickle(path: Path, state: dict[str, np.ndarray], **beside: bytes) -> Path:
    """As torch.save writes {"model": …} and what else there is."""
    numbered = {str(i): value for i, value in enumerate(state.values())}
    model = {name: step_tensor(str(i), value) for i, (name, value) in enumerate(state.items())}
    return write_torch(path, step_dict({**beside, "model": step_dict(model)}), numbered)


def write_beats(path: Path, cfg: dict = BEATS_CFG) -> Path:
    steps = step_dict({name: _steps(value) for name, value in cfg.items()})
    return write_pickle(path, make_state(cfg), cfg=steps)


def write_salmonn(path: Path, state: dict[str, np.ndarray]) -> Path:
    config = step_dict({"model": step_dict({"lora_alpha": step_number(ALPHA)})})
    return write_pickle(path, state, config=config)


def write_whisper(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "whisper",
        "num_mel_bins": SIZES.mel_bins,
        "d_model": SIZES.width,
        "encoder_layers": SIZES.layers,
        "encoder_attention_heads": SIZES.heads,
        "encoder_ffn_dim": 4 * SIZES.width,
        "max_source_positions": 1500,
    }
    (folder / "config.json").write_text(json.dumps(config))
    state = {f"model.encoder.{key}": value for key, value in make_whisper_state().items()}
    save_file(state, folder / "model.safetensors")
    return folder


def write_decoder(folder: Path) -> Path:
    write_tokenizer_folder(folder, None, kind="pieces")
    (folder / "config.json").write_text(json.dumps(DECODER))
    save_file(make_decoder_state(), folder / "model.safetensors")
    return folder
