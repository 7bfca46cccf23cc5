"""SALMONN's published files to folders that the project reads.

    BEATs_iter3….pt ─┐
    Whisper's folder ┴─► encoder folder: whisper.…, beats.…, norms that change nothing     to train with
    salmonn_7b….pth  ─┐
    encoder folder   ─┼─► whole model: encoder/ projector/ decoder/ tokenizer/ model.json    as it is published
    Vicuna's folder  ─┘   LoRA merged into the decoder

A .pth has what was trained alone: {"model": {name: tensor}, "config": …}. What it keeps beside that
(positions that are computed, BEATs' shared biases once more) is left out; an unknown name is an
error.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.models.hf_config import JOINED_ENCODER, read_decoder_preset, read_encoder_preset
from sift_jax.models.joined_encoder import JoinedConfig
from sift_jax.models.layers import NO_LORA
from sift_jax.models.presets import PROJECTORS, to_json
from sift_jax.models.projectors import ProjectorConfig
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.models.whisper_encoder import EncoderConfig
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.weights.foreign.beats_file import list_beats_tensors, read_beats_config
from sift_jax.weights.foreign.torch_file import list_torch_files, list_torch_tensors
from sift_jax.weights.hf_layouts import read_layout, sort_keys
from sift_jax.weights.key_table import WHISPER_COMPUTED
from sift_jax.weights.load import load_part
from sift_jax.weights.tensor_files import TensorFolder
from sift_jax.weights.tensor_writer import write_tensors

Tensors = dict[str, np.ndarray]
QFORMER = "speech_Qformer.bert."
LORA = re.compile(r"llama_model\.base_model\.model\.(.+)\.lora_([AB])\.default\.weight")
LEFT_OUT = re.compile(
    r"beats\..*relative_attention_bias\.weight|.*\.rotary_emb\.inv_freq"
    r"|speech_Qformer\.bert\.embeddings\.position_ids"
)
NORMS = re.compile(r"ln_(speech|audio)\.(weight|bias)")
# BERT's
HEAD_SIZE = 64
# what its config says, for a file that has none
ALPHA = 32.0
# in a layer of the Q-Former, their names and ours
PARTS = {
    "attention.self.query": "self_q",
    "attention.self.key": "self_k",
    "attention.self.value": "self_v",
    "attention.output.dense": "self_o",
    "attention.output.LayerNorm": "self_norm",
    "crossattention.self.query": "cross_q",
    "crossattention.self.key": "cross_k",
    "crossattention.self.value": "cross_v",
    "crossattention.output.dense": "cross_o",
    "crossattention.output.LayerNorm": "cross_norm",
    "intermediate_query.dense": "up",
    "output_query.dense": "down",
    "output_query.LayerNorm": "mlp_norm",
}
# names of rows of the vocabulary
VOCABULARY = ("model.embed_tokens.weight", "lm_head.weight")


def is_beats(held: Any) -> bool:
    return isinstance(held, dict) and "cfg" in held and "model" in held


def is_salmonn(held: Any) -> bool:
    model = held.get("model") if isinstance(held, dict) else None
    return isinstance(model, dict) and any(str(name).startswith(QFORMER) for name in model)


# ---- the encoder


def describe_encoder(held: Any, source: Path, whisper: str | Path) -> dict[str, Any]:
    """config.json of a folder of both."""
    sizes = read_encoder_preset(whisper)
    if not isinstance(sizes, EncoderConfig) or sizes.frame_mask != "none":
        raise ValueError(f"{whisper} holds no Whisper; give --encoder=weights/whisper-large-v2")
    beats = read_beats_config(held, source)
    parts = {"whisper": dataclasses.asdict(sizes), "beats": dataclasses.asdict(beats)}
    return {"model_type": JOINED_ENCODER, **parts}


def list_encoder_tensors(
    held: Any, source: Path, whisper: str | Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Both encoders, and norms that are one and zero, as fresh ones are."""
    files = TensorFolder(whisper)
    parts, _ = sort_keys(read_layout(Path(whisper), "encoder"), files.keys())
    for key, name in parts["encoder"].items():
        if key not in WHISPER_COMPUTED:
            yield f"whisper.{key}", files.read(name)
    for key, value in list_beats_tensors(held["model"], source):
        yield f"beats.{key}", value
    widths = (read_encoder_preset(whisper).width, read_beats_config(held, source).width)
    for norm, width in zip(("ln_speech", "ln_audio"), widths, strict=True):
        yield f"{norm}.weight", np.ones(width, np.float32)
        yield f"{norm}.bias", np.zeros(width, np.float32)


# ---- the whole model


