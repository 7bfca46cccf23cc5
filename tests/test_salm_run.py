"""SALM and SALM-XATT from their own gin files, at small scale: trained, asked, and exported."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_corpus import make_noise
from tiny_examples import make_mixed_batch
from tiny_model import measure_logits

from sift_jax.cli import build_arguments
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.hf_config import read_encoder_preset
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question
from sift_jax.training.loop import train
from sift_jax.weights.load import load_folder

GREEDY = DecodingConfig(
    max_new_tokens=4, temperature=0.0, top_p=1.0, repetition_penalty=1.0, no_repeat_ngram=0, beams=1
)
SMALL = {
    "ENCODER_SIZE": "test-fastconformer",
    "ModelConfig.projector": "test-conformer",
    "DECODER_SIZE": "test",
    "DTYPE": "float32",
    "EXTRA_TOKENS": 0,
    "ENCODER": None,
    "DECODER": None,
    "ASR_RATE": 0.0,
    "CLIP_SECONDS": (2.0,),
    "BATCH_ROWS": 2,
    "STEPS": 3,
    "MeshConfig.fsdp": 1,
    "RunConfig.frozen_dtype": "float32",
    "RunConfig.log_every": 1,
    "RunConfig.dev_batches": 1,
    "RunConfig.checkpoint_every": 3,
    "OptimizerConfig.warmup_steps": 1,
    "OptimizerConfig.peak_learning_rate": 1e-2,
    "DataConfig.tokens": 160,
    "DataConfig.targets": 48,
    "CLIPS": 3,
    "READERS": 1,
}


@pytest.fixture(scope="module", params=["salm", "salm_xatt"])
def run(request, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / request.param
    places = {
        "OUT_DIR": str(out),
        "RECORDS": str(corpus.records),
        "TOKENIZER": str(corpus.tokenizer),
    }
    bindings = [f"{name} = {value!r}" for name, value in {**SMALL, **places}.items()]
    return train(**build_arguments(train, [f"configs/salm/{request.param}.gin"], bindings))


@pytest.fixture(scope="module")
def model(run):
    return Model.load(run)


def ask(model, seconds):
    waves = {f"{i}.wav": make_noise(i, s).astype(np.float32) for i, s in enumerate(seconds)}
    prompt = make_prompt(model, make_question("Is it loud?", list(waves)), waves.__getitem__)
    return prompt, TextGenerator(model, rows=1).answer([prompt], GREEDY)


def test_it_trains_and_answers(model):
    assert model.step == 3
    (short, _), (long, answers) = ask(model, [0.5]), ask(model, [0.5, 1.9])
    frames = [model.config.count_frames(n) for n in (50, 190)]
    assert len(long.tokens) - len(short.tokens) == frames[1] + 2
    assert (frames == [1, 1]) == bool(model.config.cross)
    assert isinstance(answers[0], str)


def test_an_export_is_the_same_model(model, tmp_path):
    assert export_model(model, tmp_path / "export") < 1e-3
    config, params = load_folder(tmp_path / "export")
    assert config == dataclasses.replace(model.config, lora=config.lora)
    batch = make_mixed_batch(config, rows=1)
    expected = measure_logits(model.config, model.params, batch)
    np.testing.assert_allclose(measure_logits(config, params, batch), expected, atol=1e-4)
    assert read_encoder_preset(tmp_path / "export" / "encoder").width == config.encoder.width
    assert ask(Model.load(tmp_path / "export"), [1.0])[1] == ask(model, [1.0])[1]
    export_model(model, tmp_path / "peft", dataclasses.replace(SIFT, format="peft"))
    with pytest.raises(
        ValueError, match="Qwen2-Audio has a Whisper encoder, and its speech among the tokens"
    ):
        export_model(model, tmp_path / "other", dataclasses.replace(SIFT, format="qwen2_audio"))
    assert jax.tree.structure(model.forget().params) == jax.tree.structure(model.params)
