"""A pair that is looked at, and the labels that its texts name."""

import dataclasses

from sift_jax.sift.labels import ACOUSTIC_LABELS, find_labels

# What is said there of words need not hold for the whole clip.
_OF_WORDS = ("closed_ended/word_align", "numeric_time")
_SPEAKER_KEYS = ("gender", "age_category", "accent")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A pair as the model wrote it, and what is known of its clip or clips. An instruction to speak
    has no answer."""

    question: str
    answer: str | None
    set_name: str
    language: str
    truths: tuple[dict[str, str], ...]
    transcripts: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.question,) if self.answer is None else (self.question, self.answer)


def group_labels(text: str, candidate: Candidate) -> dict[str, set[str]]:
    """The labels that a text names of the whole clip, by key."""
    checked = (
        _SPEAKER_KEYS if candidate.set_name in _OF_WORDS else (*ACOUSTIC_LABELS, *_SPEAKER_KEYS)
    )
    groups: dict[str, set[str]] = {}
    for key, label in find_labels(text, candidate.language):
        if key in checked:
            groups.setdefault(key, set()).add(label)
    return groups
