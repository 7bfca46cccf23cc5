"""Presets at their true size: published counts, the paper's trainable parameters, and errors that
name the remedy."""

import dataclasses
import json
import math

import jax
import pytest
from resolve_configs import resolve
from tiny_model import MODEL, make_config

from sift_jax.checkpoints.train_state import split_params
from sift_jax.models.fast_conformer import FastConformerConfig
from sift_jax.models.presets import (
    DECODERS,
    ENCODERS,
    PROJECTORS,
    ModelConfig,
    from_json,
    make_model_config,
    read_decoder_preset,
    read_encoder_preset,
    to_json,
)
from sift_jax.models.speech_lm import describe_params

# as published on the hub, heads counted once where they are tied
DECODER_PARAMETERS = {
    "qwen2-0.5b": 494_032_768,
    "qwen2-1.5b": 1_543_714_304,
    "qwen2-7b": 7_615_616_512,
    "qwen2-72b": 72_706_203_648,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-72b": 72_706_203_648,
    "vicuna-7b-v1.5": 6_738_415_616,
    "tinyllama-1.1b": 1_100_048_384,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-3.3-70b": 70_553_706_496,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "mistral-7b-v0.1": 7_241_732_096,
    "mistral-7b-v0.2": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mistral-nemo-2407": 12_247_782_400,
    "mistral-small-24b-2501": 23_572_403_200,
    "smollm3-3b": 3_075_098_624,
    "gemma-3-270m": 268_098_176,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_263_168,
    "gemma-3-12b": 11_766_034_176,
    "gemma-3-27b": 27_009_346_304,
}
# what sees in Gemma 3's 4B, 12B and 27B, but for a matrix from its width to the decoder's
SIGHT, SIGHT_WIDTH = 416_867_184, 1152
# bytes of bfloat16 that published indices and files say, and parameters in them that are not here: a
# head that equals the embedding, or what sees
PUBLISHED_BYTES = {
    "qwen3-0.6b": (1_503_264_768, 151_936 * 1024),
    "qwen3-1.7b": (4_063_479_808, 151_936 * 2048),
    "qwen3-4b": (8_044_936_192, 0),
    "qwen3-8b": (16_381_470_720, 0),
    "qwen3-14b": (29_536_614_400, 0),
    "qwen3-32b": (65_524_246_528, 0),
    "mistral-7b-v0.1": (14_483_464_192, 0),
    "mistral-7b-v0.3": (14_496_047_104, 0),
    "smollm3-3b": (6_150_197_248, 0),
    "gemma-3-4b": (8_600_158_944, SIGHT + SIGHT_WIDTH * 2560),
    "gemma-3-27b": (54_864_813_280, SIGHT + SIGHT_WIDTH * 5376),
}
# with the sinusoids that others store and we compute
ENCODER_PARAMETERS = {
    "whisper-tiny": 8_208_384,
    "whisper-base": 20_590_592,
    "whisper-small": 88_154_112,
    "whisper-medium": 307_216_384,
    "whisper-large": 636_784_640,
    "whisper-large-v2": 636_784_640,
    "whisper-large-v3": 636_968_960,
    "whisper-large-v3-turbo": 636_968_960,
}
TUNED = ("-instruct", "-chat-v1.0", ".en", "-base", "-it", "-pt", "-thinking")


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def strip(name):
    """A size's name without how it was trained, which Mistral has before its date or version."""
    # its size is called so
    if name.startswith("whisper-base"):
        return "whisper-base"
    for ending in TUNED:
        name = name.removesuffix(ending)
        for date in ("-2407", "-2501", "-v0.1", "-v0.2", "-v0.3"):
            name = name.replace(ending + date, date)
        name = name.removesuffix(ending + "-2507")
    return name


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_have_the_published_parameters(name):
    params = describe_params(make_config(decoder=name))["decoder"]
    assert ("head" in params) != DECODERS[name].is_tied
    unpublished = ("quickstart", "quickstart-llama", "test")
    if name not in (*unpublished, "qwen2-audio-7b", "qwen2-audio-7b-instruct"):
        assert count(params) == DECODER_PARAMETERS[strip(name)]


@pytest.mark.parametrize("name", PUBLISHED_BYTES)
def test_decoders_have_the_published_bytes(name):
    published, more = PUBLISHED_BYTES[name]
    assert 2 * (DECODER_PARAMETERS[name] + more) == published


# two in one, which the pooled projector does not take
JOINED = ("salmonn", "test-salmonn")


