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
from tiny_model import MODEL, SALM_XATT, make_config, make_params, measure_logits
from tiny_run import NO_SOURCES, make_run

from sift_jax.checkpoints.train_state import drop_params, fill_params
from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.exporting.export import export_model
from sift_jax.exporting.merge_lora import merge_lora
from sift_jax.models.speech_lm import describe_params, init_params
from sift_jax.pretrained import Model
from sift_jax.text.chat import make_question
from sift_jax.training.loop import train
from sift_jax.weights.key_table import (
    CROSS,
    FAST_CONFORMER,
    LONE_AXES,
    PROJECTOR,
    QWEN2,
    WHISPER,
    to_theirs,
)
from sift_jax.weights.load import load_folder, load_part, load_sources
from sift_jax.weights.stream_tensors import find_origins
from sift_jax.weights.tensor_files import TensorFolder


@pytest.fixture(scope="module")
def model(tokenizer):
    config = make_config(lora_rank=4, lora_targets=("q", "k", "v", "o", "gate", "up", "down"))
    return Model(config=config, params=make_params(config), tokenizer=tokenizer, step=7)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    assert export_model(model, folder) < 1e-3
    return folder


def describe(params):
    """What load_sources is asked for: shapes and dtypes on one device."""
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), params)


def test_an_export_gives_the_same_logits(model, exported):
    config, params = load_folder(exported)
    assert config == dataclasses.replace(model.config, lora=config.lora) and config.lora.rank == 0
    batch = make_mixed_batch(model.config)
    expected = measure_logits(model.config, model.params, batch)
    np.testing.assert_allclose(measure_logits(config, params, batch), expected, atol=2e-4)


def test_an_export_answers_like_its_run(model, exported):
    wave = make_noise(1).astype(np.float32)
    decoding = DecodingConfig(
        max_new_tokens=6,
        temperature=0.0,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram=0,
        beams=1,
    )
    again = Model.load(exported)
    answers = [
        TextGenerator(m, rows=1).answer(
            [make_prompt(m, make_question("Is it loud?", ["x.wav"]), lambda path: wave)], decoding
        )
        for m in (model, again)
    ]
    assert answers[0] == answers[1]


def test_an_export_has_the_ecosystems_layout(model, exported):
    tensors = load_file(exported / "decoder" / "model.safetensors")
    decoder = model.config.decoder
    assert tensors["model.layers.1.mlp.down_proj.weight"].shape == (decoder.width, decoder.hidden)
    assert tensors["model.layers.0.self_attn.k_proj.bias"].shape == (
        decoder.kv_heads * decoder.head_size,
    )
    assert "lm_head.weight" not in tensors and not any("lora" in key for key in tensors)
    config = json.loads((exported / "decoder" / "config.json").read_text())
    assert (
        config["architectures"] == ["Qwen2ForCausalLM"]
        and config["vocab_size"] == decoder.vocab_size
    )
    assert config["tie_word_embeddings"] is True
    encoder = load_file(exported / "encoder" / "model.safetensors")
    assert encoder["model.encoder.conv1.weight"].shape == (
        model.config.encoder.width,
        model.config.encoder.mel_bins,
        3,
    )
    assert "step 7" in (exported / "README.md").read_text()
    assert (exported / "decoder" / "tokenizer.json").is_file() and (
        exported / "tokenizer" / "tokenizer.json"
    ).is_file()


def test_a_vocabulary_grows_out_of_a_folder(exported):
    """TinyLlama lacks the tokens of turns and audio: its rows are read, and those beyond them are
    drawn beside them."""
    larger = make_config(extra_tokens=6)
    loaded, rows = (
        load_part("decoder", exported / "decoder", larger),
        make_config().decoder.vocab_size,
    )
    wanted = load_part("decoder", exported / "decoder", make_config())["embedding"]
    assert loaded["embedding"].shape == (rows + 6, larger.decoder.width)
    np.testing.assert_array_equal(loaded["embedding"][:rows], wanted)
    assert 0 < np.abs(loaded["embedding"][rows:]).max() < 2 * np.abs(wanted).max()
    smaller = dataclasses.replace(
        larger, decoder=dataclasses.replace(larger.decoder, vocab_size=rows - 1)
    )
    with pytest.raises(
        ValueError, match=f"vocab_size is {rows} there and {rows - 1} in this model"
    ):
        load_part("decoder", exported / "decoder", smaller)


def test_an_export_that_was_broken_is_noticed(exported, tmp_path):
    import shutil

    folder = shutil.copytree(exported, tmp_path / "broken")
    path = folder / "decoder" / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "model.norm.weight": tensors["model.norm.weight"][:5]}, path)
    with pytest.raises(
        ValueError,
        match=r"decoder/norm/scale is \(5,\) there and \(32,\) in this model; choose the preset",
    ):
        load_folder(folder)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        ValueError, match="model.safetensors cannot be read as safetensors .*; download it again"
    ):
        load_folder(folder)
    path.unlink()
    with pytest.raises(
        ValueError, match=r"no \*.safetensors in .*decoder; download the model there first"
    ):
        load_folder(folder)


