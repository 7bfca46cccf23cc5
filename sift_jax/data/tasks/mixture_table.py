"""What tasks and mixtures there are: names, patterns and rates, as data. SeqIO registers it, the
plan reads it.

    TASKS     "sift.open_ended.en" → category "open_ended", language "en"; all of them, whatever records there are
    SCORES    "open_ended" → the scores of an answer, ("rouge_l", "judge_open")
    MIXTURES  "understanding" → {"sift.closed_ended.acoustic_level.*": 0.35, …}: pattern over tasks → rate

Gin names one by MixtureConfig.name, or gives a table of its own. Rates count among themselves,
whatever their sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from sift_jax.field_ranges import CheckedConfig, Items, NotNegative, OneOf, Text
from sift_jax.sift.rows import (
    ALL_CATEGORIES,
    CLOSED_CATEGORIES,
    LANGUAGES,
    PRETRAINING_CATEGORIES,
    SELF_CATEGORIES,
    SPOKEN_CATEGORIES,
)

Rates = Mapping[str, float]


def make_task_name(category: str, language: str) -> str:
    return f"sift.{category.replace('/', '.')}.{language}"


TASKS: dict[str, tuple[str, str]] = {
    make_task_name(category, language): (category, language)
    for language in LANGUAGES
    for category in ALL_CATEGORIES
}

# Category to the scores of its answers, by their names in evaluation/scores and judges. An answer
# that is speech has none: it is heard by a recognizer first.
SCORES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(CLOSED_CATEGORIES, ("judge_closed", "exact_match")),
    "open_ended": ("rouge_l", "judge_open"),
    **dict.fromkeys(PRETRAINING_CATEGORIES, ("exact_match",)),
    "pretraining/asr": ("wer", "cer"),
    "pretraining/translation": ("bleu", "chrf"),
    "pretraining/emotion": ("exact_match",),
    "pretraining/speaker_asr": ("wer",),
    "pretraining/intent": ("exact_match",),
    "pretraining/slots": ("slot_f1",),
    **dict.fromkeys(SPOKEN_CATEGORIES, ()),
    **dict.fromkeys(SELF_CATEGORIES, ("rouge_l",)),
}

MIXTURES: dict[str, Rates] = {
    # Stage 1, at the paper's rates: recognition .35, translation .20, emotion .05, who said what
    # .05, intents and slots .05 for the two. Its .30 of speaking is missing: an answer that is
    # speech has no tokens to be learnt before stage 2b's units are there. Among themselves each of
    # the others has 1/.7 of its own.
    "pretraining": {
        "sift.pretraining.asr.*": 0.35,
        "sift.pretraining.translation.*": 0.2,
        "sift.pretraining.emotion.*": 0.05,
        "sift.pretraining.speaker_asr.*": 0.05,
        "sift.pretraining.intent.*": 0.025,
        "sift.pretraining.slots.*": 0.025,
    },
    # Stage 2b: stage 1's tasks, with those whose answers are speech raised. The paper says that
    # they are raised and not to what: these rates are ours, its .30 of speaking as .60, half of the
    # rest for recognition.
    "speaking": {
        "sift.pretraining.tts.*": 0.45,
        "sift.pretraining.speech_to_speech.*": 0.15,
        "sift.pretraining.asr.*": 0.2,
        "sift.pretraining.translation.*": 0.11,
        "sift.pretraining.emotion.*": 0.03,
        "sift.pretraining.speaker_asr.*": 0.03,
        "sift.pretraining.intent.*": 0.015,
        "sift.pretraining.slots.*": 0.015,
    },
    # Stage 2: closed-ended and open-ended questions. The paper does not say its rates: these are
    # ours.
    "understanding": {
        "sift.closed_ended.acoustic_level.*": 0.35,
        "sift.closed_ended.content_level.*": 0.25,
        "sift.closed_ended.word_align.*": 0.2,
        "sift.closed_ended.comparison.*": 0.1,
        "sift.open_ended.*": 0.1,
    },
    # What the decoder has answered by itself, alone; and as half of stage 2, at rates of ours.
    "self_generated": {"sift.self_generated.*": 1.0},
    "self_generated_and_sift": {
        "sift.self_generated.*": 0.5,
        "sift.closed_ended.acoustic_level.*": 0.175,
        "sift.closed_ended.content_level.*": 0.125,
        "sift.closed_ended.word_align.*": 0.1,
        "sift.closed_ended.comparison.*": 0.05,
        "sift.open_ended.*": 0.05,
    },
    # Stage 3: instructions that are answered by speech, in units.
    "generation": {"sift.controllable_generation.*": 1.0},
    # All of SIFT: controllable generation beside what is understood, at rates of ours.
    "instructions": {
        "sift.controllable_generation.*": 0.5,
        "sift.closed_ended.acoustic_level.*": 0.175,
        "sift.closed_ended.content_level.*": 0.125,
        "sift.closed_ended.word_align.*": 0.1,
        "sift.closed_ended.comparison.*": 0.05,
        "sift.open_ended.*": 0.05,
    },
    # SALM: recognition beside spoken question answering. The paper does not say its rates: these
    # are ours.
    "recognition_and_answers": {"sift.pretraining.asr.*": 0.5, "sift.open_ended.*": 0.5},
    # Labels by number, of one clip and of two: nothing but what can be heard, the same in every
    # language, a token a label. Mixed with instructions from the first step, the same model was
    # still deaf after 400 steps; alone it listens after 50.
    "hearing": {"sift.pretraining.ratings.*": 0.75, "sift.pretraining.ranks.*": 0.25},
    # Labels by number and in words, of one clip and of two.
    "naming": {
        "sift.pretraining.lists.*": 0.55,
        "sift.pretraining.compares.*": 0.3,
        "sift.pretraining.ratings.*": 0.1,
        "sift.pretraining.ranks.*": 0.05,
    },
    # Stage 1 of a model with nothing pretrained: instructions, and labels by number and in words,
    # so that it keeps hearing.
    "from_nothing": {
        "sift.pretraining.ratings.*": 0.1,
        "sift.pretraining.ranks.*": 0.06,
        "sift.pretraining.lists.*": 0.1,
        "sift.pretraining.compares.*": 0.08,
        "sift.closed_ended.acoustic_level.*": 0.23,
        "sift.closed_ended.content_level.*": 0.15,
        "sift.closed_ended.word_align.*": 0.1,
        "sift.closed_ended.comparison.*": 0.15,
        "sift.open_ended.*": 0.03,
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixtureConfig(CheckedConfig):
    """What is mixed: a name, or a table of rates, with changes applied to either."""

    # of MIXTURES, or what a module of yours registers; None where there are rates
    name: Text | None
    # pattern over tasks to rate; None where there is a name
    rates: Mapping[Text, NotNegative] | None
    # None keeps a pattern's rate, 0 leaves it out, any other is set or added
    rate_changes: Mapping[Text, NotNegative | None]
    # of the records, before patterns are resolved; () is all that they have
    languages: Annotated[tuple[Annotated[str, OneOf(*LANGUAGES)], ...], Items(is_distinct=True)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.name is None) == (self.rates is None):
            given = "neither MixtureConfig.name nor MixtureConfig.rates is given"
            if self.rates is not None:
                given = "both MixtureConfig.name and MixtureConfig.rates are given"
            raise ValueError(
                f"{given}; name a mixture by MIXTURE (one of {', '.join(sorted(MIXTURES))}, or of "
                "a --module_import module) with RATES = None, or give RATES with MIXTURE = None"
            )

    def choose_rates(self) -> dict[str, float] | None:
        """Pattern to rate; None where only a module knows the name."""
        return choose_rates(self.name, self.rates, self.rate_changes)


def change_rates(rates: Rates, changes: Mapping[str, float | None]) -> dict[str, float]:
    """The rates with others laid over them: None keeps what is there, 0 leaves out, any other is
    set or added."""
    return {**rates, **{pattern: rate for pattern, rate in changes.items() if rate is not None}}


def choose_rates(
    mixture: str | None, rates: Rates | None, changes: Mapping[str, float | None]
) -> dict[str, float] | None:
    """Pattern to rate of a shipped mixture, or of a table of one's own; None where a module must
    know the name."""
    chosen = MIXTURES.get(mixture or "") if rates is None else rates
    return None if chosen is None else change_rates(chosen, changes)


def is_in_languages(task: str, languages: Collection[str]) -> bool:
    """Whether a task is of these languages, or of none that we know, as those of your own; no
    languages are all."""
    return not languages or task not in TASKS or TASKS[task][1] in languages


def match_patterns(rates: Rates, names: Iterable[str]) -> dict[str, list[str]]:
    """Each pattern of a positive rate with the tasks that it matches. None may be matched twice,
    not even by a 0.

    What one has not got is left out by the rate 0; a pattern of that rate has to name a task that
    could be.
    """
    names = sorted(names)
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for pattern, rate in rates.items():
        if rate < 0:
            raise ValueError(
                f"mixture pattern {pattern!r} has the negative rate {rate}; use 0 to leave it out"
            )
        matched = [name for name in names if fnmatchcase(name, pattern)]
        for name in matched:
            if owner.setdefault(name, pattern) != pattern:
                raise ValueError(
                    f"task {name} is matched by two patterns of the mixture, {owner[name]!r} and "
                    f"{pattern!r}; keep one"
                )
        if rate > 0:
            found[pattern] = matched
        elif not matched and not any(fnmatchcase(name, pattern) for name in TASKS):
            raise ValueError(
                f"mixture pattern {pattern!r} matches no task that could be; correct it, or "
                "take it out"
            )
    if not found:
        raise ValueError("every rate of the mixture is 0; give at least one task a positive rate")
    return found
