"""Results that are there are not made again, on whatever machine; those of another config are."""

import dataclasses
import json

import numpy as np
import pytest
from made_sweep import draw_scores, make_part, make_result

from sift_jax.cli import build_arguments
from sift_jax.launch import Launch
from sift_jax.sweeps.digests import find_digests
from sift_jax.sweeps.result_files import place_result, write_result
from sift_jax.sweeps.run import SweepError, sweep

SWEEP = "configs/sweeps/small/ablations.gin"
ARMS = ("default", "no_comparison")


@pytest.fixture
def arguments(tmp_path):
    """Of two arms and two seeds, whose results all lie in a folder, and nothing else of them."""
    bindings = {
        "OUT_DIR": str(tmp_path / "out"),
        "RESULTS_DIR": str(tmp_path / "results"),
        "ARMS": ARMS,
        "SEEDS": (0, 1),
    }
    found = build_arguments(
        sweep, [SWEEP], [f"{name} = {value!r}" for name, value in bindings.items()]
    )
    digests, rng = find_digests(found["run"], 1), np.random.default_rng(0)
    for arm, seed in found["run"].runs:
        part = make_part(draw_scores(rng, 0.6), subset="closed_ended/acoustic_level")
        result = make_result(arm, seed, (part,), digest=digests.arms[arm])
        write_result(tmp_path / "results", result)
    return found


def list_commands(arguments, capsys):
    """What would be run."""
    sweep(**arguments, launch=Launch(dry_run=True))
    lines = capsys.readouterr().out.splitlines()
    return [
        next(word.split("/")[-1] for word in line.split() if "OUT_DIR=" in word).strip("'")
        for line in lines
        if "sift_jax.train" in line
    ]


def test_what_has_a_result_is_not_run_where_nothing_else_of_it_is_left(arguments, tmp_path, capsys):
    assert list_commands(arguments, capsys) == []
    sweep(**arguments)
    assert "4 of 4 runs have results" in capsys.readouterr().out
    assert not (tmp_path / "out" / "done").exists()
    told = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(told["arms"]) == set(ARMS) and told["missing"] == []
    assert "acoustic" in (tmp_path / "results" / "report.md").read_text()


def test_a_run_that_is_missing_is_run_with_what_it_starts_from(arguments, tmp_path, capsys):
    place_result(tmp_path / "results", "no_comparison", 1).unlink()
    assert list_commands(arguments, capsys) == ["hear.1", "name.1", "no_comparison.1"]


def test_a_result_of_another_config_is_made_again(arguments, tmp_path, capsys):
    longer = dataclasses.replace(
        arguments["run"], arms={**arguments["run"].arms, "no_comparison": {"STEPS": 7}}
    )
    changed = {**arguments, "run": longer}
    runs = ["no_comparison.0", "no_comparison.1"]
    assert list_commands(changed, capsys) == ["hear.0", "name.0", "hear.1", "name.1", *runs]
    # to look changes nothing
    assert not (tmp_path / "results" / "older").exists()
    later = dataclasses.replace(arguments["results"], version=2)
    assert len(list_commands({**arguments, "results": later}, capsys)) == 8


def test_an_older_result_is_put_aside_before_its_run_begins(arguments, tmp_path):
    """The first thing that is prepared fails: what was there of another config is kept, elsewhere."""
    run = dataclasses.replace(arguments["run"], prepare=("python -c 0/0",))
    with pytest.raises(SweepError, match=r"prepare.0 ended with status 1: ZeroDivisionError"):
        sweep(**{**arguments, "run": run})
    assert len(list((tmp_path / "results" / "older").glob("default.0.*.json"))) == 1
    assert not place_result(tmp_path / "results", "default", 0).exists()


def test_a_folder_of_another_version_is_refused_before_a_result_is_moved(arguments, tmp_path):
    done = tmp_path / "out" / "done" / "prepare.0.json"
    done.parent.mkdir(parents=True)
    done.write_text(json.dumps({"command": ["true"], "digest": "", "seconds": 1}))
    later = dataclasses.replace(arguments["results"], version=2)
    with pytest.raises(
        SweepError, match="prepare.0 was done by another command, config or version"
    ):
        sweep(**{**arguments, "results": later})
    assert place_result(tmp_path / "results", "default", 0).is_file()


def test_tables_of_what_is_there_need_no_run(arguments, tmp_path, capsys):
    """Whatever config they are of: a table says which."""
    place_result(tmp_path / "results", "no_comparison", 1).unlink()
    looking = dataclasses.replace(arguments["results"], report_only=True, version=9)
    sweep(**{**arguments, "results": looking})
    assert "1 runs missing" in capsys.readouterr().out
    told = json.loads((tmp_path / "results" / "results.json").read_text())
    assert told["missing"] == ["no_comparison.1"]
    assert "no_comparison" not in told["runs"] and len(told["runs"]["default"]) == 2
    for arm, seed in arguments["run"].runs:
        place_result(tmp_path / "results", arm, seed).unlink(missing_ok=True)
    with pytest.raises(SweepError, match="there are no results in"):
        sweep(**{**arguments, "results": looking})
