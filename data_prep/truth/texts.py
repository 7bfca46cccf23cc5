"""What a row claims, read from its words: the words are all that a model is taught by.

    "This was probably recorded close to the microphone, …: the voice is very close-sounding."
        ─►  Claim(clip 0, "reverberation", ("very close-sounding",))            said
            Claim(clip 0, "reverberation", ("slightly close-sounding", "very close-sounding"))     inferred

An inference claims what it stands on; a reason that speaks against its conclusion is a claim of its
own that is never true. Which of two recordings has more of something, or whose voice is a woman's, is
read from the question:

    "In which recording does a woman speak?"  "It is the second recording."
        ─►  Claim(clip 1, "gender", ("female",)),  Claim(clip 0, "gender", ("male",))
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

from data_prep.instructions.inferences import IMPROVEMENTS, INFERENCES
from data_prep.instructions.templates import load_templates
from sift_jax.sift.labels import (
    ACOUSTIC_LABELS,
    GENDERS,
    find_labels,
    find_quotations,
    normalise,
    read_first_word,
    read_yes_no,
    space_signs,
)

# A claim that needs no clip to be judged: its labels are ("true",) or ("false",).
REASON, VERDICT = "reason", "verdict"
ORDER = "order of "
SAME_GENDER = "same_gender"
# All that is said, and a word that is said or is not: the label is the text, then "true" or "false".
TRANSCRIPT, SPOKEN_WORD = "transcript", "spoken_word"
MOOD = "mood"
MOODS = ("tired", "calm", "lively")
# What the paper's own inferences claim of the recording itself, by form and place.
_PAPER_PLACES = ((0, 1), (2, 2), (3, 4))
# Classes that speak against a conclusion: (form, place) to {key: (lowest, highest)}.
_AGAINST: Mapping[tuple[str, int], Mapping[str, tuple[int, int]]] = {
    ("audiobook", 0): {"pitch_variation": (4, 6), "noise_level": (4, 6), "reverberation": (3, 4)},
    ("audiobook", 1): {"pitch_variation": (0, 2), "noise_level": (0, 2), "reverberation": (0, 1)},
    ("learner", 0): {"speaking_rate": (0, 2), "noise_level": (4, 6)},
    ("learner", 1): {"speaking_rate": (4, 6), "noise_level": (0, 2)},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """That clip number `clip` of a row has one of `labels`; of an order, that the second has more
    ("high") or less."""

    clip: int
    key: str
    labels: tuple[str, ...]
    kind: str


def read_claims(
    category: str, language: str, question: str, answer: str | None, transcript: str
) -> list[Claim]:
    """All that a row says of its recordings."""
    if category == "controllable_generation":
        said = space_signs(transcript, language)
        asked = question[: question.rfind(said)] if said in question else question
        return [
            Claim(clip=0, key=key, labels=(label,), kind=f"{category}: {key}")
            for key, label in find_labels(asked, language)
        ]
    if answer is None:
        return []
    if category == "closed_ended/comparison":
        return list(_read_comparison(language, question, answer))
    claims = [
        Claim(clip=0, key=key, labels=(label,), kind=f"{category}: {key}")
        for key, label in find_labels(answer, language)
    ]
    if category == "closed_ended/content_level":
        claims += _read_words(category, language, question, answer)
    if category == "closed_ended/acoustic_level":
        claims += _read_verdict(category, language, question, answer)
    if category == "open_ended":
        claims += _read_inferences(language, answer, claims)
    return claims


def _read_comparison(language: str, question: str, answer: str) -> Iterator[Claim]:
    found = find_labels(answer, language)
    for text, (key, pole) in _list_orders(language).items():
        if normalise(question).endswith(text):
            for _, place in [pair for pair in found if pair[0] == "recording"][:1]:
                yield from _read_choice(key, pole, place)
            return
    pairs = [(key, label) for key, label in found if key in ACOUSTIC_LABELS or key == "gender"]
    if len({key for key, _ in pairs}) == 1 and len(pairs) <= 2:
        for clip in (0, 1):
            # "both are female"
            key, label = pairs[min(clip, len(pairs) - 1)]
            yield Claim(clip=clip, key=key, labels=(label,), kind=f"closed_ended/comparison: {key}")
    for key, label in found:
        if key == SAME_GENDER:
            yield Claim(clip=0, key=key, labels=(label,), kind=f"closed_ended/comparison: {key}")


def _read_choice(key: str, pole: str, place: str) -> Iterator[Claim]:
    """What a choice of one recording says of both."""
    kind, chosen = f"closed_ended/comparison: which {key}", int(place == "second")
    if key == "gender":
        # of two women nobody asks which is the woman
        (other,) = set(GENDERS) - {pole}
        yield Claim(clip=chosen, key=key, labels=(pole,), kind=kind)
        yield Claim(clip=1 - chosen, key=key, labels=(other,), kind=kind)
        return
    is_second_higher = bool(chosen) == (pole == "high")
    yield Claim(
        clip=0, key=f"{ORDER}{key}", labels=("high" if is_second_higher else "low",), kind=kind
    )


@functools.cache
def _list_orders(language: str) -> dict[str, tuple[str, str]]:
    """Question to (key, pole): more or less of something, or a gender."""
    which = load_templates(language)["which"]
    return {
        normalise(text): (key, pole)
        for key, poles in which.items()
        if key in ACOUSTIC_LABELS or key == "gender"
        for pole, texts in poles.items()
        for text in texts
    }


def _read_verdict(category: str, language: str, question: str, answer: str) -> list[Claim]:
    """Yes to what the evidence contradicts, or no to what it says, is false whatever the clip
    is."""
    verdict = read_first_word(answer, language)
    if verdict is None:
        verdict = read_yes_no(answer.rpartition("\n")[2], language)
    asked, said = find_labels(question, language), find_labels(answer, language)
    if verdict is None or len(asked) != 1 or len(said) != 1:
        return []
    is_sound = verdict == (asked == said)
    return [
        Claim(
            clip=0,
            key=VERDICT,
            labels=("true" if is_sound else "false",),
            kind=f"{category}: {VERDICT}",
        )
    ]


def _read_words(category: str, language: str, question: str, answer: str) -> Iterator[Claim]:
    """What is quoted as said: a whole text, or a word of which the answer says whether it falls."""
    asked, said = find_quotations(question), find_quotations(answer)
    verdict = read_first_word(answer, language)
    if len(asked) == 1 and verdict is not None:
        labels = (asked[0], str(verdict).lower())
        yield Claim(clip=0, key=SPOKEN_WORD, labels=labels, kind=f"{category}: {SPOKEN_WORD}")
    if not asked and len(said) == 1 and verdict is None:
        yield Claim(clip=0, key=TRANSCRIPT, labels=(said[0],), kind=f"{category}: {TRANSCRIPT}")


def _read_inferences(language: str, answer: str, said: list[Claim]) -> Iterator[Claim]:
    text = normalise(answer)
    for phrase, (form, place, is_paper) in _list_inferences(language).items():
        if phrase not in text:
            continue
        kind = f"open_ended: {form}"
        if form == MOOD:
            yield Claim(clip=0, key=MOOD, labels=(MOODS[place],), kind=kind)
            return
        for key, (low, high) in _list_claimed(form, place, is_paper).items():
            yield Claim(clip=0, key=key, labels=ACOUSTIC_LABELS[key][low : high + 1], kind=kind)
        against = _AGAINST.get((form, place), {})
        reasons = [claim for claim in said if claim.key in against]
        if reasons and "\n" not in answer:
            is_sound = not any(
                against[claim.key][0]
                <= ACOUSTIC_LABELS[claim.key].index(claim.labels[0])
                <= against[claim.key][1]
                for claim in reasons
            )
            yield Claim(
                clip=0,
                key=REASON,
                labels=("true" if is_sound else "false",),
                kind=f"{kind}, reasons",
            )
        return


def _list_claimed(form: str, place: int, is_paper: bool) -> dict[str, tuple[int, int]]:
    """Of the recording itself; what rests on any of several grounds claims them by the labels that
    it names."""
    if form in IMPROVEMENTS:
        grounds = IMPROVEMENTS[form][place].grounds
        return {key: (ground.low, ground.high) for key, ground in grounds.items()}
    if form == "place" and is_paper:
        return {"reverberation": _PAPER_PLACES[place]}
    if form not in INFERENCES or is_paper or not INFERENCES[form][place].needs_all:
        return {}
    return {
        key: (ground.low, ground.high)
        for key, ground in INFERENCES[form][place].grounds.items()
        if ground.values is None
    }


@functools.cache
def _list_inferences(language: str) -> dict[str, tuple[str, int, bool]]:
    """Phrase to (form, or of advice its key; place; whether it is the paper's), the longest
    first."""
    found: dict[str, tuple[str, int, bool]] = {}
    for is_paper in (True, False):
        for form, texts in load_templates(language, is_paper=is_paper)["open_ended"].items():
            inferences = texts.get("inferences", ())
            by_key = inferences.items() if isinstance(inferences, dict) else [(form, inferences)]
            for name, phrases in by_key:
                found |= {
                    normalise(phrase): (name, place, is_paper)
                    for place, phrase in enumerate(phrases)
                }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
