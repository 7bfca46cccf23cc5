"""Parameters from elsewhere: another run of ours, or folders of safetensors in the Hugging Face layout.

    Sources(run="runs/stage1", step=50_000)                     every parameter of that run; new LoRA stays as made
    Sources(encoder="whisper-medium/", decoder="Qwen2.5-7B/")   folders with *.safetensors
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import load_file

from sift_jax.models.presets import from_json
from sift_jax.models.speech_lm import Params, SpeechLMConfig, describe_params
from sift_jax.training.checkpoint import load_params
from sift_jax.weights.table import PROJECTOR, QWEN2, WHISPER, WHISPER_COMPUTED, to_ours


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """Where parameters come from before training; None leaves them random."""

    run: str | None
    step: int | None
    encoder: str | None
    decoder: str | None


def read_safetensors(folder: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a folder, of one file or several."""
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise ValueError(f"no *.safetensors in {folder}; download the model there first")
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        try:
            tensors |= load_file(file)
        except Exception as error:
            raise ValueError(f"{file} cannot be read as safetensors ({error}); download it again") from None
    return tensors


def _wanted(part: str, config: SpeechLMConfig) -> dict[str, jax.ShapeDtypeStruct]:
    flat = flatten_dict(describe_params(config)[part], sep="/")
    return {path: leaf for path, leaf in flat.items() if "/lora_" not in path}


def load_encoder(folder: str | Path, config: SpeechLMConfig) -> dict[str, np.ndarray]:
    """Whisper's encoder out of a whole Whisper checkpoint or an encoder of our own export."""
    tensors = read_safetensors(folder)
    prefix = "model.encoder."
    tensors = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
    wanted = set(_wanted("encoder", config))
    return to_ours(WHISPER, tensors, config.encoder.layers, wanted=wanted, ignored=WHISPER_COMPUTED)


def load_decoder(folder: str | Path, config: SpeechLMConfig) -> dict[str, np.ndarray]:
    ignored = ("lm_head.weight",) if config.decoder.is_tied else ()
    wanted = set(_wanted("decoder", config))
    return to_ours(QWEN2, read_safetensors(folder), config.decoder.layers, wanted=wanted, ignored=ignored)


def load_export(folder: str | Path) -> tuple[SpeechLMConfig, Params]:
    """The model that `python -m sift_jax.export` wrote."""
    folder = Path(folder)
    config = from_json(json.loads((folder / "model.json").read_text()))
    tensors, wanted = read_safetensors(folder / "projector"), set(_wanted("projector", config))
    projector = to_ours(PROJECTOR, tensors, config.projector.blocks, wanted=wanted)
    parts = {
        "encoder": load_encoder(folder / "encoder", config),
        "projector": projector,
        "decoder": load_decoder(folder / "decoder", config),
    }
    for part, flat in parts.items():
        _check_shapes(part, flat, config, str(folder))
    return config, {part: unflatten_dict(flat, sep="/") for part, flat in parts.items()}


def _check_shapes(part: str, flat: dict[str, np.ndarray], config: SpeechLMConfig, source: str) -> None:
    for path, leaf in _wanted(part, config).items():
        if tuple(flat[path].shape) != tuple(leaf.shape):
            raise ValueError(
                f"{source}: {part}/{path} is {tuple(flat[path].shape)} there and {tuple(leaf.shape)} in this model; "
                "choose the preset of that checkpoint"
            )


def merge_into(params: Params, flat: dict[str, np.ndarray], source: str) -> Params:
    """`params` with the leaves of `flat` (full paths) in their place. A part (encoder, …) comes whole, but new LoRA."""
    mine = flatten_dict(params, sep="/")
    parts = {path.split("/")[0] for path in flat}
    unknown = sorted(set(flat) - set(mine))
    kept = sorted(p for p in set(mine) - set(flat) if p.split("/")[0] in parts and "/lora_" not in p)
    if unknown or kept:
        raise ValueError(
            f"{source} does not fit this model: it has {unknown[:3] or 'nothing'} too many and lacks "
            f"{kept[:3] or 'nothing'}; "
            "use the model config of that run, new LoRA apart"
        )
    for path, value in flat.items():
        if tuple(value.shape) != tuple(mine[path].shape):
            raise ValueError(
                f"{source}: parameter {path} is {tuple(value.shape)} there and {tuple(mine[path].shape)} here; "
                "use the model config of that run"
            )
        mine[path] = jax.device_put(np.asarray(value, mine[path].dtype), mine[path].sharding)
    return unflatten_dict(mine, sep="/")


def load_sources(params: Params, config: SpeechLMConfig, sources: Sources) -> Params:
    """Fresh parameters with whatever the sources hold in their place."""
    if sources.run:
        _, step, found = load_params(sources.run, sources.step)
        params = merge_into(params, flatten_dict(found, sep="/"), f"run {sources.run} step {step}")
    for part, folder, load in (("encoder", sources.encoder, load_encoder), ("decoder", sources.decoder, load_decoder)):
        if folder:
            flat = {f"{part}/{path}": value for path, value in load(folder, config).items()}
            params = merge_into(params, flat, folder)
    return params
