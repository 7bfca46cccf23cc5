"""An evaluation, from a run's checkpoint to the files that it leaves; broken off, judged again,
spread over devices."""

import dataclasses
import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_evaluation import make_evaluation, make_suite
from tiny_run import make_data

from sift_jax.decoding.sampling import GREEDY
from sift_jax.evaluation import judging
from sift_jax.evaluation.evaluate import (
    answer_constantly,
    evaluate,
    measure_audio_gain,
    read_training_answers,
    split_by_baseline,
)
from sift_jax.evaluation.judges.config import JudgeError
from sift_jax.evaluation.judging import InvalidJudge, JudgingConfig, judge_again
from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.scores.metrics import judge_texts
from sift_jax.evaluation.scores.schema import EvaluationError, Item, Prediction
from sift_jax.evaluation.suites import read_suite
from sift_jax.launch import Launch
from sift_jax.pretrained import Model

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(__file__).parents[1] / "support" / "tiny_evaluation.py")


@pytest.fixture(scope="module")
def unbroken(corpus, trained_run, tmp_path_factory):
    """The folder of an evaluation that nobody disturbed."""
    out = tmp_path_factory.mktemp("evaluations") / "unbroken"
    evaluate(
        **make_evaluation(corpus.root, trained_run, out, has_untrained=True),
        launch=Launch(config_text="a = 1\n"),
    )
    return out


def read_lines(out, name="model.jsonl"):
    return (out / "predictions" / name).read_text().splitlines(keepends=True)


def test_the_audio_gain_of_a_run_is_measured_on_any_split(corpus, trained_run):
    model = Model.load(trained_run)
    gains = [
        measure_audio_gain(model, make_data(corpus), split, ()) for split in ("dev", "EvalSIFT")
    ]
    assert all(math.isfinite(gain) and gain != 0 for gain in gains)


def test_an_evaluation_leaves_answers_verdicts_figures_and_a_report(unbroken):
    found = read_evaluation(unbroken)
    counts = found.results["suites"]["evalsift"]["counts"]
    assert (
        counts["items"] == counts["answered"] == counts["scored"] == 20 and counts["set_aside"] == 0
    )
    assert {system: len(answers) for system, answers in found.predictions.items()} == dict.fromkeys(
        ("model", "untrained", "majority"), 20
    )
    assert found.results["model"]["step"] == 6 and found.results["judge"]["planted"]["is_valid"]
    assert (unbroken / "config.gin").read_text() == "a = 1\n" and (
        unbroken / "report.html"
    ).stat().st_size > 1000
    cells = {
        (cell.subset, cell.system): cell
        for cell in found.cells
        if not cell.language and not cell.facet
    }
    closed = [
        cell.value
        for (subset, system), cell in cells.items()
        if "/" in subset and system == "majority"
    ]
    assert sum(closed) > 0 and cells["closed_ended", "majority"].value == pytest.approx(
        sum(closed) / 4
    )
    assert not list((unbroken / "predictions").glob("*.part*"))
    assert len({json.loads(line)["answer"] for line in read_lines(unbroken)}) > 5


def test_the_constant_answer_of_a_suite_is_its_own(corpus):
    """Training rows are EvalSIFT's alone, and a part called the same in two suites is two parts."""
    items = [*read_suite(make_suite(corpus.root)).items]
    twins = [
        Item(
            id=f"{suite}/{n}",
            suite=suite,
            subset="test",
            language="en",
            messages=(),
            references=(text,),
            metrics=("exact_match",),
        )
        for suite, text in (("jsonl:a", "yes"), ("jsonl:b", "no"))
        for n in range(2 + (text == "no"))
    ]
    split = split_by_baseline([*items, *twins], str(corpus.root))
    assert split == {"majority": items, "constant": twins} and list(
        split_by_baseline(items, "")
    ) == ["constant"]
    found = answer_constantly(items, str(corpus.root)) | answer_constantly(twins, "")
    assert {found[item.id] for item in twins if item.suite == "jsonl:a"} == {"yes"}
    assert {found[item.id] for item in twins if item.suite == "jsonl:b"} == {"no"}
    train = {answer for _, _, answer in read_training_answers(str(corpus.root))}
    assert {found[item.id] for item in items} <= train and any(found[item.id] for item in items)


