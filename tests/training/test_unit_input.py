"""A model without an encoder: what it is asked about comes as units, in training, answers and
exports."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
from tiny_model import MODEL, make_config
from tiny_run import change_data, make_run

from data_prep.units import main as add_units
from sift_jax.ask import main as ask
from sift_jax.checkpoints.checkpoint import load_params
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.records.record_reader import RecordReader
from sift_jax.data.records.record_units import UnitSet
from sift_jax.decoding import heard_units
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.text_answers import TextGenerator, make_prompt
from sift_jax.evaluation.model_inputs import ClipReader
from sift_jax.exporting.export import export_model
from sift_jax.pretrained import Model
from sift_jax.speech_model import load
from sift_jax.text.chat import make_question
from sift_jax.text.unit_tokens import place_units, read_codec_identity
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train

UNIT_INPUT = dataclasses.replace(MODEL, encoder=None, extra_tokens=None)
RATES = {"sift.closed_ended.*.en": 0.7, "sift.open_ended.en": 0.3}


@pytest.fixture(scope="module")
def records(spoken_records, codec_folder):
    """With the units of every clip beside those of answers."""
    add_units([f"--records={spoken_records}", f"--codec={codec_folder}", "--heard"])
    return spoken_records


@pytest.fixture(scope="module")
def arguments(corpus, records, codec_folder, tmp_path_factory):
    data = {"records": str(records), "codec": str(codec_folder), "rates": RATES, "tokens": 320}
    out_dir = tmp_path_factory.mktemp("unit_input") / "run"
    return make_run(corpus, out_dir, model=UNIT_INPUT, data=data, steps=3, checkpoint_every=3)


@pytest.fixture(scope="module")
def run(arguments):
    train(**arguments)
    return arguments["run"].out_dir


def test_units_stand_where_a_clip_would(arguments, records, codec_folder, tokenizer):
    """The units in a row are those of its recording, in front of the question, and nobody learns
    them."""
    config = make_config(encoder=None, extra_tokens=127)
    stream = BatchStream(
        change_data(arguments["data"], rates={"sift.open_ended.en": 1.0}),
        make_geometry(config),
        split="train",
        is_endless=True,
    )
    (_, batch), ids = next(stream.batches()), place_units(tokenizer)
    assert batch["mel_basf"].size == 0 and not batch["frames_ba"].any()
    assert (batch["slot_bt"] == -1).all()
    assert (batch["target_bm"][batch["weight_bm"] > 0] < ids.begin).all()
    groups = stream.plan.get_batch(0).groups
    example = stream.read_example(groups, 0)
    heard = example["tokens"][np.flatnonzero(example["tokens"] == ids.begin)[0] + 1 :]
    reader = RecordReader(records, "en")
    codec = read_codec_identity(codec_folder)
    units = UnitSet(records, codec, "en", "train", digest=reader.digest, has_heard=True)
    record = int(stream.plan.draws.tasks[0].index.items[groups.item[0]]["record"])
    assert ids.read(heard).tolist() == units.read(record, 0)
    whole = [next(itertools.islice(stream.batches(), n, None))[1]["token_bt"] for n in (1, 2)]
    later = next(stream.batches(skip=2))[1]["token_bt"]
    np.testing.assert_array_equal(whole[1], later)


def test_a_run_asks_and_exports_without_an_encoder(run, corpus, tmp_path):
    config, step, params = load_params(run)
    assert step == 3 and set(params) == {"decoder"} and config.hears_units
    model = Model.load(run)
    recording = sorted(corpus.audio.glob("*.flac"))[0]
    prompt = make_prompt(
        model, make_question("How fast?", [str(recording)]), ClipReader(3600.0, "cut")
    )
    ids = place_units(model.tokenizer)
    assert (prompt.tokens >= ids.first).sum() > 4 and not prompt.clips
    (answer,) = TextGenerator(model, rows=1).answer([prompt], GREEDY)
    assert isinstance(answer, str)
    assert load(run).ask(str(recording), "How fast?", max_new_tokens=4) is not None
    export_model(model, tmp_path / "export")
    assert not (tmp_path / "export" / "encoder").exists()
    assert "No encoder" in (tmp_path / "export" / "README.md").read_text()
    again = load(tmp_path / "export")
    question = (str(recording), "How fast?")
    assert again.ask(*question, max_new_tokens=4) == load(run).ask(*question, max_new_tokens=4)


def test_a_codec_that_has_moved_is_given(run, corpus, codec_folder, tmp_path, monkeypatch, capsys):
    """To Python and to the command; where it is not, the error names the remedy."""
    question = (str(sorted(corpus.audio.glob("*.flac"))[0]), "How fast?")
    expected = load(run).ask(*question, max_new_tokens=4)
    moved, copy = tmp_path / "codec", shutil.copytree(run, tmp_path / "run")
    shutil.copytree(codec_folder, moved)
    path = copy / "units.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "folder": "/nowhere/codec"}))
    monkeypatch.setattr(heard_units, "_known", {})
    with pytest.raises(ValueError, match="is not at /nowhere/codec; give its folder by --codec"):
        load(copy).ask(*question)
    assert load(copy, codec=str(moved)).ask(*question, max_new_tokens=4) == expected
    monkeypatch.setattr(heard_units, "_known", {})
    heard_units._open_codec.cache_clear()
    flags = [f"--checkpoint={copy}", f"--codec={moved}", f"--audio={question[0]}"]
    ask([*flags, "--max_new_tokens=4", question[1]])
    assert capsys.readouterr().out.strip() == expected.strip()


def test_what_is_lacking_is_said(arguments, run, tmp_path):
    lacking = dataclasses.replace(arguments["data"], codec=None)
    moved = dataclasses.replace(arguments["run"], out_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="no encoder, and no codec whose units it could hear"):
        train(**{**arguments, "data": lacking, "run": moved})
    with pytest.raises(ValueError, match="ModelConfig.fusion is 'cross' and there is no encoder"):
        make_config(encoder=None, fusion="cross")