WHISPER_PARTS = [("encoder", WHISPER), ("projector", PROJECTOR), ("decoder", QWEN2)]
SALM_PARTS = [("encoder", FAST_CONFORMER), ("cross", CROSS), ("projector", PROJECTOR)]


@pytest.mark.parametrize(
    "part, table, decoder",
    [(*pair, decoder) for pair in WHISPER_PARTS for decoder in ("test", "untied")]
    + [(*p, "salm") for p in SALM_PARTS],
)
def test_the_table_reads_both_ways(part, table, decoder, tmp_path):
    config = make_config(**SALM_XATT if decoder == "salm" else {})
    if decoder == "untied":
        config = dataclasses.replace(
            config, decoder=dataclasses.replace(config.decoder, is_tied=False)
        )
    params = flatten_dict(make_params(config)[part], sep="/")
    layers = config.projector.blocks if part == "projector" else getattr(config, part).layers
    tensors = dict(to_theirs(table, params))
    save_file(tensors, tmp_path / "model.safetensors")
    files = TensorFolder(tmp_path)
    back = find_origins(table, tensors, layers, wanted=params)
    assert back.keys() == params.keys()
    for path, value in params.items():
        whole = tuple(slice(None) for _ in value.shape)
        np.testing.assert_array_equal(
            back[path].read(files, whole, value.dtype), value, err_msg=path
        )
    # ours maps in → out, theirs out ← in: of square matrices, too, whose shape would not tell
    for path, key, change in table:
        if path in params and (path.endswith("kernel") or path == "head"):
            first = params[path][0] if "{i}" in key else params[path]
            theirs = tensors[key.format(i=0)]
            theirs = theirs.reshape(theirs.shape[: theirs.ndim - LONE_AXES.get(change, 0)])
            np.testing.assert_array_equal(theirs, np.transpose(first), err_msg=path)


@pytest.mark.parametrize("part, table", [*WHISPER_PARTS, *SALM_PARTS[:2]])
def test_no_row_of_a_table_is_idle_or_twice(part, table):
    untied = dataclasses.replace(make_config().decoder, is_tied=False)
    model = SALM_XATT if (part, table) in SALM_PARTS[:2] else {}
    paths = set()
    # the projectors' table is one for all kinds; a Q-Former's longest block is of four layers
    longest = {"layers": 4, "cross_every": 4}
    soft = {"soft_tokens": True}
    for kind, changes in (
        ("linear", {}),
        ("stacked", soft),
        ("qformer", longest),
        ("conformer", {}),
    ):
        model = {**model, "projector": kind, "projector_frames": None}
        config = dataclasses.replace(make_config(**model), decoder=untied)
        config = dataclasses.replace(
            config, projector=dataclasses.replace(config.projector, **changes)
        )
        if part == "decoder":
            # biases are Qwen2's, norms of heads Qwen3's
            heads = dataclasses.replace(untied, has_qk_norm=True)
            config = dataclasses.replace(config, decoder=heads)
        paths |= set(flatten_dict(describe_params(config)[part], sep="/"))
    assert {row[0] for row in table} == paths
    assert len({row[0] for row in table}) == len({row[1] for row in table}) == len(table)


def test_keys_too_many_and_too_few_are_named():
    params = flatten_dict(make_params(make_config())["projector"], sep="/")
    tensors = dict(to_theirs(PROJECTOR, params))
    with pytest.raises(
        ValueError, match=r"missing none \(0\), unknown \['linear.scale'\] \(1\); choose the preset"
    ):
        find_origins(PROJECTOR, [*tensors, "linear.scale"], 0, wanted=params)
    del tensors["linear.bias"]
    with pytest.raises(ValueError, match=r"missing \['linear.bias'\] \(1\), unknown none"):
        find_origins(PROJECTOR, tensors, 0, wanted=params)
    with pytest.raises(
        ValueError,
        match="parameter linear/lora_a has no key in the weights table; merge LoRA before",
    ):
        list(to_theirs(PROJECTOR, {"linear/lora_a": params["linear/bias"]}))


def test_a_decoder_of_other_depth_is_refused(exported):
    deeper = make_config()
    deeper = dataclasses.replace(deeper, encoder=dataclasses.replace(deeper.encoder, layers=3))
    with pytest.raises(
        ValueError,
        match="layers is 2 there and 3 in this model; choose the preset of that checkpoint",
    ):
        load_part("encoder", exported / "encoder", deeper)


def test_several_files_are_one_checkpoint(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "model-1.safetensors")
    save_file({"b": np.zeros(3)}, tmp_path / "model-2.safetensors")
    assert TensorFolder(tmp_path).keys() == ["a", "b"]


