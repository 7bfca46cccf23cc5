"""Presets: the published counts of parameters, and errors that name the remedy."""

import json
import math

import jax
import pytest
from tiny_model import MODEL, make_config

from sift_jax.models.presets import DECODERS, ENCODERS, ModelConfig, from_json, make_model_config, to_json
from sift_jax.models.speech_lm import describe_params
from sift_jax.training.state import split_params


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def make_sift_llm():
    return make_config(
        encoder="whisper-medium", decoder="qwen2.5-7b", projector_pool=1, lora_rank=16, lora_targets=("q", "v")
    )


def test_sift_llm_has_the_published_parameters():
    params = describe_params(make_sift_llm())
    trainable, _ = split_params(params, ("projector/.*", ".*/lora_.*"))
    assert count(trainable["projector"]) == 3_673_600
    assert count(trainable["decoder"]) == 5_046_272
    assert count(trainable) == 8_719_872
    # the public count of Qwen2.5-7B; Whisper-medium's encoder without its 1500 · 1024 sinusoids
    assert count(params["decoder"]) - 5_046_272 == 7_615_616_512
    assert count(params["encoder"]) == 307_216_384 - 1500 * 1024


@pytest.mark.parametrize("name, parameters", [("qwen2.5-0.5b", 494_032_768), ("qwen2.5-1.5b", 1_543_714_304)])
def test_tied_decoders_have_the_published_parameters(name, parameters):
    assert count(describe_params(make_config(decoder=name))["decoder"]) == parameters


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_builds(encoder):
    config = make_config(encoder=encoder)
    assert describe_params(config)["encoder"]["conv1"]["kernel"].shape == (
        3,
        config.encoder.mel_bins,
        config.encoder.width,
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_builds(decoder):
    params = describe_params(make_config(decoder=decoder))["decoder"]
    assert ("head" in params) != DECODERS[decoder].is_tied


def test_json_there_and_back():
    config = make_sift_llm()
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"encoder": "whisper-huge"}, "unknown encoder preset 'whisper-huge'; choose one of .*whisper-medium"),
        ({"decoder": "qwen"}, "unknown decoder preset 'qwen'; choose one of .*qwen2.5-7b"),
        ({"projector_pool": 0}, "projector_pool is 0; it is a number of frames"),
        ({"lora_rank": -1}, "lora_rank is -1; use 0"),
        ({"lora_targets": ("query",)}, "lora target 'query' matches no projection; choose among q, k"),
    ],
)
def test_wrong_values_name_the_remedy(changes, message):
    fields = {name: getattr(MODEL, name) for name in MODEL.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        make_model_config(ModelConfig(**{**fields, **changes}))
