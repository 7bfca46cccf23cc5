"""A run over a decoder in int8: it goes on bit for bit, starts from wide weights, and is exported
dequantised."""

import dataclasses
import json
import shutil
import weakref

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file
from tiny_model import MODEL, make_config, make_params
from tiny_run import NO_SOURCES, make_run

from sift_jax.checkpoints.checkpoint import Checkpoints, load_params
from sift_jax.checkpoints.run_folder import write_model_file
from sift_jax.checkpoints.train_state import cast_params, split_params
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.lora_off import drop_lora
from sift_jax.models.quantization import narrow, quantize_decoder, quantize_kernel
from sift_jax.models.speech_lm import describe_params
from sift_jax.pretrained import Model
from sift_jax.training.loop import train
from sift_jax.weights.load import load_part, load_run

TRAINABLE = ("projector/.*", ".*/lora_.*")
INT8 = dataclasses.replace(MODEL, lora_rank=2, quantized="int8")


def make_int8_run(corpus, out_dir, **changes):
    return make_run(
        corpus, out_dir, model=INT8, trainable=TRAINABLE, frozen_dtype="bfloat16", **changes
    )


@pytest.fixture(scope="module")
def run(corpus, trained_run, tmp_path_factory):
    """From a run whose decoder is in float32; checkpoints at 3 and 6."""
    arguments = make_int8_run(corpus, tmp_path_factory.mktemp("int8") / "run")
    arguments["sources"] = dataclasses.replace(NO_SOURCES, run=str(trained_run))
    train(**arguments)
    return arguments


def flatten(params):
    return flatten_dict(jax.tree.map(np.asarray, params), sep="/")


def test_a_run_goes_on_bit_for_bit(run, trained_run, tmp_path):
    out_dir = run["run"].out_dir
    _, _, wide = load_params(trained_run)
    _, step, params = load_params(out_dir)
    found = flatten(params)
    start = flatten(drop_lora({"decoder": quantize_decoder(wide["decoder"])}))
    for path, x in start.items():
        if "/kernel" in path:
            np.testing.assert_array_equal(found[path], x, err_msg=path)
    assert found["decoder/blocks/q/kernel_int8"].dtype == np.int8
    assert found["decoder/embedding"].dtype.name == "bfloat16"
    assert found["decoder/blocks/q/lora_b"].any()

    broken = tmp_path / "broken"
    shutil.copytree(out_dir, broken)
    shutil.rmtree(broken / "checkpoints" / "6")
    train(**{**run, "run": dataclasses.replace(run["run"], out_dir=str(broken))})
    _, again, params = load_params(broken)
    assert step == again == 6
    for path, x in flatten(params).items():
        np.testing.assert_array_equal(x, found[path], err_msg=path)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_wide_run_is_narrowed_kernel_by_kernel(tmp_path, monkeypatch, dtype):
    """In the dtype that it saved; a kernel that has become int8 is held by nobody."""
    config = dataclasses.replace(make_config(lora_rank=2), quantized=None)
    wide = cast_params(make_params(config), dtype)
    chosen, rest = split_params(wide, (".*/lora_.*",))
    state = {"step": 1, "trainable": chosen, "frozen": rest, "optimizer": {}}
    write_model_file(tmp_path, config, is_begun=False)
    checkpoints = Checkpoints(tmp_path, is_reader=False)
    checkpoints.save(1, {**state, "optimizer": {"count": jax.numpy.zeros(())}}, {}, force=True)
    checkpoints.close()

    seen = []

    def watch(path, x, wanted):
        assert not any(kernel() is not None for kernel in seen[:-1])
        if path.startswith("decoder/blocks/") and path not in wanted:
            assert x.dtype == dtype
            seen.append(weakref.ref(x))
        return narrow(path, x, wanted)

    monkeypatch.setattr("sift_jax.weights.load.narrow", watch)
    wanted = flatten_dict(describe_params(dataclasses.replace(config, quantized="int8")), sep="/")
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    loaded = load_run(
        str(tmp_path), 1, {path: leaf.update(sharding=one) for path, leaf in wanted.items()}
    )
    assert len(seen) == 7
    assert {path: (x.shape, x.dtype) for path, x in loaded.items()} == {
        path: (x.shape, x.dtype) for path, x in wanted.items()
    }
    expected = flatten(quantize_decoder(wide["decoder"]))
    for path in ("blocks/q/kernel_int8", "blocks/down/kernel_scale"):
        np.testing.assert_array_equal(loaded[f"decoder/{path}"], expected[path])


def test_a_layer_in_float32_beside_one_in_bfloat16_is_not_rounded(tokenizer, tmp_path):
    """The layers of a stacked kernel may lie in files of several dtypes."""
    config = make_config()
    model = Model(config=config, params=make_params(config), tokenizer=tokenizer, step=None)
    export_model(model, tmp_path / "export", dataclasses.replace(SIFT, dtype="float32"))
    path = tmp_path / "export" / "decoder" / "model.safetensors"
    tensors = load_file(path)
    key = "model.layers.0.self_attn.q_proj.weight"
    save_file({**tensors, key: tensors[key].astype("bfloat16")}, path)
    wide = load_part("decoder", path.parent, config)
    narrowed = load_part("decoder", path.parent, dataclasses.replace(config, quantized="int8"))
    part = quantize_kernel(wide["blocks/q/kernel"])
    for name, x in part.items():
        np.testing.assert_array_equal(narrowed[f"blocks/q/{name}"], x)


@pytest.mark.parametrize("name, dtype", [("sift", "float32"), ("peft", "bfloat16")])
def test_an_export_is_dequantised_and_says_so(run, tmp_path, name, dtype):
    model = Model.load(run["run"].out_dir)
    config = dataclasses.replace(SIFT, format=name, dtype=dtype)
    export_model(model, tmp_path / name, config)
    assert "were in int8 while this was trained" in (tmp_path / name / "README.md").read_text()
    described = json.loads((tmp_path / name / "model.json").read_text())
    # an adapter was trained beside int8; what is merged has none of it
    assert described["quantized"] == {"sift": None, "peft": "int8"}[name]


def test_a_wide_model_does_not_start_from_int8(run, corpus, tmp_path):
    arguments = make_run(corpus, tmp_path / "wide", model=dataclasses.replace(MODEL, lora_rank=2))
    arguments["sources"] = dataclasses.replace(NO_SOURCES, run=run["run"].out_dir)
    with pytest.raises(ValueError, match="has its decoder in int8; set ModelConfig.quantized"):
        train(**arguments)
