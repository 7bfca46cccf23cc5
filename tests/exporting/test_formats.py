"""Every format of an export is whole or not there, says what it is, and refuses what it cannot
hold."""

import dataclasses
import json
import re

import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import load_file, save_file
from tiny_model import make_config, make_params

import sift_jax.exporting.formats
from sift_jax.export import main
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.exporting.formats import FORMATS
from sift_jax.exporting.lineage import read_bindings, read_history
from sift_jax.exporting.merge_lora import MergedParams, merge_lora
from sift_jax.pretrained import Model
from sift_jax.weights.load import load_adapter, load_folder, load_part
from sift_jax.weights.tensor_files import TensorFolder
from sift_jax.weights.token_rows import read_token_rows

CONFIG = make_config(
    lora_rank=2,
    lora_targets=("q", "down"),
    projector="pooled",
    projector_frames=2,
    frame_mask="attention",
)


@pytest.fixture(scope="module")
def model(tokenizer):
    return Model(config=CONFIG, params=make_params(CONFIG), tokenizer=tokenizer, step=7)


def choose(name: str, **changes):
    return dataclasses.replace(SIFT, format=name, **changes)


@pytest.fixture(scope="module")
def exports(model, tmp_path_factory):
    """Each format's folder."""
    root = tmp_path_factory.mktemp("formats")
    for name in FORMATS:
        assert export_model(model, root / name, choose(name)) < 1e-3
    return root


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_says_what_it_is(exports, name):
    assert not list(exports.glob("*.part"))
    card = (exports / name / "README.md").read_text()
    assert "step 7" in card and "differ by at most" in card and "licences" in card
    # no field is left to fill in; the code that it shows may have dictionaries
    assert not re.search(r"\{[\w.]*[:}]", card)
    assert "the run's config is not beside it" in card
    about = json.loads((exports / name / "export.json").read_text())
    assert about["format"] == name and about["difference"] < 1e-3 < about["largest"]


def test_a_whole_model_is_read_from_three_formats(exports, model):
    merged = flatten_dict(merge_lora(model.config, model.params)[1], sep="/")
    for name in ("sift", "qwen2_audio", "transformers"):
        again = Model.load(exports / name)
        assert again.tokenizer.ids == model.tokenizer.ids
        assert again.config.projector == CONFIG.projector and again.config.encoder == CONFIG.encoder
        flat = flatten_dict(again.params, sep="/")
        # Qwen2-Audio has no tied head: there it is written out
        assert set(flat) - set(merged) == ({"decoder/head"} if name == "qwen2_audio" else set())
        for path, value in merged.items():
            np.testing.assert_allclose(flat[path], value, rtol=1e-6, err_msg=path)


def test_an_adapter_is_read_back(exports, model):
    described = json.loads((exports / "peft" / "adapter_config.json").read_text())
    assert (described["r"], described["lora_alpha"]) == (2, 8.0)
    assert (
        described["target_modules"] == ["down_proj", "q_proj"]
        and described["base_model_name_or_path"] == "base"
    )
    keys = TensorFolder(exports / "peft").keys()
    assert "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight" in keys and len(keys) == 8
    loaded = load_adapter(exports / "peft", model.config)
    for path, value in loaded.items():
        np.testing.assert_array_equal(
            value, flatten_dict(model.params["decoder"], sep="/")[path], err_msg=path
        )


def test_merging_is_done_a_kernel_at_a_time(model):
    merged = MergedParams(model.config, model.params["decoder"])
    blocks = model.params["decoder"]["blocks"]["q"]
    expected = blocks["kernel"] + np.matmul(blocks["lora_a"], blocks["lora_b"]) * 4.0
    np.testing.assert_allclose(merged["blocks/q/kernel"], expected, rtol=1e-6)
    assert merged["blocks/k/kernel"] is np.asarray(model.params["decoder"]["blocks"]["k"]["kernel"])
    assert len(merged) == len(list(merged)) and not any("lora" in path for path in merged)


def test_another_base_is_noticed(exports, model, tmp_path):
    """An adapter on a decoder that it was not trained on."""
    other = make_params(model.config, 3)
    stranger = dataclasses.replace(model, params={**other, "encoder": model.params["encoder"]})
    export_model(dataclasses.replace(stranger, step=None), tmp_path / "base", choose("merged"))
    with pytest.raises(
        ValueError, match=r"so it was deleted; is .*base the decoder that the run started from\?"
    ):
        export_model(model, tmp_path / "out", choose("peft", base=str(tmp_path / "base")))
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.part"))
    base = str(exports / "peft" / "base")
    export_model(model, tmp_path / "out", choose("peft", base=base))
    assert (
        json.loads((tmp_path / "out" / "adapter_config.json").read_text())[
            "base_model_name_or_path"
        ]
        == base
    )
    assert not (tmp_path / "out" / "base").exists()


