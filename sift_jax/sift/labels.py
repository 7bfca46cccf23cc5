"""The labels of an utterance, and how they are said and found again in five languages.

    ("speaking_rate", "very fast") ── write_phrase, "de" ─►  "sehr schnell"
    "Die Person spricht sehr schnell."  ── find_labels, "de" ─►  [("speaking_rate", "very fast")]

Canonical labels are English and stand from low to high. `label_tables` holds the words: those of
distortion are not its canonical ones, which are also those of noise.
"""

import functools
import re
import string
import unicodedata

from sift_jax.sift.label_tables import OTHER_ACCENT, PHRASES

LANGUAGES = ("en", "de", "fr", "it", "es")
# Only to be told from these: with them, twenty of the largest languages of Common Voice 15. The
# choice is ours, for the paper does not list its own.
LOCALES = (
    "ca",
    "rw",
    "be",
    "eo",
    "kab",
    "lg",
    "sw",
    "fa",
    "ba",
    "zh-CN",
    "ta",
    "ru",
    "mhr",
    "eu",
    "th",
)
LANGUAGE_NAMES = dict(
    zip(
        (*LANGUAGES, *LOCALES),
        (
            "English",
            "German",
            "French",
            "Italian",
            "Spanish",
            "Catalan",
            "Kinyarwanda",
            "Belarusian",
            "Esperanto",
            "Kabyle",
            "Luganda",
            "Swahili",
            "Persian",
            "Bashkir",
            "Chinese",
            "Tamil",
            "Russian",
            "Meadow Mari",
            "Basque",
            "Thai",
        ),
        strict=True,
    )
)

ACOUSTIC_LABELS: dict[str, tuple[str, ...]] = {
    "average_pitch": (
        "very low pitch",
        "quite low pitch",
        "slightly low pitch",
        "moderate pitch",
        "slightly high pitch",
        "quite high pitch",
        "very high pitch",
    ),
    "pitch_variation": (
        "very monotone",
        "quite monotone",
        "slightly monotone",
        "moderate intonation",
        "slightly expressive",
        "quite expressive",
        "very expressive",
    ),
    "speaking_rate": (
        "very slowly",
        "quite slowly",
        "slightly slowly",
        "moderate speed",
        "slightly fast",
        "quite fast",
        "very fast",
    ),
    "average_intensity": ("softly", "moderate volume", "loudly"),
    "noise_level": (
        "very noisy",
        "noisy",
        "slightly noisy",
        "balanced in clarity",
        "slightly clean",
        "clean",
        "very clean",
    ),
    "reverberation": (
        "very distant-sounding",
        "distant-sounding",
        "slightly distant-sounding",
        "slightly close-sounding",
        "very close-sounding",
    ),
    "distortion_level": (
        "extremely noisy",
        "very noisy",
        "noisy",
        "slightly noisy",
        "almost no noise",
        "very clear",
    ),
    "speech_quality": ("very bad", "bad", "slightly bad", "moderate", "great", "wonderful"),
}

GENDERS = ("female", "male")
AGE_CATEGORIES = (
    "twenties",
    "thirties",
    "forties",
    "fifties",
    "sixties",
    "seventies",
    "eighties",
    "nineties",
)
# Those that have words in every language; any other is quoted as its corpus writes it.
ACCENTS = (
    "American",
    "British",
    "Scottish",
    "Caribbean",
    "German",
    "French",
    "Italian",
    "Castilian",
    "Latin American",
    "Irish",
    "Northern Irish",
    "Welsh",
    "Canadian",
    "Australian",
    "New Zealand",
    "South African",
    "Indian",
    "Austrian",
    "Swiss",
    "Belgian",
    "Mexican",
)
TOPICS = ("weather", "food", "travel", "work", "family", "music", "nature", "health")
SENTENCE_LENGTHS = ("short", "medium", "long")
POSITIONS = ("beginning", "middle", "end")

LABELS: dict[str, tuple[str, ...]] = {
    **ACOUSTIC_LABELS,
    "gender": GENDERS,
    "age_category": AGE_CATEGORIES,
    "accent": ACCENTS,
    "language": tuple(LANGUAGE_NAMES.values()),
    "topic": TOPICS,
    "sentence_type": ("question", "statement"),
    "sentence_length": SENTENCE_LENGTHS,
    "pitch_contour": ("falling", "level", "rising"),
    "intensity_contour": ("softer", "steady", "louder"),
    "position": POSITIONS,
    "word_pitch": ("lower", "higher"),
    "word_intensity": ("softer", "louder"),
    "recording": ("first", "second"),
    "same_gender": ("same", "different"),
}

QUOTATION_MARKS = re.compile('["«»“”„]')
_QUOTED = re.compile(r'"([^"]*)"|«([^»]*)»|“([^”]*)”|„([^“”]*)[“”]')
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}«»„“”‘’…¿¡]+")

