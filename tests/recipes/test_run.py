"""Steps that tell what they do, stop where one fails and go on from there."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from sift_jax.quickstart.run import StepError, find_recording, list_steps, run_steps
from sift_jax.quickstart.steps import RUN, STEPS, Step

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_step(tmp_path, monkeypatch):
    """Steps whose commands append to a file, or end with a status."""
    (tmp_path / "write_line.py").write_text(
        "import sys, pathlib\n"
        "with open(pathlib.Path(__file__).with_name('made'), 'a') as out: print(sys.argv[1], file=out)\n"
        "sys.exit(int(sys.argv[2]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, status=0):
        return Step(
            name=name, title=f"do {name}", minutes=2, commands=(("write_line", name, str(status)),)
        )

    return make


def read_made(folder):
    return (folder / "made").read_text().split()


def test_each_step_is_told_before_it_runs(make_step, tmp_path, capsys):
    times = run_steps([make_step("hear"), make_step("name")], str(tmp_path))
    told = capsys.readouterr().out
    assert "2 steps, about 4 min" in told
    assert "step 1 of 2 · do hear · about 2 min" in told and "$ python -m write_line hear 0" in told
    assert read_made(tmp_path) == ["hear", "name"]
    assert times["hear"].seconds > 0 and times["hear"].cpu_seconds > 0


def test_a_failed_step_ends_it_with_its_status_and_is_the_next_to_run(make_step, tmp_path, capsys):
    steps = [make_step("hear"), make_step("name", status=74), make_step("ask")]
    with pytest.raises(StepError, match="step 2 ended with status 74") as failed:
        run_steps(steps, str(tmp_path))
    assert failed.value.exit_code == 74
    run_steps([steps[0], make_step("name"), steps[2]], str(tmp_path))
    assert read_made(tmp_path) == ["hear", "name", "name", "ask"]
    assert "step 1 of 3 · do hear · done in" in capsys.readouterr().out


def test_a_step_with_other_commands_is_run_with_all_after_it(make_step, tmp_path):
    steps = [make_step("hear"), make_step("name"), make_step("ask")]
    run_steps(steps, str(tmp_path))
    run_steps(
        [steps[0], Step(**{**vars(steps[1]), "commands": steps[0].commands}), steps[2]],
        str(tmp_path),
    )
    assert read_made(tmp_path) == ["hear", "name", "ask", "hear", "ask"]


def test_a_torn_list_of_steps_is_named(make_step, tmp_path):
    (tmp_path / "steps.json").write_text("{")
    with pytest.raises(ValueError, match="steps.json is not JSON.*delete it"):
        run_steps([make_step("hear")], str(tmp_path))


def test_the_first_english_recording_is_asked_about(tmp_path):
    folder = tmp_path / "data" / "audio"
    folder.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no English recording"):
        find_recording(str(tmp_path))
    for name in ("v1_de_0.flac", "v2_en_1.flac", "v1_en_2.flac"):
        (folder / name).touch()
    assert find_recording(str(tmp_path)).endswith("v1_en_2.flac")


def test_every_command_of_the_recipe_is_there():
    for module, *flags in (command for step in STEPS for command in step.commands):
        assert importlib.util.find_spec(module), module
        for flag in flags:
            name, _, value = flag.partition("=")
            assert name != "--gin_file" or (ROOT / value).is_file(), value


def test_the_list_can_be_pasted_into_a_shell(tmp_path):
    listed = list_steps(STEPS, RUN)
    assert listed.count("\npython -m ") == sum(len(step.commands) for step in STEPS)
    assert "export XLA_FLAGS=" in listed and f"# {len(STEPS)}. " in listed
    folder = tmp_path / RUN / "data" / "audio"
    folder.mkdir(parents=True)
    for name in ("v1_de_0.flac", "v2_en_1.flac", "v1_en_2.flac"):
        (folder / name).touch()
    # each word as a command would be given it, a line each
    (line,) = [line for line in listed.splitlines() if "sift_jax.ask" in line]
    shell = line.replace("python -m", "printf '%s\\n'")
    words = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path)
    assert words.stdout.splitlines() == [
        "sift_jax.ask",
        f"--checkpoint={RUN}/export",
        f"--audio={RUN}/data/audio/v1_en_2.flac",
        "How fast does she speak?",
    ]


def test_what_is_kept_is_json(make_step, tmp_path):
    run_steps([make_step("hear")], str(tmp_path))
    kept = json.loads((tmp_path / "steps.json").read_text())
    assert kept["hear"]["commands"] == [["write_line", "hear", "0"]]
