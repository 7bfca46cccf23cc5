"""Rows that a published model left all alike: drawn again where they are needed, or refused where
they may not be."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from tiny_model import MODEL, make_config, make_params
from tiny_run import NO_SOURCES, SPOKEN, make_run

from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.exporting.export import export_model
from sift_jax.models.decoder import compute_logits
from sift_jax.models.presets import DECODERS
from sift_jax.pretrained import Model
from sift_jax.text.tokenizers import SPECIAL_TOKENS, SpeechTokenizer
from sift_jax.text.unit_tokens import NeededRows, list_needed_rows, place_units, read_codec_identity
from sift_jax.training.loop import train
from sift_jax.weights.spare_rows import (
    EMBEDDING,
    HEAD,
    check_told_apart,
    draw_spare_rows,
    find_twins,
)

WIDTH, TOKENS, PUBLISHED, ROWS = 64, 300, 340, 370
# turns are tokens of the file, audio and units are not; the first 36 units stand in spare rows
ROWS_NEEDED = NeededRows(
    read=(10, 11, 300, 301, 302, *range(303, 363)),
    written=(11, *range(303, 363)),
    free=frozenset(range(300, 363)),
    names={
        "<|im_start|>": 10,
        "<|im_end|>": 11,
        "<|audio_bos|>": 300,
        "<|AUDIO|>": 301,
        "<|audio_eos|>": 302,
        "the beginning of speech": 303,
        "the end of speech": 304,
    },
)


def make_table(seed: int, dtype="bfloat16") -> np.ndarray:
    """(rows, width) as published: trained rows, spare ones that differ by their rounding, and rows
    that were drawn."""
    rng = np.random.default_rng(seed)
    table = rng.normal(0.3, 0.02, (ROWS, WIDTH))
    table[TOKENS:PUBLISHED] = rng.normal(0.3, 0.02, WIDTH) * (
        1 + 1e-4 * rng.normal(size=(PUBLISHED - TOKENS, 1))
    )
    return np.asarray(table, jnp.dtype(dtype))


@pytest.fixture
def loaded():
    tables = {EMBEDDING: jnp.asarray(make_table(0)), HEAD: jnp.asarray(make_table(1).T)}
    return {**tables, "decoder/norm/scale": jnp.ones(3)}


def learn(head, row: int) -> np.ndarray:
    """The probabilities after the best hidden state for a row, found by descent on the state
    itself."""

    def measure(hidden):
        return -jax.nn.log_softmax(compute_logits({"head": head}, hidden[None]))[0, row]

    @jax.jit
    def descend(hidden):
        step = lambda _, hidden: hidden - 20.0 * jax.grad(measure)(hidden)  # noqa: E731
        return jax.nn.softmax(
            compute_logits({"head": head}, jax.lax.fori_loop(0, 300, step, hidden)[None])
        )[0]

    return np.asarray(descend(jnp.zeros(WIDTH)))


def test_a_unit_can_be_learnt_over_a_frozen_head(loaded):
    before, after = loaded[HEAD], draw_spare_rows(loaded, ROWS_NEEDED)[HEAD]
    for row in (304, 305, 320, 350):
        share = learn(before.astype(jnp.float32), row)
        assert learn(after.astype(jnp.float32), row)[row] > 0.9
        # a drawn row was right before, and a spare one shared its probability with all the others
        assert share[row] > 0.9 if row >= PUBLISHED else share[row] < 1.5 / (PUBLISHED - TOKENS)


def test_only_needed_rows_that_are_alike_are_drawn(loaded, capsys):
    drawn = draw_spare_rows(loaded, ROWS_NEEDED)
    for path, first in ((EMBEDDING, 300), (HEAD, 303)):
        old, new = (np.asarray(x[path], np.float32) for x in (loaded, drawn))
        old, new = (x.T if path == HEAD else x for x in (old, new))
        assert np.flatnonzero((old != new).any(axis=1)).tolist() == list(range(first, PUBLISHED))
        fresh = new[first:PUBLISHED]
        assert fresh.mean() == pytest.approx(0.3, abs=0.005) and fresh.std() == pytest.approx(
            0.02, rel=0.1
        )
        assert drawn[path].dtype == loaded[path].dtype
    assert drawn["decoder/norm/scale"] is loaded["decoder/norm/scale"]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and said[1].startswith(
        "decoder/head: 37 rows that were almost equal are re-initialised, of the beginning of "
        "speech, the end of speech and units of speech (ids 303 to 339)"
    )
    # a row is drawn by its number: once, and the same whatever else is needed
    again = draw_spare_rows(drawn, ROWS_NEEDED)
    assert again[HEAD] is drawn[HEAD] and not capsys.readouterr().out
    fewer = dataclasses.replace(ROWS_NEEDED, written=(11, 303, 304, 305))
    few = np.asarray(draw_spare_rows(loaded, fewer)[HEAD], np.float32)[:, 303:306]
    np.testing.assert_allclose(few, np.asarray(drawn[HEAD], np.float32)[:, 303:306], atol=0.02)
    assert find_twins(drawn, ROWS_NEEDED, is_tied=False) == {EMBEDDING: {}, HEAD: {}}


def test_a_published_tokens_row_is_refused_and_not_touched(loaded):
    """<|im_end|> of a base model, which has never seen one: equal to a row that nobody needs."""
    head = np.asarray(loaded[HEAD], np.float32)
    head[:, 11] = head[:, 20]
    loaded |= {HEAD: jnp.asarray(head, jnp.bfloat16)}
    drawn = draw_spare_rows(loaded, ROWS_NEEDED)
    np.testing.assert_array_equal(drawn[HEAD][:, 11], loaded[HEAD][:, 11])
    params = unflatten_dict(drawn, sep="/")
    frozen = {
        "decoder": {"embedding": params["decoder"]["embedding"], "head": params["decoder"]["head"]}
    }
    said = (
        r"decoder/head does not train, and <\|im_end\|> \(ids 11\) equal other rows \(id 11 "
        r"equals id 20\).* add "
    )
    with pytest.raises(
        ValueError, match=said + "'decoder/head' to TRAINABLE, or take a decoder that has learnt"
    ):
        check_told_apart({}, frozen, ROWS_NEEDED, is_resumed=False)
    head = {"decoder": {"head": frozen["decoder"].pop("head")}}
    check_told_apart(head, frozen, ROWS_NEEDED, is_resumed=False)


def test_a_prompt_may_hold_a_row_that_equals_one_nobody_needs(loaded):
    """In an embedding alone: a tied one is the head, too."""
    table = np.asarray(draw_spare_rows(loaded, ROWS_NEEDED)[EMBEDDING], np.float32)
    table[11] = table[20]
    frozen = {"decoder": {"embedding": jnp.asarray(table)}}
    check_told_apart({"decoder": {"head": loaded[HEAD]}}, frozen, ROWS_NEEDED, is_resumed=False)
    with pytest.raises(ValueError, match=r"decoder/embedding does not train, and <\|im_end\|>"):
        check_told_apart({}, frozen, ROWS_NEEDED, is_resumed=False)
    table[11] = table[10]
    frozen = {"decoder": {"embedding": jnp.asarray(table)}}
    with pytest.raises(ValueError, match=r"<\|im_start\|> and <\|im_end\|> \(ids 10 to 11\) equal"):
        check_told_apart({"decoder": {"head": loaded[HEAD]}}, frozen, ROWS_NEEDED, is_resumed=False)


def test_rows_lie_on_many_devices_as_on_one(loaded):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("fsdp", "tensor"))
    spec = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("fsdp", "tensor"))
    placed = {**loaded, HEAD: jax.device_put(loaded[HEAD], spec)}
    drawn = draw_spare_rows(placed, ROWS_NEEDED)[HEAD]
    assert drawn.sharding == spec
    np.testing.assert_array_equal(drawn, draw_spare_rows(loaded, ROWS_NEEDED)[HEAD])


def test_what_a_tokenizer_needs(tokenizer, corpus, codec_folder, tmp_path):
    """Of the file's own tokens no row is free; what it lacks is, until it is saved with them."""
    codec = read_codec_identity(codec_folder)
    rows = list_needed_rows(tokenizer, codec)
    ids = place_units(tokenizer)
    assert rows.free == frozenset(range(ids.begin, ids.count_rows(codec.codes)))
    assert tokenizer.lacking == () and list_needed_rows(tokenizer, None).free == frozenset()
    document = json.loads((corpus.tokenizer / "tokenizer.json").read_text())
    gone = SPECIAL_TOKENS[3:]
    document["added_tokens"] = [
        token for token in document["added_tokens"] if token["content"] not in gone
    ]
    vocabulary = document["model"]["vocab"]
    document["model"]["vocab"] = {
        token: number for token, number in vocabulary.items() if token not in gone
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    published = SpeechTokenizer(tmp_path)
    assert published.lacking == gone
    assert list_needed_rows(published, None).free == {published.ids[token] for token in gone}


# ---- runs: a published decoder whose spare rows are alike learns to speak

SPEAKING = dataclasses.replace(MODEL, decoder="test-published", extra_tokens=100, lora_rank=2)
SPARE = 27


@pytest.fixture(scope="module")
def published(tokenizer, tmp_path_factory):
    """An untied decoder in its folder, with 27 rows behind its tokenizer's tokens that are all but
    one vector."""
    first = place_units(tokenizer).begin
    DECODERS["test-published"] = dataclasses.replace(
        DECODERS["test"], is_tied=False, vocab_size=first + SPARE
    )
    config = make_config(decoder="test-published")
    params = flatten_dict(make_params(config), sep="/")
    rng = np.random.default_rng(0)
    for path, axis in ((EMBEDDING, 0), (HEAD, 1)):
        table = np.moveaxis(np.array(params[path]), axis, 0)
        table[first:] = table[first] * (1 + 1e-4 * rng.normal(size=(SPARE, 1)))
        params[path] = np.moveaxis(table, 0, axis)
    folder = tmp_path_factory.mktemp("published") / "model"
    export_model(
        Model(config=config, params=unflatten_dict(params, sep="/"), tokenizer=tokenizer, step=0),
        folder,
    )
    yield folder
    del DECODERS["test-published"]


def train_on(
    corpus,
    records,
    codec,
    out,
    *,
    sources,
    trainable=("projector/.*", ".*/lora_.*", EMBEDDING),
    steps=3,
):
    arguments = make_run(
        corpus,
        out,
        model=SPEAKING,
        data={"records": str(records), "codec": str(codec), **SPOKEN},
        steps=steps,
        checkpoint_every=3,
        dev_batches=0,
        trainable=trainable,
    )
    return train(**arguments | {"sources": dataclasses.replace(NO_SOURCES, **sources)})


@pytest.fixture(scope="module")
def speaking(corpus, spoken_records, codec_folder, published, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "speaking"
    return train_on(
        corpus, spoken_records, codec_folder, out, sources={"decoder": str(published / "decoder")}
    )


def test_a_run_its_resume_and_its_export_hold_the_same_rows(
    corpus, spoken_records, codec_folder, published, speaking, tokenizer, tmp_path, capsys
):
    first = place_units(tokenizer).begin
    _, _, params = load_params(speaking)
    head = np.asarray(params["decoder"]["head"])
    rows = list_needed_rows(tokenizer, read_codec_identity(codec_folder))
    assert find_twins({HEAD: head}, rows, is_tied=False) == {HEAD: {}}
    whole = flatten_dict(Model.load(published).params, sep="/")
    np.testing.assert_array_equal(head[:, :first], whole[HEAD][:, :first])
    assert (head[:, first : first + SPARE] != whole[HEAD][:, first:]).all(axis=0).all()
    # its export, and a run that resumes
    export_model(Model.load(speaking), tmp_path / "export")
    np.testing.assert_array_equal(Model.load(tmp_path / "export").params["decoder"]["head"], head)
    run = shutil.copytree(speaking, tmp_path / "run")
    capsys.readouterr()
    train_on(
        corpus,
        spoken_records,
        codec_folder,
        run,
        sources={"decoder": str(published / "decoder")},
        steps=6,
    )
    np.testing.assert_array_equal(load_params(run)[2]["decoder"]["head"], head)
    assert "drawn again" not in capsys.readouterr().out
    # a run that starts from it has nothing to draw, and one that starts again draws the same
    later = train_on(
        corpus, spoken_records, codec_folder, tmp_path / "later", sources={"run": str(speaking)}
    )
    np.testing.assert_array_equal(load_params(later)[2]["decoder"]["head"], head)
    assert "drawn again" not in capsys.readouterr().out


def test_a_run_from_before_is_not_gone_on_with(
    corpus, spoken_records, codec_folder, published, speaking, tmp_path, monkeypatch, capsys
):
    """Its units cannot be told apart; a run that starts from it draws their rows again."""
    from sift_jax.training import job, loop

    with monkeypatch.context() as patch:
        patch.setattr(job, "draw_spare_rows", lambda loaded, rows: loaded)
        patch.setattr(loop, "check_told_apart", lambda *args, **kwargs: None)
        old = train_on(
            corpus,
            spoken_records,
            codec_folder,
            tmp_path / "old",
            sources={"decoder": str(published / "decoder")},
        )
    with pytest.raises(
        ValueError,
        match=r"decoder/head does not train, and the beginning of speech, .* as START_RUN",
    ):
        train_on(corpus, spoken_records, codec_folder, old, sources={}, steps=6)
    capsys.readouterr()
    new = train_on(
        corpus, spoken_records, codec_folder, tmp_path / "new", sources={"run": str(old)}
    )
    assert "decoder/head: 27 rows" in capsys.readouterr().out
    np.testing.assert_allclose(
        load_params(new)[2]["decoder"]["head"], load_params(speaking)[2]["decoder"]["head"]
    )
