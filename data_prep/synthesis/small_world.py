"""A world small enough that a tiny model learns its words in minutes: closed lists, two forms of
sentence, and the questions that have an answer in them.

    heard     three red boxes in the kitchen                  what somebody says; questions are written from its words
    written   anna takes three red boxes to the kitchen       a passage of a text with questions, to be spoken

In each language whose words are here; every combination of them is a right sentence, and so German
has places of one gender alone.

The writer of questions sees a transcript, right or wrong, and asks about what it finds there: a
word that is misheard as another of its list becomes a wrong answer, one that is misheard as
anything else is not asked about. `carelessness` is the share of answers that it makes up: language
models do.
"""

import dataclasses
import math
import random
from collections.abc import Mapping

HEARD, WRITTEN = "heard", "written"
# The lists that an answer is made of, in order; without the last of them there is none.
ANSWERS = {"what": ("number", "colour", "thing"), "where": ("place",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """The words of a language, and what is made of them in each form."""

    slots: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    # form → sentence
    sentences: Mapping[str, str]
    # form → what is asked → question: of what is heard, in an LLM's words; of what is written, in
    # those that people type
    questions: Mapping[str, Mapping[str, str]]
    # form → the answer to "where"
    places: Mapping[str, str]
    transcribe: str

    @property
    def words(self) -> set[str]:
        """All that can be said."""
        said = " ".join(self.sentences.values()).format(name="", **dict.fromkeys(self.slots, ""))
        return {
            *said.split(),
            *self.names,
            *(word for each in self.slots.values() for word in each),
        }


WORLDS: dict[str, World] = {
    "en": World(
        slots={
            "number": ("two", "three", "five", "seven", "nine"),
            "colour": ("red", "green", "yellow", "purple", "white"),
            "thing": ("boxes", "candles", "tables", "shirts", "pianos"),
            "place": ("kitchen", "garden", "office", "tower", "bedroom"),
        },
        names=("anna", "oliver", "robert", "maria"),
        sentences={
            HEARD: "{number} {colour} {thing} in the {place}",
            WRITTEN: "{name} takes {number} {colour} {thing} to the {place}",
        },
        questions={
            HEARD: {"what": "Which things does the speaker mention?", "where": "Where are they?"},
            WRITTEN: {"what": "what is taken", "where": "which place is it taken to"},
        },
        places={HEARD: "the {place}", WRITTEN: "the {place}"},
        transcribe="Transcribe the speech.",
    ),
    "de": World(
        slots={
            "number": ("zwei", "drei", "fünf", "sieben", "neun"),
            "colour": ("rote", "grüne", "gelbe", "blaue", "weiße"),
            "thing": ("kisten", "kerzen", "tische", "hemden", "klaviere"),
            "place": ("küche", "garage", "scheune", "werkstatt", "bibliothek"),
        },
        names=("anna", "oliver", "robert", "maria"),
        sentences={
            HEARD: "{number} {colour} {thing} in der {place}",
            WRITTEN: "{name} bringt {number} {colour} {thing} in die {place}",
        },
        questions={
            HEARD: {"what": "Von welchen Dingen ist die Rede?", "where": "Wo sind sie?"},
            WRITTEN: {"what": "was wird gebracht", "where": "wohin wird es gebracht"},
        },
        places={HEARD: "in der {place}", WRITTEN: "in die {place}"},
        transcribe="Schreiben Sie auf, was gesagt wird.",
    ),
}


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


def make_sentences(count: int, form: str, seed: int, world: World) -> list[Sentence]:
    """`count` different ones."""
    rng, seen = random.Random(f"{seed}/{form}"), set()
    made: list[Sentence] = []
    most = math.prod(map(len, world.slots.values())) * (1 if form == HEARD else len(world.names))
    if count > 0.97 * most:
        raise ValueError(
            f"{count} sentences of the form {form!r} are too many, there are {most}; ask for fewer"
        )
    while len(made) < count:
        drawn = {slot: rng.choice(words) for slot, words in world.slots.items()}
        name = "" if form == HEARD else rng.choice(world.names)
        text = world.sentences[form].format(name=name, **drawn)
        if text not in seen:
            seen.add(text)
            made.append(Sentence(form=form, text=text))
    return made


def find_slots(transcript: str, world: World) -> Mapping[str, str]:
    """The first word of each list that a transcript has."""
    words = transcript.lower().split()
    found = {
        slot: next((word for word in words if word in listed), None)
        for slot, listed in world.slots.items()
    }
    return {slot: word for slot, word in found.items() if word}


def write_pairs(
    transcript: str, form: str, rng: random.Random, world: World, *, carelessness: float = 0.0
) -> list[Pair]:
    """A question about what the transcript names, and one about where."""
    found, pairs = find_slots(transcript, world), []
    for asked, lists in ANSWERS.items():
        named = [name for name in lists if name in found]
        if lists[-1] not in named:
            continue
        answer, is_made_up = {name: found[name] for name in named}, rng.random() < carelessness
        if is_made_up:
            name = rng.choice(named)
            answer[name] = rng.choice(
                [other for other in world.slots[name] if other != answer[name]]
            )
        said = " ".join(answer.values())
        pairs.append(
            Pair(
                asked=asked,
                question=world.questions[form][asked],
                is_made_up=is_made_up,
                answer=world.places[form].format(place=said) if asked == "where" else said,
            )
        )
    return pairs


def is_supported(answer: str, transcript: str, world: World) -> bool:
    """Whether every word of the answer is in the transcript, as a grader sees who reads both."""
    # the words around a place are no claim
    asked = " ".join(world.places.values()).format(place="")
    heard = {*transcript.lower().split(), *asked.split()}
    return all(word in heard for word in answer.lower().split())
