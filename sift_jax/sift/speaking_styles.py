"""Instructions to speak, as training's rows word them: a style, the text, and what the style asks
for.

    "en", "very slowly, softly", "Rain falls."  ─►  "Say this very slowly and softly: Rain falls."
                                                    {"speaking_rate": "very slowly", "average_intensity": "softly"}

Phrases of a style are the labels of `labels`, or an emotion ("angrily"), in any order; they are put
into that of the plain rows, emotions last. A bare "slowly" is read as "quite slowly", the middle
one, and the spellings of NEAR as what they mean; any other phrase is said as it stands, and told: a
model may know it or not.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata

from sift_jax.sift.fields import Fields, find_style, load_fields
from sift_jax.sift.labels import LABELS, LANGUAGES, find_labels, space_signs, write_spoken_phrase

# what an instruction may ask for, in the order in which plain rows name it; a recording's noise is
# not a speaker's affair
KEYS = (
    "speaking_rate",
    "average_intensity",
    "pitch_variation",
    "average_pitch",
    "gender",
    "age_category",
    "accent",
)
# the first wording of each language, with and without a style, and what joins the last two phrases
WORDINGS = {
    "en": ("Say this {style}: {text}", "Say this: {text}", " and "),
    "de": ("Sprich dies {style}: {text}", "Sprich dies: {text}", " und "),
    "fr": ("Dis ceci {style} : {text}", "Dis ceci : {text}", " et "),
    "it": ("Di' questo {style}: {text}", "Di' questo: {text}", " e "),
    "es": ("Di esto {style}: {text}", "Di esto: {text}", " y "),
}
ACCENT = {
    "en": "with {label}",
    "de": "{label}",
    "fr": "avec {label}",
    "it": "con {label}",
    "es": "con {label}",
}
# what stands for the middle of three degrees where none is said
_MIDDLE = {"en": "quite", "de": "ziemlich", "fr": "assez", "it": "abbastanza", "es": "bastante"}
NEAR = {
    "en": {"voice": "pitch", "quietly": "softly", "in a monotone": "monotone", "quickly": "fast"},
    "de": {"stimme": "tonlage", "tiefen": "tiefer", "hohen": "hoher", "langsamer": "langsam"},
    "fr": {"bas": "doucement"},
    "it": {"lentamente": "lento", "forte": "volume alto", "alta voce": "volume alto"},
    "es": {"lentamente": "despacio", "voz alta": "voz fuerte"},
}
_SENTENCE_CHARACTERS = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """A phrase of a style, and the label that it asks for, if it is one that is known."""

    phrase: str
    key: str | None
    label: str | None


def check_language(language: str) -> None:
    if language not in WORDINGS:
        raise ValueError(
            f"no wording in language {language!r}; the languages are {', '.join(LANGUAGES)}"
        )


def check_text(text: str) -> str:
    """The text as it is to be said, or an error where nothing, or nothing that was ever read aloud,
    is in it."""
    text = " ".join(text.split())
    letters = [c for c in text if c.isalpha()]
    if not letters:
        raise ValueError("there is no text to say; give a sentence")
    strange = next((c for c in letters if not unicodedata.name(c, "").startswith("LATIN")), None)
    if strange:
        name = unicodedata.name(strange, "an unknown letter").lower()
        raise ValueError(
            f"{strange!r} ({name}) is of a script that no training text has; the languages "
            f"are {', '.join(LANGUAGES)}"
        )
    if len(text) > _SENTENCE_CHARACTERS:
        raise ValueError(
            f"a text of {len(text)} characters is far more than a sentence; cut it, and say the "
            "sentences one by one (--items)"
        )
    return text


def read_style(style: str, language: str) -> list[Wish]:
    """The phrases of a style; two labels of one kind contradict each other, which is an error."""
    check_language(language)
    joiner = WORDINGS[language][2]
    phrases = [part.strip() for part in re.split(rf",|{re.escape(joiner)}", style) if part.strip()]
    wishes = [_read_phrase(phrase, language) for phrase in phrases]
    found: dict[str, Wish] = {}
    for wish in wishes:
        if wish.key is None:
            continue
        other = found.setdefault(wish.key, wish)
        if other.label != wish.label:
            raise ValueError(
                f"the style contradicts itself: {other.phrase!r} and {wish.phrase!r} are both "
                f"{wish.key.replace('_', ' ')}; leave one of them out"
            )
    # said twice is said once
    kept = [wish for wish in wishes if not wish.key or found[wish.key] is wish]
    return sorted(kept, key=lambda wish: KEYS.index(wish.key) if wish.key in KEYS else len(KEYS))


def _read_phrase(phrase: str, language: str) -> Wish:
    near = phrase.casefold()
    for word, meant in NEAR[language].items():
        near = re.sub(rf"\b{re.escape(word)}\b", meant, near)
    bare = re.sub(r"^(with an?|in an?|with|in|at an?|mit|in|d'une|avec|con|a|de)\s+", "", near)
    middle = _MIDDLE[language]
    for tried in (phrase, near, f"{middle} {near}", f"{middle} {bare}"):
        labels = [(key, label) for key, label in find_labels(tried, language) if key in KEYS]
        if len(labels) > 1:
            (_, first), (_, second) = labels[:2]
            raise ValueError(
                f"{phrase!r} asks for {first!r} and for {second!r} at once; part them by a comma, "
                "or leave one out"
            )
        if labels:
            key, label = labels[0]
            return Wish(phrase=write_wish(key, label, language), key=key, label=label)
    if free := find_style(_load_own_fields(), phrase, language):
        field, label = free
        return Wish(phrase=field.write_form(label, "spoken", language), key=field.name, label=label)
    return Wish(phrase=phrase, key=None, label=None)


@functools.cache
def _load_own_fields() -> Fields:
    return load_fields()


def write_wish(key: str, label: str, language: str) -> str:
    """A label as an instruction has it."""
    if label not in LABELS[key]:
        raise ValueError(f"{key} has no label {label!r}; its labels are {', '.join(LABELS[key])}")
    phrase = write_spoken_phrase(key, label, language)
    return ACCENT[language].format(label=phrase) if key == "accent" else phrase


def write_instruction(text: str, phrases: list[str], language: str) -> str:
    """A user's whole message."""
    check_language(language)
    styled, plain, joiner = WORDINGS[language]
    style = joiner.join(filter(None, (", ".join(phrases[:-1]), *phrases[-1:])))
    return (styled if style else plain).format(style=style, text=space_signs(text, language))
