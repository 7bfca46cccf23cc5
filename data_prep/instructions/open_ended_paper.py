"""Open questions as SIFT-50M has them, for `--claims=paper`: mood and suitability guessed from
places in a corpus.

    labels  ─►  inference                                ─►  answer
    very distant-sounding, noisy     "in a large, echoing room"   "Probably in a large, echoing room: the voice is …."
                                     in plain templates:          "Distance 1: very distant-sounding ⏎ Clarity 2: noisy
                                                                  ⏎ In a large, echoing room"

A conclusion names no class that speaks against it: one reason of two is told by itself, and a mood
that rate and intonation do not agree on is not asked about.

    noisy, talks very animatedly     "This would hardly suit an audiobook: the recording is noisy."

`open_ended` draws only inferences that its labels support. These are kept for who reproduces the
paper.
"""

import functools
import random
import string
from collections.abc import Iterable
from typing import Any

from data_prep.instructions.choose_items import Item
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

WEIGHTS = {
    "place": 0.2,
    "improve": 0.2,
    "describe": 0.2,
    "mood": 0.15,
    "audiobook": 0.13,
    "learner": 0.12,
}
# Which measured labels a form's answers name.
_KEYS = {
    "place": ("reverberation", "noise_level"),
    "describe": ("speaking_rate", "average_pitch", "pitch_variation"),
    "mood": ("pitch_variation", "speaking_rate"),
    "audiobook": ("pitch_variation", "noise_level"),
    "learner": ("speaking_rate", "noise_level"),
}
# The classes from which on, and up to which, a key speaks for the better of two inferences.
_WELL = {
    "audiobook": {"pitch_variation": (3, 6), "noise_level": (3, 6)},
    "learner": {"speaking_rate": (0, 3), "noise_level": (3, 6)},
}
# The speaking rates that agree with a mood.
_MOOD_RATES = ((0, 3), (0, 4), (3, 6))
# What a plain answer describes a speaker by: as many lines as a row has room for, six times over.
_DESCRIBED = ("gender", "speaking_rate", "average_pitch")
# The lowest class that needs no advice.
_GOOD_FROM = {"noise_level": 3, "reverberation": 2, "average_intensity": 1}


def make_items(utterance: dict[str, Any], templates: Templates, rng: random.Random) -> list[Item]:
    """The candidates of one utterance."""
    labels = {
        key: utterance["labels"][key] for key in ACOUSTIC_LABELS if utterance["labels"].get(key)
    }
    ranks = {key: ACOUSTIC_LABELS[key].index(label) for key, label in labels.items()}
    if templates.get("is_plain"):
        return _make_plain_items(utterance, labels, ranks, templates, rng)
    phrases = {key: phrase_label(templates, key, label) for key, label in labels.items()}
    for key in ("gender", "age_category"):
        if utterance[key]:
            phrases[key] = phrase_label(templates, key, utterance[key])
    items = []
    for form, keys in _KEYS.items():
        if all(key in labels for key in keys) and not _is_torn(form, ranks):
            texts = templates["open_ended"][form]
            place = _infer(form, ranks)
            slots = (
                phrases if place is None else {**phrases, "inference": texts["inferences"][place]}
            )
            faults = _list_faults(form, ranks)
            if len(faults) == 1:
                clause = write_clause(templates, faults[0], labels[faults[0]], rng)
                slots = {**slots, "clause": clause}
            wordings = texts["one_reason" if len(faults) == 1 else "answers"]
            answers = [answer for answer in wordings if _list_slots(answer) <= slots.keys()]
            if not answers:
                continue
            answer = capitalise(fill(rng.choice(answers), **slots))
            group = str(utterance["gender"] if place is None else place)
            items.append(_make_item(utterance["id"], form, group, answer, templates, rng))
    for key in sorted(_GOOD_FROM.keys() & labels):
        is_good = ranks[key] >= _GOOD_FROM[key]
        texts = templates["open_ended"]["improve"]
        answer = fill(
            rng.choice(texts["answers"]),
            clause=write_clause(templates, key, labels[key], rng),
            inference=texts["inferences"][key][is_good],
        )
        # What is good is worth a word only where nothing is bad.
        if not is_good or all(ranks.get(other, 0) >= least for other, least in _GOOD_FROM.items()):
            items.append(
                _make_item(utterance["id"], "improve", f"{key}{is_good}", answer, templates, rng)
            )
    return items


def _make_plain_items(
    utterance: dict[str, Any],
    labels: dict[str, str],
    ranks: dict[str, int],
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    """The evidence in lines, as closed questions are answered, and behind it what is inferred."""
    known = {"gender": utterance["gender"], **labels}
    items = []

    def add(form: str, group: str, keys: Iterable[str], inferred: Iterable[str]) -> None:
        lines = [write_answer(templates, key, known[key], rng) for key in keys]
        answer = "\n".join([*lines, *map(capitalise, inferred)])
        items.append(_make_item(utterance["id"], form, group, answer, templates, rng))

    for form, keys in _KEYS.items():
        if not all(key in labels for key in keys) or _is_torn(form, ranks):
            continue
        place = _infer(form, ranks)
        if place is not None:
            add(form, str(place), keys, [templates["open_ended"][form]["inferences"][place]])
        # a speaker without a gender is not described: the lines would be others for the same
        # question
        elif known["gender"]:
            add(form, known["gender"], _DESCRIBED, [])
    graded = [key for key in _GOOD_FROM if key in labels]
    if graded:
        texts = templates["open_ended"]["improve"]["inferences"]
        faults = [key for key in graded if ranks[key] < _GOOD_FROM[key]]
        advice = [texts[key][False] for key in faults] or [texts[graded[0]][True]]
        add("improve", "+".join(faults) or "none", graded, advice)
    return items


def _infer(form: str, ranks: dict[str, int]) -> int | None:
    """Which of the form's inferences the classes lead to; none where the answer only describes."""
    if form == "place":
        return 0 if ranks["reverberation"] < 2 else 1 if ranks["reverberation"] == 2 else 2
    if form == "mood":
        return _infer_mood(ranks)
    return int(not _list_faults(form, ranks)) if form in _WELL else None


def _infer_mood(ranks: dict[str, int]) -> int:
    return 0 if ranks["pitch_variation"] < 2 else 1 if ranks["pitch_variation"] < 5 else 2


def _list_faults(form: str, ranks: dict[str, int]) -> list[str]:
    """The keys that speak for the worse of two inferences."""
    return [
        key for key, (low, high) in _WELL.get(form, {}).items() if not low <= ranks[key] <= high
    ]


def _is_torn(form: str, ranks: dict[str, int]) -> bool:
    """Whether a mood would follow from the intonation, and another from the rate."""
    if form != "mood":
        return False
    low, high = _MOOD_RATES[_infer_mood(ranks)]
    return not low <= ranks["speaking_rate"] <= high


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
