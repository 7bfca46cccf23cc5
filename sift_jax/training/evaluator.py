"""What the train loop asks of whoever evaluates its model on the way.

    run config ─► Evaluator.open(…) ─► Evaluate(step, parameters, is_last) ─► figures and a line for the terminal

The evaluation stands above training and imports it; so the loop names no evaluation, it is handed
one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from jax.sharding import Mesh

from sift_jax.models.speech_lm import Params, SpeechLMConfig


class Evaluate(Protocol):
    def __call__(
        self, step: int, params: Params, is_last: bool
    ) -> tuple[dict[str, float], str] | None:
        """Figures and a line, where it is the step's turn. It keeps no parameters: the next step
        consumes them."""


class Evaluator(Protocol):
    def open(self, config: SpeechLMConfig, tokenizer: Any, mesh: Mesh, run_dir: Path) -> Evaluate:
        """Reads what there is to ask, or says in one line what is missing. Every process of a run
        calls it."""
