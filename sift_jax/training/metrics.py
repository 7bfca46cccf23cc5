"""What a run says of itself: a progress line with ETA, metrics.jsonl, TensorBoard, and W&B if it is
asked.

run/metrics.jsonl    {"step": 20, "loss": 2.1, "learning_rate": …, "tokens_per_second": …, …} one line a report
run/batches.jsonl    {"step": 20, "hash": "5c0a91d2", "tokens": 2480, "questions": 61} one line a batch
run/tensorboard/     the same scalars by groups (board_tags.py), and samples: questions with their recordings
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sift_jax.audio.whisper_mel import RATE
from sift_jax.batch import Batch
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.progress import track
from sift_jax.storage.whole_files import write_whole
from sift_jax.training.board_tags import group_figures
from sift_jax.training.dev_metrics import format_dev
from sift_jax.training.event_file import EventFile
from sift_jax.training.flops import StepCosts
from sift_jax.training.logged_samples import Samples

# what the progress line shows beside the time that is left; a narrow terminal cuts off the end
SHOWN = {
    "loss": ("loss", "{:.3f}"),
    "dev_loss": ("dev", "{:.3f}"),
    "audio_gain": ("gain", "{:+.3f}"),
    "learning_rate": ("lr", "{:.1e}"),
    "grad_norm": ("grad", "{:.2g}"),
    "tokens_per_second": ("tok/s", "{:,.0f}"),
    "examples_per_second": ("ex/s", "{:,.1f}"),
    "token_efficiency": ("full", "{:.0%}"),
    "audio_padding": ("silence", "{:.0%}"),
    "mfu": ("mfu", "{:.0%}"),
    "data_wait_share": ("wait", "{:.0%}"),
}


class Meter:
    """Counts what passes between two reports. `costs` are those of the model, for its share of the
    hardware's peak."""

    def __init__(self, costs: StepCosts, hardware: HardwareConfig, devices: int, *, share: float):
        self._costs, self._hardware, self._devices = costs, hardware, devices
        # of a batch's rows, which are spread over processes, the part that this one sees
        self._share = share
        self.started = time.perf_counter()
        self._reset()

    def _reset(self) -> None:
        self._since = time.perf_counter()
        self._tokens = self._slots = self._questions = self._wait = self._flops = 0.0
        self._frames = self._frame_slots = 0.0
        self._losses: list[jax.Array] = []

    def add(self, batch: Batch, loss: jax.Array, data_wait: float) -> None:
        self._tokens += int((batch["group_bt"] > 0).sum())
        self._slots += batch["group_bt"].size
        # A question begins where the segment changes to one that is not the prefix (0):
        #     segment  0 0 1 1 2 2 0 1        three questions, of two utterances
        starts = (batch["segment_bt"][:, 1:] != batch["segment_bt"][:, :-1]) & (
            batch["segment_bt"][:, 1:] > 0
        )
        self._questions += int(starts.sum())
        self._frames += int(batch["frames_ba"].sum())
        self._frame_slots += batch["frames_ba"].size * batch["mel_basf"].shape[2]
        self._flops += self._costs.count(batch)
        self._wait += data_wait
        # Not read yet: reading a device's number waits for its step.
        self._losses.append(loss)

    def report(self, steps_left: int) -> dict[str, float]:
        """Rates since the last report, with the mean loss of its steps (those skipped apart)."""
        seconds = max(time.perf_counter() - self._since, 1e-9)
        values = {
            "loss": self._mean_loss(),
            "tokens_per_second": self._tokens / seconds / self._share,
            "examples_per_second": self._questions / seconds / self._share,
            "token_efficiency": self._tokens / max(self._slots, 1),
            "token_padding": 1 - self._tokens / max(self._slots, 1),
            "audio_padding": 1 - self._frames / max(self._frame_slots, 1),
            "model_teraflops": self._flops / seconds / self._share / 1e12,
            "data_wait_share": self._wait / seconds,
            "seconds": time.perf_counter() - self.started,
            "eta_seconds": steps_left * seconds / len(self._losses),
        }
        if self._hardware.teraflops is not None:
            values["mfu"] = values["model_teraflops"] / (self._hardware.teraflops * self._devices)
        self._reset()
        return values

    def _mean_loss(self) -> float:
        # Here it is waited for, once a report.
        losses = np.array([float(loss) for loss in self._losses])
        return (
            float(losses[np.isfinite(losses)].mean()) if np.isfinite(losses).any() else float("nan")
        )