# A sign within a word or a number ("10:30") is none of a sentence.
_DOUBLE_SIGNS = re.compile(r"(?<=[^\s?!;:«(])[ \u00a0\u202f]?([?!;:]+)(?=[\s»”)\"]|$)")


def space_signs(text: str, language: str) -> str:
    """A sentence as its language sets it, whatever its corpus does: "Quoi?" is in French "Quoi ?",
    a plain space."""
    return _DOUBLE_SIGNS.sub(r" \1", text) if language == "fr" else text


def normalise(text: str) -> str:
    """One spelling for texts that read alike: composed letters, straight apostrophes, single
    spaces, no capitals."""
    return " ".join(unicodedata.normalize("NFC", text).replace("’", "'").casefold().split())


def simplify(text: str) -> str:
    """The words alone, normalised: no punctuation."""
    return " ".join(_PUNCTUATION.sub(" ", normalise(text)).split())


def remove_quotations(text: str) -> str:
    """What a text says itself: what it quotes is no claim about the utterance."""
    return _QUOTED.sub(" ", text)


def find_quotations(text: str) -> list[str]:
    """What a text quotes, in whichever marks; French ones keep a space to what is quoted."""
    return ["".join(found).strip() for found in _QUOTED.findall(text)]


@functools.cache
def write_phrase(key: str, label: str, language: str) -> str:
    """The label as it stands in a sentence: ("speaking_rate", "moderate speed", "en") is "at a
    moderate speed"."""
    if key == "accent" and label not in ACCENTS:
        return OTHER_ACCENT[language].format(QUOTATION_MARKS.sub("'", label))
    return re.sub(r"\[([^]|]*)[^]]*\]", r"\1", _entry(key, label, language))


def write_spoken_phrase(key: str, label: str, language: str) -> str:
    """The label as an instruction to a speaker has it: "with a female voice"."""
    spoken = f"spoken:{key}"
    return write_phrase(spoken if spoken in PHRASES[language] else key, label, language)


def name_label(key: str, label: str, language: str) -> str:
    """The bare label in a language, which `find_labels` finds: "moderate speed"."""
    return _names(_entry(key, label, language))[0]


def find_labels(text: str, language: str) -> list[tuple[str, str]]:
    """(key, canonical label) of each label in the text, in order; where several begin at a place,
    the longest wins."""
    pattern, meanings = _make_finder(language)
    return [
        meanings[match.group()] for match in pattern.finditer(remove_quotations(normalise(text)))
    ]


def remove_labels(text: str, language: str) -> str:
    """What a text says beside labels, normalised and without what it quotes."""
    return _make_finder(language)[0].sub(" ", remove_quotations(normalise(text)))


def say_yes_no(is_true: bool, language: str) -> str:
    """The word that answers a yes-or-no question."""
    yes, no = _rows(language, "yes_no")
    return yes if is_true else no


def read_yes_no(text: str, language: str) -> bool | None:
    """What a text that is one of these two words says; None of any other text."""
    words = simplify(text)
    return next(
        (is_true for is_true in (True, False) if words == normalise(say_yes_no(is_true, language))),
        None,
    )


def read_first_word(text: str, language: str) -> bool | None:
    """The verdict with which an answer begins."""
    return read_yes_no(" ".join(simplify(text).split()[:1]), language)


def _names(entry: str) -> list[str]:
    found = re.search(r"\[([^]]*)\]", entry)
    if found is None:
        raise ValueError(f"the label {entry!r} has no names in brackets; write them as [a|b]")
    return found[1].split("|")


@functools.cache
def _rows(language: str, key: str) -> tuple[str, ...]:
    if language not in PHRASES:
        raise ValueError(
            f"no labels in language {language!r}; the languages are {', '.join(PHRASES)}"
        )
    return tuple(entry.strip() for entry in PHRASES[language][key].split(";"))


def _entry(key: str, label: str, language: str) -> str:
    canonical = LABELS[key.removeprefix("spoken:")]
    if label not in canonical:
        raise ValueError(f"{key} has no label {label!r}; its labels are {', '.join(canonical)}")
    return _rows(language, key)[canonical.index(label)]


@functools.cache
def _make_finder(language: str) -> tuple[re.Pattern, dict[str, tuple[str, str]]]:
    meanings: dict[str, tuple[str, str]] = {}
    for key, canonical in LABELS.items():
        for label, entry in zip(canonical, _rows(language, key), strict=True):
            for name in _names(entry):
                if meanings.setdefault(normalise(name), (key, label)) != (key, label):
                    raise ValueError(
                        f"{name!r} is a label of two things in {language}; reword one in "
                        "label_tables.py"
                    )
    longest_first = sorted(meanings, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    return pattern, meanings
