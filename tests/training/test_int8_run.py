"""A run over a decoder in int8: it goes on bit for bit, starts from wide weights, and is exported
dequantised."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_model import MODEL
from tiny_run import NO_SOURCES, make_run

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.lora_off import drop_lora
from sift_jax.models.quantization import quantize_decoder
from sift_jax.pretrained import Model
from sift_jax.training.loop import train

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
