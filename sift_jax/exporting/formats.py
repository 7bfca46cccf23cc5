"""The formats of an export: how each is written, and how it is read again to be checked.

sift          encoder/ projector/ decoder/ tokenizer/ model.json      ours, for a round trip; decoder/ is a `merged`
merged        config.json model.safetensors tokenizer.json …          AutoModelForCausalLM, with LoRA merged; text alone
peft          adapter_config.json adapter_model.safetensors           PEFT; projector/ beside it, and base/ if not named
qwen2_audio   config.json model.safetensors preprocessor_config.json  Qwen2AudioForConditionalGeneration, and so vLLM
transformers  the same, model.json, and *_sift.py of remote_code/     AutoModelForCausalLM, by the code in the folder
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from sift_jax.endpoints.hub import SCHEME
from sift_jax.exporting.audio_template import take_recordings
from sift_jax.exporting.hf_configs import (
    make_adapter_config,
    make_decoder_config,
    make_encoder_config,
    make_generation_config,
    make_preprocessor_config,
    make_qwen2_audio_config,
    make_remote_config,
    make_remote_processor_config,
)
from sift_jax.exporting.merge_lora import BareParams, MergedParams, make_plain_config
from sift_jax.models.layers import make_sinusoids
from sift_jax.models.presets import to_json
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.models.whisper_encoder import EncoderConfig
from sift_jax.pretrained import Model
from sift_jax.text.tokenizers import AUDIO, AUDIO_END, AUDIO_START
from sift_jax.text.unit_tokens import list_needed_rows
from sift_jax.weights.key_table import (
    PROJECTOR,
    QWEN2,
    WHISPER,
    WHISPER_COMPUTED,
    list_tables,
    make_adapter_rows,
    to_theirs,
)
from sift_jax.weights.load import load_adapter, load_decoder, load_folder, load_part
from sift_jax.weights.tensor_writer import write_tensors
from sift_jax.weights.token_rows import (
    find_changed_rows,
    list_tensors,
    put_token_rows,
    read_token_rows,
)

Reread = tuple[SpeechLMConfig, Params]
CODE_FOLDER = Path(__file__).parent / "remote_code"
# what remote_code/ computes
REMOTE_PROJECTORS = ("linear", "pooled", "stacked")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    format: str
    dtype: str
    # of one file
    max_bytes: int
    # the decoder that an adapter is put on, a folder or hf://owner/name; None writes it beside the
    # adapter
    base: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """`read` gives back the whole model, with what the format lacks taken from the model that was
    exported."""

    write: Callable[[Model, Path, ExportConfig], None]
    read: Callable[[Model, Path, ExportConfig], Reread]


def _write_json(folder: Path, name: str, data: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(data, indent=1) + "\n")


def _merge(model: Model, part: str) -> Mapping[str, np.ndarray]:
    return MergedParams(model.config, model.params[part])


def _write_part(
    model: Model, part: str, flat: Mapping, folder: Path, config: ExportConfig, prefix: str = ""
) -> None:
    tensors = (
        (prefix + key, value) for key, value in to_theirs(list_tables(model.config)[part], flat)
    )
    write_tensors(folder, tensors, dtype=config.dtype, max_bytes=config.max_bytes)


def _write_tokenizer(model: Model, folder: Path, processor: str | None = None) -> None:
    """What AutoTokenizer needs, with the chat template of training."""
    tokenizer = model.tokenizer
    tokenizer.save(folder)
    if processor:
        tokens = {
            "audio_token": AUDIO,
            "audio_bos_token": AUDIO_START,
            "audio_eos_token": AUDIO_END,
        }
        _write_json(
            folder, "tokenizer_config.json", {**tokenizer.describe(), "processor_class": processor}
        )
        _write_json(folder, "processor_config.json", {"processor_class": processor, **tokens})
        _write_json(folder, "chat_template.json", {"chat_template": tokenizer.template.source})


def _write_generation_config(model: Model, folder: Path) -> None:
    end, pad = model.tokenizer.turn_end_id, model.tokenizer.end_of_text_id
    _write_json(folder, "generation_config.json", make_generation_config(end, pad))


def _write_decoder(model: Model, flat: Mapping, folder: Path, config: ExportConfig) -> None:
    _write_part(model, "decoder", flat, folder, config)
    _write_json(
        folder,
        "config.json",
        make_decoder_config(model.config, model.tokenizer.turn_end_id, config.dtype),
    )
    _write_generation_config(model, folder)
    _write_tokenizer(model, folder)


def _write_own_parts(model: Model, folder: Path, config: ExportConfig) -> None:
    """What stands between encoder and decoder, in names of ours."""
    for part in ("projector", "cross"):
        if part in model.params:
            _write_part(model, part, _merge(model, part), folder / part, config)


def write_sift(model: Model, folder: Path, config: ExportConfig) -> None:
    is_whisper = isinstance(model.config.encoder, EncoderConfig)
    if "encoder" in model.params:
        _write_part(
            model,
            "encoder",
            _merge(model, "encoder"),
            folder / "encoder",
            config,
            "model.encoder." if is_whisper else "",
        )
        _write_json(folder / "encoder", "config.json", make_encoder_config(model.config))
    _write_own_parts(model, folder, config)
    _write_decoder(model, _merge(model, "decoder"), folder / "decoder", config)
    _write_json(folder, "model.json", to_json(make_plain_config(model.config)))
    model.tokenizer.save(folder / "tokenizer")


def read_sift(model: Model, folder: Path, config: ExportConfig) -> Reread:
    return load_folder(folder)


def write_merged(model: Model, folder: Path, config: ExportConfig) -> None:
    _write_decoder(model, _merge(model, "decoder"), folder, config)


def read_merged(model: Model, folder: Path, config: ExportConfig) -> Reread:
    plain = make_plain_config(model.config)
    return plain, {**model.params, "decoder": unflatten_dict(load_decoder(folder, plain), sep="/")}


def write_peft(model: Model, folder: Path, config: ExportConfig) -> None:
    if not model.config.lora.rank:
        raise ValueError(
            "this model has no LoRA (lora_rank is 0), so there is no adapter; use --format=merged"
        )
    rows = make_adapter_rows()
    flat = flatten_dict(model.params["decoder"], sep="/")
    adapters = {path: x for path, x in flat.items() if "/lora_" in path}
    needed = list_needed_rows(model.tokenizer, model.codec).read
    token_rows = find_changed_rows(flat, config.base, needed) if config.base else {}
    tensors = itertools.chain(to_theirs(rows, adapters), list_tensors(token_rows))
    write_tensors(folder, tensors, dtype=config.dtype, max_bytes=2**62, stem="adapter_model")
    names = sorted({key.split(".")[-3] for path, key, _ in rows if path in adapters})
    base = (config.base or "base").removeprefix(SCHEME)
    _write_json(
        folder, "adapter_config.json", make_adapter_config(model.config, names, base, token_rows)
    )
    _write_own_parts(model, folder, config)
    _write_json(folder, "model.json", to_json(model.config))
    if config.base is None:
        _write_decoder(model, BareParams(model.params["decoder"]), folder / "base", config)
    _write_tokenizer(model, folder)


def read_peft(model: Model, folder: Path, config: ExportConfig) -> Reread:
    """The base as others will load it, with the adapter on it; so a base of another training
    shows."""
    decoder = load_decoder(config.base or folder / "base", model.config) | load_adapter(
        folder, model.config
    )
    parts = {"decoder": put_token_rows(decoder, read_token_rows(folder))}
    for part in ("projector", "cross"):
        if part in model.params:
            parts[part] = load_part(part, folder / part, model.config, kind=f"sift_{part}")
    return model.config, {
        **model.params,
        **{name: unflatten_dict(flat, sep="/") for name, flat in parts.items()},
    }


def _check_qwen2_audio(config: SpeechLMConfig) -> None:
    """Qwen2-Audio's code computes one thing alone; another model in its clothes would answer
    nonsense."""
    if not isinstance(config.encoder, EncoderConfig) or config.cross:
        raise ValueError(
            "Qwen2-Audio has a Whisper encoder, and its speech among the tokens; use --format=sift"
        )
    if config.projector.kind != "pooled" or config.projector.frames != 2:
        found = f"{config.projector.kind} over {config.projector.frames} frames"
        raise ValueError(
            f"Qwen2-Audio has a pooled projector over 2 frames, this model's is {found}; use "
            "--format=transformers or sift, or train with ModelConfig.projector = 'pooled' and "
            "projector_frames = 2"
        )
    if config.projector.soft_tokens:
        raise ValueError(
            "Qwen2-Audio hears the projector's frames, and this model soft tokens; use "
            "--format=transformers or sift"
        )
    if config.decoder.architecture != "qwen2":
        raise ValueError(
            f"Qwen2-Audio has a qwen2 decoder, this is a {config.decoder.architecture}; use "
            "--format=transformers or sift"
        )
    if config.encoder.frame_mask != "attention":
        raise ValueError(
            "Qwen2-Audio's encoder masks silence in attention alone, this model's frame_mask is "
            f"{config.encoder.frame_mask!r}; use --format=transformers or sift, or train with "
            "ModelConfig.frame_mask = 'attention'"
        )
    if config.encoder.window_seconds % 1:
        raise ValueError(
            "Qwen2-Audio's processor pads to whole seconds, this encoder to "
            f"{config.encoder.window_seconds}; use --format=transformers or sift"
        )


def _name_encoder(model: Model, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """Whisper's encoder with its positions, which others read."""
    for key, value in to_theirs(WHISPER, _merge(model, "encoder")):
        yield prefix + key, value
    encoder = model.config.encoder
    places = make_sinusoids(encoder.mel_frames // 2, encoder.width)
    yield prefix + WHISPER_COMPUTED[0], np.asarray(places)


def write_qwen2_audio(model: Model, folder: Path, config: ExportConfig) -> None:
    _check_qwen2_audio(model.config)

    def name_all() -> Iterator[tuple[str, np.ndarray]]:
        """The names of the published checkpoints, which vLLM reads too."""
        yield from _name_encoder(model, "audio_tower.")
        for key, value in to_theirs(PROJECTOR, _merge(model, "projector")):
            yield f"multi_modal_projector.{key}", value
        decoder = _merge(model, "decoder")
        for key, value in to_theirs(QWEN2, decoder):
            yield f"language_model.{key}", value
        if model.config.decoder.is_tied:
            yield "language_model.lm_head.weight", decoder["embedding"]

    write_tensors(folder, name_all(), dtype=config.dtype, max_bytes=config.max_bytes)
    end, audio = model.tokenizer.turn_end_id, model.tokenizer.ids[AUDIO]
    _write_json(
        folder, "config.json", make_qwen2_audio_config(model.config, end, audio, config.dtype)
    )
    processor = "Qwen2AudioProcessor"
    _write_json(
        folder, "preprocessor_config.json", make_preprocessor_config(model.config, processor)
    )
    _write_generation_config(model, folder)
    _write_tokenizer(model, folder, processor=processor)


def read_qwen2_audio(model: Model, folder: Path, config: ExportConfig) -> Reread:
    return load_folder(folder)


def _check_transformers(config: SpeechLMConfig) -> None:
    """Other parts have no PyTorch code of ours."""
    if not isinstance(config.encoder, EncoderConfig) or config.cross:
        raise ValueError(
            "the code for transformers has a Whisper encoder, and its speech among the tokens; use "
            "--format=sift"
        )
    if config.projector.kind not in REMOTE_PROJECTORS:
        raise ValueError(
            f"the code for transformers has the projectors {', '.join(REMOTE_PROJECTORS)}, this "
            f"model's is {config.projector.kind}; use --format=sift"
        )


def write_transformers(model: Model, folder: Path, config: ExportConfig) -> None:
    _check_transformers(model.config)
    tables = list_tables(model.config)

    def name_all() -> Iterator[tuple[str, np.ndarray]]:
        yield from _name_encoder(model, "encoder.")
        for part in ("projector", "decoder"):
            for key, value in to_theirs(tables[part], _merge(model, part)):
                yield f"{part}.{key}", value

    write_tensors(folder, name_all(), dtype=config.dtype, max_bytes=config.max_bytes)
    for path in CODE_FOLDER.glob("*_sift.py"):
        shutil.copy(path, folder / path.name)
    tokenizer = model.tokenizer
    source = take_recordings(tokenizer.template)
    tokenizer.save(folder)
    (folder / "chat_template.jinja").write_text(source)
    files = {
        "config.json": make_remote_config(
            model.config, tokenizer.turn_end_id, tokenizer.ids[AUDIO], config.dtype
        ),
        "preprocessor_config.json": make_preprocessor_config(model.config, "SiftProcessor"),
        "processor_config.json": make_remote_processor_config(model.config, AUDIO),
        "tokenizer_config.json": {
            **tokenizer.describe(),
            "padding_side": "left",
            "chat_template": source,
        },
        "generation_config.json": make_generation_config(
            list(tokenizer.stop_ids), tokenizer.end_of_text_id
        ),
        "model.json": to_json(make_plain_config(model.config)),
    }
    for name, data in files.items():
        _write_json(folder, name, data)


def read_transformers(model: Model, folder: Path, config: ExportConfig) -> Reread:
    return load_folder(folder)


FORMATS: dict[str, Format] = {
    "sift": Format(write=write_sift, read=read_sift),
    "peft": Format(write=write_peft, read=read_peft),
    "merged": Format(write=write_merged, read=read_merged),
    "qwen2_audio": Format(write=write_qwen2_audio, read=read_qwen2_audio),
    "transformers": Format(write=write_transformers, read=read_transformers),
}
