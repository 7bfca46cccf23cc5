"""`python -m sift_jax.evaluate` and `sift_jax.judge` as they are typed: short flags, counts, and
how they end."""

import runpy
import signal
import sys

import pytest

from sift_jax.cli import ConfigError, build_arguments
from sift_jax.evaluation import judging
from sift_jax.evaluation.evaluate import evaluate
from sift_jax.evaluation.suites import SUITES

LEAST = {
    "sift_jax.evaluate": ["--suite=evalsift", "--root=x", "--checkpoint=x", "--out=x"],
    "sift_jax.judge": ["--predictions=x"],
}
FEW = ["--gin.MAX_NEW_TOKENS=4", "--gin.PLANTED=6", "--gin.ROWS=8"]


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command; (its exit status, standard output, standard error)."""

    def run(module, *argv):
        monkeypatch.setattr(sys, "argv", [module, *map(str, argv)])
        try:
            runpy.run_module(module, run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    "module, function",
    [
        ("sift_jax.evaluate", "sift_jax.evaluation.evaluate.evaluate"),
        ("sift_jax.judge", "sift_jax.evaluation.judging.judge_again"),
    ],
)
def test_who_stops_it_is_told_that_it_can_resume(call, monkeypatch, tmp_path, module, function):
    def stop(*given, **options):
        raise KeyboardInterrupt

    # what is built for the command is left aside: it ends in the middle of its work
    monkeypatch.setattr("sift_jax.cli.build_arguments", lambda *given, **options: {})
    monkeypatch.setattr(function, stop)
    before = signal.getsignal(signal.SIGINT)
    try:
        code, _, said = call(module, *LEAST[module])
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and said == "stopped; the same command resumes from here\n"


def test_every_suite_has_its_file_and_an_unknown_one_is_told_all(call):
    code, _, said = call("sift_jax.evaluate", "--suite=librispech", "--root=/x")
    assert code == 2 and said.endswith(
        "did you mean librispeech? See python -m sift_jax.evaluate --help\n"
    )
    named = said.partition("'librispech' is not one of ")[2].partition(";")[0].split(", ")
    assert set(SUITES) <= set(named) and "judge" not in named


def test_short_flags_are_knobs(call, corpus, trained_run, tmp_path):
    code, said, _ = call(
        "sift_jax.evaluate",
        "--suite=evalsift",
        f"--root={corpus.root}",
        "--limit=1",
        "--dry_run",
        f"--checkpoint={trained_run}",
        f"--out={tmp_path / 'out'}",
    )
    assert (
        code == 0
        and said
        == f"evalsift: 10 items, 3 skipped\n10 would be answered by {trained_run}, constant\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--suite=librispeech", "--root=/nowhere"], "error: /nowhere: no such folder"),
        (["--suite=jsonl", "--limit=few"], "SuiteConfig.limit = 'few' is not an int"),
        (["--suite=air_bench", "--judge=endpoint"], "the server has no http address"),
        (["--suite=evalsift", "--limit=-1"], "SuiteConfig.limit is -1; give 0 or more"),
        (["--suite=evalsift", "--rows=0"], "EvaluationConfig.rows is 0; give 1 or more"),
        (
            [
                "--suite=air_bench",
                "--judge=endpoint",
                "--model=m",
                "--endpoint=http://h/v1?api_key=hidden",
            ],
            "the server's address holds api_key=…; put the key into $SIFT_JUDGE_KEY",
        ),
        (
            ["--suite=air_bench", "--judge=me"],
            "JudgeConfig.name is 'me'; choose one of offline, endpoint",
        ),
        (["--root=/x"], "error: no --suite and no --gin_file is given; see "),
        (["--suite=evalsift", "--gin.NOISE=1"], "gin binding NOISE is used by nothing"),
    ],
)
def test_mistakes_end_with_status_two_and_one_line(call, argv, message):
    code, _, said = call("sift_jax.evaluate", *argv)
    assert (
        code == 2
        and message in said.splitlines()[-1]
        and "Traceback" not in said
        and "hidden" not in said
    )


def test_answers_are_made_once_and_judged_twice(call, corpus, trained_run, tmp_path, monkeypatch):
    flags = [
        f"--root={corpus.root}",
        "--limit=1",
        f"--checkpoint={trained_run}",
        f"--out={tmp_path}",
        *FEW,
    ]
    code, said, error = call("sift_jax.evaluate", "--suite=evalsift", *flags)
    assert code == 0 and "evalsift: 10 of 10 scored, 3 skipped" in said, error
    code, said, _ = call(
        "sift_jax.judge", f"--predictions={tmp_path}", "--judge=offline", "--dry_run"
    )
    assert code == 0 and "model: 10 answers would be judged by offline" in said
    failed = {"n": 6, "right": 1, "is_valid": False, "kinds": {"wrong": [1, 6]}, "failed": []}
    monkeypatch.setattr(judging, "check_judge", lambda *args, **kwargs: failed)
    code, _, error = call("sift_jax.judge", f"--predictions={tmp_path}")
    assert (
        code == 65
        and "error: the judge offline failed the planted answers (1 of 6 wrong)"
        in error.splitlines()[-1]
    )
    code, _, error = call("sift_jax.judge", f"--predictions={tmp_path / 'none'}")
    assert code == 2 and "has no finished answers" in error


def test_several_suites_are_asked_in_one_run(tmp_path):
    """Each has a scope of its own; what is bound without one holds for all."""
    path = tmp_path / "two.gin"
    path.write_text(
        "include 'configs/evaluation/base.gin'\nOUT_DIR = 'x'\nSUITE = 'jsonl:cars'\nROOT = "
        "'cars'\n"
        "rooms/SuiteConfig.name = 'jsonl:rooms'\nrooms/SuiteConfig.root = 'rooms'\n"
        "sift_jax.evaluation.evaluate.evaluate.suites = (@SuiteConfig(), @rooms/SuiteConfig())\n"
    )
    suites = build_arguments(evaluate, [str(path)], [])["suites"]
    assert [(suite.name, suite.root) for suite in suites] == [
        ("jsonl:cars", "cars"),
        ("jsonl:rooms", "rooms"),
    ]
    with pytest.raises(ConfigError, match="gin binding cabins/SuiteConfig.root is used by nothing"):
        build_arguments(evaluate, [str(path)], ["cabins/SuiteConfig.root = 'c'"])


@pytest.mark.parametrize("suite", ["dynamic_superb", "peoples_speech"])
def test_audio_inside_of_tables_has_a_place_without_being_asked_for(suite):
    """As downloaded, these hold their audio in Parquet files."""
    path = f"configs/evaluation/{suite}.gin"
    (config,) = build_arguments(evaluate, [path], [])["suites"]
    assert config.cache_dir == f"runs/audio/{suite}"
    (config,) = build_arguments(evaluate, [path], ["CACHE_DIR = '/mine'"])["suites"]
    assert config.cache_dir == "/mine"
