"""Folders of safetensors into arrays: what it costs in memory, who reads what, and what is refused.

The costs are taken in a process of its own with eight virtual devices: see
tests/weights/load_large.py.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from load_large import SIZE, write_folder
from safetensors.numpy import load_file, save_file
from tiny_model import make_config, make_params

from sift_jax.endpoints.hub import find_folder
from sift_jax.exporting.hf_configs import make_decoder_config
from sift_jax.models.speech_lm import describe_params
from sift_jax.weights.key_table import QWEN2, to_theirs
from sift_jax.weights.load import load_decoder, load_part
from sift_jax.weights.stream_tensors import find_origins
from sift_jax.weights.tensor_files import INDEX, TensorFolder

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    write_folder(folder)
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent / "support")]),
    }
    command = [sys.executable, str(HERE / "load_large.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_loading_takes_little_more_memory_than_the_model(costs):
    assert SIZE > 200e6 and costs["arrays"] == SIZE
    assert costs["growth"] < 1.3 * SIZE, f"{costs['growth'] / SIZE:.2f} times the model"


def test_each_shard_reads_only_its_slice(costs):
    assert costs["sharded_arrays"] == SIZE
    # norms, which stay whole on each of the eight devices, are read once
    assert costs["sharded_bytes"] == SIZE
    assert costs["largest_sharded_read"] <= costs["largest_tensor"] / 8
    assert costs["is_same"]


def write_decoder(folder, *, shards=1, dtype=np.float32, **changes):
    """A decoder's folder as others write it, and the parameters in it."""
    config = make_config()
    params = flatten_dict(make_params(config)["decoder"], sep="/")
    tensors = {key: value.astype(dtype) for key, value in to_theirs(QWEN2, params)}
    folder.mkdir(parents=True, exist_ok=True)
    described = {**make_decoder_config(config, 2), **changes}
    (folder / "config.json").write_text(json.dumps(described))
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return config, params
    names = sorted(tensors)
    weight_map = {
        key: f"model-{1 + i % shards:05}-of-{shards:05}.safetensors" for i, key in enumerate(names)
    }
    for file in set(weight_map.values()):
        save_file({key: tensors[key] for key in names if weight_map[key] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return config, params


def assert_same(loaded, params):
    assert loaded.keys() == params.keys()
    for path, value in params.items():
        np.testing.assert_array_equal(loaded[path], value, err_msg=path)


def test_an_index_of_many_files(tmp_path):
    config, params = write_decoder(tmp_path, shards=3)
    # a file that the index does not name is none of the model's
    save_file({"other": np.ones(2, np.float32)}, tmp_path / "consolidated.safetensors")
    assert_same(load_decoder(tmp_path, config), params)


def test_the_dtype_is_what_is_wanted(tmp_path):
    config, params = write_decoder(tmp_path)
    wanted = {
        path: jax.ShapeDtypeStruct(x.shape, "bfloat16" if path.endswith("kernel") else "float32")
        for path, x in params.items()
    }
    loaded = load_decoder(tmp_path, config, wanted)
    assert {path: x.dtype for path, x in loaded.items()} == {
        path: x.dtype for path, x in wanted.items()
    }
    np.testing.assert_array_equal(
        loaded["blocks/q/kernel"], params["blocks/q/kernel"].astype(ml_dtypes.bfloat16), strict=True
    )


def test_a_tied_decoder_may_bring_its_head(tmp_path):
    config, params = write_decoder(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(
        {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]},
        tmp_path / "model.safetensors",
    )
    assert_same(load_decoder(tmp_path, config), params)
    untied = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, is_tied=False))
    with pytest.raises(ValueError, match="is_tied is True there and False in this model"):
        load_decoder(tmp_path, untied)


def test_qwen2_audio_is_read_whole_and_in_parts(tmp_path):
    from sift_jax.weights.hf_layouts import sort_keys

    keys = [
        "audio_tower.conv1.weight",
        "multi_modal_projector.linear.bias",
        "language_model.lm_head.weight",
    ]
    parts, unknown = sort_keys(
        "qwen2_audio", [*keys, "model.language_model.norm.weight", "vision.weight"]
    )
    assert parts == {
        "encoder": {"conv1.weight": keys[0]},
        "projector": {"linear.bias": keys[1]},
        "decoder": {
            "lm_head.weight": keys[2],
            "model.norm.weight": "model.language_model.norm.weight",
        },
    }
    assert unknown == ["vision.weight"]


