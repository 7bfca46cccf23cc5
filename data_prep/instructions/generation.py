"""Instructions to speak: some of an utterance's characteristics, and its transcript at the end.

    "Say this very slowly and with a female voice: Rain falls softly."   ─►   the utterance
"""

import random
from typing import Any

from data_prep.instructions.items import Item
from data_prep.instructions.templates import SPEECH_KEYS, Templates, fill
from sift_jax.data.labels import ACCENTS, write_spoken_phrase

# By how many characteristics an instruction names.
WEIGHTS = {"1": 0.25, "2": 0.3, "3": 0.25, "4": 0.2}


def make_items(utterance: dict[str, Any], templates: Templates, rng: random.Random, *, has_accents: bool) -> list[Item]:
    """The candidates of one utterance."""
    labels = {"gender": utterance["gender"], "age_category": utterance["age_category"]}
    labels = {key: label for key, label in labels.items() if label}
    labels |= {key: utterance["labels"][key] for key in SPEECH_KEYS if utterance["labels"].get(key)}
    if has_accents and utterance["accent"] in ACCENTS:
        labels["accent"] = utterance["accent"]
    texts = templates["controllable_generation"]
    items = []
    for form in (form for form in WEIGHTS if int(form) <= len(labels)):
        for _ in range(2):
            keys = rng.sample(sorted(labels), int(form))
            wishes = [fill(texts["requests"].get(key, "{label}"),
                           label=write_spoken_phrase(key, labels[key], templates["language"])) for key in keys]
            style = texts["and"].join(filter(None, (", ".join(wishes[:-1]), wishes[-1])))
            question = fill(rng.choice(texts["questions"]), style=style, text=utterance["transcript"])
            items.append(Item(ids=(utterance["id"],), form=form, group=keys[0], question=question, answer=None))
    return items
