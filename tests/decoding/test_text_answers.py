"""From a question to an answer, out of a run's folder."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_corpus import make_noise

from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question, render_chat
from sift_jax.text.tokenizers import AUDIO

DECODING = DecodingConfig(
    max_new_tokens=5, temperature=0.0, top_p=1.0, repetition_penalty=1.0, no_repeat_ngram=0, beams=1
)


@pytest.fixture(scope="module")
def model(trained_run):
    return Model.load(trained_run)


def ask(model, text, *seconds):
    waves = {f"{i}.wav": make_noise(i, s).astype(np.float32) for i, s in enumerate(seconds)}
    return make_prompt(model, make_question(text, list(waves)), waves.__getitem__)


def test_a_prompt_holds_each_clips_frames(model):
    prompt = ask(model, "Is it loud?", 0.5, 1.7)
    assert np.bincount(prompt.clip[prompt.clip >= 0]).tolist() == [
        model.config.count_frames(50),
        model.config.count_frames(170),
    ]
    rendered = render_chat(
        make_question("Is it loud?", ["0.wav", "1.wav"]), model.tokenizer, has_reply=False
    )
    assert prompt.tokens[prompt.clip < 0].tolist() == [
        t for t in rendered.tokens if t != model.tokenizer.ids[AUDIO]
    ]


def test_answers_come_in_order_whatever_the_batching(model):
    prompts = [ask(model, "Is it loud? " * (i % 3), *[0.4 + 0.3 * i] * (i % 3)) for i in range(5)]
    one_by_one = [TextGenerator(model, rows=2).answer([prompt], DECODING)[0] for prompt in prompts]
    assert TextGenerator(model, rows=2).answer(prompts, DECODING) == one_by_one
    assert TextGenerator(model, rows=2).answer([], DECODING) == []
    assert all("<|" not in answer for answer in one_by_one)


def test_a_model_knows_its_step_and_forgets(model, trained_run):
    assert model.step == 6 and Model.load(trained_run, 3).step == 3
    blank = model.forget()
    assert blank.config == model.config and blank.step == 0
    assert jax.tree.structure(blank.params) == jax.tree.structure(model.params)
    assert any(
        jax.tree.leaves(jax.tree.map(lambda a, b: bool((a != b).any()), blank.params, model.params))
    )
    assert dataclasses.replace(blank, params=model.params, step=6) == model


def test_a_folder_that_is_no_model_says_so(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"is neither a run \(checkpoints/\) nor an export \(decoder/\); train or export one",
    ):
        Model.load(tmp_path)