def write_salmonn(
    held: Any, source: Path, out: Path, *, encoder: str, base: str, dtype: str, max_bytes: int
) -> tuple[int, str]:
    """Writes the folder; returns its bytes and what it is."""
    parts = _sort_tensors(held["model"], source)
    hears, decoder = read_encoder_preset(encoder), read_decoder_preset(base)
    if not isinstance(hears, JoinedConfig):
        raise ValueError(
            f"{encoder} is not of Whisper and BEATs; make it with --from=BEATs….pt "
            "--encoder=weights/whisper-large-v2"
        )
    projector, tensors = _name_projector(parts["projector"], source)
    lora, alpha = parts["lora"], _find_alpha(held)
    rank = next(iter(lora.values())).shape[0] if lora else 0
    size = 0

    def write(part: str, named: Iterator[tuple[str, np.ndarray]]) -> None:
        nonlocal size
        size += write_tensors(out / part, named, dtype=dtype, max_bytes=max_bytes)

    write("encoder", _put_norms(encoder, parts["norms"], source))
    write("projector", iter(tensors.items()))
    tokenizer = SpeechTokenizer(base, "salmonn")
    rows = max(len(tokenizer), decoder.vocab_size)
    merged = _merge(base, lora, alpha / max(rank, 1), source)
    write("decoder", ((key, _fill_rows(key, value, rows)) for key, value in merged))
    tokenizer.save(out / "tokenizer")
    text = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
    _write_json(out / "decoder", {**text, "vocab_size": rows, "dtype": dtype, "torch_dtype": dtype})
    _write_json(out / "encoder", json.loads((Path(encoder) / "config.json").read_text()))
    config = SpeechLMConfig(
        encoder=hears,
        projector=projector,
        decoder=dataclasses.replace(decoder, vocab_size=rows),
        cross=None,
        lora=NO_LORA,
        quantized=None,
        windows=1,
        dtype="float32",
        remat="none",
        attention="auto",
        attention_block=512,
    )
    (out / "model.json").write_text(json.dumps(to_json(config), indent=1) + "\n")
    # a file that lacks one of them is found out here, and not when it is asked
    load_part("projector", out / "projector", config, kind="sift_projector")
    return size, f"a SALMONN on {base}, its LoRA of rank {rank} and alpha {alpha:g} merged"


def _write_json(folder: Path, data: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n")


def _sort_tensors(model: Mapping[str, np.ndarray], source: Path) -> dict[str, Tensors]:
    parts: dict[str, Tensors] = {"norms": {}, "projector": {}, "lora": {}}
    unknown = []
    for name, value in model.items():
        if found := LORA.fullmatch(name):
            parts["lora"][f"{found[1]}.{found[2]}"] = value
        elif NORMS.fullmatch(name):
            parts["norms"][name] = value
        elif LEFT_OUT.fullmatch(name):
            continue
        elif name.startswith((QFORMER, "speech_query_tokens", "speech_llama_proj.")):
            parts["projector"][name] = value
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(
            f"{source} holds {unknown[:3]} ({len(unknown)} such), which no SALMONN of this kind "
            "has; of its branches `salmonn` alone is read"
        )
    return parts


def _find_alpha(held: dict[str, Any]) -> float:
    """LoRA's, as the file's own config says it."""
    config = held.get("config")
    model = config.get("model") if isinstance(config, dict) else None
    return float(model.get("lora_alpha", ALPHA)) if isinstance(model, dict) else ALPHA


def _name_projector(model: Tensors, source: Path) -> tuple[ProjectorConfig, Tensors]:
    """The Q-Former's sizes, and its tensors by the keys of key_table.py."""
    layer = re.compile(re.escape(QFORMER) + r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
    found = {name: layer.fullmatch(name) for name in model}
    heard = {int(f[1]) for f in found.values() if f and f[2].startswith("crossattention.")}
    layers = 1 + max((int(f[1]) for f in found.values() if f), default=-1)
    # in the public code every layer looks at the speech; before it, every second one did
    every = 1 if len(heard) == layers else 2
    tensors: Tensors = {}
    for name, value in model.items():
        if match := found[name]:
            if match[2] not in PARTS:
                raise ValueError(f"{source} holds {name}, which a Q-Former of SALMONN's has not")
            block, place = divmod(int(match[1]), every)
            tensors[f"blocks.{block}.layer{place}.{PARTS[match[2]]}.{match[3]}"] = value
        elif name == "speech_query_tokens":
            tensors["queries"] = value.reshape(value.shape[-2:])
        else:
            stem = name.replace(f"{QFORMER}embeddings.LayerNorm.", "query_norm.")
            tensors[stem.replace("speech_llama_proj.", "linear.")] = value
    if not layers or "queries" not in tensors:
        raise ValueError(f"{source} has no speech_query_tokens, or no layers; download it again")
    queries, width = tensors["queries"].shape
    config = dataclasses.replace(
        PROJECTORS["salmonn"],
        width=width,
        queries=queries,
        layers=layers,
        heads=width // HEAD_SIZE,
        cross_every=every,
    )
    return config, tensors


def _put_norms(encoder: str, norms: Tensors, source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The encoder's tensors, with the norms that were trained."""
    files = TensorFolder(encoder)
    keys = files.keys()
    names = [key for key in keys if NORMS.fullmatch(key)]
    if sorted(norms) != names:
        raise ValueError(
            f"{source} has the norms {sorted(norms)}, and {', '.join(names)} are needed"
        )
    for key in keys:
        yield key, norms[key] if key in norms else files.read(key)


def _list_base(base: str) -> Iterator[tuple[str, np.ndarray]]:
    """Vicuna's tensors, of safetensors or of PyTorch's files."""
    if list_torch_files(Path(base)):
        yield from list_torch_tensors(Path(base))
        return
    files = TensorFolder(base)
    keys = files.keys()
    for key in keys:
        yield key, files.read(key)


def _merge(
    base: str, lora: Tensors, scale: float, source: Path
) -> Iterator[tuple[str, np.ndarray]]:
    left = {name.rsplit(".", 1)[0] for name in lora}
    for key, value in _list_base(base):
        module = key.removesuffix(".weight")
        if module in left:
            left.remove(module)
            low, high = (lora[f"{module}.{half}"].astype(np.float32) for half in "AB")
            value = value.astype(np.float32) + scale * (high @ low)
        yield key, value
    if left:
        raise ValueError(
            f"{source} changes {sorted(left)[0]} ({len(left)} such), which {base} has not; give "
            "the Vicuna that it was trained on (--base)"
        )


def _fill_rows(key: str, value: np.ndarray, rows: int) -> np.ndarray:
    """Rows for the tokens of audio, at zero: no answer has them, and none is made of them."""
    if key not in VOCABULARY or len(value) >= rows:
        return value
    return np.pad(value, ((0, rows - len(value)), (0, 0)))
