"""Instructions as training words them; styles that say what they ask for, and those that cannot be
obeyed."""

import json
from pathlib import Path

import pytest

import data_prep.instructions
from sift_jax.sift.labels import LABELS, LANGUAGES
from sift_jax.sift.speaking_styles import (
    KEYS,
    check_text,
    read_style,
    write_instruction,
    write_wish,
)

TEMPLATES = Path(data_prep.instructions.__file__).parent / "templates"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wording_is_that_of_the_rows(language):
    texts = json.loads((TEMPLATES / f"{language}.json").read_text())["controllable_generation"]
    said = write_instruction("{text}", ["{style}"], language)
    assert said in texts["questions"]
    assert write_instruction("x", ["a", "b", "c"], language) == said.format(
        style=f"a, b{texts['and']}c", text="x"
    )
    accent = write_wish("accent", "German", language)
    assert accent.startswith(texts["requests"]["accent"].split("{")[0])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "key", ["speaking_rate", "average_intensity", "pitch_variation", "average_pitch", "gender"]
)
def test_every_label_is_read_as_it_is_written(language, key):
    for label in LABELS[key]:
        (wish,) = read_style(write_wish(key, label, language), language)
        assert (wish.key, wish.label) == (key, label)


def test_a_style_in_ones_own_words():
    found = {
        wish.key: wish.label for wish in read_style("slowly, with a very low voice, softly", "en")
    }
    assert found == {
        "speaking_rate": "quite slowly",
        "average_pitch": "very low pitch",
        "average_intensity": "softly",
    }
    order = [wish.key for wish in read_style("with a female voice and loudly and very fast", "en")]
    assert (
        order == sorted(order, key=KEYS.index) == ["speaking_rate", "average_intensity", "gender"]
    )
    (wish,) = read_style("like a pirate", "en")
    assert (wish.phrase, wish.key) == ("like a pirate", None)
    assert read_style("", "en") == [] and write_instruction("Hi.", [], "en") == "Say this: Hi."
    assert len(read_style("softly, softly", "en")) == 1


@pytest.mark.parametrize(
    ("style", "language"),
    [
        ("ad alta voce", "it"),
        ("forte", "it"),
        ("en voz alta", "es"),
        ("fort", "fr"),
        ("d'une voix forte", "fr"),
        ("laut", "de"),
    ],
)
def test_a_style_may_say_loudly_in_older_words(style, language):
    (wish,) = read_style(style, language)
    assert (wish.key, wish.label) == ("average_intensity", "loudly")


@pytest.mark.parametrize(
    "style", ["very slowly and very fast", "softly, loudly", "very slowly, quite slowly"]
)
def test_a_style_that_contradicts_itself(style):
    with pytest.raises(
        ValueError, match="contradicts itself: .* are both .*; leave one of them out"
    ):
        read_style(style, "en")


def test_two_wishes_in_a_phrase():
    with pytest.raises(ValueError, match="at once; part them by a comma"):
        read_style("very slowly very fast", "en")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no text to say"),
        (" …?! ", "no text to say"),
        ("Привет", "of a script that no training text has"),
        ("a" * 30_000, "30000 characters is far more than a sentence"),
    ],
)
def test_texts_that_cannot_be_said(text, message):
    with pytest.raises(ValueError, match=message):
        check_text(text)


def test_a_language_that_has_no_wording():
    with pytest.raises(
        ValueError, match="no wording in language 'nl'; the languages are en, de, fr, it, es"
    ):
        read_style("softly", "nl")
