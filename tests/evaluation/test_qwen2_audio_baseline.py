"""Qwen2-Audio as a baseline, by its gin file: a small one of random weights, its folder without a
template, as the processor of transformers knows it."""

import dataclasses
import json

import pytest
from tiny_corpus import make_noise
from tiny_model import make_config, make_params

from sift_jax.audio.files import write_audio
from sift_jax.evaluate import main
from sift_jax.evaluation.model_inputs import join_clips
from sift_jax.evaluation.scores.schema import Item
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question, render_chat

FILE = "configs/baselines/qwen2_audio.gin"


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    config = make_config(projector="pooled", projector_frames=2, frame_mask="attention")
    model = Model(config=config, params=make_params(config), tokenizer=tokenizer, step=1)
    out = tmp_path_factory.mktemp("qwen2_audio") / "out"
    export_model(model, out, dataclasses.replace(SIFT, format="qwen2_audio"))
    (out / "chat_template.json").unlink()
    (out / "chat_template.jinja").unlink(missing_ok=True)
    described = json.loads((out / "tokenizer_config.json").read_text())
    described.pop("chat_template", None)
    (out / "tokenizer_config.json").write_text(json.dumps(described))
    return out


def test_two_recordings_are_one_in_its_own_turns(folder):
    item = Item(
        id="x",
        suite="mine",
        subset="all",
        language="en",
        references=("yes",),
        metrics=("exact_match",),
        messages=tuple(make_question("Which is louder?", ["a.wav", "b.wav"])),
    )
    tokenizer = Model.load(folder).tokenizer
    rendered = render_chat(list(join_clips(item, 1)), tokenizer, has_reply=False)
    text = tokenizer.backend.decode(rendered.tokens, skip_special_tokens=False)
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nAudio 1: "
        "<|audio_bos|><|AUDIO|><|audio_eos|>\nWhich is louder?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_it_answers_by_its_gin_file(folder, tmp_path):
    """A question about two recordings, and one about a recording that is longer than it hears."""
    for seed, (name, seconds) in enumerate({"a": 0.4, "b": 0.5, "long": 2.4}.items()):
        write_audio(tmp_path / f"{name}.wav", make_noise(seed, seconds))
    lines = [
        {"audios": ["a.wav", "b.wav"], "question": "Which is louder?", "answer": "The first."},
        {"audio": "long.wav", "question": "Is it loud?", "answer": "Yes."},
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    few = {"MAX_NEW_TOKENS": 4, "PLANTED": 6, "ROWS": 2, "SUITE": "jsonl"}
    paths = {"ROOT": tmp_path / "mine.jsonl", "CHECKPOINT": folder, "OUT_DIR": tmp_path / "out"}
    main([f"--gin_file={FILE}", *(f"--gin.{k}={v}" for k, v in {**few, **paths}.items())])
    answered = (tmp_path / "out" / "predictions" / "model.jsonl").read_text().splitlines()
    assert len(answered) == 2
