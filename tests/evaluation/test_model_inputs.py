"""Items made ready: clips joined, cut, measured; what a model cannot take is skipped with the
reason."""

import numpy as np
import pytest
from tiny_corpus import make_noise

from sift_jax.audio.files import write_audio
from sift_jax.decoding.text_answers import make_prompt
from sift_jax.evaluation import model_inputs as asking
from sift_jax.evaluation.model_inputs import (
    CUT,
    JOIN,
    SET_ASIDE,
    ClipReader,
    is_cut,
    join_clips,
    make_questions,
)
from sift_jax.evaluation.predict import plan_questions
from sift_jax.evaluation.scores.schema import EvaluationError, Item
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question

# the encoder's window of the tiny model, in seconds
WINDOW = 2.0


@pytest.fixture(scope="module")
def model(trained_run):
    return Model.load(trained_run)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for seed, (name, seconds) in enumerate({"short": 0.4, "other": 0.5, "long": 2.4}.items()):
        write_audio(folder / f"{name}.wav", make_noise(seed, seconds))
    (folder / "broken.wav").write_bytes(b"RIFF")
    return {
        name: str(folder / f"{name}.wav")
        for name in ("short", "other", "long", "broken", "missing")
    }


def make_item(identity, *audio, text="Is it loud?", messages=None):
    return Item(
        id=identity,
        suite="mine",
        subset="all",
        language="en",
        references=("yes",),
        metrics=("exact_match",),
        messages=tuple(messages or make_question(text, list(audio))),
    )


def prepare(model, items, *, most_clips=0, long_audio=SET_ASIDE, max_new_tokens=8):
    reader = ClipReader(WINDOW, long_audio)
    return *make_questions(
        model, items, reader, most_clips=most_clips, max_new_tokens=max_new_tokens
    ), reader


def test_a_question_is_as_long_as_its_prompt(model, files):
    items = [
        make_item("a", files["short"]),
        make_item("b", files["short"], files["other"], text="Which one?"),
        make_item("c", text="Nothing to hear?"),
    ]
    questions, aside, reader = prepare(model, items)
    assert [question.item for question in questions] == items and aside == []
    for question in questions:
        assert question.length == len(make_prompt(model, list(question.messages), reader).tokens)
    assert len({question.draw for question in questions}) == 3


def test_clips_are_joined_by_a_second_of_silence_for_a_model_that_takes_one(model, files):
    questions, aside, reader = prepare(
        model, [make_item("a", files["short"], files["other"])], most_clips=1
    )
    (question,), (clip,) = questions, [reader(name) for name in questions[0].audio]
    short, other = reader(files["short"]), reader(files["other"])
    np.testing.assert_array_equal(
        clip, np.concatenate([short, np.zeros(16_000, np.float32), other])
    )
    assert aside == [] and question.item.audio == (files["short"], files["other"])
    assert [part.get("text") for part in question.messages[0]["content"]] == [None, "Is it loud?"]
    assert question.length == len(make_prompt(model, list(question.messages), reader).tokens)


def test_only_clips_of_one_turn_are_joined():
    turns = [
        *make_question("What?", ["a", "b"]),
        {"role": "assistant", "content": [{"text": "This."}]},
        *make_question("And now?", ["c"]),
    ]
    item = make_item("a", messages=turns)
    assert join_clips(item, 0) == join_clips(item, 3) == item.messages
    assert [
        p["audio_path"] for m in join_clips(item, 2) for p in m["content"] if "audio_path" in p
    ] == [
        f"a{JOIN}b",
        "c",
    ]
    assert join_clips(item, 1) is None


def test_what_the_model_cannot_take_is_set_aside_with_the_reason(model, files):
    turns = [*make_question("What?", [files["short"]]), *make_question("And?", [files["other"]])]
    items = [
        make_item("good", files["short"]),
        make_item("long", files["long"]),
        make_item("joined", files["short"], files["short"], files["other"]),
        make_item("broken", files["broken"]),
        make_item("missing", files["missing"]),
        make_item("turns", messages=turns),
        make_item("endless", files["short"], text="loud " * 40_000),
    ]
    questions, aside, _ = prepare(model, items, most_clips=1)
    assert [question.item.id for question in questions] == ["good"]
    reasons = {one.id: one.reason for one in aside}
    assert list(reasons) == ["long", "joined", "broken", "missing", "turns", "endless"]
    assert (
        "long.wav: 2.4 s is longer than the 2 s that the model hears; cut it, or set long_audio"
        in reasons["long"]
    )
    assert "short.wav and " in reasons["joined"] and "3.3 s is longer" in reasons["joined"]
    assert "broken.wav: " in reasons["broken"] and "no such audio file" in reasons["missing"]
    assert reasons["turns"] == "2 recordings in several turns; the model takes 1"
    assert "positions and an answer of 8 are more than the decoder's" in reasons["endless"]
    assert {one.subset for one in aside} == {"all"}


def test_long_audio_is_cut_where_that_is_asked(model, files):
    (question,), aside, reader = prepare(model, [make_item("long", files["long"])], long_audio=CUT)
    assert aside == [] and len(reader(question.audio[0])) == WINDOW * 16_000
    # and counted
    assert is_cut(question, reader) and reader.cut == {question.audio[0]}
    (short,), _, reader = prepare(model, [make_item("good", files["short"])], long_audio=CUT)
    assert not is_cut(short, reader) and not reader.cut
    with pytest.raises(
        EvaluationError, match="long_audio is 'shorten'; it is set_aside, cut or pause"
    ):
        ClipReader(WINDOW, "shorten")


def test_long_audio_is_cut_at_its_last_pause():
    pause = np.zeros(8000, np.float32)
    words = [make_noise(seed, 0.7).astype(np.float32) for seed in range(4)]
    clip = np.concatenate([part for word in words for part in (word, pause)])
    cut = asking.cut_at_pause(clip, 2 * 16_000)
    # two words and the pause between them; the third would be cut in two
    assert abs(len(cut) - (2 * 11_200 + 8000)) < 800
    assert len(asking.cut_at_pause(words[0], 16_000)) == len(words[0])
    assert len(asking.cut_at_pause(np.concatenate(words), 16_000)) == 16_000, "no pause to cut at"


def test_samples_are_kept_up_to_a_bound(files, monkeypatch):
    reader = ClipReader(WINDOW, SET_ASIDE)
    assert reader(files["short"]) is reader(files["short"])
    monkeypatch.setattr(asking, "KEPT_BYTES", reader(files["short"]).nbytes)
    first = reader(files["short"])
    assert reader.measure(files["other"]) == 8000 and reader(files["short"]) is first
    reader(files["other"])
    assert reader(files["short"]) is not first


def test_questions_about_one_recording_lie_together(model, files):
    names = ["short", "other"] * 20
    items = [
        make_item(str(i), files[name], text="Is it loud? " * (i % 3))
        for i, name in enumerate(names)
    ]
    questions, _, _ = prepare(model, items)
    windows = plan_questions(questions, 2)
    planned = [question.item.id for window in windows for batch in window for question in batch]
    assert sorted(planned) == sorted(item.id for item in items)
    assert [[len(batch) for batch in window] for window in windows] == [[2] * 8, [2] * 8, [2] * 4]
    audio = [question.audio for window in windows for batch in window for question in batch]
    assert audio[:16] == [audio[0]] * 16 and len(set(audio)) == 2
    lengths = [question.length for batch in windows[0] for question in batch]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
