"""The command line: what was written is what runs, and each mistake is one line that names the
thing and the remedy."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import gin
import pytest
from tiny_run import make_run, write_gin

from sift_jax.cli import build_arguments, run_gin
from sift_jax.training.loop import train

ROOT = Path(__file__).parent.parent
TRAIN = "sift_jax.training.loop:train"


@pytest.fixture
def arguments(corpus, tmp_path):
    return make_run(corpus, tmp_path / "run")


@pytest.fixture
def gin_file(arguments, tmp_path):
    return write_gin(tmp_path / "run.gin", arguments)


def add(path, *lines):
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    return path


def fail(capsys, *argv):
    """The error that the train command prints, its exit status checked."""
    with pytest.raises(SystemExit) as stop:
        run_gin(TRAIN, [str(word) for word in argv])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if "error: " in line]
    return line[line.index("error: ") :]


def test_a_gin_file_is_its_arguments(arguments, gin_file):
    assert build_arguments(train, [str(gin_file)], []) == arguments


def test_bindings_on_the_command_line_win(arguments, gin_file, capsys):
    run_gin(
        TRAIN,
        [
            f"--gin_file={gin_file}",
            "--gin.RunConfig.steps=9",
            "--gin.DataConfig.rows=4",
            "--dry_run",
        ],
    )
    printed = capsys.readouterr().out
    assert "(4, 160)" in printed and "trainable:" in printed and "memory per device" in printed
    assert not Path(arguments["run"].out_dir).exists()


@pytest.mark.parametrize(
    "word, name, value",
    [
        ("RunConfig.out_dir=runs/a b", "out_dir", "runs/a b"),
        ("RunConfig.out_dir='runs/x'", "out_dir", "runs/x"),
        ("RunConfig.steps=%N", "steps", 40),
        ("RunConfig.trainable=('projector/.*',)", "trainable", ("projector/.*",)),
    ],
)
def test_values_of_the_shell(gin_file, word, name, value, tmp_path):
    from sift_jax.cli import parse_flags

    lines = ["N = 40"] if "%N" in word else []
    flags = parse_flags([f"--gin_file={add(gin_file, *lines)}", f"--gin.{word}"], "runs")
    assert getattr(build_arguments(train, flags.gin_file, flags.bindings)["run"], name) == value


def test_the_config_beside_a_run_gives_the_same_run(arguments, gin_file, monkeypatch, tmp_path):
    from sift_jax.training import loop

    seen = []

    def train(
        *,
        run: loop.RunConfig,
        model: loop.ModelConfig,
        data: loop.DataConfig,
        optimizer: loop.OptimizerConfig,
        mesh: loop.MeshConfig,
        hardware: loop.HardwareConfig,
        sources: loop.Sources,
        launch: loop.Launch,
    ):
        Path(run.out_dir).mkdir(parents=True, exist_ok=True)
        (Path(run.out_dir) / "config.gin").write_text(launch.config_text)
        seen.append(
            {"run": run, "model": model, "data": data, "optimizer": optimizer, "mesh": mesh}
            | {"hardware": hardware, "sources": sources}
        )

    train.__module__ = "sift_jax.training.loop"
    monkeypatch.setattr(loop, "train", train)
    run_gin(TRAIN, [f"--gin_file={gin_file}", "--gin.RunConfig.seed=5"])
    written = Path(arguments["run"].out_dir) / "config.gin"
    run_gin(TRAIN, [f"--gin_file={written}"])
    assert seen[0] == seen[1] == {**arguments, "run": dataclasses.replace(arguments["run"], seed=5)}


@pytest.mark.parametrize(
    "line, message",
    [
        ("RunConfig.stepz = 3", "stepz"),
        ("RunConfg.steps = 3", "RunConfg"),
        ("STEPZ = 3", "gin binding STEPZ is used by nothing; "),
        (
            "PEAK_LR = 1.0\nPEEK_LR = 2.0\nOptimizerConfig.clip_norm = %PEAK_LR",
            "OptimizerConfig.clip_norm is bound a second time",
        ),
        ("elsewhere/RunConfig.steps = 3", "elsewhere/RunConfig.steps is used by nothing"),
        (
            "include 'configs/nothing.gin'",
            (
                "included file configs/nothing.gin does not exist; paths start at the working "
                "directory, at a folder above"
            ),
        ),
        ("RunConfig.seed = 4", "RunConfig.seed is bound a second time (first in line "),
        ("RunConfig.steps = (", "run.gin"),
    ],
)
def test_mistakes_in_a_gin_file(gin_file, capsys, line, message):
    add(gin_file, line)
    assert message in fail(capsys, f"--gin_file={gin_file}")


def test_includes_are_found_from_anywhere(gin_file, arguments, tmp_path, monkeypatch, capsys):
    """From the working directory, else from the including file or a folder above it, else from the
    project."""
    other = tmp_path / "project" / "configs" / "mine" / "run.gin"
    other.parent.mkdir(parents=True)
    other.write_text("include 'configs/mine/base.gin'\ninclude 'steps.gin'\n")
    (other.parent / "base.gin").write_text(gin_file.read_text())
    (other.parent / "steps.gin").write_text("RunConfig.steps = 41\n")
    monkeypatch.chdir(tmp_path)
    assert build_arguments(train, [str(other)], [])["run"].steps == 41
    (tmp_path / "steps.gin").write_text("RunConfig.steps = 42\n")
    assert build_arguments(train, [str(other)], []) == {
        **arguments,
        "run": dataclasses.replace(arguments["run"], steps=42),
    }
    # as the command line names it: ours are found by their short names, too
    assert build_arguments(train, ["configs/quickstart/stage1.gin"], [])["run"].steps == 600
    missing = add(other, "", "include 'nothing.gin'")
    line = fail(capsys, f"--gin_file={missing}")
    assert line.startswith(
        f"error: {missing}:4: included file nothing.gin does not exist; paths start at the working"
    )


def test_files_that_include_each_other(gin_file, capsys, tmp_path):
    (tmp_path / "a.gin").write_text("include 'b.gin'\n")
    (tmp_path / "b.gin").write_text("include 'a.gin'\n")
    line = fail(capsys, f"--gin_file={tmp_path}/a.gin")
    assert line == (
        f"error: {tmp_path}/b.gin includes {tmp_path}/a.gin, which includes it: take one of the "
        "includes out"
    )


def test_an_error_behind_an_include_names_its_line(gin_file, capsys, tmp_path):
    outer = tmp_path / "outer.gin"
    outer.write_text(f"# one\ninclude '{gin_file}'\n\nRunConfig.stepz = 3\n")
    line = fail(capsys, f"--gin_file={outer}")
    assert line == (
        f'error: RunConfig has no field stepz; did you mean steps? (In file "{outer}", line 4)'
    )


@pytest.mark.parametrize(
    "binding, message",
    [
        ("STEPS=3", "error: gin binding STEPS is used by nothing; "),
        (
            "RunConfig.steps=many",
            "error: RunConfig.steps = 'many' is not an int; give another by --gin.RunConfig.steps=…, "
            "or in the gin file",
        ),
        ("RunConfig.log_every=0", "RunConfig.log_every is 0; give 1 or more"),
        ("RunConfig.steps=2.5", "error: RunConfig.steps = 2.5 is not an int"),
        ("RunConfig.trainable='.*'", "RunConfig.trainable = '.*' is not a tuple[str, ...]"),
        (
            "MixtureConfig.rates={'sift.*': 'all'}",
            "MixtureConfig.rates = {'sift.*': 'all'} is not a ",
        ),
        (
            "RunConfig.steps=%STEPS",
            "error: gin macro %STEPS is not defined; give it a value by --gin.STEPS=…",
        ),
        ("DataConfig.rows=many", "error: DataConfig.rows = 'many' is not an int"),
        ("OptimizerConfig.clip_norm=True", "OptimizerConfig.clip_norm = True is not a float"),
    ],
)
def test_mistakes_in_a_binding(gin_file, capsys, binding, message):
    assert message in fail(capsys, f"--gin_file={gin_file}", f"--gin.{binding}")


def test_a_misspelt_name_is_hinted_at(gin_file, capsys):
    text = gin_file.read_text().replace(
        "RunConfig.steps = 6", "RunConfig.steps = %STEPS\nSTEPS = 6"
    )
    gin_file.write_text(text)
    assert "did you mean STEPS?" in fail(capsys, f"--gin_file={gin_file}", "--gin.STEP=9")
    gin_file.write_text(text.replace("%STEPS", "%STEP"))
    assert "gin macro %STEP is not defined; did you mean %STEPS?" in fail(
        capsys, f"--gin_file={gin_file}"
    )


def test_what_a_file_leaves_out(gin_file, capsys):
    text = gin_file.read_text()
    gin_file.write_text(
        "\n".join(line for line in text.splitlines() if "RunConfig.seed" not in line)
    )
    assert "seed" in fail(capsys, f"--gin_file={gin_file}")
    gin_file.write_text(
        text.replace(
            "include 'configs/train.gin'", "sift_jax.training.loop.train.run = @RunConfig()"
        )
    )
    assert "error: the gin files do not bind train." in fail(capsys, f"--gin_file={gin_file}")


def test_mistakes_in_flags(gin_file, capsys):
    assert "error: gin file nowhere.gin does not exist; see configs/" in fail(
        capsys, "--gin_file=nowhere.gin"
    )
    message = "error: unknown flag --steps=3; bindings are written --gin.NAME=value"
    assert message in fail(capsys, f"--gin_file={gin_file}", "--steps=3")
    assert "--gin.STEPS binds nothing; write --gin.STEPS=VALUE" in fail(
        capsys, f"--gin_file={gin_file}", "--gin.STEPS"
    )
    assert "--gin_file" in fail(capsys)
    message = "error: --module_import: No module named 'no_tasks'; it must be importable from here"
    assert fail(capsys, f"--gin_file={gin_file}", "--module_import=no_tasks") == message


@pytest.mark.parametrize(
    "binding, message",
    [
        ("ModelConfig.decoder=qwen9", "error: unknown decoder preset 'qwen9'; choose one of "),
        (
            "MeshConfig.fsdp=3",
            (
                "error: mesh {'data': -1, 'fsdp': 3, 'tensor': 1} does not fit 1 devices; set "
                "MeshConfig.data = -1"
            ),
        ),
        (
            "DataConfig.clip_seconds=(1.0, 3.0)",
            "must rise and end in the encoder's window of 2.0 s; set DataConfig.clip_seconds",
        ),
        (
            "RunConfig.trainable=('adapter/.*',)",
            "error: trainable pattern 'adapter/.*' matches no parameter; see the table",
        ),
        (
            "MixtureConfig.rates={'sift.poems.*': 1.0}",
            "error: mixture pattern 'sift.poems.*' matches none of the tasks: sift.",
        ),
        (
            "DataConfig.records=/nowhere",
            "error: no records under /nowhere; make them with python -m data_prep.build",
        ),
        (
            "DataConfig.tokenizer=/nowhere",
            "error: no tokenizer.json in /nowhere; train one with python -m data_prep.tokenizer",
        ),
        (
            "OptimizerConfig.warmup_steps=50",
            "error: warm-up of 50 steps does not fit in a run of 6; lower WARMUP_STEPS",
        ),
        (
            "Sources.run=/nowhere",
            (
                "error: /nowhere is not a run of sift_jax (no model.json); point to a folder that "
                "train wrote"
            ),
        ),
    ],
)
def test_mistakes_that_the_run_finds(gin_file, capsys, binding, message):
    assert message in fail(capsys, f"--gin_file={gin_file}", f"--gin.{binding}")


def test_an_unknown_mixture(gin_file, capsys):
    words = ["--gin.MixtureConfig.rates=None", "--gin.MixtureConfig.name=nobodys"]
    assert "error: unknown mixture 'nobodys'; known are " in fail(
        capsys, f"--gin_file={gin_file}", *words
    )


def test_debug_shows_the_traceback(gin_file, capsys):
    with pytest.raises(SystemExit, match="unknown decoder preset") as stop:
        run_gin(TRAIN, [f"--gin_file={gin_file}", "--gin.ModelConfig.decoder=qwen9", "--debug"])
    assert stop.value.code == 2
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_one_command_leaves_nothing_for_the_next(gin_file, arguments):
    build_arguments(train, [str(gin_file)], ["RunConfig.steps = 7"])
    assert build_arguments(train, [str(gin_file)], []) == arguments
    gin.clear_config()


def call(*argv):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, argv)],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


def ask(monkeypatch, capsys, *argv):
    from sift_jax.ask import main

    monkeypatch.setattr(sys, "argv", ["ask", *map(str, argv)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
    return error


def test_ask_without_a_recording_says_that_it_hears_nothing(capsys, trained_run):
    from sift_jax.ask import main

    main([f"--checkpoint={trained_run}", "--max_new_tokens=2", "Is it loud?"])
    said = capsys.readouterr()
    assert said.out.endswith("\n")
    assert said.err.splitlines()[-1] == (
        "note: no recording was given, so nothing was heard; give one with --audio=FILE"
    )


def test_ask_says_what_is_wrong(monkeypatch, capsys, trained_run, corpus, tmp_path):
    question = "Is it loud?"
    nothing = ask(monkeypatch, capsys, f"--checkpoint={trained_run}")
    assert nothing == (
        'error: no question to answer; put one behind the options, as in "How fast?", or use --chat'
    )
    missing = ask(monkeypatch, capsys, f"--checkpoint={trained_run}", "--audio=none.wav", question)
    assert missing == "error: none.wav: no such audio file; check the path or the audio root"
    (tmp_path / "noise.wav").write_bytes(bytes(500))
    assert "cannot be decoded" in ask(
        monkeypatch,
        capsys,
        f"--checkpoint={trained_run}",
        f"--audio={tmp_path}/noise.wav",
        question,
    )
    no_run = ask(monkeypatch, capsys, f"--checkpoint={tmp_path}", question)
    assert no_run == (
        f"error: {tmp_path} is neither a run (checkpoints/) nor an export (decoder/); train "
        "or export one first"
    )


def test_too_long_audio(monkeypatch, capsys, trained_run, tmp_path):
    from tiny_corpus import make_noise

    from sift_jax.audio.files import write_audio

    write_audio(tmp_path / "long.wav", make_noise(1, 2.5))
    error = ask(
        monkeypatch,
        capsys,
        f"--checkpoint={trained_run}",
        f"--audio={tmp_path}/long.wav",
        "Is it loud?",
    )
    assert error == (
        f"error: {tmp_path}/long.wav: 2.5 s is longer than the 2 s that this model's encoder "
        "takes; cut the file into pieces"
    )


def test_commands_end_with_status_two(gin_file, trained_run, tmp_path):
    """The same in processes of their own: one line on stderr, nothing else, and no traceback."""
    code, _, error = call("sift_jax.train", f"--gin_file={gin_file}", "--gin.STEPS=3")
    assert (
        code == 2
        and error.startswith("error: gin binding STEPS is used by nothing; ")
        and error.count("\n") == 1
    )
    code, _, error = call(
        "sift_jax.export", f"--checkpoint={trained_run}", f"--out={tmp_path}/out", "--step=4"
    )
    assert code == 2 and error == f"error: {trained_run} has no checkpoint of step 4; it has 3, 6\n"


def test_ask_and_export_in_processes_of_their_own(trained_run, corpus, tmp_path):
    code, printed, error = call(
        "sift_jax.export", f"--checkpoint={trained_run}", f"--out={tmp_path}/out"
    )
    assert code == 0 and "written and read again: logits differ by at most" in printed, error
    audio = f"--audio={corpus.audio}/train_en_0.flac"
    answers = [
        call("sift_jax.ask", f"--checkpoint={folder}", audio, "Is it loud?")
        for folder in (trained_run, tmp_path / "out")
    ]
    assert [code for code, _, _ in answers] == [0, 0], answers
    assert answers[0][1] == answers[1][1]