def test_salmonn_has_the_published_parameters():
    """Of BEATs' public class (its classifier, the lengths of its convolution's taps and the copies of
    its biases apart), of the Q-Former as it is in BERT's sizes, and of two norms."""
    config = make_config(encoder="salmonn", projector="salmonn", projector_frames=None)
    params = describe_params(config)
    beats = params["encoder"].pop("beats")
    assert count(beats) == 90_311_664
    whisper = params["encoder"].pop("whisper")
    assert count(whisper) + 1500 * 1280 == ENCODER_PARAMETERS["whisper-large-v2"]
    assert count(params["encoder"]) == 2 * (1280 + 768)
    attention, crossed = 4 * (768 * 768 + 768), 2 * (768 * 768 + 768) + 2 * (2048 * 768 + 768)
    layer = attention + crossed + 2 * 4 * 768 * 768 + 5 * 768 + 3 * 2 * 768
    width = config.decoder.width
    assert count(params["projector"]) == 2 * layer + 3 * 768 + 768 * width + width


@pytest.mark.parametrize("name", [name for name in ENCODERS if name not in JOINED])
def test_encoders_have_the_published_parameters(name):
    config = make_config(encoder=name)
    params = describe_params(config)["encoder"]
    if isinstance(config.encoder, FastConformerConfig):
        bins = config.encoder.channels * config.encoder.mel_bins // 8
        assert params["subsampling"]["linear"]["kernel"].shape == (bins, config.encoder.width)
        return
    assert params["conv1"]["kernel"].shape == (3, config.encoder.mel_bins, config.encoder.width)
    if name.startswith(("whisper", "distil")):
        # a distilled one has its teacher's encoder
        teacher = strip(name).removesuffix(".5").replace("distil", "whisper")
        assert count(params) + 1500 * config.encoder.width == ENCODER_PARAMETERS[teacher]
        assert (config.encoder.window_seconds, config.encoder.frame_mask) == (30.0, "none")


def test_qwen2_audio_has_the_published_parameters():
    name = "Qwen/Qwen2-Audio-7B-Instruct"
    params = describe_params(
        make_config(encoder=name, projector="pooled", projector_frames=None, decoder=name)
    )
    assert count(params) + 1500 * 1280 == 8_397_094_912
    assert count(params["projector"]) == 1280 * 4096 + 4096


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_sift_llm_trains_the_papers_parameters(stage):
    """Through the gin files that a user starts."""
    arguments, _ = resolve(stage)
    params = describe_params(make_model_config(arguments["model"]))
    trainable, frozen = split_params(params, arguments["run"].trainable)
    assert count(trainable["projector"]) == 3_673_600
    assert count(trainable["decoder"]) == 5_046_272
    assert count(trainable) == 8_719_872
    assert count(frozen["decoder"]) == DECODER_PARAMETERS["qwen2.5-7b"]
    assert count(frozen["encoder"]) == ENCODER_PARAMETERS["whisper-medium"] - 1500 * 1024


@pytest.mark.parametrize("stage", ["small/stage1", "small/stage2"])
def test_the_small_model_is_for_a_laptop(stage):
    arguments, _ = resolve(stage)
    params = describe_params(make_model_config(arguments["model"]))
    trainable, _ = split_params(params, arguments["run"].trainable)
    assert count(trainable) == 512 * 896 + 896 + 24 * 16 * (896 + 896 + 896 + 128) == 1_540_992
    assert (
        count(params) == 1_540_992 + ENCODER_PARAMETERS["whisper-base"] - 1500 * 512 + 494_032_768
    )


def test_names_are_those_of_the_hub():
    wanted = DECODERS["llama-3-8b-instruct"]
    for name in (
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "Meta-Llama-3-8B-Instruct",
        "llama-3-8b-instruct",
    ):
        assert make_config(decoder=name).decoder == wanted
    assert make_config(encoder="openai/whisper-small.en").encoder == ENCODERS["whisper-small"]
    assert make_config(decoder="Qwen/Qwen2.5-14B").decoder.norm_eps == 1e-5
    assert make_config(decoder="Qwen/Qwen2.5-14B-Instruct").decoder.norm_eps == 1e-6


QWEN2_AUDIO_JSON = {
    "model_type": "qwen2_audio",
    "audio_config": {"model_type": "qwen2_audio_encoder", "d_model": 1280, "num_mel_bins": 128},
    "text_config": {
        "model_type": "qwen2",
        "intermediate_size": 11_008,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "vocab_size": 156_032,
    },
}
LLAMA_JSON = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128_256,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "tie_word_embeddings": True,
}
# as published: what they leave out is transformers' to fill in
QWEN3_JSON = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 40_960,
    "max_window_layers": 28,
    "rope_theta": 1_000_000,
    "rope_scaling": None,
    "sliding_window": None,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}
MISTRAL_JSON = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32_000,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 32_768,
    "rope_theta": 10_000.0,
    "sliding_window": 4096,
    "tie_word_embeddings": False,
}
SMOLLM3_JSON = {
    "model_type": "smollm3",
    "hidden_size": 2048,
    "intermediate_size": 11_008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 128_256,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 65_536,
    "no_rope_layer_interval": 4,
    "no_rope_layers": [1, 1, 1, 0] * 9,
    "layer_types": ["full_attention"] * 36,
    "rope_theta": 5_000_000.0,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}
