"""Questions about how an utterance sounds, from its measured labels.

direct:<key>   "How fast does the person talk?"               "The person speaks quite fast."
verify         "Is it true that the recording is clean?"      "No, the recording is very noisy."
pair           "Tell me about the pitch and the volume."      "The speaker talks … and …."
"""

import random
from collections.abc import Collection, Mapping
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.templates import (
    SPEECH_KEYS,
    Templates,
    ask,
    capitalise,
    fill,
    phrase_label,
    write_answer,
    write_clause,
    write_speech_clause,
    write_statement,
)
from sift_jax.sift.labels import ACOUSTIC_LABELS, say_yes_no

# Volume has three classes where the others have five or seven: it is asked about less.
WEIGHTS = {
    **{f"direct:{key}": 0.1 if key == "average_intensity" else 0.13 for key in ACOUSTIC_LABELS},
    "verify": 0.15,
    "pair": 0.1,
}
# A false label must be audibly false.
_LEAST_STEPS = 2
_PAIRS = 4
# So many clauses are tried for a subject that the one before it has not.
_DRAWS = 6


def make_items(
    utterance: dict[str, Any],
    templates: Templates,
    rng: random.Random,
    classes: Mapping[str, Collection[str]] = ACOUSTIC_LABELS,
) -> list[Item]:
    """The candidates of one utterance; `classes` are those that occur among the ones asked
    about."""
    labels = {
        key: utterance["labels"][key] for key in ACOUSTIC_LABELS if utterance["labels"].get(key)
    }
    ids = (utterance["id"],)
    items = []
    for key, label in labels.items():
        answer = write_statement(templates, key, label, rng)
        items.append(
            Item(
                ids=ids,
                form=f"direct:{key}",
                group=label,
                answer=answer,
                question=ask(templates, templates["direct"][key], rng),
            )
        )
        items += _make_verify_items(ids, key, label, classes[key], templates, rng)
    # What is the same in all of them is known without listening.
    told = sorted((key, label) for key, label in labels.items() if len(classes[key]) > 1)
    for _ in range(_PAIRS if len(told) > 1 else 0):
        items.append(_make_pair_item(ids, rng.sample(told, 2), templates, rng))
    return items


def _make_verify_items(
    ids: tuple[str, ...],
    key: str,
    label: str,
    classes: Collection[str],
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    scale = ACOUSTIC_LABELS[key]
    false = [
        other
        for other in scale
        if other in classes and abs(scale.index(other) - scale.index(label)) >= _LEAST_STEPS
    ]
    # A label that nothing is far enough from could only ever be asked about truly: it would give
    # the answer away.
    if not false:
        return []
    items = []
    for asked in (label, rng.choice(false)):
        verdict = say_yes_no(asked == label, templates["language"])
        evidence = write_answer(templates, key, label, rng)
        answer = (
            f"{evidence}\n{verdict}" if templates.get("is_plain") else f"{verdict}, {evidence}."
        )
        items.append(
            Item(
                ids=ids,
                form="verify",
                group=verdict,
                answer=answer,
                question=_ask_verify(key, asked, templates, rng),
            )
        )
    return items


def _ask_verify(key: str, label: str, templates: Templates, rng: random.Random) -> str:
    questions = templates["verify"]["asks"]["speech" if key in SPEECH_KEYS else key]
    if rng.random() < 0.5 or not questions:
        return ask(
            templates,
            templates["verify"]["wrappers"],
            rng,
            clause=write_clause(templates, key, label, rng),
        )
    return ask(templates, questions, rng, label=phrase_label(templates, key, label))


def _make_pair_item(
    ids: tuple[str, ...], pair: list[tuple[str, str]], templates: Templates, rng: random.Random
) -> Item:
    (key_a, label_a), (key_b, label_b) = pair
    question = ask(
        templates,
        templates["pair"]["questions"],
        rng,
        a=templates["aspects"][key_a],
        b=templates["aspects"][key_b],
    )
    return Item(
        ids=ids,
        form="pair",
        group=f"{key_a}+{key_b}",
        question=question,
        answer=_answer_pair(pair, templates, rng),
    )


def _answer_pair(pair: list[tuple[str, str]], templates: Templates, rng: random.Random) -> str:
    """Two clauses, or one where both are ways of speaking: "The speaker talks very slowly and with
    a very low pitch."""
    if all(key in SPEECH_KEYS for key, _ in pair) and not templates.get("is_plain"):
        return f"{capitalise(write_speech_clause(templates, pair, rng))}."
    clause_a = write_answer(templates, *pair[0], rng)
    drawn = [write_answer(templates, *pair[1], rng) for _ in range(_DRAWS)]
    # "The recording is noisy; the recording is of bad quality" has a subject too many.
    clause_b = next(
        (clause for clause in drawn if clause.split()[:2] != clause_a.split()[:2]), drawn[0]
    )
    return capitalise(
        fill(rng.choice(templates["pair"]["answers"]), clause_a=clause_a, clause_b=clause_b)
    )
