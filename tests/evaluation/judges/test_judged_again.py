"""A folder of answers, judged again by a server: its verdicts are the figures, and are paid for
once."""

import json

import pytest
from judge_server import fail, find_code, make_config, read_object, say, serve
from scored_items import make_item

from sift_jax.evaluation.judging import InvalidJudge, JudgingConfig, judge_again
from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.evaluation.scores.schema import Prediction, write_prediction

WORDS = ("very slowly", "slowly", "fast", "very fast")


@pytest.fixture
def folder(tmp_path):
    """Eight answers, the last two of them wrong; nothing is judged yet."""
    items = [
        make_item(n, f"They speak {WORDS[n % 4]}.", metrics=("judge_closed",)) for n in range(8)
    ]
    right = [item.references[0] for item in items]
    answers = [*right[:6], "They speak in a cave.", "I cannot tell."]
    (tmp_path / "predictions").mkdir()
    lines = [
        write_prediction(Prediction(item=i, answer=a)) for i, a in zip(items, answers, strict=True)
    ]
    (tmp_path / "predictions" / "model.jsonl").write_text("".join(lines))
    suites = {items[0].suite: {"counts": {"items": 8, "set_aside": 0}, "set_aside": []}}
    facts = {
        "name": "mine",
        "model": {"checkpoint": "x"},
        "suites": suites,
        "audio_gain": None,
        "training": {},
        "data": "",
        "seconds": {"answer": 1.0},
    }
    (tmp_path / "answers.json").write_text(json.dumps(facts))
    return tmp_path


def judge_folder(folder, url, **changes):
    bootstrap = BootstrapConfig(samples=10, confidence=0.95, seed=0)
    run = JudgingConfig(out_dir=str(folder), generation_dir="")
    return judge_again(run=run, judge=make_config(url, **changes), bootstrap=bootstrap)


def judge_by_words(body, _):
    found = read_object(body)
    return say(
        f"Compared.\nVERDICT {find_code(body)} {int(found['answer'] in found['references'])}"
    )


def test_a_server_judges_the_answers_of_a_folder_once(folder):
    with serve(judge_by_words) as script:
        judge_folder(folder, script.url)
        asked = len(script.bodies)
        judge_folder(folder, script.url)
        assert len(script.bodies) == asked > 8
    found = read_evaluation(folder)
    cell = next(cell for cell in found.cells if not cell.language and not cell.facet)
    assert (cell.value, cell.n, cell.of, cell.metric) == (0.75, 8, 8, "judge_closed")
    assert (
        found.judge["name"] == "endpoint"
        and found.judge["planted"]["is_valid"]
        and found.judge["prompt_hash"]
    )
    verdicts = found.verdicts["model"]["endpoint"]
    assert [verdict.score for verdict in verdicts.values()] == [1.0] * 6 + [0.0] * 2
    assert next(iter(found.results["suites"].values()))["counts"]["scored"] == 8


def test_a_judge_that_fails_the_planted_answers_judges_nothing_else(folder):
    with serve(lambda body, _: say(f"Fine.\nVERDICT {find_code(body)} 1")) as script:
        with pytest.raises(
            InvalidJudge, match=r"failed the planted answers \(.*0 of 1 wrong.*\).*judge_check.json"
        ):
            judge_folder(folder, script.url, concurrency=1)
        # of 8 answers and as many planted ones: those planted that it took to see it fail, and a
        # few on their way
        asked = [read_object(body) for body in script.bodies]
    assert len(asked) <= 8
    check = json.loads((folder / "judge_check.json").read_text())
    assert not check["is_valid"] and check["failed"][0]["reason"] == "Fine."
    assert (
        not (folder / "results.json").exists()
        and not (folder / "verdicts" / "model.endpoint.jsonl").exists()
    )


def test_nobody_there_is_said_at_once_and_progress_is_shown_with_its_cost(
    folder, capsys, monkeypatch
):
    monkeypatch.setattr("sift_jax.evaluation.judges.progress.SECONDS", 0.0)

    def answer(body, number):
        if number == 0:
            return fail(503, "starting up")
        status, headers, payload = judge_by_words(body, number)
        usage = {"usage": {"prompt_tokens": 100, "completion_tokens": 7}}
        return status, headers, json.dumps(json.loads(payload) | usage).encode()

    with serve(answer) as script:
        judge_folder(folder, script.url, concurrency=1)
    said = capsys.readouterr().err.splitlines()
    waiting = [line for line in said if "does not answer yet" in line]
    assert len(waiting) == 1 and "http 503 (starting up)" in waiting[0]
    last = [line for line in said if line.startswith("judging model: ")][-1]
    calls = len(script.bodies) - 1
    assert last.startswith("judging model: 8 of 8, ")
    assert last.endswith(f"; {calls} calls, {100 * calls:,} tokens in, {7 * calls} tokens out")
