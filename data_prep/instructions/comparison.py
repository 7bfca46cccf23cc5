"""Questions about two recordings of a language, in one order or the other.

    which:<key>   "Which recording has faster speech?"               "It is the second recording."
    compare       "Compare the speaking rate in the two clips."      "In the first, the speaker talks …; …."
    same_gender   "Do both speakers have the same gender?"           "They have different genders: the first is …."

A key is asked about where the two differ by at least two classes; noise and distance also where
neither has a class, but the bounds of the one lie above those of the other (`absolute.find_bounds`).
"""

import random
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.plain import NAMES, POLES, write_line
from data_prep.instructions.templates import Templates, answer_label, ask_of_two, capitalise, fill
from data_prep.metadata.absolute import Bounds
from data_prep.metadata.bins import BY_CORPUS
from sift_jax.sift.labels import ACOUSTIC_LABELS

WEIGHTS = {
    "which:average_pitch": 0.11,
    "which:pitch_variation": 0.08,
    "which:speaking_rate": 0.11,
    "which:average_intensity": 0.1,
    "which:noise_level": 0.11,
    "which:reverberation": 0.11,
    "which:distortion_level": 0.08,
    "which:speech_quality": 0.08,
    "which:gender": 0.1,
    "compare": 0.1,
    "same_gender": 0.18,
}
_LEAST_STEPS = 2
# Pitch classes are drawn up apart for women and men, so between the two it is the frequency that
# decides.
_LEAST_PITCH_RATIO = 1.2

Pair = tuple[dict[str, Any], dict[str, Any]]


def make_pairs(utterances: list[dict[str, Any]], rng: random.Random, rounds: int) -> list[Pair]:
    """Each utterance once first and once second in each round, each time with another."""
    pairs: dict[tuple[str, str], Pair] = {}
    for _ in range(rounds if len(utterances) > 1 else 0):
        ring = rng.sample(utterances, len(utterances))
        for first, second in zip(ring, [*ring[1:], ring[0]], strict=True):
            pairs[first["id"], second["id"]] = (first, second)
    return list(pairs.values())


def make_items(pair: Pair, templates: Templates, rng: random.Random) -> list[Item]:
    """The candidates of one pair."""
    ids = tuple(utterance["id"] for utterance in pair)
    items = []
    for key in ACOUSTIC_LABELS:
        order = order_pair(pair, key)
        if order:
            for pole in ("high", "low"):
                place = "second" if (order > 0) == (pole == "high") else "first"
                items.append(_make_which_item(ids, key, pole, place, templates, rng))
        if abs(_count_steps(pair, key)) >= _LEAST_STEPS:
            label_a, label_b = (utterance["labels"][key] for utterance in pair)
            items.append(_make_compare_item(ids, key, label_a, label_b, templates, rng))
    genders = tuple(utterance["gender"] for utterance in pair)
    if not all(genders):
        return items
    if genders[0] != genders[1]:
        for gender in genders:
            place = ("first", "second")[genders.index(gender)]
            items.append(_make_which_item(ids, "gender", gender, place, templates, rng))
    return [*items, _make_gender_item(ids, genders, templates, rng)]


def order_pair(pair: Pair, key: str) -> int:
    """Positive if the second has clearly more of a key, negative if the first has, 0 if neither or
    not known."""
    bounds = [utterance.get("bounds", {}).get(key) for utterance in pair]
    if all(bounds):
        return _order_bounds(*bounds)
    steps = _count_steps(pair, key)
    if key == "average_pitch" and all(utterance["labels"].get(key) for utterance in pair):
        return _order_pitch(pair, steps)
    return steps if abs(steps) >= _LEAST_STEPS else 0


def _order_bounds(first: Bounds, second: Bounds) -> int:
    """Of (9.3, 18.3) and (24.0, None) the second is surely more: 1."""
    if first[1] is not None and second[0] > first[1]:
        return 1
    return -1 if second[1] is not None and first[0] > second[1] else 0


def _count_steps(pair: Pair, key: str) -> int:
    """Classes from the first to the second; 0 where they are not of one scale, or one has none. Two
    levels are of one scale only where they are of one corpus."""
    labels = [utterance["labels"].get(key) for utterance in pair]
    is_one_scale = key not in BY_CORPUS or len({u.get("collection") for u in pair}) == 1
    if not all(labels) or not is_one_scale:
        return 0
    first, second = (ACOUSTIC_LABELS[key].index(label) for label in labels)
    return second - first


def _order_pitch(pair: Pair, steps: int) -> int:
    """Positive if the second is clearly the higher one, negative if the first is, else 0."""
    first, second = pair
    if first["gender"] == second["gender"]:
        return steps if abs(steps) >= _LEAST_STEPS else 0
    ratio = second["values"]["average_pitch"] / first["values"]["average_pitch"]
    return 1 if ratio >= _LEAST_PITCH_RATIO else -1 if ratio <= 1 / _LEAST_PITCH_RATIO else 0


def _make_which_item(
    ids: tuple[str, ...], key: str, pole: str, place: str, templates: Templates, rng: random.Random
) -> Item:
    answer = fill(
        rng.choice(templates["which"]["answers"]),
        label=answer_label(templates, "recording", place),
        line=write_line(POLES[key][pole], "recording", place, templates["language"]),
    )
    return Item(
        ids=ids,
        form=f"which:{key}",
        group=place,
        answer=answer,
        question=ask_of_two(templates, templates["which"][key][pole], rng),
    )


def _write_lines(templates: Templates, key: str, label_a: str, label_b: str) -> dict[str, str]:
    """What plain answers say of the two."""
    line_a, line_b = (
        write_line(NAMES[key], key, label, templates["language"]) for label in (label_a, label_b)
    )
    return {"line_a": line_a, "line_b": line_b}


def _make_compare_item(
    ids: tuple[str, ...],
    key: str,
    label_a: str,
    label_b: str,
    templates: Templates,
    rng: random.Random,
) -> Item:
    # The head is the subject and verb that a key's labels agree with: "la voix semble" for "très
    # lointaine".
    answer = fill(
        rng.choice(templates["compare"]["answers"]),
        head=templates["compare"]["heads"][key],
        a=answer_label(templates, key, label_a),
        b=answer_label(templates, key, label_b),
        **_write_lines(templates, key, label_a, label_b),
    )
    return Item(
        ids=ids,
        form="compare",
        group=key,
        answer=capitalise(answer),
        question=ask_of_two(
            templates,
            templates["compare"]["questions"],
            rng,
            aspect=templates["aspects"][key],
        ),
    )


def _make_gender_item(
    ids: tuple[str, ...], genders: tuple[str, ...], templates: Templates, rng: random.Random
) -> Item:
    verdict = "same" if genders[0] == genders[1] else "different"
    answer = fill(
        rng.choice(templates["same_gender"][verdict]),
        same=answer_label(templates, "same_gender", verdict),
        gender=answer_label(templates, "gender", genders[0]),
        other=answer_label(templates, "gender", genders[1]),
        **_write_lines(templates, "gender", *genders),
    )
    return Item(
        ids=ids,
        form="same_gender",
        group="+".join(genders),
        answer=capitalise(answer),
        question=ask_of_two(templates, templates["same_gender"]["questions"], rng),
    )
