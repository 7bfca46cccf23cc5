"""What an adapter of PEFT does beside x·A·B is refused by its name."""

import json

import pytest

from sift_jax.weights.adapters import find_base, read_adapter
from sift_jax.weights.foreign.convert import import_weights

PLAIN = {
    "peft_type": "LORA",
    "r": 16,
    "lora_alpha": 8,
    "base_model_name_or_path": "someone/decoder",
    "target_modules": ["q_proj"],
    "bias": "none",
    "modules_to_save": None,
    "use_dora": False,
    "rank_pattern": {},
}


def write_adapter(folder, **changes):
    (folder / "adapter_config.json").write_text(json.dumps({**PLAIN, **changes}))
    return folder


def test_the_scale_is_pefts(tmp_path):
    assert read_adapter(write_adapter(tmp_path)).scale == 0.5
    stabilised = read_adapter(write_adapter(tmp_path, use_rslora=True))
    assert (stabilised.scale, stabilised.alpha) == (2.0, 32.0)


@pytest.mark.parametrize(
    "name, value",
    [
        ("peft_type", "IA3"),
        ("modules_to_save", ["lm_head"]),
        ("bias", "all"),
        ("use_dora", True),
        ("rank_pattern", {"layers.0": 4}),
        ("alpha_pattern", {"layers.0": 4}),
        ("fan_in_fan_out", True),
        ("layer_replication", [[0, 4], [2, 5]]),
    ],
)
def test_what_else_an_adapter_does_is_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"adapter_config.json: {name} is .*, and only .* is read"):
        read_adapter(write_adapter(tmp_path, **{name: value}))


def test_the_base_is_found(tmp_path):
    adapter = read_adapter(write_adapter(tmp_path))
    assert find_base(adapter) == "hf://someone/decoder"
    assert find_base(adapter, "elsewhere") == "elsewhere"
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    assert find_base(adapter) == str(tmp_path / "base")
    nameless = write_adapter(tmp_path, base_model_name_or_path=None)
    (tmp_path / "base" / "config.json").unlink()
    with pytest.raises(ValueError, match="names no base model"):
        find_base(read_adapter(nameless))


def test_a_base_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--base is the decoder under an adapter of PEFT"):
        import_weights(tmp_path / "x.gguf", tmp_path / "out", dtype="float32", base="weights/base")


def test_a_torn_config_says_so(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match="is not PEFT's config of a LoRA; download it again"):
        read_adapter(tmp_path)
