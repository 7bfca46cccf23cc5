"""Whether parameters from elsewhere mean here what they meant there: what shapes do not tell.

runs/stage1/model.json         │ this model's config      │
decoder.rope_theta   10000.0   │ 1000000.0                │ refused, with both values
decoder.vocab_size   152064    │ 154064                   │ may grow: resize.py
lora  rank 16, alpha 8         │ rank 128, alpha 64       │ may grow: alpha / rank is .5 in both
lora  rank 16, alpha 8         │ rank 16, alpha 16        │ refused: each adapter would say twice as much
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sift_jax.models.layers import LoraConfig
from sift_jax.models.speech_lm import SpeechLMConfig

# How long a context is promised is each run's choice; how much is heard, too, of an encoder that is
# read from a folder.
FREE_OF_RUNS = frozenset({"max_positions"})
FREE_OF_FOLDERS = FREE_OF_RUNS | {"window_seconds", "frame_mask"}

# twice float32's rounding
FLOAT32 = 2.0**-22


def list_differences(
    theirs: Any, ours: Any, free: frozenset[str]
) -> Iterator[tuple[str, Any, Any]]:
    """(field, value there, value here) of two configs of one class."""
    for field in dataclasses.fields(ours):
        there, here = getattr(theirs, field.name), getattr(ours, field.name)
        # rows of its own are what a model's extra_tokens are
        is_grown = field.name == "vocab_size" and there < here
        if not _is_same(there, here) and field.name not in free and not is_grown:
            yield field.name, there, here


def _is_same(there: Any, here: Any) -> bool:
    """Numbers within float32's rounding: a folder out of a GGUF has 9.999999747378752e-06 for
    1e-05."""
    if dataclasses.is_dataclass(there) and type(there) is type(here):
        return all(
            _is_same(getattr(there, f.name), getattr(here, f.name))
            for f in dataclasses.fields(there)
        )
    if isinstance(there, float) and isinstance(here, float):
        return math.isclose(there, here, rel_tol=FLOAT32)
    return there == here


def check_preset(theirs: Any, ours: Any, part: str, source: str | Path) -> None:
    """Another rotary base or epsilon would load without a murmur and speak nonsense."""
    if type(theirs) is not type(ours):
        raise ValueError(
            f"{part} of {source} is of another family than this model's ({type(theirs).__name__}, "
            f"not {type(ours).__name__}); choose the preset of that checkpoint, or give its "
            "folder as the preset"
        )
    for name, there, here in list_differences(theirs, ours, FREE_OF_FOLDERS):
        raise ValueError(
            f"{part} of {source}: {name} is {there} there and {here} in this model; "
            "choose the preset of that checkpoint, or give its folder as the preset"
        )


def check_run_model(theirs: SpeechLMConfig, ours: SpeechLMConfig, run: str) -> None:
    """An error where a run's model computes anything else than this one would with the run's
    parameters.

    dtype, remat and attention are how it is computed, and may differ."""
    for part in ("encoder", "projector", "decoder", "cross"):
        there, here = getattr(theirs, part), getattr(ours, part)
        if type(there) is not type(here):
            raise ValueError(
                f"run {run}: {part} is {_name_type(there)} there and {_name_type(here)} in this "
                "model; use the model config of that run"
            )
        for name, old, new in (
            list_differences(there, here, FREE_OF_RUNS) if here is not None else ()
        ):
            raise ValueError(
                f"run {run}: {part}.{name} is {old} there and {new} in this model; use the "
                "model config of that run"
            )
    if theirs.quantized and theirs.quantized != ours.quantized:
        raise ValueError(
            f"run {run} has its decoder in {theirs.quantized}; set ModelConfig.quantized = "
            f"{theirs.quantized!r} (configs/models/int8.gin), or start from an export of it, which "
            "is dequantised"
        )
    check_scale(theirs.lora, ours.lora, run)


def check_scale(theirs: LoraConfig, ours: LoraConfig, run: str) -> None:
    """An adapter says the same only if it is scaled alike, whether its rank grows or not."""
    if theirs.rank and ours.rank and theirs.alpha * ours.rank != ours.alpha * theirs.rank:
        raise ValueError(
            f"run {run} has LoRA of rank {theirs.rank} and alpha {theirs.alpha:g}; at rank "
            f"{ours.rank} it says the same with LORA_ALPHA = "
            f"{theirs.alpha * ours.rank / theirs.rank:g}, not {ours.alpha:g}"
        )


def _name_type(part: Any) -> str:
    return "none" if part is None else type(part).__name__