def test_an_adapter_brings_the_rows_that_its_base_has_not(exports, model, tmp_path):
    """Those of audio, which a run re-initialises where the published ones are all alike."""
    ids = sorted(
        model.tokenizer.ids[token] for token in ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")
    )
    table = np.array(model.params["decoder"]["embedding"])
    table[ids] += np.random.default_rng(0).normal(size=table[ids].shape)
    decoder = {**model.params["decoder"], "embedding": table}
    drawn = dataclasses.replace(model, params={**model.params, "decoder": decoder})
    base = str(exports / "peft" / "base")
    export_model(drawn, tmp_path / "out", choose("peft", base=base))
    described = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert described["trainable_token_indices"] == {"embed_tokens": ids}
    rows = read_token_rows(tmp_path / "out")["embed_tokens"]
    assert list(rows) == ids
    np.testing.assert_array_equal(list(rows.values()), table[ids])


def test_an_export_that_differs_is_deleted(model, tmp_path, monkeypatch):
    """The earlier export stays as it was."""
    export_model(model, tmp_path / "out")
    before = (tmp_path / "out" / "export.json").read_text()
    write = FORMATS["sift"].write

    def spoil(*arguments):
        write(*arguments)
        file = arguments[1] / "decoder" / "model.safetensors"
        tensors = load_file(file)
        save_file({**tensors, "model.norm.weight": -tensors["model.norm.weight"]}, file)

    monkeypatch.setitem(FORMATS, "sift", dataclasses.replace(FORMATS["sift"], write=spoil))
    with pytest.raises(
        ValueError, match=r"does not give the checkpoint's logits \(off by .* so it was deleted"
    ):
        export_model(dataclasses.replace(model, step=8), tmp_path / "out")
    assert (tmp_path / "out" / "export.json").read_text() == before and not list(
        tmp_path.glob("*.part")
    )
    monkeypatch.undo()
    export_model(dataclasses.replace(model, step=8), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "export.json").read_text())["step"] == 8


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapters_that_are_lost_on_the_way_are_noticed(model, tmp_path, monkeypatch, dtype):
    """The check is against the checkpoint itself, not against what was meant to be written."""
    lost = dataclasses.replace(
        model.config, lora=dataclasses.replace(model.config.lora, alpha=-8.0)
    )
    monkeypatch.setattr(
        sift_jax.exporting.formats,
        "MergedParams",
        lambda config, params: MergedParams(lost, params),
    )
    with pytest.raises(ValueError, match="does not give the checkpoint's logits"):
        export_model(model, tmp_path / "out", choose("sift", dtype=dtype))


