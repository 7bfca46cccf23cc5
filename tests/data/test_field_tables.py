"""Tables of free fields: the built-in one is whole in five languages, and what is wrong with
another is said."""

import copy
import itertools
import json
import re

import pytest

from sift_jax.sift.fields import (
    DIRECT,
    OPEN,
    FieldError,
    find_field,
    find_style,
    find_styles,
    load_fields,
    parse_field,
    read_fields,
    write_fields,
)
from sift_jax.sift.labels import LANGUAGES, find_labels, normalise
from sift_jax.sift.speaking_styles import read_style, write_instruction

ROLE = {
    "columns": ["role", "part"],
    "classes": {"narrator": ["narr", "N"], "character": ["dialogue"]},
    "languages": {
        "en": {
            "forms": {
                "narrator": {"label": "a [narrator|storyteller]"},
                "character": {"label": "a [character]"},
            },
            "questions": ["Who is speaking here?"],
            "answers": ["This is {label}."],
            "answers_female": ["She is {label}."],
            "verify": {
                "questions": ["Is this {label}?"],
                "yes": ["Yes, this is {label}."],
                "no": ["No, it is {label}."],
            },
        }
    },
}
(EMOTION,) = load_fields()


def list_texts(node):
    if isinstance(node, str):
        return [node]
    return [
        text
        for item in (node.values() if isinstance(node, dict) else node)
        for text in list_texts(item)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_emotion_is_built_in_and_whole(language):
    wording = EMOTION.languages[language]
    assert set(EMOTION.languages) == set(LANGUAGES) and EMOTION.is_style
    assert len(wording["questions"]) == 6 and all(
        len(set(texts)) == len(texts)
        for texts in (
            wording["questions"],
            wording["verify"]["questions"],
            wording["open"]["questions"],
        )
    )
    spoken = {EMOTION.write_form(label, "spoken", language) for label in EMOTION.classes}
    assert len(spoken) == len(EMOTION.classes)
    # Every answer names its class, no other, and no label of another key.
    for label, other in itertools.product(EMOTION.classes, repeat=2):
        slots = EMOTION.list_slots(label, language) | EMOTION.list_slots(
            other, language, prefix="other_"
        )
        answers = [
            *wording["answers"],
            *wording["open"]["answers"],
            *wording["verify"]["yes"],
            *wording["same"]["same"],
        ]
        for text in answers:
            said = text.format(**slots)
            assert (
                EMOTION.find_named(said, language) == [label] and find_labels(said, language) == []
            ), said
            assert not re.search(r"[{}\[\]|]|  ", said)
        for text in wording["same"]["different"]:
            named = EMOTION.find_named(text.format(**slots), language)
            assert named == list(dict.fromkeys((label, other))), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_say_how_a_voice_sounds_and_not_what_somebody_feels(language):
    """An acted anger is no anger: "the person is {label}" would be untrue of most of them."""
    felt = re.compile(
        r"\b(is|feels|are|ist|fühlt sich|est|ressent|soit|è|sia|prova|está|es|siente)\b"
        r"( (really|wirklich|vraiment|davvero))? \{"
    )
    assert not [text for text in list_texts(EMOTION.languages[language]) if felt.search(text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_tell_their_field_also_behind_an_opening(language):
    wording = EMOTION.languages[language]
    for kind, texts in ((DIRECT, wording["questions"]), (OPEN, wording["open"]["questions"])):
        for text in texts:
            assert find_field([EMOTION], f"… {text}", language) == (EMOTION, kind)
    for text in (*wording["verify"]["questions"], *wording["which"], *wording["same"]["questions"]):
        slots = EMOTION.list_slots("angry", language)
        assert find_field([EMOTION], text.format(**slots), language) is None


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("ang", "angry"),
        ("Angry", "angry"),
        ("ANGER", "angry"),
        ("Wut", "angry"),
        ("pleasant_surprise", "surprised"),
        ("afraid", "fearful"),
        ("contempt", "contemptuous"),
        (" neutral-state ", "neutral"),
        ("exc", "excited"),
        ("A", None),
        ("F", None),
        ("puzzled", None),
        ("no agreement", None),
        ("", None),
        ("not angry", None),
    ],
)
def test_a_value_is_a_spelling_or_nothing(value, label):
    """Letters are another emotion in each corpus that has them (F: fear, Freude), so none is in the
    table."""
    assert EMOTION.find_class(value) == label


def test_near_classes():
    assert EMOTION.is_near("happy", "excited") and EMOTION.is_near("sad", "sad")
    assert not EMOTION.is_near("happy", "angry")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_style_is_read_as_it_is_written(language):
    for label in EMOTION.classes:
        phrase = EMOTION.write_form(label, "spoken", language)
        assert find_style([EMOTION], phrase.upper(), language) == (EMOTION, label)
        (wish,) = read_style(phrase, language)
        assert (wish.phrase, wish.key, wish.label) == (phrase, "emotion", label)
        instruction = write_instruction("", [phrase, "…"], language)
        assert find_styles([EMOTION], instruction, language) == {"emotion": label}
    assert find_styles([EMOTION], "…", language) == {}


def test_styles_of_two_emotions_contradict_each_other():
    with pytest.raises(
        ValueError, match="contradicts itself: 'angrily' and 'sadly' are both emotion"
    ):
        read_style("angrily, sadly", "en")
    assert find_styles([EMOTION], "Say this angrily and sadly:", "en") == {}
    found = [(wish.key, wish.label) for wish in read_style("angrily and very slowly", "en")]
    assert found == [("speaking_rate", "very slowly"), ("emotion", "angry")]


def test_a_table_of_ones_own_comes_beside_and_before_the_built_in_ones(tmp_path):
    path = tmp_path / "role.json"
    path.write_text(json.dumps({"role": ROLE}))
    emotion, role = load_fields(path)
    assert (emotion.name, role.name, role.title) == ("emotion", "role", "Role")
    assert role.find_class("NARR") == "narrator" and role.columns == ("role", "part")
    assert role.list_names("en") == {
        "narrator": "narrator",
        "storyteller": "narrator",
        "character": "character",
    }
    assert (
        role.write_form("narrator", "label", "en") == "a narrator" and role.list_names("de") == {}
    )
    path.write_text(json.dumps({"emotion": {**ROLE, "columns": ["emotion"]}}))
    (own,) = load_fields(path)
    assert list(own.classes) == ["narrator", "character"]
    # What a build writes down is read again.
    write_fields(tmp_path / "fields.json", [EMOTION, role])
    assert read_fields(tmp_path / "fields.json") == (EMOTION, role)
    assert len(EMOTION.limit(2).languages["de"]["verify"]["questions"]) == 2
    assert EMOTION.limit(2).languages["de"]["forms"] == EMOTION.languages["de"]["forms"]


def change(**changes):
    table = copy.deepcopy(ROLE)
    for place, value in changes.items():
        *keys, last = place.split("__")
        node = table
        for key in keys:
            node = node[key]
        node[last] = value
    return table


ENGLISH = "languages__en"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (change(colour="red"), "has colour; it takes classes"),
        (change(classes={"narrator": []}), "classes are {class: .*two or more"),
        (change(classes__character=["narr"]), "'narr' is narrator and character; leave it to one"),
        (change(near=[["narrator", "author"]]), "near names what is not a class"),
        (change(is_style=True), "each class has the same forms, label and spoken among them"),
        (change(is_balanced="yes"), "are true or false"),
        (change(least_confidence=80), "least_confidence is 0 to 1"),
        (change(languages={"pt": {}}), "languages are"),
        (
            change(**{f"{ENGLISH}__forms": {"narrator": {"label": "x"}}}),
            "forms has one entry for each of narrator, char",
        ),
        (
            change(**{f"{ENGLISH}__forms__character": {"label": "a [narrator]"}}),
            "'narrator' stands for narrator and for",
        ),
        (
            change(**{f"{ENGLISH}__forms__character": {"label": "a [woman]"}}),
            "'a .woman.' holds words of gender; reword",
        ),
        (
            change(**{f"{ENGLISH}__answers": ["This is {who}."]}),
            "has the slots who; it takes label",
        ),
        (change(**{f"{ENGLISH}__answers": ["This is it."]}), "has no slot; it takes label"),
        (change(**{f"{ENGLISH}__answers": ["This is {label."]}), "fix its braces"),
        (change(**{f"{ENGLISH}__answers": "This is {label}."}), "is not a list of texts"),
        (
            change(**{f"{ENGLISH}__questions": ["Is it {label}?"]}),
            "has the slots label; it takes none",
        ),
        (change(**{f"{ENGLISH}__verify__yes": ["It is {label}."]}), "does not begin with yes"),
        (
            change(**{f"{ENGLISH}__verify": {"questions": ["Is it {label}?"]}}),
            "verify.yes is missing",
        ),
        (change(**{f"{ENGLISH}__greeting": ["Hello."]}), "has greeting; it takes answers"),
        ("role", "is not an object"),
    ],
)
def test_a_fault_is_named_with_its_place(table, fault):
    with pytest.raises(FieldError, match=rf"^mine.json: role.*{fault}"):
        parse_field("role", table, "mine.json: role")


