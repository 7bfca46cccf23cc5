"""The sentences that the embedded corpus speaks.

    data_prep/embedded/sentences/en.tsv      topic <TAB> sentence
                                                     weather     Rain falls softly.
                                                     weather     Is it raining?

The corpus trusts these files blindly: digits and foreign letters would reach the synthesizer's
guesswork, a sentence that stands twice could be spoken in training and in evaluation.
"""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

SENTENCES = Path(__file__).parents[3] / "data_prep" / "embedded" / "sentences"
TOPICS = {"weather", "food", "travel", "work", "family", "music", "nature", "health"}
LATIN = "abcdefghijklmnopqrstuvwxyz"
ALPHABETS = {
    "en": LATIN,
    "de": LATIN + "äöüß",
    "fr": LATIN + "àâæçèéêëîïôœùûüÿ",
    "it": "abcdefghilmnopqrstuvz" + "àèéìòù",  # j, k, w, x, y stand in loan words only
    "es": LATIN + "áéíóúüñ",
}
MARKS = {"en": " .,?'", "de": " .,?", "fr": " .,?'-", "it": " .,?'", "es": " .,?¿"}


def read_rows(language: str) -> list[list[str]]:
    text = (SENTENCES / f"{language}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    return [line.split("\t") for line in text[:-1].split("\n")]


def read_sentences(language: str) -> list[str]:
    return [sentence for _, sentence in read_rows(language)[1:]]


def word_key(sentence: str) -> str:
    """What is spoken: two sentences that differ in case or punctuation alone are one."""
    return " ".join("".join(c if c.isalpha() else " " for c in sentence.lower()).split())


def test_every_language_has_one_file() -> None:
    assert {path.stem for path in SENTENCES.glob("*.tsv")} == set(ALPHABETS)


@pytest.mark.parametrize("language", ALPHABETS)
def test_rows_are_topic_tab_sentence(language: str) -> None:
    rows = read_rows(language)
    assert rows[0] == ["topic", "sentence"]
    assert [row for row in rows if len(row) != 2] == []
    assert len(rows) - 1 >= 150


@pytest.mark.parametrize("language", ALPHABETS)
def test_topics_are_all_there_and_even(language: str) -> None:
    counts = Counter(topic for topic, _ in read_rows(language)[1:])
    assert set(counts) == TOPICS
    assert min(counts.values()) >= 15


@pytest.mark.parametrize("language", ALPHABETS)
def test_no_sentence_stands_twice(language: str) -> None:
    counts = Counter(word_key(sentence) for sentence in read_sentences(language))
    assert [key for key, n in counts.items() if n > 1] == []


@pytest.mark.parametrize("language", ALPHABETS)
def test_lengths_vary_within_three_and_twelve_words(language: str) -> None:
    sentences = read_sentences(language)
    lengths = [len(sentence.split(" ")) for sentence in sentences]
    assert [s for s, n in zip(sentences, lengths, strict=True) if not 3 <= n <= 12] == []
    # The corpus asks whether a sentence is short, medium or long: no answer may be rare.
    assert 0.25 <= sum(n <= 4 for n in lengths) / len(lengths) <= 0.45
    assert 0.15 <= sum(n >= 9 for n in lengths) / len(lengths) <= 0.35


@pytest.mark.parametrize("language", ALPHABETS)
def test_questions_are_a_sixth_and_not_told_by_length(language: str) -> None:
    sentences = read_sentences(language)
    for chosen in (
        sentences,
        [s for s in sentences if len(s.split()) <= 4],
        [s for s in sentences if len(s.split()) >= 9],
    ):
        assert 0.10 <= sum(s.endswith("?") for s in chosen) / len(chosen) <= 0.30
    assert 0.10 <= sum(s.endswith("?") for s in sentences) / len(sentences) <= 0.25


@pytest.mark.parametrize("language", ALPHABETS)
def test_letters_are_those_of_the_language(language: str) -> None:
    allowed = set(ALPHABETS[language]) | set(MARKS[language])
    strange = {c: s for s in read_sentences(language) for c in s.lower() if c not in allowed}
    assert strange == {}


@pytest.mark.parametrize("language", ALPHABETS)
def test_text_is_normal_and_punctuated(language: str) -> None:
    for sentence in read_sentences(language):
        assert unicodedata.normalize("NFC", sentence) == sentence
        assert not any(c.isdigit() for c in sentence), sentence
        assert sentence == " ".join(sentence.split()), sentence
        assert sentence.lstrip("¿")[0].isupper(), sentence
        # One sentence a line: it ends with its only full stop or question mark.
        assert sentence[-1] in ".?" and not set(sentence[:-1]) & set(".?"), sentence
        assert (sentence[0] == "¿") == (language == "es" and sentence[-1] == "?"), sentence
        assert "¿" not in sentence[1:], sentence


def test_no_sentence_is_shared_by_two_languages() -> None:
    counts = Counter(
        key for language in ALPHABETS for key in {word_key(s) for s in read_sentences(language)}
    )
    assert [key for key, n in counts.items() if n > 1] == []
