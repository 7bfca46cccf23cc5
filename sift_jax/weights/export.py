"""Weights out: LoRA merged, safetensors in the layouts that others read, a model card, and a check of what was written.

    export/README.md model.json tokenizer/
    export/decoder/    config.json model.safetensors generation_config.json tokenizer.json tokenizer_config.json
                       a Qwen2ForCausalLM with its tokenizer and chat template
    export/encoder/    config.json model.safetensors                    keys of a Whisper encoder
    export/projector/  model.safetensors
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

from sift_jax.batch import BatchShape, make_empty_batch
from sift_jax.data.chat import JINJA_TEMPLATE
from sift_jax.data.tokenizers import END_OF_TEXT, SPECIAL_TOKENS, TURN_END
from sift_jax.decoding.answer import Model
from sift_jax.models.layers import NO_LORA
from sift_jax.models.presets import to_json
from sift_jax.models.speech_lm import Params, SpeechLMConfig, compute_target_logits
from sift_jax.weights.load import load_export
from sift_jax.weights.table import PROJECTOR, QWEN2, WHISPER, to_theirs


def merge_lora(config: SpeechLMConfig, params: Params) -> tuple[SpeechLMConfig, Params]:
    """The same function without adapters: kernel + A·B · alpha / rank."""
    flat = flatten_dict(params, sep="/")
    for path in [p for p in flat if p.endswith("/lora_a")]:
        stem = path.removesuffix("/lora_a")
        low, high = flat.pop(path), flat.pop(stem + "/lora_b")
        scale = config.lora.alpha / config.lora.rank
        flat[stem + "/kernel"] = flat[stem + "/kernel"] + np.matmul(low, high) * scale
    return dataclasses.replace(config, lora=NO_LORA), unflatten_dict(flat, sep="/")


def make_decoder_config(config: SpeechLMConfig, stop_id: int) -> dict:
    """config.json of a Qwen2ForCausalLM."""
    c = config.decoder
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": c.vocab_size,
        "hidden_size": c.width,
        "intermediate_size": c.hidden,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_size,
        "rms_norm_eps": c.norm_eps,
        # the first is read by transformers 5, the second by everything older
        "rope_parameters": {"rope_type": "default", "rope_theta": c.rope_theta},
        "rope_theta": c.rope_theta,
        "max_position_embeddings": c.max_positions,
        "tie_word_embeddings": c.is_tied,
        "hidden_act": "silu",
        "eos_token_id": stop_id,
        "torch_dtype": "float32",
    }


def make_encoder_config(config: SpeechLMConfig) -> dict:
    """config.json with the encoder half of a Whisper model."""
    c = config.encoder
    return {
        "model_type": "whisper",
        "num_mel_bins": c.mel_bins,
        "d_model": c.width,
        "encoder_layers": c.layers,
        "encoder_attention_heads": c.heads,
        "encoder_ffn_dim": 4 * c.width,
        "max_source_positions": c.mel_frames // 2,
    }


def write_tokenizer_config(folder: Path) -> None:
    """What AutoTokenizer needs beside tokenizer.json."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "additional_special_tokens": list(SPECIAL_TOKENS),
        "clean_up_tokenization_spaces": False,
        "chat_template": JINJA_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


CARD = """---
library_name: sift_jax
---
# A speech language model trained with sift_jax

Encoder of {encoder_layers} layers (width {encoder_width}), {projector} projector of {frames} frames, decoder of
{decoder_layers} layers (width {decoder_width}, vocabulary {vocab}). {params:,} parameters, step {step}. LoRA is merged.

Ask it: `python -m sift_jax.ask --checkpoint=THIS_FOLDER --audio=x.wav "How fast does she speak?"`

`decoder/` is a Qwen2ForCausalLM. After writing, this folder was read again; its logits differ from the checkpoint's
by at most {difference:.2e} (largest absolute logit {largest:.2f}).
"""


def _probe_logits(config: SpeechLMConfig, params: Params) -> np.ndarray:
    """Logits of one fixed random row with a clip, for comparing two copies of a model."""
    rng = np.random.default_rng(0)
    shape = BatchShape(
        rows=1, tokens=48, targets=47, clips=1, mel_frames=config.encoder.mel_frames, mel_bins=config.encoder.mel_bins
    )
    batch = make_empty_batch(shape)
    batch["token_bt"][:] = rng.integers(0, config.decoder.vocab_size, batch["token_bt"].shape)
    batch["slot_bt"][0, 4:12] = np.arange(8) % config.slots_per_clip
    batch["group_bt"][:] = 1
    batch["position_bt"][:] = np.arange(shape.tokens)
    batch["predict_bm"][:] = np.arange(shape.targets)
    batch["mel_basf"][:] = rng.normal(size=batch["mel_basf"].shape)
    batch["frames_ba"][:] = shape.mel_frames
    exact = dataclasses.replace(config, dtype="float32")
    return np.asarray(jax.jit(compute_target_logits, static_argnums=0)(exact, params, batch))


def export_model(model: Model, out_dir: str | Path) -> float:
    """Writes the folder, reads it again, and returns the largest difference of logits; beyond rounding: an error."""
    out = Path(out_dir)
    config, params = merge_lora(model.config, jax.tree.map(np.asarray, model.params))
    stop_id = model.tokenizer.ids[TURN_END]
    parts = (("encoder", WHISPER, "model.encoder."), ("projector", PROJECTOR, ""), ("decoder", QWEN2, ""))
    for part, table, prefix in parts:
        (out / part).mkdir(parents=True, exist_ok=True)
        tensors = {prefix + key: value for key, value in to_theirs(table, flatten_dict(params[part], sep="/"))}
        save_file(tensors, out / part / "model.safetensors", metadata={"format": "pt"})
    (out / "decoder" / "config.json").write_text(json.dumps(make_decoder_config(config, stop_id), indent=1))
    generation = {"do_sample": False, "eos_token_id": stop_id, "pad_token_id": model.tokenizer.ids[END_OF_TEXT]}
    (out / "decoder" / "generation_config.json").write_text(json.dumps(generation, indent=1))
    (out / "encoder" / "config.json").write_text(json.dumps(make_encoder_config(config), indent=1))
    (out / "model.json").write_text(json.dumps(to_json(config), indent=1))
    model.tokenizer.save(out / "tokenizer")
    model.tokenizer.save(out / "decoder")
    write_tokenizer_config(out / "decoder")
    expected = _probe_logits(model.config, model.params)
    difference = float(np.abs(_probe_logits(*load_export(out)) - expected).max())
    largest = float(np.abs(expected).max())
    if not difference <= 1e-3 * max(largest, 1.0):
        raise ValueError(
            f"the export in {out} does not give the checkpoint's logits (off by {difference:.3g}); do not use it"
        )
    card = CARD.format(
        encoder_layers=config.encoder.layers,
        encoder_width=config.encoder.width,
        projector=config.projector.kind,
        frames=config.projector.frames,
        decoder_layers=config.decoder.layers,
        decoder_width=config.decoder.width,
        vocab=config.decoder.vocab_size,
        params=sum(x.size for x in jax.tree.leaves(params)),
        step=model.step,
        difference=difference,
        largest=largest,
    )
    (out / "README.md").write_text(card)
    return difference
