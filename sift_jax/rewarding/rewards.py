"""Rewards: functions of one rollout, by name, and a weighted sum of them.

    {"label": 1.0, "length:40": 0.2, "my_rewards.is_polite": 0.5}
         │               │                └ a function of a module named by --module_import: rollout ─► number
         │               └ an argument behind the colon
         └ one of REWARDS

Each gives a number from 0 to 1. What a function raises, NaN, and a call that takes too long are
failures: they are counted by name, and a rollout that has one teaches nothing.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

from sift_jax.evaluation.scores.constraints import check_constraint, is_followed
from sift_jax.sift.labels import find_labels, simplify

FAILED, NOT_A_NUMBER, SLOW = "raised an error", "is not a finite number", "took too long"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
    """One answer of the model, and what it answers to."""

    # task and number of its item, as in "sift.open_ended.en#17"
    item: str
    task: str
    language: str
    prompt: str
    answer: str
    # what the data has as the answer
    reference: str
    # tokens of the answer, its end not counted, and whether it came to an end
    tokens: int
    is_whole: bool


RewardFunction = Callable[[Rollout], float]


class RewardError(RuntimeError):
    """Rewards that a run cannot go on with; one line with the remedy."""

    # the user can fix it: sift_jax.exits
    exit_code = 2


def reward_label(rollout: Rollout) -> float:
    """The share of the reference's labels that the answer names, and no other of their kind; where
    it names none, whether the two say the same."""
    wanted = _group(rollout.reference, rollout.language)
    if not wanted:
        return float(simplify(rollout.answer) == simplify(rollout.reference))
    named = _group(rollout.answer, rollout.language)
    return sum(named.get(key) == labels for key, labels in wanted.items()) / len(wanted)


def _group(text: str, language: str) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for key, label in find_labels(text, language):
        groups.setdefault(key, set()).add(label)
    return groups


def make_constraint_reward(constraint: str) -> RewardFunction:
    """Whether the answer has a form of evaluation/scores/constraints.py; an answer that is too short
    to tell its language has half of it."""
    check_constraint(constraint)

    def reward_constraint(rollout: Rollout) -> float:
        found = is_followed(constraint, rollout.language, rollout.answer)
        return 0.5 if found is None else float(found)

    return reward_constraint


def reward_language(rollout: Rollout) -> float:
    """Whether the answer is in the language of its question; half where it is too short to tell."""
    return make_constraint_reward(f"language:{rollout.language}")(rollout)


def make_length_reward(most: str) -> RewardFunction:
    """1 up to so many words, falling to 0 at twice as many; 0 for none, and for an answer that met
    the limit of its tokens."""
    if not (most.isdecimal() and int(most)):
        raise ValueError(f"'length:{most}' needs a number of words, as in length:40")
    limit = int(most)

    def reward_length(rollout: Rollout) -> float:
        words = len(rollout.answer.split())
        if not words or not rollout.is_whole:
            return 0.0
        return min(1.0, max(0.0, 2.0 - words / limit))

    return reward_length


def reward_classes(asked: Mapping[str, int], measured: Mapping[str, int | None]) -> float:
    """How near the classes that were measured on speech are to those asked for: 1 each where they are
    the same, ½ a class away, 0 from two on; what could not be measured is 0."""
    if not asked:
        return 1.0
    found = [measured.get(key) for key in asked]
    steps = [
        math.inf if there is None else abs(there - wanted)
        for there, wanted in zip(found, asked.values(), strict=True)
    ]
    return sum(max(0.0, 1.0 - step / 2) for step in steps) / len(asked)


def reward_words(asked: Sequence[str], heard: Sequence[str]) -> float:
    """1 less the word error rate of what was heard of the words asked for, 0 at least."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(asked, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
    return max(0.0, 1.0 - row[-1] / max(len(asked), 1))


def bound_speech(classes: float, words: float, *, enough: float = 0.9) -> float:
    """One reward of both: words above `enough` buy nothing more, and classes buy nothing without
    words, so that neither is given up for the other."""
    return classes * min(1.0, words / enough)


REWARDS: dict[str, RewardFunction] = {"label": reward_label, "language": reward_language}
MAKERS: dict[str, Callable[[str], RewardFunction]] = {
    "constraint": make_constraint_reward,
    "length": make_length_reward,
}


def find_reward(name: str, modules: Sequence[ModuleType]) -> RewardFunction:
    """The function of a name: ours, or one of a module that the command line has imported."""
    kind, colon, argument = name.partition(":")
    if kind in MAKERS and colon:
        return MAKERS[kind](argument)
    if name in REWARDS:
        return REWARDS[name]
    module_name, dot, function = name.rpartition(".")
    known = {module.__name__: module for module in modules}
    if dot and module_name in known:
        found = getattr(known[module_name], function, None)
        # what the module has imported from elsewhere is not its own
        if inspect.isfunction(found) and found.__module__ == module_name:
            return found
        raise ValueError(f"RewardConfig.parts: {module_name} has no function {function!r}")
    ours = [*REWARDS, *(f"{maker}:…" for maker in MAKERS)]
    raise ValueError(
        f"RewardConfig.parts: no reward {name!r}; ours are {', '.join(ours)}, and a function of "
        "yours is module.function of a module that --module_import names"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """What a rollout is worth: in all, by part, and what failed; of a failure there is no total."""

    total: float
    parts: dict[str, float]
    failures: dict[str, str]


class RewardBook:
    """The rewards of a run, asked one after the other in a thread that is waited for `seconds` a
    call."""

    def __init__(
        self, parts: Mapping[str, float], modules: Sequence[ModuleType] = (), *, seconds: float
    ):
        self._weights, self._seconds = dict(parts), seconds
        self._functions = {name: find_reward(name, modules) for name in parts}

    def judge(self, rollouts: Sequence[Rollout]) -> list[Judged]:
        """In the order of the rollouts."""
        return [self._judge_one(rollout) for rollout in rollouts]

    def _judge_one(self, rollout: Rollout) -> Judged:
        parts: dict[str, float] = {}
        failures: dict[str, str] = {}
        for name, function in self._functions.items():
            value, failure = self._ask(function, rollout)
            if failure:
                failures[name] = failure
            else:
                parts[name] = value
        total = math.nan if failures else sum(self._weights[name] * x for name, x in parts.items())
        return Judged(total=total, parts=parts, failures=failures)

    def _ask(self, function: RewardFunction, rollout: Rollout) -> tuple[float, str]:
        """(the value, what failed)."""
        found: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        # a thread of its own, which no end of the process waits for: one that hangs holds up nobody
        thread = threading.Thread(target=_call, args=(function, rollout, found), daemon=True)
        thread.start()
        try:
            return found.get(timeout=self._seconds)
        except queue.Empty:
            return 0.0, f"{SLOW} (more than {self._seconds:g} s)"


def _call(
    function: RewardFunction, rollout: Rollout, found: queue.SimpleQueue[tuple[float, str]]
) -> None:
    try:
        value = float(function(rollout))
    # a user's function may raise anything, and one rollout must not end the run
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        found.put((0.0, f"{FAILED} ({type(error).__name__}: {said})"))
        return
    found.put((value, "") if math.isfinite(value) else (0.0, f"{NOT_A_NUMBER} ({value})"))
