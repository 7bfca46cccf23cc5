"""Each form, in each language: what passes, what fails, and what nearly passes."""

import pytest

from sift_jax.evaluation.scores.constraints import (
    BEGIN,
    COMMON_WORDS,
    END,
    KINDS,
    check_constraint,
    is_followed,
    unpack,
)

LANGUAGES = tuple(BEGIN)
# a whole sentence, without a comma, of five words
SENTENCES = {
    "en": "The voice is very loud",
    "de": "Die Stimme ist sehr laut",
    "fr": "La voix est très forte",
    "it": "La voce è molto forte",
    "es": "La voz es muy fuerte",
}
WORDS = {"en": "loud", "de": "laut", "fr": "forte", "it": "forte", "es": "fuerte"}


def list_cases(language):
    said, word = SENTENCES[language], WORDS[language]
    other = SENTENCES["fr" if language == "en" else "en"]
    begun, ended = f"{BEGIN[language]} {word}.", f"{word}. {END[language]}"
    return [
        # constraint, passes, fails, near miss
        ("upper", f"{said.upper()}.", said, f"{said.upper()} a."),
        ("lower", said.lower(), said.upper(), said),
        (
            "json",
            f'{{"answer": "{word}", "reason": "{said}"}}',
            said,
            f'{{"answer": "{word}", "reason": ""}}',
        ),
        ("bullets:2", f"- {word}\n- {said}", said, f"- {word}\n{said}"),
        ("words:5", f"{said}.", word, f"{said} {word}."),
        ("most_words:5", f"{said} –", f"{said} {said}", f"{said} {word}"),
        ("one_word", f"{word.capitalize()}.", said, f"{word} {word}"),
        ("no_comma", f"{said}.", f"{said}, {word}.", f"{word},"),
        ("begin", begun, said, f"{word}. {begun}"),
        ("end", ended, said, f"{ended} {word}"),
        (f"language:{language}", f"{said}.", f"{other}.", f"{other}: {word}."),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_forms_are_told_apart_in_every_language(language):
    cases = list_cases(language)
    assert {constraint.partition(":")[0] for constraint, *_ in cases} == set(KINDS)
    for constraint, passes, fails, near in cases:
        check_constraint(constraint)
        assert is_followed(constraint, language, passes) is True, (constraint, passes)
        assert is_followed(constraint, language, fails) is False, (constraint, fails)
        assert is_followed(constraint, language, near) is False, (constraint, near)
        assert is_followed(constraint, language, " \n") is False, constraint


def test_capitals_of_german_may_keep_their_sharp_s():
    assert is_followed("upper", "de", "SIE SPRICHT MIT GROßER STIMME.") is True
    assert is_followed("upper", "de", "12.") is False


def test_a_fenced_object_is_one_and_an_object_with_text_around_it_is_none():
    whole = '{"answer": "loud", "reason": "it is"}'
    assert is_followed("json", "en", f"```json\n{whole}\n```")
    assert is_followed("json", "en", f"Here: {whole}") is False
    assert is_followed("json", "en", '{"answer": "a", "reason": "b", "more": 1}') is False
    assert is_followed("json", "en", '["answer", "reason"]') is False


@pytest.mark.parametrize(
    "value, is_there",
    [("0", True), ("false", True), ("null", False), ('""', False), ("[]", False), ("{}", False)],
)
def test_nought_and_no_are_answers_within_an_object(value, is_there):
    text = f'{{"answer": {value}, "reason": "nobody speaks"}}'
    assert is_followed("json", "en", text) is is_there


def test_an_answer_too_short_for_a_language_has_no_verdict():
    assert is_followed("language:fr", "en", "Forte.") is None
    # "es" and "la" are Spanish and others' too
    assert is_followed("language:es", "en", "La.") is None
    assert is_followed("language:es", "en", "The voice is loud.") is False


def test_words_of_the_languages_are_each_written_once():
    for common in COMMON_WORDS.values():
        assert len(common.split()) == len(set(common.split()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_is_taken_off_before_the_answer_is_compared(language):
    word = WORDS[language]
    assert unpack("begin", language, f"{BEGIN[language]} {word}") == word
    assert unpack("end", language, f"{word} {END[language]}") == word
    assert unpack("json", language, f'{{"answer": "{word}", "reason": "x"}}') == word
    assert unpack("bullets:2", language, f"- {word}\n- {word}") == f"{word} {word}"
    assert unpack("words:1", language, word) == word


@pytest.mark.parametrize(
    "constraint, message",
    [
        ("rhyme", "no constraint is called 'rhyme'; there are begin, bullets"),
        ("words", "needs a number, as in words:3"),
        ("words:0", "needs a number"),
        ("language:xx", "the languages are en, de"),
        ("upper:3", "takes nothing behind a colon"),
    ],
)
def test_what_is_no_constraint_is_said(constraint, message):
    with pytest.raises(ValueError, match=message):
        check_constraint(constraint)
