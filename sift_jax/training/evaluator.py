"""What the train loop asks of whoever evaluates its model on the way.

    run config ─► Evaluator.open(…) ─► Evaluate(step, parameters, is_last) ─► Evaluated: figures, a line, samples

The evaluation stands above training and imports it; so the loop names no evaluation, it is handed
one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from jax.sharding import Mesh

from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.training.logged_samples import Samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Figures by their names, a line for the terminal, and questions with their answers."""

    figures: dict[str, float]
    line: str
    samples: Samples


class Evaluate(Protocol):
    def __call__(self, step: int, params: Params, is_last: bool) -> Evaluated | None:
        """What was found, where it is the step's turn. It keeps no parameters: the next step
        consumes them."""


class Evaluator(Protocol):
    def open(self, config: SpeechLMConfig, tokenizer: Any, mesh: Mesh, run_dir: Path) -> Evaluate:
        """Reads what there is to ask, or says in one line what is missing. Every process of a run
        calls it."""
