"""Weights out and in: the same logits, one table for both ways, and nothing that does not fit."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file
from tiny_corpus import make_noise
from tiny_examples import make_mixed_batch
from tiny_model import MODEL, make_config, make_params, measure_logits
from tiny_run import NO_SOURCES, make_run

from sift_jax.data.chat import make_question
from sift_jax.decoding.answer import Model, answer_all, make_prompt
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.models.speech_lm import describe_params
from sift_jax.training.loop import train
from sift_jax.weights.export import export_model, merge_lora
from sift_jax.weights.load import load_encoder, load_export, load_sources, merge_into, read_safetensors
from sift_jax.weights.table import PROJECTOR, QWEN2, WHISPER, to_ours, to_theirs


@pytest.fixture(scope="module")
def model(tokenizer):
    config = make_config(lora_rank=4, lora_targets=("q", "k", "v", "o", "gate", "up", "down"))
    return Model(config=config, params=make_params(config), tokenizer=tokenizer, step=7)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    assert export_model(model, folder) < 1e-3
    return folder


def put_on_device(params):
    return jax.tree.map(jax.numpy.asarray, params)


def test_an_export_gives_the_same_logits(model, exported):
    config, params = load_export(exported)
    assert config == dataclasses.replace(model.config, lora=config.lora) and config.lora.rank == 0
    batch = make_mixed_batch(model.config)
    expected = measure_logits(model.config, model.params, batch)
    np.testing.assert_allclose(measure_logits(config, params, batch), expected, atol=2e-4)


def test_an_export_answers_like_its_run(model, exported):
    wave = make_noise(1).astype(np.float32)
    decoding = DecodingConfig(max_new_tokens=6, temperature=0.0, top_p=1.0, repetition_penalty=1.0, no_repeat_ngram=0)
    again = Model.load(exported)
    answers = [
        answer_all(m, [make_prompt(m, make_question("Is it loud?", ["x.wav"]), lambda path: wave)], decoding, rows=1)
        for m in (model, again)
    ]
    assert answers[0] == answers[1]


def test_an_export_has_the_ecosystems_layout(model, exported):
    tensors = load_file(exported / "decoder" / "model.safetensors")
    decoder = model.config.decoder
    assert tensors["model.layers.1.mlp.down_proj.weight"].shape == (decoder.width, decoder.hidden)
    assert tensors["model.layers.0.self_attn.k_proj.bias"].shape == (decoder.kv_heads * decoder.head_size,)
    assert "lm_head.weight" not in tensors and not any("lora" in key for key in tensors)
    config = json.loads((exported / "decoder" / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"] and config["vocab_size"] == decoder.vocab_size
    assert config["tie_word_embeddings"] is True
    encoder = load_file(exported / "encoder" / "model.safetensors")
    assert encoder["model.encoder.conv1.weight"].shape == (model.config.encoder.width, model.config.encoder.mel_bins, 3)
    assert "step 7" in (exported / "README.md").read_text()
    assert (exported / "decoder" / "tokenizer.json").is_file() and (exported / "tokenizer" / "tokenizer.json").is_file()


def test_an_export_that_was_broken_is_noticed(exported, tmp_path):
    import shutil

    folder = shutil.copytree(exported, tmp_path / "broken")
    path = folder / "decoder" / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "model.norm.weight": tensors["model.norm.weight"][:5]}, path)
    with pytest.raises(
        ValueError, match=r"decoder/norm/scale is \(5,\) there and \(32,\) in this model; choose the preset"
    ):
        load_export(folder)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="model.safetensors cannot be read as safetensors .*; download it again"):
        load_export(folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"no \*.safetensors in .*decoder; download the model there first"):
        load_export(folder)


@pytest.mark.parametrize("part, table", [("encoder", WHISPER), ("projector", PROJECTOR), ("decoder", QWEN2)])
@pytest.mark.parametrize("decoder", ["test", "untied"])
def test_the_table_reads_both_ways(part, table, decoder):
    config = make_config()
    if decoder == "untied":
        config = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, is_tied=False))
    params = flatten_dict(make_params(config)[part], sep="/")
    layers = {"encoder": config.encoder.layers, "decoder": config.decoder.layers}.get(part, 0)
    tensors = dict(to_theirs(table, params))
    back = to_ours(table, tensors, layers, wanted=set(params))
    assert back.keys() == params.keys()
    for path, value in params.items():
        np.testing.assert_array_equal(back[path], value, err_msg=path)
    # ours maps in → out, theirs out ← in: of square matrices, too, whose shape would not tell
    for path, key, _ in table:
        if path in params and (path.endswith("kernel") or path == "head"):
            first = params[path][0] if "{i}" in key else params[path]
            np.testing.assert_array_equal(tensors[key.format(i=0)], np.transpose(first), err_msg=path)


@pytest.mark.parametrize("table", [WHISPER, PROJECTOR, QWEN2])
def test_no_row_of_a_table_is_idle_or_twice(table):
    config = dataclasses.replace(make_config(), decoder=dataclasses.replace(make_config().decoder, is_tied=False))
    params = describe_params(config)
    part = {id(WHISPER): "encoder", id(PROJECTOR): "projector", id(QWEN2): "decoder"}[id(table)]
    assert {row[0] for row in table} == set(flatten_dict(params[part], sep="/"))
    assert len({row[0] for row in table}) == len({row[1] for row in table}) == len(table)


def test_keys_too_many_and_too_few_are_named():
    params = flatten_dict(make_params(make_config())["projector"], sep="/")
    tensors = dict(to_theirs(PROJECTOR, params))
    with pytest.raises(ValueError, match=r"missing none \(0\), unknown \['linear.scale'\] \(1\); choose the preset"):
        to_ours(PROJECTOR, {**tensors, "linear.scale": tensors["linear.bias"]}, 0, wanted=set(params))
    del tensors["linear.bias"]
    with pytest.raises(ValueError, match=r"missing \['linear.bias'\] \(1\), unknown none"):
        to_ours(PROJECTOR, tensors, 0, wanted=set(params))
    with pytest.raises(ValueError, match="parameter linear/lora_a has no key in the weights table; merge LoRA before"):
        list(to_theirs(PROJECTOR, {"linear/lora_a": params["linear/bias"]}))


def test_a_decoder_of_other_depth_is_refused(exported):
    deeper = make_config()
    deeper = dataclasses.replace(deeper, encoder=dataclasses.replace(deeper.encoder, layers=3))
    with pytest.raises(ValueError, match=r"missing \['layers.2.self_attn.q_proj.weight'"):
        load_encoder(exported / "encoder", deeper)


def test_several_files_are_one_checkpoint(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "model-1.safetensors")
    save_file({"b": np.zeros(3)}, tmp_path / "model-2.safetensors")
    assert read_safetensors(tmp_path).keys() == {"a", "b"}


def test_folders_of_weights_are_sources(exported, model):
    sources = dataclasses.replace(NO_SOURCES, encoder=str(exported / "encoder"), decoder=str(exported / "decoder"))
    config = make_config(lora_rank=2)
    fresh = put_on_device(make_params(config, 5))
    loaded = load_sources(fresh, config, sources)
    _, merged = merge_lora(model.config, model.params)
    np.testing.assert_allclose(loaded["decoder"]["blocks"]["q"]["kernel"], merged["decoder"]["blocks"]["q"]["kernel"])
    np.testing.assert_array_equal(loaded["encoder"]["conv1"]["kernel"], merged["encoder"]["conv1"]["kernel"])
    np.testing.assert_array_equal(loaded["projector"]["linear"]["kernel"], fresh["projector"]["linear"]["kernel"])
    np.testing.assert_array_equal(loaded["decoder"]["blocks"]["q"]["lora_a"], fresh["decoder"]["blocks"]["q"]["lora_a"])


def test_a_run_is_a_source_with_new_lora(trained_run, corpus, tmp_path):
    """Stage 2 starts where stage 1 ended: its parameters to the bit, adapters fresh and silent."""
    arguments = make_run(corpus, tmp_path / "next", steps=3, trainable=("projector/.*", ".*/lora_.*"), dev_batches=0)
    arguments["model"] = dataclasses.replace(MODEL, lora_rank=2)
    arguments["sources"] = dataclasses.replace(NO_SOURCES, run=str(trained_run), step=3)
    first, second = Model.load(trained_run, 3), Model.load(train(**arguments))
    before, after = (flatten_dict(m.params, sep="/") for m in (first, second))
    assert {path for path in after if path not in before} == {p for p in after if "/lora_" in p} != set()
    for path in before:
        is_trained = path.startswith("projector/")
        assert bool((np.asarray(after[path]) != np.asarray(before[path])).any()) == is_trained, path


def test_sources_that_do_not_fit_are_refused(trained_run):
    config = make_config(decoder="quickstart")
    with pytest.raises(
        ValueError, match=r"run .* step 6: parameter .* is \(.*\) there and \(.*\) .*; use the model config"
    ):
        load_sources(put_on_device(make_params(config)), config, dataclasses.replace(NO_SOURCES, run=str(trained_run)))
    mine = put_on_device(make_params(make_config()))
    some = {"projector/linear/kernel": np.asarray(mine["projector"]["linear"]["kernel"])}
    with pytest.raises(ValueError, match=r"somewhere does not fit .* lacks \['projector/linear/bias'\]"):
        merge_into(mine, some, "somewhere")
    with pytest.raises(ValueError, match=r"has \['projector/other'\] too many"):
        merge_into(mine, {"projector/other": some["projector/linear/kernel"]}, "somewhere")
