"""`sift-jax`: every command under one name; a slip is answered before anything heavy is loaded."""

import ast
import importlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sift_jax.__main__ import format_help, main
from sift_jax.commands import COMMANDS, find_command, load, make_parser
from sift_jax.flags import list_actions, list_subcommands

ROOT = Path(__file__).parent.parent
HEAVY = {
    "apache_beam",
    "flax",
    "jax",
    "librosa",
    "orbax",
    "scipy.signal",
    "scipy.stats",
    "seqio",
    "tensorflow",
    "tensorflow_datasets",
    "torch",
    "transformers",
}
# a measure's own fit, which is run once and not by users
UNLISTED = {"data_prep.metadata.fit_reverberation", "data_prep", "sift_jax"}
# flags that it does not know are those of another command, which tells
PASSES_ON = {"data_prep.evalsift"}
NAMES = [command.name for command in COMMANDS]
WIDTH = max(map(len, NAMES))


def list_parsers(parser):
    yield parser
    for inner in list_subcommands(parser).values():
        yield from list_parsers(inner)


def list_runnable():
    for package in ("sift_jax", "data_prep"):
        for path in sorted((ROOT / package).rglob("*.py")):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            if any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in body):
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(part for part in parts if part != "__main__")


def run(*words, **options):
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def call(capsys, *words):
    try:
        main(words)
        code = 0
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_module_that_runs_is_a_command():
    assert set(list_runnable()) - UNLISTED == {command.module for command in COMMANDS}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_flag_is_described_and_every_example_can_be_read(command):
    parser = make_parser(command)
    assert parser.prog == f"sift-jax {command.name}" and parser.description.endswith(".")
    assert parser.examples
    for inner in list_parsers(parser):
        assert all(action.help for action in list_actions(inner)), inner.prog
        assert "(default: None)" not in inner.format_help()
    for example in parser.examples:
        parser.parse_known_args(shlex.split(example))
    assert callable(load(command).main)


@pytest.mark.parametrize("module", sorted({command.module for command in COMMANDS}))
def test_a_wrong_flag_is_told_before_anything_heavy_is_loaded(module):
    parser = importlib.import_module("sift_jax.commands").make_parser(
        next(command for command in COMMANDS if command.module == module)
    )
    words = list(list_subcommands(parser))[:1]
    done = run("-X", "importtime", "-m", module, *words, "--no_such_flag")
    times = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in times}
    assert "argparse" in loaded and not loaded & HEAVY
    assert done.returncode == 2 and not done.stdout
    told = "the following arguments are required: " if module in PASSES_ON else "unknown flag --no"
    assert len(said) == 1 and said[0].startswith(f"error: {told}")
    assert said[0].endswith(f"ee python -m {' '.join([module, *words])} --help")


def test_help_lists_every_command_in_its_group_with_examples(capsys):
    for words in ((), ("--help",), ("-h",), ("help",)):
        code, said, _ = call(capsys, *words)
        assert code == 0 and said == f"{format_help()}\n"
    lines = said.splitlines()
    for command in COMMANDS:
        assert f"  {command.name:{WIDTH}}  {command.summary}" in lines
        assert f"{command.group}:" in lines and len(command.summary) < 70
    examples = lines[lines.index("examples:") + 1 :]
    for example in examples[: examples.index("")]:
        command, rest = find_command(shlex.split(example)[1:])
        make_parser(command).parse_known_args(rest)


def test_a_first_word_lists_its_commands(capsys):
    code, said, _ = call(capsys, "data", "--help")
    assert code == 0 and said.startswith("usage: sift-jax data COMMAND [flags]\n")
    assert "data build" in said and "\n  train " not in said


