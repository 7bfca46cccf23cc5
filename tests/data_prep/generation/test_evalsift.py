"""All of EvalSIFT in one command: the steps, in their order, until one fails."""

import subprocess
import sys

import pytest

from data_prep import evalsift
from data_prep.generation.__main__ import parse_flags as parse_generation

NEEDED = ["--build=data", "--checkpoint=answers", "--speaker=speaks", "--out=runs/es"]


def plan(*flags):
    return evalsift.plan(evalsift.parse_flags([*NEEDED, *flags]))


def test_it_speaks_measures_asks_and_reports_in_one_folder():
    items, speak, score, ask = plan()
    assert [command[0] for command in (items, speak, score, ask)] == [
        "data_prep.generation",
        "sift_jax.speak",
        "data_prep.generation",
        "sift_jax.evaluate",
    ]
    assert "--samples=10" in speak and "--checkpoint=speaks" in speak
    assert {
        "--suite=evalsift",
        "--gin.CHECKPOINT=answers",
        "--gin.DATA_DIR=data",
        "--gin.OUT_DIR=runs/es",
        "--gin.GENERATION_DIR=runs/es/generation/figures",
    } <= set(ask)
    for command in (items, score):
        flags = parse_generation(command[1:])
        assert flags.build.name == "data"
    assert parse_generation(score[1:]).spoken == parse_generation(items[1:]).out.with_name("spoken")


def test_limits_languages_and_a_codec_go_where_they_belong():
    items, speak, ceiling, score, ask = plan(
        "--limit=5",
        "--languages=en,de",
        "--codec=c",
        "--judge=endpoint",
        "--gin_file=mine.gin",
        "--gin.TEMPERATURE=0.0",
        "--workers=1",
    )
    assert {"--limit=5", "--languages=en,de"} <= set(items) and "--codec=c" in speak
    assert parse_generation(ceiling[1:]).out == parse_generation(score[1:]).ceiling
    assert ask[1:4] == ["--judge=endpoint", "--gin_file=mine.gin", "--gin.TEMPERATURE=0.0"]
    assert {"--gin.LIMIT=5", "--gin.LANGUAGES=('en', 'de')"} <= set(
        ask
    ) and "--suite=evalsift" not in ask


def test_it_stops_where_a_step_fails(monkeypatch, capsys):
    ran = []

    def run(command):
        ran.append(command[2])
        return subprocess.CompletedProcess(command, 3 if command[2] == "sift_jax.speak" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit) as stop:
        evalsift.main(NEEDED)
    assert stop.value.code == 3 and ran == ["data_prep.generation", "sift_jax.speak"]
    assert "$ python -m sift_jax.speak --checkpoint=speaks" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["data_prep.evalsift"])
    with pytest.raises(SystemExit):
        evalsift.parse_flags([*NEEDED, "--samples=0"])
