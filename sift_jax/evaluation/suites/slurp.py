"""SLURP: what people want of a household's assistant. Two parts: intent as a multiple choice, and
slots.

    intent   labels "alarm set" and three others of the list, drawn by the recording; reference "alarm set"
    slots    reference "time: nine", a line for each entity in the sentence's order; "none" where there is none
             by the paper's protocol a question for each slot of a recording: "…/time", reference "nine"

sift_jax/corpora/slurp.py has the layout. Each of the test's 13,078 recordings is an item of each
part. That there are three other choices is ours, the number that the training instructions have.
One question for each recording and kind of slot in it are 11,585, the number that the SIFT paper
prints; a slot that a sentence fills twice has both values as its reference.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.slurp import AUDIO_FOLDERS, LIST_FOLDERS, Command, parse_command
from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.protocols import OFFICIAL, PAPER
from sift_jax.evaluation.suites.row_files import find_file, find_folder, read_json_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = (INTENT, SLOTS) = ("intent", "slots")
NO_SLOTS = "none"
_COLUMNS = ("scenario", "action", "tokens", "entities", "recordings")
_OTHERS = 3
_INTENT_METRICS = {OFFICIAL: ("accuracy",), PAPER: ("judge_closed", "accuracy")}


def read_slurp(
    root: Path,
    *,
    name: str = "slurp",
    subsets: Sequence[str] = SUBSETS,
    split: str = "test",
    prompts: Prompts,
    protocol: str = OFFICIAL,
) -> Suite:
    gathering = Gathering(name)
    if unknown := [subset for subset in subsets if subset not in SUBSETS]:
        raise EvaluationError(
            f"{name}: no part {', '.join(unknown)}; its parts are {', '.join(SUBSETS)}"
        )
    places = [f"{folder}{split}.jsonl" for folder in LIST_FOLDERS]
    path = find_file(root, places, f"{split} part of SLURP")
    audio = find_folder(root, AUDIO_FOLDERS, "SLURP's recordings")
    for subset in subsets:
        commands = _read_commands(path, gathering, subset)
        intents = sorted({command.intent for command in commands})
        names = sorted({name for command in commands for name, _ in command.slots})
        for command in commands:
            slots = command.slots
            for clip in command.files:
                own_id = clip.removesuffix(".flac")
                if subset == INTENT:
                    asked = _ask_intent(command.intent, intents, own_id, prompts)
                    found = {own_id: {**asked, "metrics": _INTENT_METRICS[protocol]}}
                elif protocol == OFFICIAL:
                    found = {own_id: _ask_slots(slots, names, prompts)}
                else:
                    found = {
                        f"{own_id}/{slot}": _ask_slot(slot, slots, prompts) for slot, _ in slots
                    }
                for item_id, asked in found.items():
                    gathering.ask(
                        item_id, subset=subset, language="en", audio=[audio / clip], **asked
                    )
    return gathering.finish()


def _read_commands(path: Path, gathering: Gathering, subset: str) -> list[Command]:
    commands = []
    for number, row in read_json_lines(path, _COLUMNS, gathering, subset):
        try:
            commands.append(parse_command(row))
        except BadItem as bad:
            gathering.leave(f"{path.name}:{number}", subset, bad.detail)
    return commands


def _ask_intent(
    intent: str, intents: Sequence[str], own_id: str, prompts: Prompts
) -> dict[str, Any]:
    rng = random.Random(own_id)
    others = [other for other in intents if other != intent]
    options = rng.sample(
        [intent, *rng.sample(others, min(_OTHERS, len(others)))], min(_OTHERS, len(others)) + 1
    )
    lines = "\n".join(
        f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=False)
    )
    return {
        "question": word_prompt(prompts, "intent", "en", options=lines),
        "references": [intent],
        "labels": options,
        "facets": {"scenario": intent.split()[0]},
    }


def _ask_slots(
    slots: Sequence[tuple[str, str]], names: Sequence[str], prompts: Prompts
) -> dict[str, Any]:
    """All of them at once."""
    lines = "\n".join(f"{name}: {value}" for name, value in slots) or NO_SLOTS
    question = word_prompt(prompts, "slots", "en", names=", ".join(names))
    return {"question": question, "references": [lines], "metrics": ["slot_f1"]}


def _ask_slot(slot: str, slots: Sequence[tuple[str, str]], prompts: Prompts) -> dict[str, Any]:
    """One of them; what fills it, in the sentence's order."""
    value = ", ".join(value for name, value in slots if name == slot)
    question = word_prompt(prompts, "slot", "en", slot=slot)
    return {
        "question": question,
        "references": [value],
        "metrics": ["judge_closed"],
        "facets": {"slot": slot},
    }
