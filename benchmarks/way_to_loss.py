"""Through which files an utterance goes, from the bytes of its record to the loss: one batch,
traced.

    python -m benchmarks.way_to_loss --gin_file=configs/quickstart/stage2.gin      after `make quickstart`

Tasks, index and plan are made before, as they are before a run's first step. Then one batch is read
and its loss computed, and every call of a function of the project is noted, in whatever thread: a
file is on the way if a function or method of it is entered.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import jax

from sift_jax.cli import build_arguments, parse_flags
from sift_jax.data.batch_stream import BatchStream
from sift_jax.exits import report_errors
from sift_jax.flags import is_debug
from sift_jax.models.presets import make_model_config
from sift_jax.models.speech_lm import init_params
from sift_jax.training.job import make_geometry
from sift_jax.training.loop import train
from sift_jax.training.losses import sum_loss

PACKAGE = Path(__file__).resolve().parents[1] / "sift_jax"


def list_files(arguments: Mapping[str, Any]) -> list[str]:
    """Files of the package, in the order in which they are entered, for the arguments of a training
    run."""
    config = make_model_config(arguments["model"])
    stream = BatchStream(arguments["data"], make_geometry(config), split="train", is_endless=True)
    planned = [stream.plan.get_batch(0)]
    # files are opened when the first record is read, which is not part of the way
    next(stream.read(planned))
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))

    def go() -> None:
        _, batch = next(stream.read(planned))
        # traced, not run: what Python does is the same
        jax.eval_shape(lambda params, batch: sum_loss(config, params, batch), params, batch)

    return trace_files(go)


def trace_files(go: Callable[[], Any]) -> list[str]:
    """Files of the package with a function that `go` enters, first entered first; paths below the
    package."""
    entered: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and is_ours(code):
            entered[str(Path(code.co_filename).relative_to(PACKAGE))] = None

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        go()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(entered)


def is_ours(code: CodeType) -> bool:
    """A function of the package; what a dataclass writes for itself has no file."""
    return code.co_filename.startswith(f"{PACKAGE}/") and not code.co_name.startswith("<")


def main() -> None:
    flags = parse_flags(sys.argv[1:], "traces a batch")

    def run() -> None:
        files = list_files(build_arguments(train, flags.gin_file, flags.bindings))
        print("\n".join(f"{number:3}  {name}" for number, name in enumerate(files, 1)))

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
