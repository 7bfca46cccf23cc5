"""Turns of a chat: what the model is given is what training would give it, and mistakes end
nothing."""

import io
import sys

import numpy as np
import pytest
from tiny_corpus import make_noise

from sift_jax.audio.files import write_audio
from sift_jax.decoding.conversation import Conversation, read_clip
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question, render_chat

DECODING = DecodingConfig(
    max_new_tokens=4, temperature=0.0, top_p=1.0, repetition_penalty=1.0, no_repeat_ngram=0, beams=1
)


@pytest.fixture(scope="module")
def model(trained_run):
    return Model.load(trained_run)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    paths = [str(folder / f"{name}.wav") for name in ("first", "second", "long")]
    for seed, (path, seconds) in enumerate(zip(paths, (0.6, 1.1, 2.5), strict=True)):
        write_audio(path, make_noise(seed, seconds))
    return paths


def test_a_later_turn_carries_the_history_by_the_template_of_training(model, clips):
    talk = Conversation(model, DECODING)
    talk.hear(clips[0])
    first = talk.ask("Is it loud?")
    talk.hear(clips[1])
    second = talk.ask("And this?")
    history = [
        *make_question("Is it loud?", clips[:1]),
        {"role": "assistant", "content": [{"text": first}]},
        *make_question("And this?", clips[1:2]),
    ]
    prompt = make_prompt(model, history, lambda path: read_clip(path, 2.0))
    assert TextGenerator(model, rows=1).answer([prompt], DECODING) == [second]
    assert talk.messages == [*history, {"role": "assistant", "content": [{"text": second}]}]
    rendered = render_chat(talk.messages, model.tokenizer)
    assert rendered.audio == clips[:2]
    marker = prompt.tokens[prompt.clip >= 0][0]
    text = [
        token
        for token in render_chat(history, model.tokenizer, has_reply=False).tokens
        if token != marker
    ]
    assert prompt.tokens[prompt.clip < 0].tolist() == text


def test_a_question_that_fails_leaves_no_trace(model, clips):
    talk = Conversation(model, DecodingConfig(**{**vars(DECODING), "max_new_tokens": 40_000}))
    talk.hear(clips[0])
    message = r"with an answer of up to 40000 are more than the decoder's \d+; ask less at once"
    with pytest.raises(ValueError, match=message):
        talk.ask("Is it loud?")
    assert talk.messages == []


def test_the_command_chats_until_the_input_ends(monkeypatch, capsys, trained_run, clips):
    from sift_jax.ask import main

    said = []

    def run(lines, *words):
        monkeypatch.setattr(
            sys, "argv", ["ask", f"--checkpoint={trained_run}", "--max_new_tokens=4", *words]
        )
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        main()
        captured = capsys.readouterr()
        said.append(captured.err)
        return captured.out.splitlines()

    audio = f"--audio={clips[0]}"
    alone = run("", audio, "Is it loud?")
    assert len(alone) == 1
    chat = run(f"Is it loud?\n/audio {clips[1]}\nAnd this?\n", "--chat", audio)
    assert chat[0] == alone[0] and len(chat) == 2
    assert run(f"/audio {clips[1]}\nAnd this?\n", "--chat", audio, "Is it loud?") == chat
    assert run("", "--chat") == []
    assert "no recording was given" not in "".join(said)
    assert said[-1].splitlines()[-1].startswith("Ask about recordings of up to 2 s: /audio PATH")
    assert len(run("", "Is it loud?")) == 1
    note = "note: no recording was given, so nothing was heard; give one with --audio=FILE"
    assert note in said[-1].splitlines()


def test_a_clip_is_read_whole(clips):
    assert np.isclose(len(read_clip(clips[0], 2.0)), 0.6 * 16_000)