def test_a_folder_of_something_else_is_kept(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not an export; choose another --out"):
        export_model(model, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_half_precision_and_many_files(model, tmp_path):
    export_model(model, tmp_path / "out", choose("merged", dtype="bfloat16", max_bytes=20_000))
    files = TensorFolder(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 2
    assert str(files.read("model.norm.weight").dtype) == "bfloat16"
    sizes = [path.stat().st_size for path in (tmp_path / "out").glob("model-*.safetensors")]
    # the embedding alone is larger than a file
    assert sorted(sizes)[-2] < 25_000
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "bfloat16"


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"projector": "linear", "projector_frames": None},
            "this model's is linear over 1 frames; use --format=transformers or sift",
        ),
        (
            {"projector_frames": 4},
            "this model's is pooled over 4 frames; use --format=transformers or sift",
        ),
        (
            {"frame_mask": "all"},
            "frame_mask is 'all'; use --format=transformers or sift, or train with ModelConfig",
        ),
    ],
)
def test_qwen2_audio_refuses_another_model(tokenizer, tmp_path, changes, message):
    parts = {"projector": "pooled", "projector_frames": 2, "frame_mask": "attention", **changes}
    config = make_config(**parts)
    other = Model(config=config, params=make_params(config), tokenizer=tokenizer, step=7)
    with pytest.raises(ValueError, match=message):
        export_model(other, tmp_path / "out", choose("qwen2_audio"))
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"projector": "qformer"}, "projectors linear, pooled, stacked, this model's is qformer"),
        ({"fusion": "cross"}, "has a Whisper encoder, and its speech among the tokens; use"),
    ],
)
def test_transformers_refuses_what_its_code_does_not_compute(tokenizer, tmp_path, changes, message):
    config = make_config(**changes)
    other = Model(config=config, params=make_params(config), tokenizer=tokenizer, step=7)
    with pytest.raises(ValueError, match=message):
        export_model(other, tmp_path / "out", choose("transformers"))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_refused(model, tmp_path):
    with pytest.raises(
        ValueError,
        match="unknown export format 'gguf'; choose one of sift, peft, merged, qwen2_audio",
    ):
        export_model(model, tmp_path / "out", choose("gguf"))
    with pytest.raises(
        ValueError, match="unknown dtype 'int4'; choose one of float32, bfloat16, float16"
    ):
        export_model(model, tmp_path / "out", choose("sift", dtype="int4"))
    with pytest.raises(
        ValueError, match="--base is the decoder under a PEFT adapter; leave it out"
    ):
        export_model(model, tmp_path / "out", choose("merged", base="x"))
    plain, params = merge_lora(model.config, model.params)
    with pytest.raises(ValueError, match="this model has no LoRA .* use --format=merged"):
        export_model(
            dataclasses.replace(model, config=plain, params=params),
            tmp_path / "out",
            choose("peft"),
        )
    llama = dataclasses.replace(
        plain, decoder=dataclasses.replace(plain.decoder, has_qkv_bias=False)
    )
    biased = flatten_dict(params, sep="/")
    params = unflatten_dict(
        {p: x for p, x in biased.items() if not p.startswith("decoder") or not p.endswith("bias")},
        sep="/",
    )
    with pytest.raises(
        ValueError,
        match="Qwen2-Audio has a qwen2 decoder, this is a llama; use --format=transformers or sift",
    ):
        export_model(
            dataclasses.replace(model, config=llama, params=params),
            tmp_path / "out",
            choose("qwen2_audio"),
        )
    small = dataclasses.replace(
        model.config, decoder=dataclasses.replace(model.config.decoder, vocab_size=100)
    )
    with pytest.raises(
        ValueError, match=r"tokenizer has \d+ tokens, .* vocabulary 100 rows; if it is that"
    ):
        export_model(dataclasses.replace(model, config=small), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_learnt_positions_are_refused(exports, model, tmp_path):
    import shutil

    folder = shutil.copytree(exports / "qwen2_audio", tmp_path / "learnt")
    tensors = load_file(folder / "model.safetensors")
    positions = tensors["audio_tower.embed_positions.weight"]
    assert positions.shape == (CONFIG.encoder.mel_frames // 2, CONFIG.encoder.width)
    save_file(
        {**tensors, "audio_tower.embed_positions.weight": positions[::-1].copy()},
        folder / "model.safetensors",
    )
    with pytest.raises(
        ValueError, match="embed_positions.weight holds no sinusoids, and learnt positions are not"
    ):
        load_part("encoder", folder, model.config)


def test_a_whole_model_without_its_projector_is_refused(exports):
    with pytest.raises(
        ValueError, match="holds a qwen2 model; the projector is read from qwen2_audio"
    ):
        load_folder(exports / "merged")


GIN = """
# Macros:
DECODER = 'weights/Qwen2.5-7B-Instruct'
RATES = 3
DataConfig.mixture = 'pretraining'
DataConfig.rates = \\
    {'sift.closed_ended.content_level.*': 0.6,
     'sift.open_ended.*': 0.4}
RunConfig.steps = 200
RunConfig.trainable = ('projector/.*',)
Sources.decoder = %DECODER
Sources.encoder = 'weights/whisper-medium'
Sources.run = None
sift_jax.training.loop.train.run = @RunConfig()
"""


def test_the_card_tells_the_whole_history(model, tmp_path):
    first, second = tmp_path / "stage1", tmp_path / "stage2"
    for folder, text in (
        (first, GIN),
        (
            second,
            f"Sources.run = {str(first)!r}\nDataConfig.mixture = 'understanding'\n"
            "OPEN_RATE = 0.0\nMixtureConfig.rate_changes = {'sift.open_ended.*': %OPEN_RATE}\n",
        ),
    ):
        folder.mkdir()
        (folder / "config.gin").write_text(text)
    assert read_bindings(GIN)["DataConfig.rates"] == {
        "sift.closed_ended.content_level.*": 0.6,
        "sift.open_ended.*": 0.4,
    }
    assert [stage.mixture for stage in read_history(second)] == ["pretraining", "understanding"]
    assert read_history(second)[1].rates["sift.open_ended.*"] == 0.0
    export_model(model, tmp_path / "out", run_dir=second)
    card = (tmp_path / "out" / "README.md").read_text()
    assert (
        "* decoder: `weights/Qwen2.5-7B-Instruct`" in card
        and "* speech encoder: `weights/whisper-medium`" in card
    )
    assert card.index("mixture pretraining") < card.index("mixture understanding")
    (first / "config.gin").write_text(f"Sources.run = {str(second)!r}\n")
    assert len(read_history(second)) == 20


def test_the_command_writes_and_refuses(trained_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["export", f"--checkpoint={trained_run}", f"--out={tmp_path / 'out'}"]
    )
    main()
    assert "written and read again: logits differ by at most" in capsys.readouterr().out
    monkeypatch.setattr(
        "sys.argv", ["export", f"--checkpoint={trained_run}", "--out=x", "--format=gguf"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "unknown export format 'gguf'; choose one of sift" in capsys.readouterr().err
