"""What a run shows, decoded from where it shows it: metrics.jsonl, TensorBoard's event file, and a
stand-in for W&B."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util
from tiny_run import make_run, write_gin

from sift_jax.launch import Launch
from sift_jax.training.board_tags import group_figures, name_tag
from sift_jax.training.loop import train
from sift_jax.training.metrics import SHOWN, MetricWriter
from sift_jax.training.wandb_writer import WandbBoard

# what a user is promised to see while a run goes on
PROMISED = {
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
    "examples_per_second",
    "mfu",
    "data_wait_share",
    "token_efficiency",
    "token_padding",
    "audio_padding",
    "eta_seconds",
}
STAND_IN = '''
"""As much of wandb as is used; it writes down its calls."""
import os
calls, fails = [], None
class Audio:
    def __init__(self, data, sample_rate):
        self.data, self.sample_rate = data, sample_rate
class Table:
    def __init__(self, columns, data):
        self.columns, self.data = columns, data
class Run:
    def log(self, values, step):
        if fails == "log":
            raise ConnectionError("no network for the key " + os.environ["WANDB_API_KEY"])
        calls.append(("log", step, values))
    def finish(self):
        calls.append(("finish",))
def init(**given):
    if fails == "init":
        raise PermissionError("bad key " + os.environ["WANDB_API_KEY"])
    calls.append(("init", given))
    return Run()
'''


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "wandb.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setenv("WANDB_API_KEY", "sesame-4711")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    import wandb

    yield wandb
    sys.modules.pop("wandb", None)


def read_lines(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def read_board(run_dir):
    """{(step, tag): (kind, value)} of everything in TensorBoard's files."""
    found = {}
    for path in (run_dir / "tensorboard").iterdir():
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name
                found[event.step, value.tag] = (kind, tensor_util.make_ndarray(value.tensor))
    return found


def test_tensorboard_holds_what_the_lines_say_and_samples(trained_run):
    lines, board = read_lines(trained_run), read_board(trained_run)
    reports = [line for line in lines if "loss" in line]
    assert all(set(line) >= PROMISED for line in reports)
    assert {"dev_loss", "audio_gain"} <= set(lines[-1]) and any(
        name.startswith("dev_loss/") for name in lines[-1]
    )
    for line in lines:
        for name in set(line) - {"step"}:
            kind, value = board[line["step"], name_tag(name)]
            assert kind == "scalars" and float(value) == pytest.approx(
                line[name], rel=1e-4, nan_ok=True
            ), name
    tags = {tag for step, tag in board if step == 0}
    shown = {tag.split("/")[1] for tag in tags}
    named = {name.split("/")[1] for name in lines[-1] if name.startswith("dev_loss/")}
    assert named <= shown and all(tag.startswith("dev/") for tag in tags)
    kind, text = board[0, "dev/sift.open_ended.de/1/text"]
    said = text.item().decode()
    assert kind == "text" and "| reference | " in said and r"assistant⏎ |" in said
    kind, audio = board[0, "dev/sift.open_ended.de/1/recording"]
    heard, rate = soundfile.read(io.BytesIO(audio.reshape(-1)[0]))
    assert (
        kind == "audio"
        and rate == 16_000
        and 0.3 < len(heard) / rate < 2.0
        and np.abs(heard).max() > 0.01
    )


def test_figures_are_grouped():
    names = {
        "loss": "train/loss",
        "something_new": "train/something_new",
        "tokens_per_second": "speed/tokens_per_second",
        "token_padding": "packing/token_padding",
        "dev_loss": "dev/loss",
        "dev_loss/sift.open_ended.en": "dev/sift.open_ended.en/loss",
        "audio_gain/sift.open_ended.en": "dev/sift.open_ended.en/audio_gain",
        "dev_tokens/sift.open_ended.en": "dev/sift.open_ended.en/tokens",
        "eval/rooms/closed/accuracy": "eval/rooms/closed/accuracy",
    }
    assert {name: name_tag(name) for name in names} == names
    assert group_figures({"loss": 1.0, "dev_loss": 2.0}) == {"train/loss": 1.0, "dev/loss": 2.0}


