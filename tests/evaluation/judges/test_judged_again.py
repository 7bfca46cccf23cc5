"""A folder of answers, judged anew by a server: its verdicts are the figures, and are paid for once."""

import json

import pytest
from judge_server import find_code, make_config, read_object, say, serve
from scored_items import make_item

from sift_jax.evaluation.items import Prediction, write_prediction
from sift_jax.evaluation.judging import InvalidJudge, JudgingConfig, judge_again
from sift_jax.evaluation.report.folder import read_evaluation
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig

WORDS = ("very slowly", "slowly", "fast", "very fast")


@pytest.fixture
def folder(tmp_path):
    """Eight answers, the last two of them wrong; nothing is judged yet."""
    items = [make_item(n, f"They speak {WORDS[n % 4]}.", metrics=("judge_closed",)) for n in range(8)]
    right = [item.references[0] for item in items]
    answers = [*right[:6], "They speak in a cave.", "I cannot tell."]
    (tmp_path / "predictions").mkdir()
    lines = [write_prediction(Prediction(item=i, answer=a)) for i, a in zip(items, answers, strict=True)]
    (tmp_path / "predictions" / "model.jsonl").write_text("".join(lines))
    suites = {items[0].suite: {"counts": {"items": 8, "set_aside": 0}, "set_aside": []}}
    facts = {"name": "mine", "model": {"checkpoint": "x"}, "suites": suites, "audio_gain": None,
             "training": {}, "data": "", "seconds": {"answer": 1.0}}
    (tmp_path / "answers.json").write_text(json.dumps(facts))
    return tmp_path


def judge_folder(folder, url, **changes):
    bootstrap = BootstrapConfig(samples=10, confidence=0.95, seed=0)
    return judge_again(run=JudgingConfig(out_dir=str(folder)), judge=make_config(url, **changes), bootstrap=bootstrap)


def judge_by_words(body, _):
    found = read_object(body)
    return say(f"Compared.\nVERDICT {find_code(body)} {int(found['answer'] in found['references'])}")


def test_a_server_judges_the_answers_of_a_folder_once(folder):
    with serve(judge_by_words) as script:
        judge_folder(folder, script.url)
        asked = len(script.bodies)
        judge_folder(folder, script.url)
        assert len(script.bodies) == asked > 8
    found = read_evaluation(folder)
    cell = next(cell for cell in found.cells if not cell.language and not cell.facet)
    assert (cell.value, cell.n, cell.of, cell.metric) == (0.75, 8, 8, "judge_closed")
    assert found.judge["name"] == "endpoint" and found.judge["planted"]["is_valid"] and found.judge["prompt_hash"]
    verdicts = found.verdicts["model"]["endpoint"]
    assert [verdict.score for verdict in verdicts.values()] == [1.0] * 6 + [0.0] * 2
    assert next(iter(found.results["suites"].values()))["counts"]["scored"] == 8


def test_a_judge_that_lets_everything_pass_is_told_by_the_planted_answers(folder):
    with serve(lambda body, _: say(f"Fine.\nVERDICT {find_code(body)} 1")) as script, pytest.raises(InvalidJudge):
        judge_folder(folder, script.url)
    planted = read_evaluation(folder).judge["planted"]
    assert not planted["is_valid"] and planted["right"] < planted["n"]
    assert read_evaluation(folder).cells[0].value == 1.0
    assert "NOT valid" in (folder / "report.md").read_text()
