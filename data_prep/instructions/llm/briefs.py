"""What each pair of a request is to be about, drawn before a model is asked: the variety is ours,
the words are its.

    labels {"speaking_rate": "very slowly", …} ─ draw_briefs ─►
        Brief(form="no", keys=("speaking_rate",), other="quite fast", opening="Would you say that")
    ─ write_brief ─►  'A question that begins with "Would you say that" and asks whether the person speaks quite fast.
                       The answer begins with "No" and says that the person speaks very slowly.'

A model of any size that is asked for ten questions about one clip asks the first three again in
other words; and a small one loses count of what is true. Told the label that belongs into the
answer, it has only to find words, and the rules know what to look for.
"""

import dataclasses
import functools
import json
import random
from collections.abc import Sequence
from pathlib import Path

from data_prep.instructions.llm.requests import Request
from data_prep.instructions.llm.wording import say_key
from data_prep.instructions.templates import load_templates
from sift_jax.sift.labels import (
    ACCENTS,
    ACOUSTIC_LABELS,
    LABELS,
    name_label,
    say_yes_no,
    write_phrase,
    write_spoken_phrase,
)

# Forms of pairs about labels; a free one is about what no label tells.
OPEN, YES, NO, CHOICE, COMPARE, REQUEST, FREE = (
    "open",
    "yes",
    "no",
    "choice",
    "compare",
    "request",
    "free",
)
_VERDICTS = {YES: True, NO: False}
_WEIGHTS = {OPEN: 0.3, YES: 0.15, NO: 0.2, CHOICE: 0.2, "joined": 0.15}
_OPENINGS_OF = {YES: "yes_no", NO: "yes_no"}
# A false label is so many classes from the true one, where there are as many: the next is a matter
# of taste.
_FALSE_STEPS = 2
_MOST_JOINED = 4
# How a label is stated; its own words follow.
_FRAMES = {
    "average_pitch": "the voice has a",
    "pitch_variation": "the person speaks",
    "speaking_rate": "the person speaks",
    "average_intensity": "the person speaks",
    "noise_level": "the recording is",
    "reverberation": "the voice is",
    "distortion_level": "the recording has",
    "speech_quality": "the recording is",
    "gender": "the speaker is",
    "age_category": "the speaker is",
    "accent": "the speaker has",
}
_CHECKED = (*ACOUSTIC_LABELS, "gender", "age_category", "accent")
# Of the sets where not all pairs are about labels, so many are.
_SHARE_OF_LABELS = {"closed_ended/content_level": 0.4}

