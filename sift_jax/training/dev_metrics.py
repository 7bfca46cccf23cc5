"""What the dev batches say of a model: in all, and of each task of the mixture.

dev batch ─► Σ loss of each task, with its own audio and with other items' ─► dev_loss            in all
                                                                              dev_loss/<task>     of one
audio_gain, audio_gain/<task>     how much worse it gets with other items' audio; none where a batch has no other
dev_tokens/<task>                 the answers' tokens that the figures are of; without any there are no others
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from sift_jax.batch import Batch
from sift_jax.checkpoints.train_state import State

LOSS, GAIN, TOKENS = "dev_loss/", "audio_gain/", "dev_tokens/"
# tasks that the terminal names, of those that do worst
WORST = 3


def measure_dev(
    dev_step: Callable[[State, dict[str, jax.Array]], dict[str, jax.Array]],
    state: State,
    batches: Sequence[Batch],
    put: Callable[[Batch], dict[str, jax.Array]],
    tasks: Sequence[str],
) -> dict[str, float]:
    """Loss and audio gain over the dev batches. `tasks` are named in the order of their numbers in
    task_bm; those behind them, which the dev split has not got, are named too."""
    sums = {
        key: np.zeros(len(tasks))
        for key in ("loss", "weight", "paired_loss", "swapped_loss", "paired_weight")
    }
    for batch in batches:
        for key, value in dev_step(state, put(batch)).items():
            found = np.asarray(value, np.float64)
            sums[key][: len(found)] += found
    loss, tokens = sums["loss"], sums["weight"]
    # of those that can hear another item alone
    gain, paired = sums["swapped_loss"] - sums["paired_loss"], sums["paired_weight"]
    values = {"dev_loss": loss.sum() / max(tokens.sum(), 1.0)}
    if paired.any():
        values["audio_gain"] = gain.sum() / paired.sum()
    for number in sorted(range(len(tasks)), key=lambda number: tasks[number]):
        name, count = tasks[number], tokens[number]
        if count:
            values[LOSS + name] = loss[number] / count
        if paired[number]:
            values[GAIN + name] = gain[number] / paired[number]
        values[TOKENS + name] = count
    return {name: float(value) for name, value in values.items()}


def format_dev(values: Mapping[str, float]) -> str:
    """A line for the terminal: in all, and the tasks that do worst."""
    losses = {
        name.removeprefix(LOSS): value for name, value in values.items() if name.startswith(LOSS)
    }
    worst = sorted(losses, key=lambda name: -losses[name])[:WORST]
    line = f"dev loss {values['dev_loss']:.3f}, audio gain {_format_gain(values, 'audio_gain')}"
    if len(losses) > 1:
        line += "; worst: "
        line += ", ".join(
            f"{name} {losses[name]:.3f} ({_format_gain(values, GAIN + name)})" for name in worst
        )
    return line


def _format_gain(values: Mapping[str, float], name: str) -> str:
    return (
        f"{values[name]:+.3f}" if name in values else "unknown: no other recording in its batches"
    )
