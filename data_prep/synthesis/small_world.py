"""A world small enough that a tiny model learns its words in minutes: closed lists, two forms of
sentence, and the questions that have an answer in them.

    heard     three red boxes in the kitchen                  what somebody says; questions are written from its words
    written   anna takes three red boxes to the kitchen       a passage of a text with questions, to be spoken

The writer of questions sees a transcript, right or wrong, and asks about what it finds there: a
word that is misheard as another of its list becomes a wrong answer, one that is misheard as
anything else is not asked about. `carelessness` is the share of answers that it makes up: language
models do.
"""

import dataclasses
import math
import random
from collections.abc import Mapping

SLOTS: dict[str, tuple[str, ...]] = {
    "number": ("two", "three", "five", "seven", "nine"),
    "colour": ("red", "green", "yellow", "purple", "white"),
    "thing": ("boxes", "candles", "tables", "shirts", "pianos"),
    "place": ("kitchen", "garden", "office", "tower", "bedroom"),
}
NAMES = ("anna", "oliver", "robert", "maria")
HEARD, WRITTEN = "heard", "written"
# Of what is heard, in an LLM's words; of what is written, in those that people type.
QUESTIONS: dict[str, dict[str, str]] = {
    HEARD: {"what": "Which things does the speaker mention?", "where": "Where are they?"},
    WRITTEN: {"what": "what is taken", "where": "which place is it taken to"},
}
# The lists that an answer is made of, in order; without the last of them there is none.
ANSWERS = {"what": ("number", "colour", "thing"), "where": ("place",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sentence:
    """What is said, in which form."""

    form: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A question with its answer, and whether it was made up."""

    asked: str
    question: str
    answer: str
    is_made_up: bool


def make_sentences(count: int, form: str, seed: int) -> list[Sentence]:
    """`count` different ones."""
    rng, seen = random.Random(f"{seed}/{form}"), set()
    made: list[Sentence] = []
    most = math.prod(map(len, SLOTS.values())) * (1 if form == HEARD else len(NAMES))
    if count > 0.97 * most:
        raise ValueError(
            f"{count} sentences of the form {form!r} are too many, there are {most}; ask for fewer"
        )
    while len(made) < count:
        number, colour, thing, place = (rng.choice(words) for words in SLOTS.values())
        if form == HEARD:
            text = f"{number} {colour} {thing} in the {place}"
        else:
            text = f"{rng.choice(NAMES)} takes {number} {colour} {thing} to the {place}"
        if text not in seen:
            seen.add(text)
            made.append(Sentence(form=form, text=text))
    return made


def find_slots(transcript: str) -> Mapping[str, str]:
    """The first word of each list that a transcript has."""
    words = transcript.lower().split()
    found = {
        slot: next((word for word in words if word in listed), None)
        for slot, listed in SLOTS.items()
    }
    return {slot: word for slot, word in found.items() if word}


def write_pairs(
    transcript: str, form: str, rng: random.Random, *, carelessness: float = 0.0
) -> list[Pair]:
    """A question about what the transcript names, and one about where."""
    found, pairs = find_slots(transcript), []
    for asked, lists in ANSWERS.items():
        named = [name for name in lists if name in found]
        if lists[-1] not in named:
            continue
        answer, is_made_up = {name: found[name] for name in named}, rng.random() < carelessness
        if is_made_up:
            name = rng.choice(named)
            answer[name] = rng.choice([other for other in SLOTS[name] if other != answer[name]])
        said = " ".join(answer.values())
        pairs.append(
            Pair(
                asked=asked,
                question=QUESTIONS[form][asked],
                is_made_up=is_made_up,
                answer=f"the {said}" if asked == "where" else said,
            )
        )
    return pairs


def is_supported(answer: str, transcript: str) -> bool:
    """Whether every word of the answer is in the transcript, as a grader sees who reads both."""
    heard = {*transcript.lower().split(), "the"}
    return all(word in heard for word in answer.lower().split())