# its whole model has images, too
GEMMA3_JSON = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "head_dim": 128,
        "hidden_size": 5376,
        "intermediate_size": 21_504,
        "num_attention_heads": 32,
        "num_hidden_layers": 62,
        "num_key_value_heads": 16,
        "query_pre_attn_scalar": 168,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {"model_type": "siglip_vision_model"},
}
GEMMA3_1B_JSON = {
    "model_type": "gemma3_text",
    "head_dim": 256,
    "hidden_size": 1152,
    "intermediate_size": 6912,
    "max_position_embeddings": 32_768,
    "num_attention_heads": 4,
    "num_hidden_layers": 26,
    "num_key_value_heads": 1,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-6,
    "rope_local_base_freq": 10_000,
    "rope_theta": 1_000_000,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "vocab_size": 262_144,
}
WHISPER_JSON = {
    "model_type": "whisper",
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "activation_function": "gelu",
}


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_is_a_preset(tmp_path):
    folder = write_config(tmp_path, LLAMA_JSON)
    assert make_config(decoder=str(folder)).decoder == DECODERS["llama-3.2-1b"]
    assert read_decoder_preset(folder / "config.json") == DECODERS["llama-3.2-1b"]
    write_config(tmp_path, QWEN2_AUDIO_JSON)
    assert read_decoder_preset(folder) == DECODERS["qwen2-audio-7b"]
    assert read_encoder_preset(folder) == ENCODERS["qwen2-audio-7b"]
    write_config(tmp_path, WHISPER_JSON)
    assert make_config(encoder=str(folder)).encoder == ENCODERS["whisper-base"]


@pytest.mark.parametrize(
    "name, published",
    [
        ("qwen3-0.6b", QWEN3_JSON),
        ("mistral-7b-v0.1", MISTRAL_JSON),
        ("mistral-7b-v0.2", {**MISTRAL_JSON, "sliding_window": None, "rope_theta": 1e6}),
        ("smollm3-3b", SMOLLM3_JSON),
        ("gemma-3-27b-it", GEMMA3_JSON),
        ("gemma-3-1b-it", GEMMA3_1B_JSON),
    ],
)
def test_a_preset_is_what_its_published_config_says(tmp_path, name, published):
    assert read_decoder_preset(write_config(tmp_path, published)) == DECODERS[name]


def test_a_folder_goes_before_the_preset_of_its_name(tmp_path):
    """A folder called whisper-base may hold something else; the bare name is the preset, whatever
    lies around."""
    folder = tmp_path / "whisper-base"
    folder.mkdir()
    write_config(folder, {**WHISPER_JSON, "encoder_layers": 2})
    assert make_config(encoder=str(folder)).encoder.layers == 2
    assert make_config(encoder="whisper-base").encoder.layers == 6


@pytest.mark.parametrize(
    "base, changes, message",
    [
        (
            LLAMA_JSON,
            {"model_type": "mamba"},
            "describes a 'mamba', which is not a supported decoder; use one of qwen2",
        ),
        (
            LLAMA_JSON,
            {"hidden_act": "gelu"},
            "hidden_act is 'gelu', and only 'silu' is supported; choose",
        ),
        (
            LLAMA_JSON,
            {"attention_bias": True},
            "attention_bias is True, and only False is supported",
        ),
        (LLAMA_JSON, {"mlp_bias": True}, "mlp_bias is True"),
        (
            LLAMA_JSON,
            {"quantization_config": {"bits": 4}},
            "quantization_config is {'bits': 4}, and only None",
        ),
        (LLAMA_JSON, {"use_sliding_window": True}, "use_sliding_window is True"),
        (
            LLAMA_JSON,
            {"layer_types": ["full_attention", "sliding_attention"] * 8},
            "layer_types has 'sliding_att",
        ),
        (
            LLAMA_JSON,
            {"rope_scaling": {"type": "yarn", "factor": 4.0}},
            "positions of type 'yarn' are not supported",
        ),
        (
            LLAMA_JSON,
            {"rope_scaling": {"rope_type": "llama3", "factor": 4.0}},
            "'llama3' lack low_freq_factor",
        ),
        (SMOLLM3_JSON, {"no_rope_layers": [1, 0, 0, 1] * 9}, "no_rope_layers follows no pattern"),
        (
            GEMMA3_1B_JSON,
            {"layer_types": ["full_attention", "sliding_attention"] * 13},
            "layer_types follows no pattern",
        ),
        (GEMMA3_1B_JSON, {"final_logit_softcapping": 30.0}, "final_logit_softcapping is 30.0"),
        (GEMMA3_1B_JSON, {"hidden_activation": "gelu"}, "hidden_activation is 'gelu'"),
        (
            QWEN2_AUDIO_JSON,
            {"text_config": {"model_type": "mixtral"}},
            "the decoder is a 'mixtral'; only 'qwen2'",
        ),
    ],
)
def test_a_strange_decoder_is_named(tmp_path, base, changes, message):
    with pytest.raises(ValueError, match=f"config.json.*{message}"):
        read_decoder_preset(write_config(tmp_path, {**base, **changes}))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"model_type": "wav2vec2"},
            "describes a 'wav2vec2', which is not a supported speech encoder; use one of",
        ),
        ({"scale_embedding": True}, "scale_embedding is True, and only False"),
        ({"encoder_ffn_dim": 1000}, "encoder_ffn_dim is 1000, and only 2048 is supported"),
        ({"activation_function": "relu"}, "activation_function is 'relu', and only 'gelu'"),
    ],
)
def test_a_strange_encoder_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"config.json.*{message}"):
        read_encoder_preset(write_config(tmp_path, {**WHISPER_JSON, **changes}))


