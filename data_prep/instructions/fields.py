"""Questions about the free fields of a corpus, worded by their tables; a row says what the label
says, and no more.

    content_level  direct:emotion   "What emotion do you hear in the voice?"     "The speaker sounds angry."
                   verify:emotion   "Does the speaker sound sad?"                "No, the speaker sounds angry."
    comparison     which:emotion    "In which recording does … sound angry?"     "It is the second recording."
                   same:emotion     "Do both recordings convey the same …?"      "No, the first voice sounds …, the …."
    open_ended     open:emotion     "How would you describe the mood?"           "To me, the person comes across as …."
    requests       spoken_fields    "Say this angrily: …"

Classes that are near each other are never held against each other. In plain templates, whose
answers are lines, an utterance is asked about directly and by verification alone.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.templates import Templates, answer_label, ask, ask_of_two, fill
from sift_jax.sift.fields import GENDERED_ANSWERS, Field, Fields
from sift_jax.sift.labels import say_yes_no

CONTENT, COMPARISON, OPEN_ENDED = (
    "closed_ended/content_level",
    "closed_ended/comparison",
    "open_ended",
)
# Beside the forms of their categories: as often as a speaker's gender.
_WEIGHTS = {"direct": 0.2, "verify": 0.12, "which": 0.1, "same": 0.12, "open": 0.2}
_FALSE = 2

Utterance = Mapping[str, Any]


def list_weights(fields: Fields) -> dict[str, float]:
    """How much of their category the forms of each field get."""
    return {f"{form}:{field.name}": weight for field in fields for form, weight in _WEIGHTS.items()}


def list_even(fields: Fields) -> frozenset[str]:
    """The forms whose classes stay even, though that leaves a quota open."""
    return frozenset(f"direct:{field.name}" for field in fields if field.is_balanced)


def find_label(utterance: Utterance, field: Field) -> str | None:
    return (utterance.get("fields") or {}).get(field.name, {}).get("label")


def make_items(
    category: str, sources: Sequence[Any], fields: Fields, templates: Templates, rng: random.Random
) -> list[Item]:
    """The candidates of a category's utterances, or of its pairs."""
    language, items = templates["language"], []
    for field in fields:
        wording = field.languages.get(language)
        if wording is None:
            continue
        if category == COMPARISON:
            items += _make_pair_items(sources, field, wording, templates, rng)
        elif category == CONTENT:
            items += _make_content_items(sources, field, wording, templates, rng)
        elif category == OPEN_ENDED:
            items += _make_open_items(sources, field, wording, templates, rng)
    return items


def write_styles(utterance: Utterance, fields: Fields, language: str) -> dict[str, tuple[str, str]]:
    """What an instruction to speak may ask for: a field to its class and its phrase, "angrily"."""
    found = {}
    for field in fields:
        label = find_label(utterance, field)
        if label and field.is_style and language in field.languages:
            found[field.name] = label, field.write_form(label, "spoken", language)
    return found


def _label(utterances: Iterable[Utterance], field: Field) -> list[tuple[Utterance, str]]:
    return [
        (utterance, label) for utterance in utterances if (label := find_label(utterance, field))
    ]


