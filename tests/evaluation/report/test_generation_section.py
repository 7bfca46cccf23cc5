"""Figures of what was spoken, in the report of what was answered."""

import dataclasses
import json

import pytest

from data_prep.generation.figures import Cell
from data_prep.generation.score import FORMAT
from sift_jax.evaluation.judges.config import JudgeConfig
from sift_jax.evaluation.judging import JudgingConfig, judge_again
from sift_jax.evaluation.report.measured_speech import read_generation
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.schema import EvaluationError, Item, Prediction, write_prediction

JUDGE = JudgeConfig(
    name="offline",
    url="",
    model="",
    key_variable="",
    concurrency=1,
    seconds=1.0,
    patience=0.0,
    tries=1,
    max_tokens=64,
    longest_text=500,
    use_system_role=True,
    extra={},
    planted=0,
    planted_threshold=0.9,
)


def make_cell(system, key, metric, value, language="all", std=None):
    return dataclasses.asdict(
        Cell(
            system=system,
            language=language,
            key=key,
            metric=metric,
            value=value,
            std=std,
            low=None,
            high=None,
            runs=[value],
            n=9,
            of=10,
            missing={},
        )
    )


def write_figures(folder, cells):
    """As data_prep.generation score writes them."""
    folder.mkdir()
    own = {"folder": "spoken", "items": 5, "samples": 10, "runs": 2, "seconds": 20.0}
    settings = {"experts": {"speaking_rate": "phonemes"}}
    results = {"format": FORMAT, "settings": settings, "systems": {"model": own}, "cells": cells}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def write_answers(folder):
    item = Item(
        id="a",
        suite="jsonl",
        subset="a",
        language="en",
        references=("yes",),
        metrics=("exact_match",),
        messages=({"role": "user", "content": [{"text": "Is it?"}]},),
    )
    (folder / "predictions").mkdir(parents=True)
    (folder / "predictions" / "model.jsonl").write_text(
        write_prediction(Prediction(item=item, answer="yes"))
    )
    suites = {"jsonl": {"counts": {"items": 1, "set_aside": 0}, "set_aside": []}}
    facts = {
        "name": "mine",
        "model": {},
        "suites": suites,
        "audio_gain": None,
        "training": {},
        "data": "",
        "generation": "",
        "seconds": {},
    }
    (folder / "answers.json").write_text(json.dumps(facts))
    return folder


def judge(out, generation=""):
    judge_again(
        run=JudgingConfig(out_dir=str(out), generation_dir=str(generation)),
        judge=JUDGE,
        bootstrap=BootstrapConfig(samples=0, confidence=0.95, seed=0),
    )
    return json.loads((out / "results.json").read_text())


def test_one_report_has_answers_and_speech(tmp_path):
    cells = [
        make_cell("model", "speaking_rate", "mae", 0.4, std=0.02),
        make_cell("model", "speaking_rate", "qwk", 0.6),
        make_cell("constant", "speaking_rate", "qwk", 0.0),
        make_cell("model", "gender", "exact", 0.9),
        make_cell("model", "speaking_rate", "qwk", 0.5, language="de"),
        make_cell("model", "speaking_rate", "qwk", 0.7, language="en"),
    ]
    out = write_answers(tmp_path / "out")
    assert "generation" not in {cell["suite"] for cell in judge(out)["cells"]}
    assert "Over runs" not in (out / "report.md").read_text()
    results = judge(out, write_figures(tmp_path / "figures", cells))
    assert {cell["suite"] for cell in results["cells"]} == {"jsonl", "generation"}
    text = (out / "report.md").read_text()
    assert (
        "## Controllable generation" in text
        and "5 instructions to speak, 2 runs: 10 recordings." in text
    )
    assert (
        "| Speaking rate, MAE | 0.40 ± 0.02 |" in text
        and "0.40 ± 0.02" in (out / "report.html").read_text()
    )
    # beside the paper's: rate MAE and QWK, and the share with the right gender
    ours = next(
        line for line in text.splitlines() if line.startswith("| mine |") and "90.0 %" in line
    )
    assert "0.40" in ours and "0.60" in ours and "*0.24*" in text and "*95.8 %*" in text
    assert "0.60 better than the constant answer" in text
    # judged again without the flag it has the figures that it was given
    assert {cell["suite"] for cell in judge(out)["cells"]} == {"jsonl", "generation"}


def test_one_language_is_all_of_them(tmp_path):
    cells = [make_cell("model", "speaking_rate", "qwk", 0.5, language="en", std=0.1)]
    found = read_generation(str(write_figures(tmp_path / "figures", cells)))
    assert {cell.language for cell in found["cells"]} == {"", "en"}
    assert found["spread"] == {"speaking_rate": {"qwk": 0.1}}


def test_a_folder_without_figures_says_what_to_give(tmp_path):
    with pytest.raises(
        EvaluationError, match="results.json: No such file.*; give a folder that python -m data"
    ):
        read_generation(str(tmp_path))
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(EvaluationError, match="not the figures of spoken answers .*'format'"):
        read_generation(str(tmp_path))
    (tmp_path / "results.json").write_text('{"format": 2}')
    with pytest.raises(EvaluationError, match="has format 2, and format 1 is read; score again"):
        read_generation(str(tmp_path))