def test_a_broken_config_file_is_named(tmp_path):
    with pytest.raises(
        ValueError, match="config.json does not exist; download the whole model folder"
    ):
        read_decoder_preset(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is not JSON .*; download it again"):
        read_encoder_preset(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="config.json holds no object; download it again"):
        read_encoder_preset(tmp_path)


@pytest.mark.parametrize("decoder", ["qwen2.5-7b-instruct", "llama-3.1-8b", "gemma-3-4b-it"])
@pytest.mark.parametrize("projector", PROJECTORS)
def test_json_there_and_back(decoder, projector):
    config = make_config(
        encoder="whisper-medium", decoder=decoder, projector=projector, projector_frames=None
    )
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_a_decoder_of_before_there_was_a_choice_is_read():
    config = make_config()
    data = json.loads(json.dumps(to_json(config)))
    for name in ("has_qk_norm", "pattern", "gemma"):
        data["decoder"].pop(name)
    assert from_json(data) == config


@pytest.mark.parametrize("part", ["encoder", "projector", "decoder", "lora"])
def test_another_versions_json_is_named(part):
    data = json.loads(json.dumps(to_json(make_config())))
    data[part]["age"] = 3
    with pytest.raises(
        ValueError, match="model.json is another version's: .*Config differs in age; train again"
    ):
        from_json(data)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"encoder": "whisper-huge"},
            "unknown encoder preset 'whisper-huge'; choose one of .*whisper-medium",
        ),
        (
            {"decoder": "Qwen/Qwen2.5-8B"},
            "unknown decoder preset .*; choose one of .*qwen2.5-7b.*, or give a folder",
        ),
        (
            {"projector": "mlp"},
            "unknown projector preset 'mlp'; choose one of conformer, linear, pooled, qformer, .*",
        ),
        ({"projector_frames": 0}, "ModelConfig.projector_frames is 0; give 1 or more"),
        (
            {"projector": "linear", "projector_frames": 2},
            "linear projector is 2; it must be 1; to join frames choose",
        ),
        (
            {"frame_mask": "some"},
            "ModelConfig.frame_mask is 'some'; choose one of none, attention, all",
        ),
        ({"lora_rank": -1}, "ModelConfig.lora_rank is -1; give 0 or more"),
        (
            {"lora_targets": ("query",)},
            r"ModelConfig.lora_targets\[0\] is 'query'; choose one of q, k",
        ),
    ],
)
def test_wrong_values_name_the_remedy(changes, message):
    fields = {name: getattr(MODEL, name) for name in MODEL.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        make_model_config(ModelConfig(**{**fields, **changes}))


def test_a_wrong_projector_names_the_remedy():
    with pytest.raises(
        ValueError, match="projector kind 'mlp' is unknown; choose one of linear, pooled, stacked"
    ):
        dataclasses.replace(PROJECTORS["linear"], kind="mlp")
    with pytest.raises(
        ValueError, match="width of the stacked projector is 0; it must be 1 or more"
    ):
        dataclasses.replace(PROJECTORS["stacked"], width=0)
    with pytest.raises(
        ValueError, match="cross_every of the qformer projector is 0; it must be 1 or more"
    ):
        dataclasses.replace(PROJECTORS["qformer"], cross_every=0)
    with pytest.raises(ValueError, match="cross_every is 5; it is at most 4"):
        dataclasses.replace(PROJECTORS["qformer"], layers=5, cross_every=5)
    with pytest.raises(
        ValueError, match="a Q-Former of 3 layers, one in 2 with speech.* does not divide"
    ):
        dataclasses.replace(PROJECTORS["qformer"], layers=3)
