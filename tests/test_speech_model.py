"""The Python interface: one answer for every way to give a recording, and errors that say which."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_corpus import make_noise

import sift_jax
from sift_jax.audio.files import read_audio, write_audio
from sift_jax.pretrained import Model

WARM = {"temperature": 0.9, "max_new_tokens": 12}


@pytest.fixture(scope="module")
def model(trained_run):
    return sift_jax.load(trained_run, rows=4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    paths = [str(folder / f"{name}.wav") for name in ("first", "second")]
    for seed, (path, seconds) in enumerate(zip(paths, (0.6, 1.1), strict=True)):
        write_audio(path, make_noise(seed, seconds))
    return paths


def test_importing_it_imports_no_framework():
    program = (
        "import sys, sift_jax\n"
        "found = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(found & {'jax', 'numpy', 'flax', 'tensorflow', 'gin'}), 'load' in dir(sift_jax))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[] True", done.stderr
    with pytest.raises(AttributeError, match="'sift_jax' has no attribute 'lode'"):
        sift_jax.lode  # noqa: B018


def test_what_it_exports_is_there():
    assert all(callable(getattr(sift_jax, name)) for name in sift_jax.__all__)


def test_every_form_of_a_recording_gives_one_answer(model, clips):
    samples, rate = soundfile.read(clips[0])
    whole, _ = soundfile.read(clips[0], dtype="int16")
    data = Path(clips[0]).read_bytes()
    forms = [
        (samples, rate),
        (whole, rate),
        (np.stack([samples, samples], axis=1), rate),
        {"array": samples, "sampling_rate": rate, "path": None},
        {"bytes": data, "path": "x.wav"},
        {"bytes": None, "path": clips[0]},
    ]
    answers = {model.ask(form, "Is it loud?", **WARM) for form in forms}
    assert answers == {model.ask(clips[0], "Is it loud?", **WARM)} != {""}


def test_many_questions_are_each_answered_as_alone(model, clips):
    questions = [
        (clips[0], "Is it loud?"),
        (clips, "Which is louder?"),
        (None, "What is this?"),
        (clips[1], "How fast is it?"),
        ([clips[1], clips[0]], "Which is louder?"),
    ]
    alone = [model.ask(audio, text, max_new_tokens=6) for audio, text in questions]
    assert model.ask_many(iter(questions), max_new_tokens=6) == alone
    assert model.ask_many([]) == []


def test_draws_depend_on_the_seed_and_on_the_number_of_the_question(model, clips):
    questions = [(clips[0], "Is it loud?")] * 3
    first = model.ask_many(questions, seed=1, **WARM)
    assert first == model.ask_many(questions, seed=1, **WARM)
    assert first[0] == model.ask(*questions[0], seed=1, **WARM)
    assert len(set(first)) == 3 and first != model.ask_many(questions, seed=2, **WARM)


def test_pieces_of_a_stream_join_to_the_answer(model, clips):
    """Also where a letter is of several tokens: joined, halves of one would not be the letter."""
    options = {"temperature": 3.0, "top_p": 1.0, "max_new_tokens": 40}
    answers, counts = [], []
    for seed in range(8):
        pieces = list(model.stream(clips[0], "Is it loud?", seed=seed, **options))
        answers.append(model.ask(clips[0], "Is it loud?", seed=seed, **options))
        assert "".join(pieces) == answers[-1]
        counts.append(len(pieces))
    assert max(counts) > 10
    assert any(ord(letter) > 127 and letter != "\ufffd" for letter in "".join(answers))


def test_a_chat_answers_the_first_question_as_ask_does(model, clips):
    talk = model.chat(max_new_tokens=6)
    talk.hear((read_audio(clips[0]), 16_000))
    first = "".join(talk.stream("Is it loud?"))
    assert first == model.ask(clips[0], "Is it loud?", max_new_tokens=6)
    talk.hear(clips[1])
    talk.ask("And this?")
    assert len(talk.messages) == 4
    talk.reset()
    talk.hear(clips[0])
    assert talk.ask("Is it loud?") == first and len(talk.messages) == 2


def test_a_stream_that_is_left_leaves_no_trace(model, clips):
    talk = model.chat(max_new_tokens=20, temperature=2.0)
    talk.hear(clips[0])
    next(talk.stream("Is it loud?"))
    assert talk.messages == []


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ("nowhere.wav", "nowhere.wav: no such audio file"),
        (np.zeros(8_000), r"recording 1: samples without their rate; give both"),
        ((np.zeros(8_000), None), "recording 1: None is not a rate; give whole samples a second"),
        ((16_000, np.zeros(8_000)), "recording 1: the rate comes second"),
        ((np.zeros(8_000), 1), "recording 1: rate 1 Hz is outside 4000–192000"),
        ((np.zeros((2, 8_000)), 16_000), "have 8000 channels; channels come last"),
        ((np.zeros((2, 8, 3)), 16_000), r"samples of shape \(2, 8, 3\); give one channel"),
        ((np.zeros(0), 16_000), r"samples of shape \(0,\)"),
        ((np.zeros(8_000, int), 16_000), "samples of int64; give floats in −1 … 1, or int16"),
        ((np.full(8_000, np.nan), 16_000), "recording 1: samples contain NaN"),
        ((np.full(8_000, 3e4), 16_000), "recording 1: samples far beyond full scale"),
        (({"array": np.zeros(8_000)}), 'recording 1: its "array" has no "sampling_rate"'),
        ({"text": "x"}, r"recording 1: a dictionary with \['text'\]; a recording is a path"),
        ({"bytes": b"no audio"}, "recording 1: cannot be decoded"),
        (7, "recording 1: int is not a recording; a recording is a path"),
        ((np.zeros(48_000), 16_000), "recording 1: 3.0 s is longer than the 2 s"),
    ],
)
def test_what_is_no_recording_is_an_error_that_says_what_is_one(model, audio, message):
    with pytest.raises(ValueError, match=message):
        model.ask(audio, "Is it loud?")


def test_an_error_among_many_names_the_question(model, clips):
    with pytest.raises(ValueError, match="question 2 of many: nowhere.wav: no such audio file"):
        model.ask_many([(clips[0], "Is it loud?"), ("nowhere.wav", "And this?")])
    with pytest.raises(ValueError, match=r"question 1 of many is not a pair \(audio, question\)"):
        model.ask_many(["Is it loud?"])
    with pytest.raises(ValueError, match="no question to answer: ''"):
        model.ask(clips[0], "")


def test_a_folder_that_holds_no_model_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder; give a run's, or an export's"):
        sift_jax.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is neither a run"):
        sift_jax.load(tmp_path)
    with pytest.raises(ValueError, match="rows=0 is too few"):
        sift_jax.load(tmp_path, rows=0)


def test_a_model_of_text_does_not_speak(model):
    assert not model.can_speak
    with pytest.raises(ValueError, match="answers in text alone"):
        model.speak("It is loud.")


def test_it_speaks_samples_at_a_rate(speaking_run, tmp_path):
    model = sift_jax.load(speaking_run)
    assert model.can_speak and model.parts.step == Model.load(speaking_run).step
    speech = model.speak("It is loud.", style="softly", seed=3)
    samples, rate = speech
    assert samples.ndim == 1 and len(samples) and rate == speech.rate
    assert speech.instruction == "Say this softly: It is loud."
    speech.save(tmp_path / "x.wav")
    assert np.isclose(len(read_audio(tmp_path / "x.wav", rate=rate)), len(samples))
    first, second = model.speak_many("It is loud.", samples=2, style="softly", seed=3)
    assert np.array_equal(first.samples, samples)
    assert len(second.samples) != len(samples) or (second.samples != samples).any()
    with pytest.warns(UserWarning, match="'happily ever after' is none of the phrases"):
        model.speak("It is loud.", style="happily ever after")
    answer = model.speak(audio=(make_noise(0, 0.7), 16_000), max_seconds=1.0)
    assert len(answer.samples) and answer.instruction is None
    with pytest.raises(ValueError, match="a style is for a text to be said"):
        model.speak(audio=(make_noise(0, 0.7), 16_000), style="softly")