# What a set's free pairs are about; those that need a key of the data name it.
_SUBJECTS: dict[str, tuple[tuple[str, str], ...]] = {
    "closed_ended/content_level": (
        ("what is told in the clip", "transcript"),
        ("who or what is spoken of", "transcript"),
        ("a word that is said and the word that follows it", "transcript"),
        ("whether a certain word is said", "transcript"),
        ("what the sentence is about", "transcript"),
        ("which language is spoken", "language"),
        ("how one of the words is pronounced", "phonemes"),
    ),
    "closed_ended/word_align": (
        ("how the pitch moves from the first half to the second", "pitch_contour"),
        ("how the loudness moves from the first half to the second", "intensity_contour"),
        ("where in the sentence the highest word stands", "highest_word"),
        ("where in the sentence the loudest word stands", "loudest_word"),
        ("which of two words is higher", "words"),
        ("which of two words is louder", "words"),
        ("which of two words is softer", "words"),
        ("which of two words is lower", "words"),
    ),
    "open_ended": (
        ("how one would describe the voice to a friend", ""),
        ("in what situation somebody may have said this", ""),
        ("for what purpose such a recording may have been made", ""),
        ("what may come next", "transcript"),
        ("in what kind of place it may have been recorded, and what leads there", ""),
        ("for whom this way of speaking is easy or hard to follow", ""),
        ("one piece of advice for the speaker", ""),
        ("one piece of advice for the next recording", ""),
        ("what it is about and how it is said, in one", "transcript"),
        ("what stands out about this clip", ""),
    ),
    "unrelated": (
        ("cooking, without any need of the clip", ""),
        ("clothes, which cannot be heard", ""),
        ("science, without any need of the clip", ""),
        ("an instrument that is not in the clip", ""),
        ("travel, without any need of the clip", ""),
        ("a second speaker who is not in the clip", ""),
        ("history, without any need of the clip", ""),
        ("the name of the place, which cannot be heard", ""),
        ("everyday advice, without any need of the clip", ""),
        ("an animal that is not in the clip", ""),
    ),
    "numeric_time": (
        ("when a word begins", "timed_words"),
        ("when a word ends", "timed_words"),
        ("how long a word lasts", "timed_words"),
        ("which word is being said at a certain second", "timed_words"),
        ("how long the clip is", "duration"),
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Brief:
    """One pair: the true labels of `keys` belong into its answer, `other` is a false one. Or it is
    free."""

    form: str
    opening: str
    keys: tuple[str, ...] = ()
    other: str = ""
    about: str = ""

    @property
    def verdict(self) -> bool | None:
        """The word that the answer begins with, if it is yes or no."""
        return _VERDICTS.get(self.form)


@functools.cache
def load_openings() -> dict[str, dict[str, list[str]]]:
    """The beginnings of questions by language and form."""
    return json.loads(Path(__file__).with_name("openings.json").read_text(encoding="utf-8"))


def draw_briefs(request: Request, count: int, rng: random.Random) -> list[Brief]:
    """As many as wanted: each label and subject comes before any comes again, and so does each
    opening."""
    name = request.kind.name
    keys = _list_keys(request)
    subjects = [about for about, key in _SUBJECTS.get(name, ()) if not key or _has(request, key)]
    share = _SHARE_OF_LABELS.get(name, 0.0 if subjects else 1.0)
    labels = round(share * count) if keys and subjects else count * bool(keys)
    frees = count - labels if subjects else 0
    key_deck, subject_deck = _Deck(keys, rng), _Deck(subjects, rng)
    drafts = [_draw_about_labels(request, key_deck, rng) for _ in range(labels)]
    drafts += [Brief(form=FREE, opening="", about=subject_deck.take()) for _ in range(frees)]
    rng.shuffle(drafts)
    return reopen(drafts, request.language, rng)


def reopen(briefs: Sequence[Brief], language: str, rng: random.Random) -> list[Brief]:
    """The same briefs with other openings."""
    decks = {name: _Deck(openings, rng) for name, openings in load_openings()[language].items()}
    fresh = []
    for brief in briefs:
        deck = decks[_OPENINGS_OF.get(brief.form, brief.form)]
        opening = deck.take()
        fresh.append(
            dataclasses.replace(brief, opening=deck.take() if opening == brief.opening else opening)
        )
    return fresh


def write_brief(brief: Brief, request: Request) -> str:
    """What a model is told of one pair. The labels' words are in the language asked for, the rest
    is English."""
    language = request.language
    names = " and ".join(_mark(say_key(key, language), language) for key in brief.keys)
    facts = [
        " and ".join(_state(key, truth[key], language) for key in brief.keys)
        for truth in request.truths
    ]
    begun = f'that begins with "{brief.opening}"'
    # what the answer says comes last: a small model goes on with what it has read last
    return {
        OPEN: lambda: (
            f"A question {begun} and asks about {names}. The answer says that {facts[0]}."
        ),
        YES: lambda: (
            f"A question {begun} and asks whether {facts[0]}. The answer begins with "
            f'"{say_yes_no(True, language)}".'
        ),
        NO: lambda: (
            f"A question {begun} and asks whether {_state(brief.keys[0], brief.other, language)}. "
            "The answer "
            f'begins with "{say_yes_no(False, language)}" and says that {facts[0]}.'
        ),
        CHOICE: lambda: (
            f"A question {begun} and asks about {names}, whether {_offer(brief, request)}. The "
            f"answer says that {facts[0]}."
        ),
        COMPARE: lambda: (
            f"A question {begun} and asks how the two differ in {names}. The answer says that in "
            f"the first recording {facts[0]}, and in the second {facts[1]}."
        ),
        REQUEST: lambda: f"A request {begun} and asks for speech {_speak(brief, request)}.",
        FREE: lambda: f"A question {begun} and asks about this: {brief.about}.",
    }[brief.form]()


def _list_keys(request: Request) -> list[str]:
    """The labels that pairs can be about: those shown that have words in the language, in all
    clips."""
    known = [
        key
        for key in request.kind.keys
        if key in _CHECKED and all(_has_words(key, truth.get(key)) for truth in request.truths)
    ]
    if request.kind.clips == 2:
        return [key for key in known if key in request.differing]
    return known


def _has_words(key: str, label: str | None) -> bool:
    return label is not None and (key != "accent" or label in ACCENTS)


def _has(request: Request, key: str) -> bool:
    return key in request.shown


def _draw_about_labels(request: Request, deck: "_Deck", rng: random.Random) -> Brief:
    if request.kind.clips == 2:
        return Brief(form=COMPARE, opening="", keys=(deck.take(),))
    if request.kind.is_spoken:
        return Brief(form=REQUEST, opening="", keys=deck.take_some(rng.randint(1, _MOST_JOINED)))
    form = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    if form == "joined":
        return Brief(form=OPEN, opening="", keys=deck.take_some(2))
    key = deck.take()
    other = _draw_false(key, request.truths[0][key], rng) if form in (NO, CHOICE) else ""
    return Brief(form=form, opening="", keys=(key,), other=other)


def _draw_false(key: str, truth: str, rng: random.Random) -> str:
    labels = LABELS[key]
    if key in ("gender", "accent"):
        return rng.choice([label for label in labels if label != truth])
    place = labels.index(truth)
    far = [label for number, label in enumerate(labels) if abs(number - place) >= _FALSE_STEPS]
    return rng.choice(far or [label for label in labels if label != truth])


def _state(key: str, label: str, language: str) -> str:
    """A statement of a label. English pitch and distortion are something that one has: "a", not
    "with a"."""
    is_bare = language == "en" and key in ("average_pitch", "distortion_level")
    word = name_label(key, label, language) if is_bare else write_phrase(key, label, language)
    return f"{_FRAMES[key]} {_mark(word, language)}"


def _mark(text: str, language: str) -> str:
    """Words of another language stand in quotation marks; English ones do not, for they would be
    copied with them."""
    return text if language == "en" else f'"{text}"'


def _offer(brief: Brief, request: Request) -> str:
    """The true label and the false one from low to high, so that the place tells nothing."""
    key = brief.keys[0]
    labels = sorted({brief.other, request.truths[0][key]}, key=LABELS[key].index)
    return " or ".join(_state(key, label, request.language) for label in labels)


def _speak(brief: Brief, request: Request) -> str:
    """ "with an Irish accent and very slowly": the templates know what an accent needs before
    it."""
    language, truth = request.language, request.truths[0]
    frames = load_templates(language)["controllable_generation"]["requests"]
    wishes = (
        frames.get(key, "{label}").format(label=write_spoken_phrase(key, truth[key], language))
        for key in brief.keys
    )
    return " and ".join(_mark(wish, language) for wish in wishes)


class _Deck:
    """Cards in random order, shuffled again when all have been taken."""

    def __init__(self, cards: Sequence[str], rng: random.Random):
        self._cards, self._rng = list(cards), rng
        self._left: list[str] = []

    def take(self) -> str:
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()

    def take_some(self, count: int) -> tuple[str, ...]:
        """Different ones, fewer where there are not as many."""
        found: dict[str, None] = {}
        while len(found) < min(count, len(self._cards)):
            found[self.take()] = None
        return tuple(found)