class MetricWriter:
    """Writes each report to all these places; `boards` are those beside TensorBoard."""

    def __init__(self, run_dir: Path, *, steps: int, first_step: int, boards: Sequence[Any] = ()):
        run_dir.mkdir(parents=True, exist_ok=True)
        self._path, self._batches = run_dir / "metrics.jsonl", run_dir / "batches.jsonl"
        for path in (self._path, self._batches):
            self._drop_lines_after(first_step, path)
        self._boards = [EventFile(run_dir / "tensorboard"), *boards]
        self._bar = track(total=steps, initial=first_step, unit="step", name=run_dir.name)
        self._latest: dict[str, float] = {}

    def _drop_lines_after(self, step: int, path: Path) -> None:
        """A resumed run says again what it said after its last checkpoint; the older words go."""
        if path.is_file():
            # a full disk or a kill may have torn the last line
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            write_whole(path, "".join(line + "\n" for line in kept))

    def advance(self) -> None:
        self._bar.update()

    def write(self, step: int, values: dict[str, float]) -> None:
        with self._path.open("a") as file:
            file.write(
                json.dumps({"step": step, **{k: float(f"{v:.6g}") for k, v in values.items()}})
                + "\n"
            )
        for board in self._boards:
            board.write_scalars(step, group_figures(values))
        # what the last report and the last dev measurement said stays in sight
        self._latest |= values
        shown = {
            label: text.format(self._latest[k])
            for k, (label, text) in SHOWN.items()
            if k in self._latest
        }
        self._bar.set_postfix(shown, refresh=False)

    def say(self, line: str) -> None:
        """A line of its own on the terminal."""
        self._bar.write(line)

    def write_dev(self, step: int, values: dict[str, float]) -> None:
        """The same of a dev measurement, and a line of its own on the terminal."""
        self.write(step, values)
        self.say(f"step {step}: {format_dev(values)}")

    def write_evaluation(self, step: int, values: dict[str, float], line: str) -> None:
        """The same of the evaluation sets."""
        self.write(step, values)
        self.say(f"step {step}: {line}")

    def write_batch(self, step: int, facts: dict[str, Any]) -> None:
        """What a step was trained on: two runs that say the same here had the same batches."""
        with self._batches.open("a") as file:
            file.write(json.dumps({"step": step, **facts}) + "\n")

    def write_samples(self, step: int, samples: Samples) -> None:
        """Questions with their recordings, on the boards."""
        heard = {tag: clip[None, :, None] for tag, clip in samples.audios.items()}
        for board in self._boards:
            if samples.texts:
                board.write_texts(step, samples.texts)
            if heard:
                board.write_audios(step, heard, sample_rate=RATE)

    def close(self) -> None:
        self._bar.close()
        for board in self._boards:
            board.flush()
            board.close()


class NoWriter(MetricWriter):
    """What all but the first of a run's processes write: nothing."""

    def __init__(self) -> None:
        pass

    def advance(self) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def write(self, step: int, values: dict[str, float]) -> None:
        pass

    def write_dev(self, step: int, values: dict[str, float]) -> None:
        pass

    def write_evaluation(self, step: int, values: dict[str, float], line: str) -> None:
        pass

    def write_batch(self, step: int, facts: dict[str, Any]) -> None:
        pass

    def write_samples(self, step: int, samples: Samples) -> None:
        pass

    def close(self) -> None:
        pass
