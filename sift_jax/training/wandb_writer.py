"""Weights & Biases, where a run asks for it and the package is there: the figures and samples that
TensorBoard gets.

    RunConfig.wandb_project = 'speech' ─► a run of that project, named as the folder; run/wandb_id says which one it is,
                                          so that a resumed run goes on there

The package finds its key by itself (`wandb login`, WANDB_API_KEY). What it cannot send stops no
training.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sift_jax.endpoints.secret import Secret
from sift_jax.storage.whole_files import write_whole


def import_wandb(project: str) -> ModuleType:
    """The package, or an error that says how to get it."""
    try:
        import wandb
    except ImportError as error:
        raise ValueError(
            f"RunConfig.wandb_project is {project!r}, but wandb cannot be imported ({error}); pip "
            "install wandb, or set RunConfig.wandb_project = None"
        ) from error
    return wandb


class WandbBoard:
    """Takes what an EventFile takes."""

    def __init__(self, project: str, run_dir: Path, config_text: str):
        self._wandb = import_wandb(project)
        kept = run_dir / "wandb_id"
        if not kept.is_file():
            write_whole(kept, uuid.uuid4().hex[:12])
        try:
            self._run = self._wandb.init(
                project=project,
                name=run_dir.name,
                id=kept.read_text(),
                resume="allow",
                dir=str(run_dir),
                config={"gin": config_text},
            )
        except Exception as error:
            raise ValueError(
                f"Weights & Biases takes no run of project {project!r} ({_mask(error)}); see to "
                "it by `wandb login`, set WANDB_MODE=offline, or RunConfig.wandb_project = None"
            ) from None
        self._is_well = True

    def _try(self, send: Callable[[], Any]) -> None:
        if not self._is_well:
            return
        try:
            send()
        except Exception as error:  # whatever it is, the run is worth more
            self._is_well = False
            print(
                f"Weights & Biases gets nothing more of this run: {_mask(error)}", file=sys.stderr
            )

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._try(lambda: self._run.log(dict(scalars), step=step))

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """A table for each heading: dev/texts, eval/texts."""

        def make(group: str) -> Any:
            rows = [[name, text] for name, text in texts.items() if name.partition("/")[0] == group]
            return self._wandb.Table(columns=["sample", "text"], data=rows)

        groups = dict.fromkeys(name.partition("/")[0] for name in texts)
        self._try(
            lambda: self._run.log({f"{group}/texts": make(group) for group in groups}, step=step)
        )

    def write_audios(
        self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int
    ) -> None:
        def make(samples: np.ndarray) -> Any:
            return self._wandb.Audio(np.asarray(samples)[0, :, 0], sample_rate=sample_rate)

        self._try(
            lambda: self._run.log(
                {name: make(samples) for name, samples in audios.items()}, step=step
            )
        )

    def flush(self) -> None:
        """It sends by itself."""

    def close(self) -> None:
        self._try(self._run.finish)


def _mask(error: Exception) -> str:
    """One line, without the key, whoever may have put it there."""
    said = str(error) or type(error).__name__
    return " ".join(Secret(os.environ.get("WANDB_API_KEY", "").strip()).scrub(said).split())
