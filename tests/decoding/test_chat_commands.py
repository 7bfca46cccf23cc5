"""A chat in a terminal: what its commands do, and that a mistake ends nothing."""

import pytest
from tiny_corpus import make_noise

import sift_jax
from sift_jax.audio.files import write_audio
from sift_jax.decoding.chat import list_commands, run_chat
from sift_jax.text.chat import make_question


@pytest.fixture(scope="module")
def model(trained_run):
    return sift_jax.load(trained_run)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    paths = [str(folder / f"{name}.wav") for name in ("short", "long")]
    for path, seconds in zip(paths, (0.6, 2.5), strict=True):
        write_audio(path, make_noise(0, seconds))
    return paths


def chat(model, *lines):
    """(conversation, answers, what was told) of a chat of these lines."""
    talk, answers, told = model.chat(max_new_tokens=4), [], []
    run_chat(
        talk, [f"{line}\n" for line in lines], lambda x: answers.append("".join(x)), told.append
    )
    return talk, answers, told


def test_it_says_what_is_wrong_and_goes_on(model, clips):
    lines = ["/audio", "/audio none.wav", f"/audio {clips[1]}", f"/audio {clips[0]}"]
    talk, answers, told = chat(model, "Is it loud?", "", *lines, "And this?")
    assert len(answers) == 2 and len(talk.messages) == 4
    assert talk.messages[2]["content"] == make_question("And this?", clips[:1])[0]["content"]
    assert told[1:] == [
        "error: /audio names no file; write /audio PATH",
        "error: none.wav: no such audio file; check the path or the audio root",
        (
            f"error: {clips[1]}: 2.5 s is longer than the 2 s that this model's encoder takes; "
            "cut the file into pieces"
        ),
    ]


def test_it_greets_and_lists_its_commands(model):
    _, answers, told = chat(model, "/help")
    assert answers == [] and told == [
        "Ask about recordings of up to 2 s: /audio PATH adds one; /help lists the commands, /quit "
        "or Ctrl-D ends.",
        list_commands(),
    ]
    assert list_commands().splitlines()[0] == "/audio PATH  adds a recording to the next question"


@pytest.mark.parametrize("word", ["/quit", "exit", "Quit"])
def test_a_word_ends_it(model, word):
    assert chat(model, word, "Is it loud?")[1] == []


def test_a_command_that_is_misspelt_is_no_question(model):
    _, answers, told = chat(model, "/adio x.wav", "/xyz")
    assert answers == [] and told[1:] == [
        "error: there is no command /adio; did you mean /audio?",
        "error: there is no command /xyz; /help lists them",
    ]


def test_reset_forgets_what_was_said_and_heard(model, clips):
    talk, answers, _ = chat(model, f"/audio {clips[0]}", "Is it loud?", "/reset", "Is it loud?")
    assert len(answers) == 2
    assert talk.messages[0]["content"] == make_question("Is it loud?", [])[0]["content"]