@pytest.mark.parametrize("name", ["gender", "Role", "", "speaking_rate"])
def test_a_name_that_is_taken_or_is_none(name):
    with pytest.raises(FieldError, match="is not a name for a field"):
        parse_field(name, ROLE, "mine.json")


def test_files_that_are_no_tables(tmp_path):
    path = tmp_path / "mine.json"
    for text, fault in (("{", "not JSON"), ("[]", "holds no tables"), ("{}", "holds no tables")):
        path.write_text(text)
        with pytest.raises(FieldError, match=fault):
            load_fields(path)
    with pytest.raises(FieldError, match="cannot be read"):
        load_fields(tmp_path / "none.json")
    path.write_text(json.dumps({"role": change(columns=["emotion"])}))
    with pytest.raises(FieldError, match="the column 'emotion' is of emotion and of role"):
        load_fields(path)


def test_texts_are_of_one_spelling():
    for language, wording in EMOTION.languages.items():
        for text in list_texts({key: value for key, value in wording.items() if key != "forms"}):
            assert text == " ".join(text.split()) and normalise(text)
            assert (" ?" in text or "?" not in text) if language == "fr" else " ?" not in text, text
            assert (
                text.startswith("¿") or "¿" in text or "?" not in text
                if language == "es"
                else "¿" not in text
            )
