"""A decoder whose vocabulary is full, with its own tokenizer: it starts, its adapter goes onto it,
its numbers may have been through float32."""

import dataclasses
import json

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tiny_model import MODEL, make_config, make_params
from tiny_run import NO_SOURCES, SPOKEN, make_run

from sift_jax.checkpoints.checkpoint import load_params, read_model_file
from sift_jax.exporting.export import SIFT, export_model
from sift_jax.models.presets import make_model_config
from sift_jax.pretrained import Model
from sift_jax.text.tokenizers import AUDIO_TOKENS, SpeechTokenizer
from sift_jax.text.unit_tokens import count_needed_rows, read_codec_identity
from sift_jax.training.loop import train
from sift_jax.weights.same_model import check_preset
from sift_jax.weights.token_rows import read_token_rows

TRAINABLE = ("projector/.*", ".*/lora_.*")


@pytest.fixture(scope="module")
def own_tokenizer(corpus, tmp_path_factory):
    """The corpus's, whose file has no tokens of audio and no number left out."""
    document = json.loads((corpus.tokenizer / "tokenizer.json").read_text())
    old = document["model"]["vocab"]
    kept = [token for token in sorted(old, key=old.get) if token not in AUDIO_TOKENS]
    vocabulary = {token: i for i, token in enumerate(kept)}
    document["model"]["vocab"] = vocabulary
    document["added_tokens"] = [
        {**token, "id": vocabulary[token["content"]]}
        for token in document["added_tokens"]
        if token["content"] in vocabulary
    ]
    folder = tmp_path_factory.mktemp("full") / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert SpeechTokenizer(folder).lacking == AUDIO_TOKENS
    return folder


def publish(folder, own_tokenizer, *, is_tied):
    """A decoder's folder: as many rows as the file has tokens, in half precision."""
    rows = len(SpeechTokenizer(own_tokenizer)) - len(AUDIO_TOKENS)
    config = make_config()
    config = dataclasses.replace(
        config, decoder=dataclasses.replace(config.decoder, vocab_size=rows, is_tied=is_tied)
    )
    # the exporter refuses a tokenizer with more tokens than rows, so the folder is cut out of a
    # larger model
    whole = dataclasses.replace(
        config, decoder=dataclasses.replace(config.decoder, vocab_size=rows + 3)
    )
    model = Model(
        config=whole, params=make_params(whole), tokenizer=SpeechTokenizer(own_tokenizer), step=0
    )
    export_model(model, folder, dataclasses.replace(SIFT, format="merged", dtype="bfloat16"))
    cut_vocabulary(folder, rows)
    (folder / "tokenizer.json").write_bytes((own_tokenizer / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").unlink()
    return folder, rows


def cut_vocabulary(folder, rows):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for key in {"model.embed_tokens.weight", "lm_head.weight"} & set(tensors):
        tensors[key] = np.ascontiguousarray(tensors[key][:rows])
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": rows}))


def train_on(corpus, folder, out, *, extra=None, sources=None, data=None, **changes):
    model = dataclasses.replace(MODEL, decoder=str(folder), extra_tokens=extra, lora_rank=2)
    arguments = make_run(
        corpus,
        out,
        model=model,
        data={"tokenizer": str(folder), **(data or {})},
        steps=3,
        checkpoint_every=3,
        dev_batches=0,
        trainable=TRAINABLE,
        frozen_dtype="bfloat16",
        **changes,
    )
    found = {"decoder": str(folder)} if sources is None else sources
    return train(**arguments | {"sources": dataclasses.replace(NO_SOURCES, **found)})


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_full_vocabulary_starts_and_its_adapter_goes_onto_the_base(
    corpus, own_tokenizer, tmp_path, is_tied
):
    base, rows = publish(tmp_path / "base", own_tokenizer, is_tied=is_tied)
    run = train_on(corpus, base, tmp_path / "run")
    assert read_model_file(run).decoder.vocab_size == rows + len(AUDIO_TOKENS)
    onto_base = dataclasses.replace(SIFT, format="peft", base=str(base))
    difference = export_model(Model.load(run), tmp_path / "peft", onto_base)
    new = list(range(rows, rows + len(AUDIO_TOKENS)))
    brought = {module: list(found) for module, found in read_token_rows(tmp_path / "peft").items()}
    assert brought == {module: new for module in ("embed_tokens", "lm_head")[: 1 if is_tied else 2]}
    assert difference < 1e-3
    # a run that starts from it needs the same rows
    later = train_on(corpus, base, tmp_path / "later", sources={"run": str(run)})
    kept, again = (
        flatten_dict(load_params(x)[2]["decoder"], sep="/")["embedding"] for x in (run, later)
    )
    np.testing.assert_array_equal(kept, again)


def test_a_number_of_rows_that_is_too_small_names_the_remedy(corpus, own_tokenizer, tmp_path):
    base, rows = publish(tmp_path / "base", own_tokenizer, is_tied=True)
    said = rf"has {rows + 3} tokens, .* vocabulary {rows} rows; .* train with EXTRA_TOKENS = None"
    with pytest.raises(ValueError, match=said):
        train_on(corpus, base, tmp_path / "run", extra=0)


def test_units_have_their_rows_and_a_later_run_keeps_them(
    corpus, spoken_records, codec_folder, own_tokenizer, tmp_path
):
    base, rows = publish(tmp_path / "base", own_tokenizer, is_tied=True)
    codes = read_codec_identity(codec_folder).codes
    speaking = train_on(
        corpus,
        base,
        tmp_path / "run",
        data={"records": str(spoken_records), "codec": str(codec_folder), **SPOKEN},
    )
    assert read_model_file(speaking).decoder.vocab_size == rows + len(AUDIO_TOKENS) + 2 + codes
    silent = train_on(corpus, base, tmp_path / "later", sources={"run": str(speaking)})
    assert read_model_file(silent).decoder.vocab_size == rows + len(AUDIO_TOKENS) + 2 + codes


def test_rows_are_those_that_the_tokenizer_and_the_codec_need(tokenizer, codec_folder):
    codec = read_codec_identity(codec_folder)
    config = dataclasses.replace(MODEL, extra_tokens=None)
    own = make_model_config(config).decoder.vocab_size
    assert own == make_config().decoder.vocab_size, "nothing is added without a tokenizer at hand"
    needed = count_needed_rows(tokenizer, codec)
    assert needed == tokenizer.first_free_id + 2 + codec.codes
    assert make_model_config(config, needed).decoder.vocab_size == max(own, needed)
    assert make_model_config(config, own - 1).decoder.vocab_size == own
    assert (
        make_model_config(dataclasses.replace(config, extra_tokens=5), 10**6).decoder.vocab_size
        == own + 5
    )


def test_numbers_are_compared_as_float32_holds_them():
    ours = dataclasses.replace(make_config().decoder, norm_eps=1e-5, rope_theta=1.3e5)
    theirs = dataclasses.replace(
        ours, norm_eps=9.999999747378752e-06, rope_theta=float(np.float32(1.3e5))
    )
    check_preset(theirs, ours, "decoder", "folder")
    for name, value in {"norm_eps": 1.0001e-5, "rope_theta": 130_001.0}.items():
        with pytest.raises(ValueError, match=f"{name} is "):
            check_preset(dataclasses.replace(ours, **{name: value}), ours, "decoder", "folder")
