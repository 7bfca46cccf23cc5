"""Questions whose answers are inferred from the metadata, not stated in it.

    labels  ─►  inferences: what follows, and from which of them  ─►  answer
    very distant-sounding, noisy    "far from the microphone"    "This was probably recorded far from …: the voice …."
                                    in plain templates:          "Distance 1: very distant-sounding
                                                                  ⏎ Far from the microphone, …"

An answer names the labels that it is inferred from, and no other, so that it can be scored without
a judge. Which labels those are follows in plain answers from the question alone: they say all that
a form looks at, and behind it what follows. A sentence names the faults that there are, which is
good advice; but where an answer is scored by what it names, even who hears all of it could only
guess which.
"""

import functools
import random
import string
from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.inferences import (
    IMPROVEMENTS,
    INFERENCES,
    infer,
    judge_recording,
    list_keys,
)
from data_prep.instructions.templates import (
    Templates,
    ask,
    capitalise,
    fill,
    phrase_label,
    write_answer,
    write_clause,
)
from sift_jax.sift.labels import ACOUSTIC_LABELS

WEIGHTS = {"place": 0.24, "improve": 0.24, "describe": 0.24, "audiobook": 0.14, "learner": 0.14}
# What a description needs.
_SPOKEN = ("speaking_rate", "average_pitch", "pitch_variation")
# What a plain answer describes a speaker by: as many lines as a row has room for, six times over.
_DESCRIBED = ("gender", "speaking_rate", "average_pitch")


def make_items(utterance: dict[str, Any], templates: Templates, rng: random.Random) -> list[Item]:
    """The candidates of one utterance."""
    labels = {
        key: utterance["labels"][key] for key in ACOUSTIC_LABELS if utterance["labels"].get(key)
    }
    if templates.get("is_plain"):
        return _make_plain_items(utterance, labels, templates, rng)
    items = [
        *_describe(utterance, labels, templates, rng),
        *_suggest(utterance["id"], labels, templates, rng),
    ]
    for form in INFERENCES:
        found = infer(form, labels, utterance["values"])
        if found:
            place, keys = found
            texts = templates["open_ended"][form]
            answer = fill(
                rng.choice(texts["answers"]),
                inference=texts["inferences"][place],
                clause=_write_clauses(keys, labels, templates, rng),
            )
            items.append(
                _make_item(utterance["id"], form, str(place), capitalise(answer), templates, rng)
            )
    return items


def _write_clauses(
    keys: Iterable[str], labels: Mapping[str, str], templates: Templates, rng: random.Random
) -> str:
    """ "the speaker talks very fast and the recording is noisy\""""
    clauses = (write_clause(templates, key, labels[key], rng) for key in keys)
    return templates["controllable_generation"]["and"].join(clauses)


def _describe(
    utterance: dict[str, Any], labels: dict[str, str], templates: Templates, rng: random.Random
) -> list[Item]:
    """A description infers nothing: it says what is known, in one sentence."""
    if not all(key in labels for key in _SPOKEN):
        return []
    known = {
        **labels,
        **{key: utterance[key] for key in ("gender", "age_category") if utterance[key]},
    }
    slots = {key: phrase_label(templates, key, label) for key, label in known.items()}
    answers = [
        answer
        for answer in templates["open_ended"]["describe"]["answers"]
        if _list_slots(answer) <= slots.keys()
    ]
    if not answers:
        return []
    answer = capitalise(fill(rng.choice(answers), **slots))
    return [
        _make_item(utterance["id"], "describe", str(utterance["gender"]), answer, templates, rng)
    ]


def _suggest(
    name: str, labels: dict[str, str], templates: Templates, rng: random.Random
) -> list[Item]:
    """Advice about each fault; what is well is worth a word only where nothing is bad, or in
    doubt."""
    texts, items = templates["open_ended"]["improve"], []
    judged = judge_recording(labels)
    for key, is_well in judged.items():
        if is_well is None or (is_well and not all(judged.values())):
            continue
        answer = fill(
            rng.choice(texts["answers"]),
            clause=write_clause(templates, key, labels[key], rng),
            inference=texts["inferences"][key][is_well],
        )
        items.append(_make_item(name, "improve", f"{key}{is_well}", answer, templates, rng))
    return items


def _make_plain_items(
    utterance: dict[str, Any], labels: dict[str, str], templates: Templates, rng: random.Random
) -> list[Item]:
    """The evidence in lines, as closed questions are answered, and behind it what is inferred."""
    known = {"gender": utterance["gender"], **labels}
    items = []

    def add(form: str, group: str, keys: Iterable[str], inferred: Iterable[str]) -> None:
        lines = [write_answer(templates, key, known[key], rng) for key in keys]
        answer = "\n".join([*lines, *map(capitalise, inferred)])
        items.append(_make_item(utterance["id"], form, group, answer, templates, rng))

    for form in INFERENCES:
        keys, found = list_keys(form), infer(form, labels, utterance["values"])
        if found and all(key in labels for key in keys):
            add(form, str(found[0]), keys, [templates["open_ended"][form]["inferences"][found[0]]])
    # A speaker without a gender is not described: the lines would be others for the same question.
    if all(known.get(key) for key in _DESCRIBED):
        add("describe", known["gender"], _DESCRIBED, [])
    judged = judge_recording(labels)
    if len(judged) == len(IMPROVEMENTS) and (False in judged.values() or all(judged.values())):
        texts = templates["open_ended"]["improve"]["inferences"]
        faults = [key for key, is_well in judged.items() if is_well is False]
        advice = [texts[key][False] for key in faults] or [texts[next(iter(judged))][True]]
        add("improve", "+".join(faults) or "none", judged, advice)
    return items


@functools.cache
def _list_slots(template: str) -> frozenset[str]:
    """What must be known to fill it."""
    return frozenset(name.lower() for _, name, _, _ in string.Formatter().parse(template) if name)


def _make_item(
    name: str, form: str, group: str, answer: str, templates: Templates, rng: random.Random
) -> Item:
    return Item(
        ids=(name,),
        form=form,
        group=group,
        answer=answer,
        question=ask(templates, templates["open_ended"][form]["questions"], rng),
    )