def test_a_run_over_records_needs_no_tensorflow(corpus, tmp_path):
    """It trains, measures itself and writes TensorBoard's file and imports neither."""
    path = write_gin(tmp_path / "run.gin", make_run(corpus, tmp_path / "run", steps=3, dev_every=3))
    program = (
        "import sys\n"
        "from sift_jax.cli import run_gin\n"
        "run_gin('sift_jax.training.loop:train', sys.argv[1:])\n"
        "print('imported:', sorted({'tensorflow', 'seqio', 'clu'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, f"--gin_file={path}"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert (3, "dev/loss") in read_board(tmp_path / "run")


def test_the_progress_line_shows_it_and_the_time_that_is_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    writer = MetricWriter(tmp_path, steps=100, first_step=40)
    values = {name: 0.25 for name in SHOWN}
    writer.write(
        50,
        {name: value for name, value in values.items() if name not in ("dev_loss", "audio_gain")},
    )
    writer.write_dev(
        50, {"dev_loss": 1.25, "audio_gain": 0.5, "dev_loss/a": 1.25, "audio_gain/a": 0.5}
    )
    # a later report does not take the last dev loss away
    writer.write(60, {"loss": 0.75})
    writer.advance()
    writer.close()
    printed = capsys.readouterr()
    assert "step 50: dev loss 1.250, audio gain +0.500" in printed.out
    line = printed.err.replace("\r", "\n").strip().splitlines()[-1]
    assert "41/100" in line and "<" in line
    rates = "lr=2.5e-01 grad=0.25 tok/s=0 ex/s=0.2 full=25% silence=25% mfu=25% wait=25%"
    words = set(line.replace(",", " ").replace("]", " ").split())
    assert {"loss=0.750", "dev=1.250", "gain=+0.500", *rates.split()} <= words, line
    assert set(SHOWN) >= PROMISED - {"token_padding", "eta_seconds"}


def test_evaluation_sets_are_shown_everywhere(wandb, tmp_path, capsys):
    writer = MetricWriter(
        tmp_path, steps=4, first_step=0, boards=[WandbBoard("speech", tmp_path, "")]
    )
    values = {
        "eval/seconds": 1.5,
        "eval/rooms/closed/accuracy": 0.75,
        "eval/rooms/closed/accuracy_n": 4.0,
    }
    writer.write_evaluation(2, values, "evaluated in 1.5 s: rooms/closed/accuracy 0.75 (n 4)")
    writer.close()
    assert read_lines(tmp_path) == [{"step": 2, **values}]
    assert {tag: float(value) for (_, tag), (_, value) in read_board(tmp_path).items()} == values
    assert ("log", 2, values) in wandb.calls
    assert "step 2: evaluated in 1.5 s: rooms/closed/accuracy 0.75 (n 4)" in capsys.readouterr().out


def test_wandb_gets_the_same(wandb, corpus, tmp_path):
    arguments = make_run(corpus, tmp_path / "run", steps=4, wandb_project="speech")
    run_dir = train(**arguments, launch=Launch(config_text="of the run"))
    (_, given), *logs, end = wandb.calls
    assert end == ("finish",)
    assert given == {
        "project": "speech",
        "name": "run",
        "id": (run_dir / "wandb_id").read_text(),
        "resume": "allow",
        "dir": str(run_dir),
        "config": {"gin": "of the run"},
    }
    merged = {}
    for _, step, values in logs:
        merged.setdefault(step, {}).update(values)
    for line in read_lines(run_dir):
        for name in set(line) - {"step"}:
            value = float(merged[line["step"]][name_tag(name)])
            assert value == pytest.approx(line[name], rel=1e-5), name
    (name, text) = merged[0]["dev/texts"].data[0]
    assert "assistant⏎" in text and merged[0]["dev/texts"].columns == ["sample", "text"]
    clip = merged[0][name.replace("/text", "/recording")]
    assert clip.sample_rate == 16_000 and clip.data.ndim == 1
    # the same folder is the same run there
    WandbBoard("speech", run_dir, "").close()
    assert wandb.calls[-2][1]["id"] == given["id"]


def test_what_wandb_refuses_stops_no_step_and_shows_no_key(wandb, tmp_path, capsys):
    wandb.fails = "init"
    message = r"takes no run of project 'speech' \(bad key \*\*\*\); see to it by `wandb login`"
    with pytest.raises(ValueError, match=message) as error:
        WandbBoard("speech", tmp_path, "")
    assert "sesame" not in str(error.value) and error.value.__suppress_context__
    wandb.fails = "log"
    board = WandbBoard("speech", tmp_path, "")
    board.write_scalars(1, {"loss": 1.0})
    board.write_scalars(2, {"loss": 1.0})
    board.write_texts(2, {"row": "text"})
    board.write_audios(2, {"clip": np.zeros((1, 9, 1))}, sample_rate=16_000)
    board.close()
    assert (
        capsys.readouterr().err
        == "Weights & Biases gets nothing more of this run: no network for the key ***\n"
    )


def test_wandb_is_asked_for_and_not_there(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    arguments = make_run(corpus, tmp_path / "run", wandb_project="speech")
    with pytest.raises(
        ValueError,
        match="wandb_project is 'speech', but wandb cannot be .* pip install wandb, or set",
    ):
        train(**arguments)
    assert not (tmp_path / "run").exists()
