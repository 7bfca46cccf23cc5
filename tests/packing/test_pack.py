"""A run and its evaluation as what travels with the package, from folders shaped like those of a
finished quickstart."""

import json
import shutil
from pathlib import Path

import pytest
from made_evaluation import make_corpus, make_evaluation

import sift_jax
from sift_jax.checkpoints.checksums import digest_leaves
from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.scores.schema import MODEL
from sift_jax.packing import pack as packing
from sift_jax.packing.pack import EXTREMES, choose_samples, pack, read_number
from sift_jax.pretrained import Model

RATES = ("Speed 2: quite slowly", "Speed 7: very fast", "Speed 4: moderate", "Speed 1: slowly")

CONFIG = "RunConfig.seed = 5\nRunConfig.steps = 6\nMixtureConfig.languages = ('en',)\n"


def ask_plainly(run: Path) -> None:
    """Questions as EvalSIFT has them: of English recordings, answers by class."""
    path = run / "predictions" / f"{MODEL}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        place = int(line["id"].rpartition("/")[2])
        line["references"] = [RATES[place % len(RATES)]]
        line["language"] = "en"
        line["facets"] = {"kind": list(EXTREMES)[place % len(EXTREMES)]}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def finished(trained_run, tmp_path_factory):
    """A run with a stage 2 and its evaluation."""
    run = tmp_path_factory.mktemp("finished")
    data = make_corpus(run / "data")
    made = make_evaluation(run / "made", data_dir=data)
    results = json.loads((made / "results.json").read_text())
    results["model"]["weights"] = digest_leaves(Model.load(trained_run).params)
    (made / "results.json").write_text(json.dumps(results))
    for path in made.iterdir():
        shutil.move(path, run / path.name)
    ask_plainly(run)
    (run / "stage2").mkdir()
    for path in Path(trained_run).iterdir():
        (run / "stage2" / path.name).symlink_to(path)
    (run / "stage2" / "config.gin").write_text(CONFIG)
    # the tiny model hears two seconds
    shortest, *others = sorted((data / "audio").iterdir(), key=lambda path: path.stat().st_size)
    for path in others:
        shutil.copyfile(shortest, path)
    return run


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "small"
    said = pack(f"{finished}/stage2", str(finished), out)
    assert said.startswith(f"{out} written: ") and said.endswith(" samples")
    return out


def test_the_card_s_figures_are_those_of_the_report(finished, packed):
    found = json.loads((finished / "results.json").read_text())["cells"]
    about = json.loads((packed / "card.json").read_text())
    wanted = [cell for cell in found if cell["language"] == "en" and not cell["facet"]]
    assert about["cells"] == wanted and wanted
    card = (packed / "README.md").read_text(encoding="utf-8")
    (closed,) = [c for c in wanted if c["subset"] == "closed_ended" and c["system"] == MODEL]
    assert f"{100 * closed['value']:.1f} %" in card and about["weights"] in card
    assert about["commit"] in card and about["seeds"] == [5]
    assert about["stages"] == {"stage2": 6} and "stage2 (6 steps); seeds: 5" in card


def test_it_answers_what_its_file_says(packed):
    model = sift_jax.load(packed)
    samples = json.loads((packed / "samples.json").read_text(encoding="utf-8"))
    names = [sample["name"] for sample in samples]
    assert names == ["slow", "fast", "low", "high", "noisy", "clean"]
    assert len({sample["utterance"] for sample in samples}) == len(samples)
    for sample in samples:
        path = packed / "samples" / f"{sample['name']}.flac"
        for asked in sample["asked"]:
            assert model.ask(path, asked["question"]) == asked["answer"]


def test_the_samples_are_chosen_by_what_is_right_and_not_by_what_is_answered(finished):
    chosen = {sample.name: sample.asked[0] for sample in choose_samples(read_evaluation(finished))}
    for kind, (low, high) in EXTREMES.items():
        assert chosen[low].facets["kind"] == chosen[high].facets["kind"] == kind
    assert read_number(chosen["slow"]) == 1 and read_number(chosen["fast"]) == 7


def test_figures_of_other_weights_are_refused(finished, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(finished, other, symlinks=True)
    path = other / "results.json"
    found = json.loads(path.read_text())["model"]["weights"]
    path.write_text(path.read_text().replace(found, "0f1e"))
    with pytest.raises(ValueError, match="results.json is of weights 0f1e, and .* has others"):
        pack(f"{other}/stage2", str(other), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_too_large_to_travel_is_refused(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match="bytes, and at most 1,000 travel with the package"):
        pack(f"{finished}/stage2", str(finished), tmp_path / "out")