def _make_content_items(
    utterances: Sequence[Utterance],
    field: Field,
    wording: Mapping[str, Any],
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    known, items = _label(utterances, field), []
    there = sorted({label for _, label in known})
    for utterance, label in known:
        ids = (utterance["id"],)
        items.append(
            Item(
                ids=ids,
                form=f"direct:{field.name}",
                group=label,
                question=ask(templates, wording["questions"], rng),
                answer=_write_answer(utterance, label, field, wording, templates, rng),
            )
        )
        # Only what some recording has can be asked for: the others would be known for false by
        # their name.
        false = [other for other in there if not field.is_near(label, other)]
        if "verify" in wording and false:
            items += _make_verify_items(
                ids, label, rng.sample(false, min(_FALSE, len(false))), field, templates, rng
            )
    return items


def _write_answer(
    utterance: Utterance,
    label: str,
    field: Field,
    wording: Mapping[str, Any],
    templates: Templates,
    rng: random.Random,
) -> str:
    language = templates["language"]
    if templates.get("is_plain"):
        return _write_line(label, field, language)
    own = wording.get(GENDERED_ANSWERS.get(utterance["gender"], ""), ())
    return fill(rng.choice([*wording["answers"], *own]), **field.list_slots(label, language))


def _write_line(label: str, field: Field, language: str) -> str:
    """ "Emotion 3: angry", as plain answers are."""
    name = next(
        name for name, found in field.list_names(language, "label").items() if found == label
    )
    return f"{field.title} {list(field.classes).index(label) + 1}: {name}"


def _make_verify_items(
    ids: tuple[str, ...],
    label: str,
    false: Sequence[str],
    field: Field,
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    language = templates["language"]
    wording, items = field.languages[language]["verify"], []
    for asked in (label, *false):
        verdict = say_yes_no(asked == label, language)
        if templates.get("is_plain"):
            answer = f"{_write_line(label, field, language)}\n{verdict}"
        else:
            answers = wording["yes" if asked == label else "no"]
            answer = fill(rng.choice(answers), **field.list_slots(label, language))
        question = ask(templates, wording["questions"], rng, **field.list_slots(asked, language))
        items.append(
            Item(
                ids=ids,
                form=f"verify:{field.name}",
                group=verdict,
                question=question,
                answer=answer,
            )
        )
    return items


def _make_open_items(
    utterances: Sequence[Utterance],
    field: Field,
    wording: Mapping[str, Any],
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    if "open" not in wording or templates.get("is_plain"):
        return []
    texts = wording["open"]
    return [
        Item(
            ids=(utterance["id"],),
            form=f"open:{field.name}",
            group=label,
            question=ask(templates, texts["questions"], rng),
            answer=fill(
                rng.choice(texts["answers"]), **field.list_slots(label, templates["language"])
            ),
        )
        for utterance, label in _label(utterances, field)
    ]


def _make_pair_items(
    pairs: Sequence[tuple[Utterance, Utterance]],
    field: Field,
    wording: Mapping[str, Any],
    templates: Templates,
    rng: random.Random,
) -> list[Item]:
    if templates.get("is_plain"):
        return []
    items = []
    for pair in pairs:
        known = _label(pair, field)
        if len(known) < len(pair):
            continue
        labels = tuple(label for _, label in known)
        ids = tuple(utterance["id"] for utterance in pair)
        is_same = labels[0] == labels[1]
        if not is_same and field.is_near(*labels):
            continue
        if "which" in wording and not is_same:
            items += [
                _make_which_item(ids, label, place, field, templates, rng)
                for label, place in zip(labels, ("first", "second"), strict=True)
            ]
        if "same" in wording:
            items.append(_make_same_item(ids, labels, field, templates, rng))
    return items


def _make_which_item(
    ids: tuple[str, ...],
    label: str,
    place: str,
    field: Field,
    templates: Templates,
    rng: random.Random,
) -> Item:
    language = templates["language"]
    question = ask_of_two(
        templates,
        field.languages[language]["which"],
        rng,
        **field.list_slots(label, language),
    )
    answer = fill(
        rng.choice(templates["which"]["answers"]), label=answer_label(templates, "recording", place)
    )
    return Item(ids=ids, form=f"which:{field.name}", group=place, question=question, answer=answer)


def _make_same_item(
    ids: tuple[str, ...],
    labels: tuple[str, ...],
    field: Field,
    templates: Templates,
    rng: random.Random,
) -> Item:
    language = templates["language"]
    wording, verdict = (
        field.languages[language]["same"],
        "same" if labels[0] == labels[1] else "different",
    )
    slots = field.list_slots(labels[0], language)
    if verdict == "different":
        slots |= field.list_slots(labels[1], language, prefix="other_")
    return Item(
        ids=ids,
        form=f"same:{field.name}",
        group=verdict,
        question=ask_of_two(templates, wording["questions"], rng),
        answer=fill(rng.choice(wording[verdict]), **slots),
    )
