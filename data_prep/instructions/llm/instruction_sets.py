"""The sets of instructions that a language model is asked for, and where their rows go.

    closed_ended/…, open_ended, controllable_generation   ─►  <out>/sift/{split}/{category}/{lang}/split0.jsonl
    unrelated      (asks what the audio does not tell)    ─►  <out>/unrelated/{split}/open_ended/…
    numeric_time   (asks for seconds)                     ─►  <out>/numeric_time/{split}/closed_ended/word_align/…

The two last are known to hurt when they are mixed in by their weight, so each is a SIFT folder of
its own.
"""

import dataclasses

from sift_jax.sift.labels import ACOUSTIC_LABELS

# Peaks are told by the third of the sentence in which they lie.
MARKED_KEYS = ("highest_word", "loudest_word")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstructionSet:
    """`keys` are shown to the model; a set with `is_spoken` answers is an instruction to speak."""

    name: str
    root: str
    category: str
    keys: tuple[str, ...]
    clips: int = 1
    is_spoken: bool = False


_ACOUSTIC = tuple(ACOUSTIC_LABELS)
_SPEAKER = ("gender", "age_category", "accent")
_VOICE = ("speaking_rate", "average_pitch", "pitch_variation", "average_intensity")

SETS = {
    entry.name: entry
    for entry in (
        InstructionSet(
            name="closed_ended/acoustic_level",
            root="sift",
            category="closed_ended/acoustic_level",
            keys=_ACOUSTIC,
        ),
        InstructionSet(
            name="closed_ended/content_level",
            root="sift",
            category="closed_ended/content_level",
            keys=("transcript", "language", *_SPEAKER, "phonemes"),
        ),
        InstructionSet(
            name="closed_ended/word_align",
            root="sift",
            category="closed_ended/word_align",
            keys=("transcript", "words", "changes"),
        ),
        InstructionSet(
            name="closed_ended/comparison",
            root="sift",
            category="closed_ended/comparison",
            keys=(*_ACOUSTIC, *_SPEAKER, "transcript"),
            clips=2,
        ),
        InstructionSet(
            name="open_ended",
            root="sift",
            category="open_ended",
            keys=("transcript", "language", *_SPEAKER, *_ACOUSTIC),
        ),
        InstructionSet(
            name="controllable_generation",
            root="sift",
            category="controllable_generation",
            keys=(*_SPEAKER, *_VOICE),
            is_spoken=True,
        ),
        InstructionSet(
            name="unrelated",
            root="unrelated",
            category="open_ended",
            keys=("transcript", *_SPEAKER),
        ),
        InstructionSet(
            name="numeric_time",
            root="numeric_time",
            category="closed_ended/word_align",
            keys=("duration", "timed_words"),
        ),
    )
}