def test_a_run_that_was_killed_gives_the_answers_of_one_that_was_not(
    corpus, trained_run, unbroken, tmp_path
):
    """Answers of another order are there, one torn in the middle; batches are not those of a run
    without them."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    lines = read_lines(unbroken)
    (folder / "model.jsonl.part0").write_text("".join(lines[13:4:-2]) + lines[0][:70])
    (folder / "model.json").write_text("".join(read_lines(unbroken, "model.json")))
    evaluate(**make_evaluation(corpus.root, trained_run, tmp_path))
    assert read_lines(tmp_path) == lines and not list(folder.glob("*.part*"))


def test_what_is_answered_is_not_answered_again(corpus, trained_run, unbroken, monkeypatch):
    """Nor is a speaker made for it; an answer that somebody wrote stays."""
    monkeypatch.setattr("sift_jax.evaluation.evaluate.TextGenerator", None)
    before = read_lines(unbroken)
    arguments = make_evaluation(corpus.root, trained_run, unbroken, has_untrained=True)
    evaluate(**arguments, launch=Launch(config_text="a = 1\n"))
    assert read_lines(unbroken) == before


def test_other_answers_are_not_put_among_those_that_are_there(corpus, trained_run, unbroken):
    arguments = make_evaluation(corpus.root, trained_run, unbroken)
    said = r"model.json: .* made with decoding = .*0.7.*, asked is .*0.0.*give another --out"
    with pytest.raises(EvaluationError, match=said):
        evaluate(**{**arguments, "decoding": GREEDY})
    with pytest.raises(EvaluationError, match=r"model.json: .* seed = 0, asked is 1"):
        evaluate(**make_evaluation(corpus.root, trained_run, unbroken, seed=1))
    with pytest.raises(
        EvaluationError, match="model.jsonl: evalsift/.* is not asked now; give another --out"
    ):
        evaluate(**{**arguments, "suites": (make_suite(corpus.root, languages=("de",)),)})


def test_more_items_go_on_from_fewer(corpus, trained_run, unbroken, tmp_path):
    arguments = make_evaluation(corpus.root, trained_run, tmp_path)
    evaluate(**{**arguments, "suites": (make_suite(corpus.root, limit=1),)})
    few = set(read_lines(tmp_path))
    evaluate(**arguments)
    assert (
        len(few) == 10
        and few < set(read_lines(tmp_path))
        and read_lines(tmp_path) == read_lines(unbroken)
    )


def judge_folder(out, **changes):
    arguments = make_evaluation(out, out, out)
    judge = dataclasses.replace(arguments["judge"], **changes)
    run = JudgingConfig(out_dir=str(out), generation_dir="")
    return judge_again(run=run, judge=judge, bootstrap=arguments["bootstrap"])


def test_answers_are_judged_again_without_a_model(unbroken, monkeypatch):
    monkeypatch.setattr(Model, "load", None)
    old = json.loads((unbroken / "results.json").read_text())
    (unbroken / "verdicts" / "model.offline.jsonl").unlink()
    (unbroken / "report.md").unlink()
    judge_folder(unbroken)
    new = json.loads((unbroken / "results.json").read_text())
    assert {**new, "seconds": 0} == {**old, "seconds": 0} and (unbroken / "report.md").is_file()


def test_answers_whose_judge_is_down_are_judged_by_another_without_a_model(
    corpus, trained_run, tmp_path, monkeypatch
):
    arguments = make_evaluation(corpus.root, trained_run, tmp_path, has_majority=False)
    down = dataclasses.replace(
        arguments["judge"], name="endpoint", url="http://127.0.0.1:9/v1", model="m"
    )
    suites = (make_suite(corpus.root, limit=1),)
    with pytest.raises(JudgeError, match="the judge does not answer"):
        evaluate(**{**arguments, "suites": suites, "judge": down})
    assert not (tmp_path / "results.json").exists()
    monkeypatch.setattr(Model, "load", None)
    judge_folder(tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["suites"]["evalsift"]["counts"]["scored"] == 10 and results["model"]["step"] == 6


def test_empty_answers_are_counted_and_wrong():
    item = Item(
        id="a/b/c",
        suite="a",
        subset="b",
        language="en",
        messages=(),
        references=("yes",),
        metrics=("exact_match",),
    )
    predictions = [
        Prediction(item=dataclasses.replace(item, id=text), answer=text)
        for text in ("", " \n", "yes")
    ]
    suites = {"a": {"counts": {"items": 3, "set_aside": 0}, "set_aside": []}}
    counts = judging.count_scored(suites, predictions, judge_texts(predictions))["a"]["counts"]
    assert (counts["answered"], counts["empty"], counts["scored"], counts["unscored"]) == (
        3,
        2,
        3,
        {},
    )
    assert [verdict.score for verdict in judge_texts(predictions)] == [0.0, 0.0, 1.0]


def test_a_judge_that_fails_the_planted_answers_leaves_the_figures_of_another(
    unbroken, monkeypatch
):
    judge_folder(unbroken)
    before = (unbroken / "results.json").read_bytes()
    failed = {
        "n": 6,
        "right": 2,
        "is_valid": False,
        "kinds": {"right": [0, 4], "wrong": [2, 2]},
        "failed": [],
    }
    monkeypatch.setattr(judging, "check_judge", lambda *args, **kwargs: failed)
    with pytest.raises(
        InvalidJudge, match=r"the judge offline failed .* \(0 of 4 right, 2 of 2 wrong\)"
    ) as stop:
        judge_folder(unbroken)
    assert stop.value.exit_code == 65
    assert json.loads((unbroken / "judge_check.json").read_text()) == failed
    assert (unbroken / "results.json").read_bytes() == before


def test_a_folder_without_answers_cannot_be_judged(tmp_path):
    with pytest.raises(
        EvaluationError, match="has no finished answers; make them by python -m sift_jax.evaluate"
    ):
        judge_folder(tmp_path)


def test_a_dry_run_counts_and_writes_nothing(corpus, trained_run, tmp_path, capsys):
    evaluate(
        **make_evaluation(corpus.root, trained_run, tmp_path / "out"), launch=Launch(dry_run=True)
    )
    said = capsys.readouterr().out
    assert (
        "evalsift: 20 items, 0 skipped" in said
        and "majority" in said
        and not (tmp_path / "out").exists()
    )


def test_two_suites_of_one_name_are_refused(corpus, trained_run, tmp_path):
    arguments = make_evaluation(corpus.root, trained_run, tmp_path)
    with pytest.raises(
        EvaluationError, match="two suites are called evalsift; give suites of different names"
    ):
        evaluate(**{**arguments, "suites": (make_suite(corpus.root),) * 2})
    with pytest.raises(EvaluationError, match="no suite is given"):
        evaluate(**{**arguments, "suites": ()})


def start(corpus, trained_run, out, mesh, devices, *, program):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": os.pathsep.join([str(TESTS / "support"), str(TESTS.parent)]),
    }
    command = [
        sys.executable,
        *program,
        str(corpus.root),
        str(trained_run),
        str(out),
        *map(str, mesh),
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def await_end(process):
    said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said[-3000:]


def test_eight_devices_answer_as_one(corpus, trained_run, unbroken, tmp_path):
    """Rows spread over four, parameters over four."""
    await_end(start(corpus, trained_run, tmp_path, (2, 2, 2), 8, program=[PROGRAM]))
    assert read_lines(tmp_path) == read_lines(unbroken)


@pytest.mark.slow
def test_two_processes_answer_as_one(corpus, trained_run, unbroken, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import sys, runpy; from sift_jax.parallel.distributed import start_distributed;"
        f"start_distributed('127.0.0.1:{port}', 2, int(sys.argv.pop(1)));"
        f"runpy.run_path({PROGRAM!r}, run_name='__main__')"
    )
    started = [
        start(corpus, trained_run, tmp_path, (2, 1, 1), 2, program=["-c", code, str(i)])
        for i in range(2)
    ]
    try:
        for process in started:
            await_end(process)
    finally:
        for process in started:
            process.kill()
    assert read_lines(tmp_path) == read_lines(unbroken)
    assert (tmp_path / "report.html").is_file()
