"""X-codec2 as a codec: adopted by the command from a tiny random folder, and spoken."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_units_commands import run

from sift_jax.codecs.registry import load_codec

WIDTH, WHOLE = 32, 40
CONFIG = {
    "model_type": "xcodec2",
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "quantization_levels": [4, 4],
    "downsampling_ratios": [2, 4],
    "sampling_rate": 16_000,
}


def make_tensors():
    shapes = {
        "quantizer.project_out": (WHOLE, 2),
        "acoustic_decoder.fc": (WIDTH, WHOLE),
        "acoustic_decoder.embed": (WIDTH, WIDTH, 7),
        "acoustic_decoder.norm": (WIDTH,),
        "acoustic_decoder.head.linear": (34, WIDTH),
    }
    for net in ("prior", "post"):
        for i in range(2):
            block = f"acoustic_decoder.{net}_net.{i}"
            shapes |= {f"{block}.norm{n}": (WIDTH,) for n in (1, 2)}
            shapes |= {f"{block}.conv{n}": (WIDTH, WIDTH, 3) for n in (1, 2)}
    bare = {}
    for i in range(2):
        layer = f"acoustic_decoder.layers.{i}"
        bare |= {f"{layer}.self_attn.{name}_proj": (WIDTH, WIDTH) for name in "qkvo"}
        bare |= {f"{layer}.mlp.fc1": (24, WIDTH), f"{layer}.mlp.fc2": (WIDTH, 24)}
        bare |= {
            f"{layer}.input_layernorm": (WIDTH,),
            f"{layer}.post_attention_layernorm": (WIDTH,),
        }
    random = np.random.default_rng(0)
    tensors = {
        f"{name}.weight": random.standard_normal(shape) * 0.2
        for name, shape in (shapes | bare).items()
    }
    tensors |= {
        f"{name}.bias": random.standard_normal(shape[0]) * 0.2 for name, shape in shapes.items()
    }
    tensors["fc_encoder.weight"] = np.zeros((2, 2))
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "hub").mkdir()
    save_file(make_tensors(), tmp_path / "hub" / "model.safetensors")
    (tmp_path / "hub" / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path / "hub"


def test_the_command_adopts_and_units_are_spoken(hub, tmp_path, monkeypatch, capsys):
    told = run(
        monkeypatch, capsys, "adopt_xcodec2", f"--weights={hub}", f"--out={tmp_path / 'codec'}"
    )
    assert "16 units, 2000 a second" in told
    codec = load_codec(tmp_path / "codec")
    ids = np.random.default_rng(0).integers(0, 16, 70)
    waves = codec.decode_batch([ids, ids[:5]])
    assert [len(wave) for wave in waves] == [560, 40] and waves[0].std() > 0
    assert np.array_equal(waves[1], codec.decode(ids[:5]))
    with pytest.raises(ValueError, match="unit 16 at place 0 is none of the codec's 16"):
        codec.decode([16])
    with pytest.raises(
        ValueError,
        match="has X-codec2's decoder alone; adopt a checkpoint that has its encoders too",
    ):
        codec.encode(np.zeros(160, np.float32))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "xcodec"}, "model_type 'xcodec', not xcodec2; give its folder"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' is not computed here"),
        ({"num_key_value_heads": 1}, "num_key_value_heads 1 is not computed here"),
        ({"num_hidden_layers": 3}, "no tensors for layers/2/attention_norm/weight"),
    ],
)
def test_folders_that_are_none_are_named(hub, tmp_path, monkeypatch, capsys, change, told):
    (hub / "config.json").write_text(json.dumps(CONFIG | change))
    assert told in run(
        monkeypatch, capsys, "adopt_xcodec2", f"--weights={hub}", f"--out={tmp_path / 'codec'}"
    )
    assert not (tmp_path / "codec").exists()


def test_a_tensor_of_another_network_is_named(hub, tmp_path, monkeypatch, capsys):
    save_file(make_tensors() | {"voice.weight": np.zeros(2, np.float32)}, hub / "model.safetensors")
    told = run(
        monkeypatch, capsys, "adopt_xcodec2", f"--weights={hub}", f"--out={tmp_path / 'codec'}"
    )
    assert "unknown tensors voice.weight; take a checkpoint of X-codec2" in told


SEMANTIC = {"model_type": "wav2vec2-bert", "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "no semantic_model_config; take the checkpoint's whole folder"),
        (
            {"semantic_model_config": SEMANTIC | {"add_adapter": True}},
            "semantic_model_config.add_adapter True is not",
        ),
        (
            {"semantic_model_config": SEMANTIC},
            "make codes of 8 samples, and two frames of its log-mel are 320",
        ),
        (
            {"semantic_model_config": SEMANTIC, "downsampling_ratios": [4, 4, 4, 5]},
            "no tensors for acoustic/block_0/conv/",
        ),
    ],
)
def test_half_an_encoder_is_named(hub, tmp_path, monkeypatch, capsys, change, told):
    more = {"semantic_encoder.feature_projection.layer_norm.weight": np.ones(160, np.float32)}
    save_file(make_tensors() | more, hub / "model.safetensors")
    (hub / "config.json").write_text(json.dumps(CONFIG | change))
    assert told in run(
        monkeypatch, capsys, "adopt_xcodec2", f"--weights={hub}", f"--out={tmp_path / 'codec'}"
    )
    assert not (tmp_path / "codec").exists()
