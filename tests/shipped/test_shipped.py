"""The model that comes with the package: it loads with today's code, answers as its files say, and its
card says no more than they do."""

import json
import re
from pathlib import Path

import pytest

import sift_jax
from sift_jax.ask import main as ask
from sift_jax.audio.files import AudioError, read_audio
from sift_jax.audio.recordings import read_recording
from sift_jax.packing.card import make_card
from sift_jax.packing.pack import MOST_BYTES
from sift_jax.pretrained import Model
from sift_jax.serving.run_server import name_models
from sift_jax.shipped.places import FOLDER, NOTE, find_checkpoint, find_recording, list_samples

ROOT = Path(__file__).parents[2]
ABOUT = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
SAMPLES = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model():
    return sift_jax.load()


def test_it_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES


def test_the_card_says_what_the_files_say():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == make_card(ABOUT, SAMPLES)
    # made in a clone in which nothing was changed
    assert re.fullmatch(r"[0-9a-f]{12}", ABOUT["commit"])


def test_it_answers_the_samples_as_recorded(model):
    questions = [
        (f"sample:{sample['name']}", asked) for sample in SAMPLES for asked in sample["asked"]
    ]
    answers = model.ask_many((audio, asked["question"]) for audio, asked in questions)
    assert answers == [asked["answer"] for _, asked in questions]
    right = sum(asked["answer"] == asked["right"] for _, asked in questions)
    assert f"Of {len(questions)} answers {right} are" in (FOLDER / "README.md").read_text()


def test_its_samples_are_what_it_takes(model):
    assert list_samples() == sorted(sample["name"] for sample in SAMPLES)
    for name in list_samples():
        samples = read_audio(find_recording(f"sample:{name}"), max_seconds=30.0)
        assert 0.5 < len(samples) / 16_000 <= model.window_seconds


def test_the_pages_show_the_answers_that_it_gives():
    page = (ROOT / "docs" / "tutorials" / "first_answers.md").read_text(encoding="utf-8")
    for sample in SAMPLES:
        asked = sample["asked"][0]
        row = f'| `sample:{sample["name"]}` | "{asked["question"]}" | `{asked["right"]}` |'
        assert f"{row} `{asked['answer']}` |" in page, sample["name"]
    for text in (page, (ROOT / "README.md").read_text(encoding="utf-8")):
        (slow,) = [sample["asked"][0] for sample in SAMPLES if sample["name"] == "slow"]
        assert f'--audio=sample:slow "{slow["question"]}"' in text and f"`{slow['answer']}`" in text
    model, majority = (
        next(
            cell
            for cell in ABOUT["cells"]
            if (cell["suite"], cell["subset"], cell["system"])
            == ("evalsift", "closed_ended", system)
        )
        for system in ("model", "majority")
    )
    unseen = next(
        cell
        for cell in ABOUT["cells"]
        if (cell["suite"], cell["subset"]) == ("evalsift:unseen", "closed_ended")
    )
    for cell in (model, majority, unseen):
        assert f"{100 * cell['value']:.1f} %" in page
    assert f"of {model['n']} closed questions" in page


def test_the_command_needs_no_more_than_a_recording(capsys):
    (sample,) = [sample for sample in SAMPLES if sample["name"] == "slow"]
    asked = sample["asked"][0]
    ask(["--audio=sample:slow", asked["question"]])
    said = capsys.readouterr()
    assert said.out == f"{asked['answer']}\n" and said.err == f"note: {NOTE}\n"


def test_an_unknown_sample_is_told_with_those_that_are_there():
    with pytest.raises(AudioError, match="there is no sample:slwo; the samples are .*slow"):
        read_recording("sample:slwo")


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("small") == FOLDER
    assert name_models(["small"], []) == ["small"]
    (tmp_path / "small").mkdir()
    assert str(find_checkpoint("small")) == "small"
    with pytest.raises(ValueError, match="small is neither a run .* nor an export"):
        Model.load("small")


def test_who_names_no_folder_that_is_there_is_told_of_it():
    with pytest.raises(ValueError, match="nowhere: no such folder; .* or small for the model that"):
        Model.load("nowhere")