def test_keys_that_do_not_fit_are_listed(tmp_path):
    config, _ = write_decoder(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.norm.weight"]
    more = {"model.visual.weight": np.ones(2, np.float32), "score.weight": np.ones(2, np.float32)}
    save_file({**tensors, **more}, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError,
        match=r"decoder of .*missing \['model.norm.weight'\] \(1\), "
        r"unknown \['model.visual.weight', 'score.weight'\] \(2\); choose the preset",
    ):
        load_decoder(tmp_path, config)


def test_a_folder_of_another_architecture_is_refused(tmp_path):
    config, _ = write_decoder(tmp_path / "gpt2", model_type="gpt2")
    with pytest.raises(
        ValueError,
        match=r"holds a gpt2 model; the decoder is read from gemma3, gemma3_text, llama, mistral, qwen2",
    ):
        load_decoder(tmp_path / "gpt2", config)
    write_decoder(tmp_path / "qwen2")
    with pytest.raises(
        ValueError,
        match=r"holds a qwen2 model; the encoder is read from .*sift_joined_encoder, sift_speech_lm, whisper",
    ):
        load_part("encoder", tmp_path / "qwen2", config)
    (tmp_path / "qwen2" / "config.json").unlink()
    with pytest.raises(
        ValueError, match=r"config.json does not exist; download the whole model folder"
    ):
        load_decoder(tmp_path / "qwen2", config)


def test_what_the_shapes_do_not_tell_is_refused(tmp_path):
    """Another rotary base or epsilon loads without a murmur and speaks nonsense."""
    config, _ = write_decoder(
        tmp_path, rope_theta=5e5, rope_parameters={"rope_type": "default", "rope_theta": 5e5}
    )
    with pytest.raises(
        ValueError,
        match=r"rope_theta is 500000.0 there and 10000.0 in this model; choose the preset",
    ):
        load_decoder(tmp_path, config)


def test_a_truncated_file_is_refused(tmp_path):
    config, _ = write_decoder(tmp_path, shards=2)
    file = sorted(tmp_path.glob("*.safetensors"))[1]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(
        ValueError, match=r"model-00002-of-00002.safetensors cannot be read as safetensors .*again"
    ):
        load_decoder(tmp_path, config)


def test_an_index_that_names_a_missing_shard_is_refused(tmp_path):
    config, _ = write_decoder(tmp_path, shards=2)
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(
        ValueError,
        match=r"names model-00001-of-00002.safetensors, which is not there \(1 missing\)",
    ):
        load_decoder(tmp_path, config)
    (tmp_path / INDEX).write_text("{}")
    with pytest.raises(ValueError, match="is not an index of safetensors; download it again"):
        load_decoder(tmp_path, config)


def test_nothing_is_unpickled(tmp_path):
    config, _ = write_decoder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(
        ValueError,
        match=r"pytorch_model.bin and no .*; nothing is unpickled here: .*import_weights",
    ):
        load_decoder(tmp_path, config)


def test_the_hub_is_asked_only_by_name(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def download(repo, **options):
        asked.append((repo, options["revision"]))
        assert not any(
            pattern.endswith((".bin", ".py", ".pt")) for pattern in options["allow_patterns"]
        )
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_folder(tmp_path) == tmp_path
    with pytest.raises(
        ValueError, match="no folder Qwen/Qwen2.5-0.5B; .* for the hub write hf://Qwen/Qwen2.5-0.5B"
    ):
        find_folder("Qwen/Qwen2.5-0.5B")
    assert asked == []
    config, params = write_decoder(tmp_path)
    assert_same(load_decoder("hf://Qwen/Qwen2.5-0.5B@main", config), params)
    assert asked == [("Qwen/Qwen2.5-0.5B", "main")]
    with pytest.raises(
        ValueError, match="hf://Qwen is not a name on the hub; write hf://owner/name"
    ):
        find_folder("hf://Qwen")


def test_the_token_is_never_shown(monkeypatch):
    import huggingface_hub

    def refuse(repo, **options):
        raise OSError(
            "401 for bearer secret-of-mine and hf_abcdefghij\nAuthorization: secret-of-mine"
        )

    monkeypatch.setenv("HF_TOKEN", "secret-of-mine")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(
        ValueError, match="could not be fetched .*HF_TOKEN for a gated model"
    ) as caught:
        find_folder("hf://meta-llama/Llama-3.1-8B")
    assert "secret-of-mine" not in str(caught.value) and "hf_abc" not in str(caught.value)


def test_a_path_without_a_row_is_missing():
    wanted = flatten_dict(describe_params(make_config())["decoder"], sep="/")
    keys = [
        key
        for key, _ in to_theirs(QWEN2, flatten_dict(make_params(make_config())["decoder"], sep="/"))
    ]
    with pytest.raises(ValueError, match=r"missing \['blocks/gate2/kernel'\] \(1\)"):
        find_origins(QWEN2, keys, 2, wanted=[*wanted, "blocks/gate2/kernel"])


def test_a_scalar_and_a_slice_are_read(tmp_path):
    save_file({"a": np.arange(6.0).reshape(2, 3), "s": np.array(3.0)}, tmp_path / "x.safetensors")
    files = TensorFolder(tmp_path)
    assert files.shape("a") == (2, 3) and files.read("s") == 3.0
    np.testing.assert_array_equal(files.read("a", (slice(1, 2), slice(0, 2))), [[3.0, 4.0]])
