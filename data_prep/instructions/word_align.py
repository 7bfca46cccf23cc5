"""Questions about changes over the words of an utterance, from word-level pitch and intensity.

    words   rain  falls  softly  today        pitch_contour, intensity_contour   first half against second half
    Hz       210    190     150    140        highest_word, loudest_word         in which third the peak lies
    dB       -20    -21     -27    -26        word_pitch, word_intensity         one word against another

Only audible contrasts are asked about, and no times: questions with numbers of seconds are known to
hurt training.
"""

import itertools
import math
import random
import re
import statistics
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.plain import NAMES, write_line
from data_prep.instructions.templates import Templates, answer_label, ask, fill, spell_words
from sift_jax.sift.labels import POSITIONS

WEIGHTS = {
    "pitch_contour": 0.22,
    "intensity_contour": 0.22,
    "highest_word": 0.15,
    "loudest_word": 0.15,
    "word_pitch": 0.13,
    "word_intensity": 0.13,
}

# Pitch is compared in octaves, intensity in dB; what lies between "same" and "changed" is not asked
# about.
_CHANGED = {"average_pitch": math.log2(1.12), "average_intensity": 3.0}
_SAME = {"average_pitch": math.log2(1.05), "average_intensity": 1.5}
_PEAK = {"average_pitch": math.log2(1.06), "average_intensity": 1.5}
_WORD_CONTRAST = {"average_pitch": math.log2(1.15), "average_intensity": 4.0}
_NAMES = {
    "average_pitch": ("pitch_contour", "highest_word", "word_pitch"),
    "average_intensity": ("intensity_contour", "loudest_word", "word_intensity"),
}
# Shorter words are hardly measured, and hardly heard.
_LEAST_SECONDS = 0.12
_PAIRS = 4

# (place in the sentence, from 0; text; value in octaves or dB)
_Word = tuple[int, str, float]


def make_items(utterance: dict[str, Any], templates: Templates, rng: random.Random) -> list[Item]:
    """The candidates of one utterance."""
    items = []
    for form, label in find_changes(utterance).items():
        if label:
            label_key = form if form.endswith("contour") else "position"
            items.append(_make_label_item(utterance["id"], form, label_key, label, templates, rng))
    count = len(utterance["words"])
    for key, (_, _, pair) in _NAMES.items():
        words = _list_measured(utterance, key)
        if len(words) >= 3:
            items += _make_word_pair_items(utterance["id"], pair, words, count, key, templates, rng)
    return items


def find_changes(utterance: dict[str, Any]) -> dict[str, str | None]:
    """The labels of both contours and both peaks; None where there is no audible one."""
    changes: dict[str, str | None] = {}
    for key, (contour, peak, _) in _NAMES.items():
        words = _list_measured(utterance, key)
        is_enough = len(words) >= 3
        changes[contour] = _find_contour(words, len(utterance["words"]), key) if is_enough else None
        changes[peak] = _find_peak(words, len(utterance["words"]), key) if is_enough else None
    return changes


def _list_measured(utterance: dict[str, Any], key: str) -> list[_Word]:
    measured = []
    texts = utterance["transcript"].split()
    # The transcript's words show where a sentence ends; those of an aligner may be other ones.
    if len(texts) != len(utterance["words"]):
        texts = [word["word"] for word in utterance["words"]]
    texts = spell_words(texts, utterance["language"])
    for place, (word, spelt) in enumerate(zip(utterance["words"], texts, strict=True)):
        value = word[key]
        if value is not None and word["end"] - word["start"] >= _LEAST_SECONDS:
            text = re.sub(r"^\W+|\W+$", "", spelt)
            measured.append((place, text, math.log2(value) if key == "average_pitch" else value))
    return measured


def _find_contour(words: list[_Word], count: int, key: str) -> str | None:
    first = [value for place, _, value in words if place < count / 2]
    second = [value for place, _, value in words if place >= count / 2]
    if not first or not second:
        return None
    change = statistics.fmean(second) - statistics.fmean(first)
    labels = (
        ("falling", "level", "rising") if key == "average_pitch" else ("softer", "steady", "louder")
    )
    if abs(change) >= _CHANGED[key]:
        return labels[2] if change > 0 else labels[0]
    return labels[1] if abs(change) <= _SAME[key] else None


def _find_peak(words: list[_Word], count: int, key: str) -> str | None:
    """The third of the sentence with the highest word, if it stands out from the other thirds."""
    best: dict[int, float] = {}
    for place, _, value in words:
        third = min(2, int(3 * (place + 0.5) / count))
        best[third] = max(value, best.get(third, -math.inf))
    if len(best) < 3:
        return None
    ranked = sorted(best, key=best.__getitem__, reverse=True)
    return POSITIONS[ranked[0]] if best[ranked[0]] - best[ranked[1]] >= _PEAK[key] else None


def _make_label_item(
    name: str, form: str, key: str, label: str, templates: Templates, rng: random.Random
) -> Item:
    answer = fill(
        rng.choice(templates[form]["answers"]),
        label=answer_label(templates, key, label),
        line=write_line(NAMES[form], key, label, templates["language"]),
    )
    return Item(
        ids=(name,),
        form=form,
        group=label,
        answer=answer,
        question=ask(templates, templates[form]["questions"], rng),
    )


def _make_word_pair_items(
    name: str,
    form: str,
    words: list[_Word],
    count: int,
    key: str,
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    ordinals = templates["ordinals"]
    pairs = [
        (a, b)
        for a, b in itertools.combinations(words, 2)
        if a[1].lower() != b[1].lower()
        and abs(a[2] - b[2]) >= _WORD_CONTRAST[key]
        and b[0] < len(ordinals)
    ]
    pairs.sort(key=lambda pair: -abs(pair[0][2] - pair[1][2]))
    items = []
    for pair in pairs[:_PAIRS]:
        a, b = rng.sample(pair, 2)
        low, high = ("lower", "higher") if key == "average_pitch" else ("softer", "louder")
        label = high if a[2] > b[2] else low
        slots = {
            "word_a": a[1],
            "word_b": b[1],
            "a": _name_place(a[0], count, templates),
            "b": _name_place(b[0], count, templates),
        }
        answer = fill(
            rng.choice(templates[form]["answers"]),
            **slots,
            label=answer_label(templates, form, label),
        )
        items.append(
            Item(
                ids=(name,),
                form=form,
                group=label,
                answer=answer,
                question=ask(templates, templates[form]["questions"], rng, **slots),
            )
        )
    return items


def _name_place(place: int, count: int, templates: Templates) -> str:
    return templates["last"] if place == count - 1 else templates["ordinals"][place]
