"""A whole Whisper out of a folder in the layout of the hub: encoder, decoder, and which heads
follow the words.

config.json, *.safetensors ─► configs, params {"encoder": …, "decoder": …} in float32
generation_config.json     ─► alignment_heads [[3, 1], [4, 2], …] (layer, head); else all heads of the upper half
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from sift_jax.models.hf_config import read_config, read_encoder_preset, read_whisper_decoder
from sift_jax.models.whisper_decoder import Heads, Params, WhisperDecoderConfig
from sift_jax.models.whisper_encoder import EncoderConfig
from sift_jax.weights.hf_layouts import read_layout, sort_keys
from sift_jax.weights.key_table import WHISPER, WHISPER_COMPUTED, WHISPER_DECODER
from sift_jax.weights.stream_tensors import find_origins, stream
from sift_jax.weights.tensor_files import TensorFolder

GENERATION = "generation_config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whisper:
    encoder: EncoderConfig
    decoder: WhisperDecoderConfig
    params: Params
    alignment_heads: Heads


def load_whisper(folder: str | Path) -> Whisper:
    """Configs and parameters of a folder; it is an error if it holds another model, or a part of
    one."""
    folder = Path(folder)
    kind = read_layout(folder, "whisper_decoder")
    encoder, decoder = read_encoder_preset(folder), read_whisper_decoder(folder)
    files = TensorFolder(folder)
    if not isinstance(encoder, EncoderConfig):
        raise ValueError(f"{folder} describes no Whisper; give the folder of one")
    parts, unknown = sort_keys(kind, files.keys())
    params = {}
    for part, rows, layers, ignored in (
        ("encoder", WHISPER, encoder.layers, WHISPER_COMPUTED),
        ("whisper_decoder", WHISPER_DECODER, decoder.layers, ()),
    ):
        names = parts.get(part, {})
        paths = [path for path, _, _ in rows]
        try:
            origins = find_origins(rows, [*names, *unknown], layers, wanted=paths, ignored=ignored)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from None
        flat = {}
        for path, origin in origins.items():
            origin = dataclasses.replace(origin, keys=tuple(names[key] for key in origin.keys))
            flat[path] = stream(
                origin, files, jax.ShapeDtypeStruct(origin.shape(files), np.float32)
            )
        params[part.removeprefix("whisper_")] = unflatten_dict(flat, sep="/")
    return Whisper(
        encoder=encoder,
        decoder=decoder,
        params=params,
        alignment_heads=read_alignment_heads(folder, decoder),
    )


def read_alignment_heads(folder: Path, decoder: WhisperDecoderConfig) -> Heads:
    """Those that the folder names, or every head of the upper half of the layers."""
    told: Any = None
    for name in (GENERATION, "config.json"):
        if told is None and (folder / name).is_file():
            told = read_config(folder / name)[0].get("alignment_heads")
    if told is None:
        return tuple(
            (x, y) for x in range(decoder.layers // 2, decoder.layers) for y in range(decoder.heads)
        )
    try:
        heads = tuple((int(layer), int(head)) for layer, head in told)
    except (TypeError, ValueError):
        heads = ()
    if not heads or not all(0 <= x < decoder.layers and 0 <= y < decoder.heads for x, y in heads):
        raise ValueError(
            f"{folder}: alignment_heads are no (layer, head) of {decoder.layers} layers with "
            f"{decoder.heads} heads; take the {GENERATION} that came with the weights"
        )
    return heads
