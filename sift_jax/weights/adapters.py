"""LoRA adapters of PEFT on a decoder: read into ours, or merged into the base's tensors.

    adapters/mine/adapter_config.json        r 8, lora_alpha 16, "base_model_name_or_path": "weights/Qwen3-8B"
                  adapter_model.safetensors  base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight (r, in), …

    Sources(decoder="adapters/mine")         the base's weights, and the adapter as our LoRA, which trains on
    import_weights --from=adapters/mine      base + scale · B·A, tensor by tensor, as a folder of its own

scale is lora_alpha / r, or lora_alpha / √r where use_rslora says so. What would make the adapter
compute anything else is refused by its name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sift_jax.endpoints.hub import SCHEME, find_folder
from sift_jax.models.layers import LoraConfig
from sift_jax.weights.tensor_files import TensorFolder
from sift_jax.weights.token_rows import KEYS as TOKEN_ROWS
from sift_jax.weights.token_rows import read_token_rows

CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
# fields of PEFT that add something to x·A·B, or put it elsewhere, with the value that is none of it
PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "modules_to_save": (None, []),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "use_bdlora": (None,),
    "alora_invocation_tokens": (None, []),
    "lora_bias": (False, None),
    "fan_in_fan_out": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layer_replication": (None, []),
    "target_parameters": (None, []),
    "kasa_config": (None,),
    "arrow_config": (None,),
    "monteclora_config": (None,),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adapter:
    folder: Path
    rank: int
    # lora_alpha, or what it is at alpha / rank where PEFT divides by the root of the rank
    alpha: float
    base: str

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def is_adapter(source: str | Path) -> bool:
    return (Path(source) / CONFIG).is_file()


def read_adapter(folder: str | Path) -> Adapter:
    """What adapter_config.json says, if x·A·B times a number is all that the adapter does."""
    folder = Path(folder)
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is not PEFT's config of a LoRA; download it again") from None
    _check_plain(config, path)
    if config.get("use_rslora"):
        alpha *= rank**0.5
    return Adapter(
        folder=folder,
        rank=rank,
        alpha=alpha,
        base=str(config.get("base_model_name_or_path") or ""),
    )


def _check_plain(config: Mapping[str, Any], path: Path) -> None:
    for name, allowed in PLAIN.items():
        if name in config and config[name] not in allowed:
            hint = "merge the adapter with PEFT's merge_and_unload, and give the merged folder"
            raise ValueError(
                f"{path}: {name} is {config[name]!r}, and only {allowed[0]!r} is read; {hint}"
            )


def find_base(adapter: Adapter, base: str | None = None) -> str:
    """The decoder under an adapter: the one that is given, base/ beside it (as our own export
    leaves it), or the folder or hub name that it says."""
    if base is not None:
        return base
    if (adapter.folder / "base" / "config.json").is_file():
        return str(adapter.folder / "base")
    if not adapter.base:
        raise ValueError(
            f"{adapter.folder / CONFIG} names no base model; put its path in as "
            "base_model_name_or_path"
        )
    return adapter.base if Path(adapter.base).is_dir() else SCHEME + adapter.base


def check_lora(adapter: Adapter, lora: LoraConfig) -> None:
    """Whether our LoRA computes what the adapter does."""
    if (adapter.rank, adapter.alpha) != (lora.rank, lora.alpha):
        raise ValueError(
            f"the adapter {adapter.folder} has rank {adapter.rank} and alpha {adapter.alpha:g}, "
            f"and this model {lora.rank} and {lora.alpha:g}; set LORA_RANK = {adapter.rank} and "
            f"LORA_ALPHA = {adapter.alpha:g}, or merge it first with python -m "
            "sift_jax.import_weights"
        )


def merge_tensors(adapter: Adapter, base: str) -> Iterator[tuple[str, np.ndarray]]:
    """The base's tensors, one after the other, with the adapter in those that it changes."""
    files, added = TensorFolder(find_folder(base)), TensorFolder(adapter.folder)
    keys = files.keys()
    wanted = {_name_target(key) for key in set(added.keys()) - set(TOKEN_ROWS)}
    strange = sorted(wanted - set(keys))
    if strange:
        raise ValueError(
            f"{adapter.folder} changes {strange[0]} ({len(strange)} such), which {base} has not; "
            "give the base that it was trained on (--base)"
        )
    rows = read_token_rows(adapter.folder)
    for key in keys:
        value = files.read(key)
        module = key.removesuffix(".weight")
        if key in wanted:
            low, high = (
                added.read(f"{PREFIX}{module}.lora_{half}.weight").astype(np.float32)
                for half in "AB"
            )
            value = value.astype(np.float32) + adapter.scale * (high @ low)
        new = rows.get(module.rsplit(".", 1)[-1], {})
        if new:
            yield key, _put_rows(value, new, adapter, base)
        else:
            yield key, value


def _name_target(key: str) -> str:
    """The base's tensor that an adapter's changes."""
    stem = key.removeprefix(PREFIX)
    for half in "AB":
        stem = stem.replace(f".lora_{half}.weight", ".weight")
    return stem


def _put_rows(
    value: np.ndarray, rows: Mapping[int, np.ndarray], adapter: Adapter, base: str
) -> np.ndarray:
    if max(rows) >= len(value):
        raise ValueError(
            f"{adapter.folder} brings row {max(rows)} of a vocabulary of which {base} has "
            f"{len(value)}; give a base whose vocabulary was resized before"
        )
    put = value.astype(np.float32)
    put[list(rows)] = np.stack(list(rows.values()))
    return put
