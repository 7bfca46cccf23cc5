"""What a run's own files say of where it comes from, for a model card.

runs/stage2/config.gin ─ Sources.run ─► runs/stage1/config.gin ─ Sources.decoder ─► weights/Qwen2.5-7B-Instruct
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sift_jax.data.tasks.mixture_table import choose_rates

# a chain longer than this is a circle
MOST_STAGES = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One training run; None is what its config does not say."""

    run: str
    steps: int | None
    mixture: str | None
    rates: dict[str, float]
    trainable: tuple[str, ...]
    encoder: str | None
    decoder: str | None
    model: str | None
    earlier_run: str | None


def read_bindings(text: str) -> dict[str, Any]:
    """Literal values of a resolved gin text, macros looked up; whatever is not a literal is left
    out."""
    text = re.sub(r"\\\n\s*", "", text)
    pairs = re.findall(r"^([\w.]+) = (.+(?:\n[ \t]+.+)*)", text, re.MULTILINE)
    raw = {name: value.strip() for name, value in pairs}
    found: dict[str, Any] = {}
    for name, value in raw.items():
        value = re.sub(r"%([\w.]+)", lambda macro: raw.get(macro[1], macro[0]), value)
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            continue
    return found


def _read_rates(said: Mapping[str, Any]) -> dict[str, float]:
    """Of a shipped mixture, or of a table in the config; none where a module of the user's had
    them."""
    rates, changes = said.get("MixtureConfig.rates"), said.get("MixtureConfig.rate_changes")
    # older runs have both a name and rates, of their data
    return (
        choose_rates(_read_mixture(said), rates or said.get("DataConfig.rates"), changes or {})
        or {}
    )


def _read_mixture(said: Mapping[str, Any]) -> str | None:
    return said.get("MixtureConfig.name") or said.get("DataConfig.mixture")


def read_history(run: str | Path) -> list[Stage]:
    """The run and those that it started from, the earliest first; what has no config.gin any more
    ends the chain."""
    stages: list[Stage] = []
    place: str | None = str(run)
    while place and len(stages) < MOST_STAGES and (Path(place) / "config.gin").is_file():
        said = read_bindings((Path(place) / "config.gin").read_text())
        stages.append(
            Stage(
                run=place,
                steps=said.get("RunConfig.steps"),
                mixture=_read_mixture(said),
                rates=_read_rates(said),
                trainable=tuple(said.get("RunConfig.trainable") or ()),
                encoder=said.get("Sources.encoder"),
                decoder=said.get("Sources.decoder"),
                model=said.get("Sources.model"),
                earlier_run=said.get("Sources.run"),
            )
        )
        place = stages[-1].earlier_run
    return stages[::-1]
