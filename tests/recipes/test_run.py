"""Steps that tell what they do, stop where one fails and go on from there."""

import importlib
import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from sift_jax.laptop.steps import make_steps
from sift_jax.quickstart.steps import RUN, STEPS
from sift_jax.recipes.run import Step, StepError, list_steps, run_steps

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


def find_command(module):
    """What `python -m` runs."""
    is_package = importlib.util.find_spec(module).submodule_search_locations is not None
    return importlib.import_module(f"{module}.__main__" if is_package else module)


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


def test_a_file_of_an_earlier_step_is_looked_for_when_its_step_comes(
    make_step, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ask = Step(name="ask", title="ask", minutes=1, commands=(("write_line", "{first a/*.x}", "0"),))
    with pytest.raises(FileNotFoundError, match="no file a/\\*.x"):
        run_steps([make_step("hear"), ask], "out")
    (tmp_path / "a").mkdir()
    for name in ("2.x", "1.x", "0.y"):
        (tmp_path / "a" / name).touch()
    run_steps([make_step("hear"), ask], "out")
    assert read_made(tmp_path) == ["hear", "a/1.x"]


@pytest.mark.parametrize("steps", [STEPS, make_steps()])
def test_every_command_of_a_recipe_is_there(steps):
    for module, *flags in (command for step in steps for command in step.commands):
        plain = [flag for flag in flags if not flag.startswith("--gin.")]
        find_command(module).make_parser().parse_args(plain)
        for flag in flags:
            name, _, value = flag.partition("=")
            assert name != "--gin_file" or (ROOT / value).is_file(), value


def test_the_list_can_be_pasted_into_a_shell(tmp_path):
    listed = list_steps(STEPS)
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


def test_a_short_trial_of_the_laptops_recipe_is_not_resumed_by_the_whole():
    whole, short = make_steps(), make_steps(100)
    named = {word for step in whole for command in step.commands for word in command}
    trained = [step for step in short if step.name in ("stage1", "recognise", "stage2", "ask")]
    assert len(trained) == 4
    for step in trained:
        text = " ".join(word for command in step.commands for word in command)
        assert "runs/laptop/100_steps/" in text
    # the data are those of the whole
    data = [step for step in short if step.name in ("download", "recognition", "build")]
    assert {word for step in data for command in step.commands for word in command} <= named
    with pytest.raises(ValueError, match="--steps=0: give 1 or more"):
        make_steps(0)