@pytest.mark.parametrize(
    "words, said",
    [
        ("trian", "unknown command trian; did you mean train? See sift-jax --help"),
        ("data biuld --x", "unknown command data biuld; did you mean data build? See sift-jax"),
        ("build", "unknown command build; did you mean data build? See sift-jax --help"),
        ("zzzz", "unknown command zzzz; see sift-jax --help"),
        ("--checkpoint=x ask", "unknown flag --checkpoint=x; a command comes first; see "),
        (
            "ask --checkpoit=x",
            "unknown flag --checkpoit; did you mean --checkpoint? See sift-jax ask",
        ),
        ("units fti", "unknown command fti; did you mean fit? See sift-jax units --help"),
        ("train --gin.STEPS --dry_run", "--gin.STEPS binds nothing; write --gin.STEPS=VALUE; "),
        ("train --dry_rum", "unknown flag --dry_rum; did you mean --dry_run? See sift-jax train"),
        ("train", "--gin_file=FILE is required; see sift-jax train --help"),
        ("evaluate", "no --suite and no --gin_file is given; see sift-jax evaluate --help"),
        ("completion fish", "no completion for fish; give bash or zsh"),
        (
            "train --gin_file=configs/stage2.gin --gin.STEPZ=3",
            "gin binding STEPZ is used by nothing; did you mean STEPS?",
        ),
        ("train --gin_file=nowhere.gin", "gin file nowhere.gin does not exist; see configs/"),
    ],
)
def test_a_slip_is_answered_with_the_nearest(capsys, monkeypatch, words, said):
    monkeypatch.chdir(ROOT)
    # what runs comes by its own module, which this one would load
    monkeypatch.setattr("sift_jax.cli.import_quietly", lambda name: pytest.fail(f"loads {name}"))
    code, out, error = call(capsys, *words.split())
    assert code == 2 and not out and error.startswith(f"error: {said}") and error.count("\n") == 1


@pytest.mark.parametrize(
    "words, module, rest",
    [
        (["ask", "--chat"], "sift_jax.ask", ["--chat"]),
        (["data", "check_splits", "--build=x"], "data_prep.check_splits", ["--build=x"]),
        (["import_weights"], "sift_jax.import_weights", []),
        (["units", "fit"], "sift_jax.units", ["fit"]),
    ],
)
def test_a_command_is_found_by_one_word_or_two(words, module, rest):
    command, left = find_command(words)
    assert command.module == module and left == rest


def test_the_same_runs_by_both_names(tmp_path):
    """The status, the lines, and what is written."""
    sift = tmp_path / "sift/train/open_ended/en"
    sift.mkdir(parents=True)
    (sift / "split0.jsonl").write_text("{\n")
    found = [
        run("-m", *words, f"--sift={tmp_path / 'sift'}", "--workers=1")
        for words in (["sift_jax", "data", "validate"], ["data_prep.validate"])
    ]
    assert found[0].returncode == found[1].returncode == 1
    assert found[0].stderr == found[1].stderr and "1 faults in 1 kinds" in found[0].stderr
    assert found[0].stdout.splitlines()[0] == found[1].stdout.splitlines()[0]


def test_chat_is_ask_with_a_history(monkeypatch):
    given = []
    monkeypatch.setattr("sift_jax.ask.main", given.extend)
    main(["chat", "--checkpoint=x"])
    assert given == ["--chat", "--checkpoint=x"]


def test_the_version_is_told(capsys):
    assert call(capsys, "--version") == (0, "sift-jax 0.1.0\n", "")


def test_a_reader_who_leaves_is_no_error():
    """As of sift-jax data build --help | head -1."""
    ours, theirs = os.pipe()
    os.close(ours)
    for words in (["sift_jax"], ["sift_jax", "completion", "bash"]):
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert done.returncode == 141 and not done.stderr
    os.close(theirs)


WAIT = """
import signal, sys, time
# a shell that starts the tests in the background has them ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)
from sift_jax import __main__, commands
class Waiting:
    def main(self, words):
        print("ready", flush=True)
        time.sleep(60)
__main__.load = lambda command: Waiting()
__main__.main(["ask"])
"""


def test_an_interrupt_is_one_line_and_status_130():
    with subprocess.Popen(
        [sys.executable, "-c", WAIT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said == "stopped\n"