def test_folders_of_weights_are_sources(exported, model):
    sources = dataclasses.replace(
        NO_SOURCES, encoder=str(exported / "encoder"), decoder=str(exported / "decoder")
    )
    config = make_config(lora_rank=2)
    wanted = describe(make_params(config, 5))
    loaded = load_sources(wanted, config, sources)
    _, merged = merge_lora(model.config, model.params)
    np.testing.assert_allclose(
        loaded["decoder/blocks/q/kernel"], merged["decoder"]["blocks"]["q"]["kernel"]
    )
    np.testing.assert_array_equal(
        loaded["encoder/conv1/kernel"], merged["encoder"]["conv1"]["kernel"]
    )
    paths = set(flatten_dict(wanted, sep="/"))
    assert paths - set(loaded) == {
        path for path in paths if "/lora_" in path or path.startswith("projector/")
    }


def test_a_whole_export_is_a_source(exported, model):
    config = make_config(lora_rank=2)
    loaded = load_sources(
        describe(make_params(config)), config, dataclasses.replace(NO_SOURCES, model=str(exported))
    )
    _, merged = merge_lora(model.config, model.params)
    merged = flatten_dict(merged, sep="/")
    assert loaded.keys() == merged.keys()
    for path, value in merged.items():
        np.testing.assert_allclose(loaded[path], value, err_msg=path)


def test_a_run_is_a_source_with_new_lora(trained_run, corpus, tmp_path):
    """Stage 2 starts where stage 1 ended: its parameters to the bit, adapters fresh and silent."""
    arguments = make_run(
        corpus, tmp_path / "next", steps=3, trainable=("projector/.*", ".*/lora_.*"), dev_batches=0
    )
    arguments["model"] = dataclasses.replace(MODEL, lora_rank=2)
    arguments["sources"] = dataclasses.replace(NO_SOURCES, run=str(trained_run), step=3)
    first, second = Model.load(trained_run, 3), Model.load(train(**arguments))
    before, after = (flatten_dict(m.params, sep="/") for m in (first, second))
    assert (
        {path for path in after if path not in before}
        == {p for p in after if "/lora_" in p}
        != set()
    )
    for path in before:
        is_trained = path.startswith("projector/")
        assert bool((np.asarray(after[path]) != np.asarray(before[path])).any()) == is_trained, path


def test_frozen_parameters_may_be_bfloat16(corpus, exported, tmp_path):
    """Read from a folder, saved, resumed and loaded in half the memory; what is trained is
    float32."""
    changes = {
        "trainable": ("projector/.*",),
        "frozen_dtype": "bfloat16",
        "dev_batches": 0,
        "checkpoint_every": 1,
    }
    for steps in (3, 4):
        arguments = make_run(corpus, tmp_path / "run", steps=steps, **changes)
        arguments["sources"] = dataclasses.replace(NO_SOURCES, encoder=str(exported / "encoder"))
        params = flatten_dict(Model.load(train(**arguments)).params, sep="/")
        for path, value in params.items():
            assert value.dtype == ("float32" if path.startswith("projector/") else "bfloat16"), path
    read = load_part("encoder", exported / "encoder", make_config())
    np.testing.assert_array_equal(
        params["encoder/conv1/kernel"], read["conv1/kernel"].astype("bfloat16")
    )


def test_what_is_read_is_not_drawn(exported):
    """A model of which everything is read must not be made at random first: that would hold it
    twice."""
    config = make_config()
    whole = dataclasses.replace(NO_SOURCES, model=str(exported))
    loaded = load_sources(describe(make_params(config)), config, whole)
    drawn = jax.jit(
        lambda: drop_params(
            {"trainable": {}, "frozen": init_params(config, jax.random.key(0))}, loaded
        )
    )
    assert drawn.lower().compile().memory_analysis().temp_size_in_bytes < 1000
    state = drawn()
    assert flatten_dict(state["frozen"]) == {}
    state = fill_params(state, loaded, ("projector/.*",))
    assert set(state["trainable"]) == {"projector"} and set(state["frozen"]) == {
        "encoder",
        "decoder",
    }


def test_sources_that_do_not_fit_are_refused(trained_run):
    from_run = dataclasses.replace(NO_SOURCES, run=str(trained_run))
    config = make_config(decoder="quickstart")
    with pytest.raises(
        ValueError, match=r"run .*: decoder.width is 32 there and 192 in this model; use"
    ):
        load_sources(describe(make_params(config)), config, from_run)
    mine = describe(make_params(make_config()))
    more = {
        **mine,
        "projector": {**mine["projector"], "other": mine["projector"]["linear"]["bias"]},
    }
    with pytest.raises(ValueError, match=r"run .* does not fit .* lacks \['projector/other'\]"):
        load_sources(more, make_config(), from_run)
    less = {**mine, "projector": {"linear": {"kernel": mine["projector"]["linear"]["kernel"]}}}
    with pytest.raises(ValueError, match=r"has \['projector/linear/bias'\] too many"):
        load_sources(less, make_config(), from_run)
