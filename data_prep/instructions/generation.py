"""Instructions to speak: some of an utterance's characteristics, and its transcript at the end.

    "Say this very slowly and with a female voice: Rain falls softly."   ─►   the utterance
    "Say this angrily and very fast: …"                                       where a free field is a style

Plain ones, for models that nothing is pretrained of, name rate, loudness and intonation, most often
all three and always in this order: what they ask for is learnt from every row, and not from a few
of them. Gender, the largest part of how high a voice is, is named beside them half of the time.
"""

import random
from collections.abc import Mapping
from typing import Any

from data_prep.instructions.choose_items import Item
from data_prep.instructions.content import find_accent
from data_prep.instructions.fields import write_styles
from data_prep.instructions.templates import SPEECH_KEYS, Templates, write_request
from sift_jax.sift.fields import Fields

# By how many characteristics an instruction names.
WEIGHTS = {"1": 0.25, "2": 0.3, "3": 0.25, "4": 0.2}
# What plain ones name, in this order, and how often so many of them.
_PLAIN_KEYS = ("speaking_rate", "average_intensity", "pitch_variation")
_PLAIN_COUNTS, _PLAIN_WEIGHTS, _GENDER_SHARE = (1, 2, 3), (0.1, 0.2, 0.7), 0.5


def make_items(
    utterance: dict[str, Any],
    templates: Templates,
    rng: random.Random,
    *,
    has_accents: bool,
    fields: Fields = (),
) -> list[Item]:
    """The candidates of one utterance."""
    labels = {"gender": utterance["gender"], "age_category": utterance["age_category"]}
    labels = {key: label for key, label in labels.items() if label}
    labels |= {key: utterance["labels"][key] for key in SPEECH_KEYS if utterance["labels"].get(key)}
    if has_accents and find_accent(utterance, templates):
        labels["accent"] = utterance["accent"]
    styles = write_styles(utterance, fields, templates["language"])
    labels |= {key: label for key, (label, _) in styles.items()}
    spoken = {key: phrase for key, (_, phrase) in styles.items()}
    items = []
    if templates.get("is_plain"):
        return [
            item for _ in range(3) for item in _make_plain_items(utterance, labels, templates, rng)
        ]
    for form in (form for form in WEIGHTS if int(form) <= len(labels)):
        for _ in range(2):
            keys = rng.sample(sorted(labels), int(form))
            question = _draw_question(keys, labels, utterance["transcript"], templates, rng, spoken)
            items.append(
                Item(
                    ids=(utterance["id"],), form=form, group=keys[0], question=question, answer=None
                )
            )
    return items


def _draw_question(
    keys: list[str],
    labels: dict[str, str],
    text: str,
    templates: Templates,
    rng: random.Random,
    spoken: Mapping[str, str],
) -> str:
    wording = rng.choice(templates["controllable_generation"]["questions"])
    # An age is a clause of its own, to which all behind it would belong: "like someone in their
    # twenties and softly".
    keys = sorted(keys, key=lambda key: key == "age_category")
    return write_request(templates, wording, {key: labels[key] for key in keys}, text, spoken)


def _make_plain_items(
    utterance: dict[str, Any], labels: dict[str, str], templates: Templates, rng: random.Random
) -> list[Item]:
    known = [key for key in _PLAIN_KEYS if key in labels]
    if not known:
        return []
    count = min(rng.choices(_PLAIN_COUNTS, _PLAIN_WEIGHTS)[0], len(known))
    chosen = set(rng.sample(known, count))
    keys = [key for key in known if key in chosen]
    if "gender" in labels and rng.random() < _GENDER_SHARE:
        keys.append("gender")
    question = _draw_question(keys, labels, utterance["transcript"], templates, rng, {})
    return [
        Item(
            ids=(utterance["id"],),
            form=str(min(len(keys), 4)),
            group=keys[0],
            question=question,
            answer=None,
        )
    ]
