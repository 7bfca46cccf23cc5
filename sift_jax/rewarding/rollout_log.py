"""What was drawn and what it was worth, on disk: a line a rollout, and what has failed of late.

run/rollouts.jsonl    {"step": 3, "item": "sift.open_ended.en#17", "prompt": …, "answer": …,
                       "reference": …, "tokens": 12, "end": "stop", "reward": .8, "parts": {"label": 1.0},
                       "failures": {}, "advantage": .7, "is_used": true}
run/rollouts/step100.html    the last groups, with their recordings

An item is a task and a number in its index, as in batches.jsonl: so its recording is found.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.rewarding.advantages import Advantages
from sift_jax.rewarding.prompts import Asked
from sift_jax.rewarding.rewards import Judged, RewardError, Rollout
from sift_jax.rewarding.rollouts import Answer
from sift_jax.storage.whole_files import write_whole

# steps over which failures are counted
WINDOW = 20
STOP, LIMIT = "stop", "limit"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRollouts:
    """All of a step, prompt by prompt."""

    step: int
    asked: Sequence[Asked]
    answers: Sequence[Sequence[Answer]]
    rollouts: Sequence[Sequence[Rollout]]
    judged: Sequence[Sequence[Judged]]
    advantages: Advantages

    def list_lines(self) -> list[dict[str, Any]]:
        """A line a rollout, of those that were drawn for a prompt."""
        lines = []
        for p, one in enumerate(self.asked):
            for g, (rollout, judged) in enumerate(
                zip(self.rollouts[p], self.judged[p], strict=True)
            ):
                lines.append(
                    {
                        "step": self.step,
                        "item": one.item,
                        "prompt": one.text,
                        "answer": rollout.answer,
                        "reference": one.reference,
                        "tokens": rollout.tokens,
                        "end": STOP if rollout.is_whole else LIMIT,
                        "reward": judged.total if math.isfinite(judged.total) else None,
                        "parts": judged.parts,
                        "failures": judged.failures,
                        "advantage": float(self.advantages.values[p, g]),
                        "is_used": bool(self.advantages.is_used[p, g]),
                    }
                )
        return lines


def measure_rollouts(lines: Sequence[dict[str, Any]], found: StepRollouts) -> dict[str, float]:
    """Means and shares of a step's rollouts, by the names of metrics.jsonl."""
    rewards = [line["reward"] for line in lines if line["reward"] is not None]
    values = {
        "answer_tokens": sum(line["tokens"] for line in lines) / len(lines),
        "empty_share": sum(not line["answer"] for line in lines) / len(lines),
        "at_limit_share": sum(line["end"] == LIMIT for line in lines) / len(lines),
        "failed_share": sum(bool(line["failures"]) for line in lines) / len(lines),
        "flat_groups": float(found.advantages.flat),
        "lone_groups": float(found.advantages.lone),
    }
    if rewards:
        values["reward"] = sum(rewards) / len(rewards)
    parts: dict[str, list[float]] = collections.defaultdict(list)
    for line in lines:
        for name, value in line["parts"].items():
            parts[name].append(value)
    return values | {f"reward/{name}": sum(x) / len(x) for name, x in sorted(parts.items())}


class RolloutLog:
    """Writes the lines of a run, and ends it where too many rewards fail."""

    def __init__(self, run_dir: Path, *, first_step: int, most_failed: float):
        self.path, self._most_failed = run_dir / "rollouts.jsonl", most_failed
        # of each of the last steps: (rollouts, those that failed, how)
        self._recent: collections.deque[tuple[int, int, collections.Counter[str]]]
        self._recent = collections.deque(maxlen=WINDOW)
        by_step: dict[int, list[dict[str, Any]]] = {}
        for line in self._keep(first_step):
            if line["step"] > first_step - WINDOW:
                by_step.setdefault(line["step"], []).append(line)
        for lines in by_step.values():
            self._count(lines)

    def _keep(self, first_step: int) -> list[dict[str, Any]]:
        """The lines up to a step; what came after it is done again, and said again."""
        if not self.path.is_file():
            return []
        # a kill may have torn the last line
        lines = self.path.read_text(encoding="utf-8").split("\n")
        whole = [json.loads(line) for line in lines if line.endswith("}") and _is_json(line)]
        kept = [line for line in whole if line["step"] <= first_step]
        write_whole(self.path, "".join(_write(line) for line in kept))
        return kept

    def add(self, lines: Sequence[dict[str, Any]]) -> None:
        """Those of a step."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_write, lines)))
        self._count(lines)
        total = sum(count for count, _, _ in self._recent)
        failed = sum(count for _, count, _ in self._recent)
        if failed > self._most_failed * total:
            reasons = sum((found for _, _, found in self._recent), collections.Counter())
            said = "; ".join(f"{reason}: {count}" for reason, count in reasons.most_common(3))
            raise RewardError(
                f"the rewards of {failed} of the last {total} rollouts failed, which is more than "
                f"RewardConfig.most_failed = {self._most_failed:g} ({said}); fix the reward, or "
                f"raise RewardConfig.seconds; the rollouts are in {self.path}"
            )

    def _count(self, lines: Sequence[dict[str, Any]]) -> None:
        failures: collections.Counter[str] = collections.Counter()
        for line in lines:
            failures.update(f"{name} {said}" for name, said in line["failures"].items())
        failed = sum(bool(line["failures"]) for line in lines)
        self._recent.append((len(lines), failed, failures))


def _write(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
