"""Instructions of stage 1's tasks: templates that are whole in every language, and rows that say
what is known."""

import re
import string
from collections import Counter

import pytest

from data_prep.corpora.recording import Recording
from data_prep.tasks.example import Example
from data_prep.tasks.example_to_row import load_templates, make_row
from data_prep.tasks.registry import TASKS
from data_prep.tasks.wordings import make_templates
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.labels import LANGUAGES
from sift_jax.sift.rows import TASK_CATEGORIES, audio_ids, parse_row

# Slots that each instruction must have, and those that it may have.
MUST = {"emotion": {"labels"}, "intent": {"options"}, "tts": {"text"}}
MAY = {"translation": {"from", "into", "in"}, "speech_to_speech": {"from", "into", "in"}}


def make_recording(identity="u1", language="de", transcript="Es regnet."):
    return Recording(id=identity, language=language, audio="/a.wav", transcript=transcript)


def make_text_row(example, task, **options):
    row = parse_row(make_row(example, task, source="mine", **{"seed": 0, **options}))
    asked, answered = (
        "".join(part.get("text", "") for part in message["content"]) for message in row["messages"]
    )
    return row, asked, answered


def test_there_are_words_for_every_task():
    assert {f"pretraining/{task}" for task in TASKS} == set(TASK_CATEGORIES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_templates_are_whole(language):
    templates, english = load_templates(language), load_templates("en")
    assert set(templates) == set(english)
    for task in TASKS:
        texts = templates[task]
        assert len(texts) == len(set(texts)) == len(english[task]) >= 6
        for text in texts:
            slots = {name for _, name, _, _ in string.Formatter().parse(text) if name}
            assert MUST.get(task, set()) <= slots <= MUST.get(task, set()) | MAY.get(task, set()), (
                text
            )
            assert text[0].isupper() or text[0] in "¿¡" and text[1].isupper()
            if task in MAY:
                assert slots & {"into", "in"}, text
    for name in ("from", "into", "in"):
        assert set(templates[name]) == set(LANGUAGES) and len(set(templates[name].values())) == len(
            LANGUAGES
        )
    assert (
        set(templates["emotions"]) == set(english["emotions"])
        and len(set(templates["emotions"].values())) == 8
    )
    limited = make_templates(1, {})[language]
    assert len(limited["asr"]) == 1 and len(limited["emotions"]) == 8


def test_translation_is_asked_in_either_language_and_names_the_one_translated_into():
    questions = Counter()
    for number in range(60):
        example = Example(
            recording=make_recording(f"u{number}"), target="en", translation="It rains."
        )
        row, asked, answered = make_text_row(example, "translation")
        assert (
            answered == "It rains."
            and audio_ids(row) == [f"u{number}"]
            and row["data_source"] == "mine_de"
        )
        assert "English" in asked or "Englisch" in asked
        questions["English" in asked and "Englische" not in asked] += 1
    assert min(questions.values()) > 15


def test_intents_are_multiple_choices_with_the_right_one_anywhere():
    places = Counter()
    for number in range(60):
        example = Example(
            recording=make_recording(f"u{number}", "en"),
            intent="play music",
            others=("set alarm", "tell joke", "query weather"),
        )
        _, asked, answered = make_text_row(example, "intent")
        options = re.findall(r"^[A-D]\. (.+)$", asked, re.M)
        assert sorted(options) == ["play music", "query weather", "set alarm", "tell joke"]
        assert re.fullmatch(r"[A-D]\. play music", answered) and answered in asked.split("\n")
        places[answered[0]] += 1
    assert set(places) == set("ABCD")


def test_what_the_other_tasks_say():
    recording = make_recording()
    turns = (("ben", "Hi."), ("anna", "Oh."), ("ben", "Yes."))
    assert make_text_row(Example(recording=recording, turns=turns), "speaker_asr")[2] == (
        "Sprecher 1: Hi.\nSprecher 2: Oh.\nSprecher 1: Yes."
    )
    entities = (("time", "nine"), ("date", "friday"))
    assert (
        make_text_row(Example(recording=recording, entities=entities), "slots")[2]
        == "time: nine\ndate: friday"
    )
    assert make_text_row(Example(recording=recording), "slots")[2] == "keine"
    row, asked, answered = make_text_row(Example(recording=recording, emotion="sad"), "emotion")
    assert answered == "traurig" and all(
        word in asked for word in load_templates("de")["emotions"].values()
    )
    assert make_text_row(Example(recording=recording), "asr")[2] == "Es regnet."


def test_speech_is_an_answer():
    row, asked, answered = make_text_row(
        Example(recording=make_recording(transcript="Ein {text}.")), "tts"
    )
    assert asked.endswith(": Ein {text}.") and not answered
    assert (
        row["messages"][1]["content"] == [{"audio_path": "/path/to/u1.wav"}]
        and len(audio_ids(row)) == 1
    )
    example = Example(recording=make_recording(), target="en", speech=make_recording("v1", "en"))
    row, asked, answered = make_text_row(example, "speech_to_speech")
    # an id of its own, so that the record of the utterance does not hold what only this row needs
    assert audio_ids(row) == ["u1", "v1"] and row["id"] == "translation_u1__v1" and not answered


def test_rows_follow_from_their_id_and_the_seed():
    examples = [Example(recording=make_recording(f"u{number}")) for number in range(30)]
    first, again, other = (
        [make_row(example, "asr", source="mine", seed=seed) for example in examples]
        for seed in (0, 0, 1)
    )
    assert first == again != other
    templates = make_templates(1, {})
    asked = {make_text_row(example, "asr", templates=templates)[1] for example in examples}
    assert asked == {"Schreib auf, was gesagt wird."}


@pytest.mark.parametrize(
    "task, labels, reason",
    [
        ("asr", {}, "no transcript"),
        ("translation", {"target": "en"}, "no translation"),
        ("emotion", {"emotion": "bored"}, "unknown emotion"),
        ("speaker_asr", {}, "no turns"),
        ("intent", {"intent": "play"}, "no other intents"),
        ("speech_to_speech", {"target": "en"}, "no spoken translat"),
    ],
)
def test_an_example_that_lacks_its_label_is_set_aside(task, labels, reason):
    with pytest.raises(BadItem, match=reason):
        make_row(
            Example(recording=make_recording(transcript=""), **labels), task, source="mine", seed=0
        )
