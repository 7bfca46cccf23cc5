"""Every parallel stage goes through here: an Apache Beam pipeline whose elements are chunks.

    chunks without a part of this kind ─ Create ─ Reshuffle ─ work(chunk) ─►  parts/<kind>/<chunk>.jsonl
                                                                      └─────►  parts/<kind>/<chunk>.jsonl.failed

A part is written last and appears whole, so it is the mark that its chunk is done: a program that
was killed resumes with the chunks that have none. A failure is written down beside it and the
others go on; the run then ends with it.

Without options the Direct runner works on as many cores as it is given: its threads hand each chunk
to a process of their own (`process_pool`), because Beam's own worker processes, if one dies of
memory or of a file that no decoder can bear, leave it waiting for ever. Any other runner takes over
with `--runner=…` in the options: its workers need this package, and must see the folder of the
build under the same name.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import logging
import os
import shlex
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from data_prep.engine.chunks import BuildError
from data_prep.engine.process_pool import ProcessPool, WorkerError
from sift_jax.extras import is_installed, say_install
from sift_jax.progress import track
from sift_jax.storage.whole_files import write_whole

_POLL_SECONDS = 0.5
# So many times as long as a look at the folders takes, none is taken.
_REST = 20
_ATTEMPTS = 3
_DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
# The pools of this process by number: a runner copies what it is given, and a pool cannot be
# copied.
_POOLS: dict[int, ProcessPool] = {}
_KEPT: dict["Engine", int] = {}
# Some runners give a process several threads; the synthesizer bears one.
_ALONE = threading.Lock()


class Element(Protocol):
    """What a stage works on; the file at `path(kind)` says that it is done, `size` is its share of
    the progress."""

    @property
    def size(self) -> int: ...

    def path(self, kind: str) -> Path: ...


Work = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Engine:
    """`options` are Beam's own, as on its command line; with a runner among them `workers` is not
    heeded."""

    workers: int
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"--workers={self.workers} is too small; give at least 1")
        if stray := next((option for option in self.options if not option.startswith("--")), None):
            raise ValueError(f"--beam_options: {stray!r} is not a flag; write each as --name=value")

    @property
    def has_runner(self) -> bool:
        return any(option.startswith("--runner=") for option in self.options)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Those that say what runs the work."""
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes on this machine"
    )
    parser.add_argument(
        "--beam_options",
        default="",
        help="Apache Beam's own, as in '--runner=DaskRunner --dask_client_address=host:8786'; "
        "without a runner among them the work is done here",
    )


def make_engine(workers: int, beam_options: str) -> Engine:
    """From the values of these flags."""
    return Engine(workers=workers, options=tuple(shlex.split(beam_options)))


def run_chunks(chunks: Sequence[Element], kind: str, work: Work, engine: Engine) -> None:
    """Works on all chunks that have no part of this kind yet; an error if one of them still has
    none in the end."""
    waiting = [chunk for chunk in chunks if not chunk.path(kind).exists()]
    if not waiting:
        return
    for folder in {chunk.path(kind).parent for chunk in waiting}:
        folder.mkdir(parents=True, exist_ok=True)
    for chunk in waiting:
        _name_note(chunk, kind).unlink(missing_ok=True)
    if not is_installed("apache_beam"):
        raise BuildError(
            "the data preparation runs on Apache Beam, which is not installed; "
            f"{say_install('data')}"
        )
    with _show_progress(chunks, waiting, kind):
        try:
            _run_pipeline(waiting, functools.partial(attempt, work=work, kind=kind), engine, kind)
        except Exception as error:
            raise BuildError(
                f"Apache Beam gave up on {kind}: {str(error).strip().splitlines()[0]}; see to "
                f"--beam_options, and start again: what is finished is kept"
            ) from error
    _raise_failures([chunk for chunk in waiting if not chunk.path(kind).exists()], kind)


def attempt(chunk: Any, *, work: Work, kind: str) -> None:
    """Works on one chunk; what goes wrong is written down beside its part, so that the others go
    on."""
    try:
        with _ALONE:
            work(chunk)
    except Exception as error:
        _note_failure(
            chunk,
            kind,
            f"{type(error).__name__}: {error}" if _is_fault(error) else str(error),
            traceback.format_exc(),
        )


def _is_fault(error: Exception) -> bool:
    """Of the program, not of the data: then the line alone says too little."""
    return not isinstance(error, ValueError | OSError | RuntimeError) or isinstance(
        error, UnicodeError
    )


def _note_failure(chunk: Element, kind: str, line: str, details: str) -> None:
    write_whole(
        _name_note(chunk, kind), json.dumps({"line": " ".join(line.split()), "details": details})
    )


def _name_note(chunk: Element, kind: str) -> Path:
    part = chunk.path(kind)
    return part.with_name(part.name + ".failed")


def _raise_failures(failed: Sequence[Element], kind: str) -> None:
    if not failed:
        return
    notes = [note for note in (_name_note(chunk, kind) for chunk in failed) if note.exists()]
    if not notes:
        raise BuildError(
            f"{kind}: the workers have not left {failed[0].path(kind)}; give an --out that they "
            "all see under this name"
        )
    line = json.loads(notes[0].read_text(encoding="utf-8"))["line"]
    others = f", and {len(failed) - 1} more failed" if len(failed) > 1 else ""
    raise BuildError(f"{line} ({kind}; details in {notes[0]}{others}; what is finished is kept)")


def _run_pipeline(
    chunks: Sequence[Element], job: Callable[[Element], None], engine: Engine, kind: str
) -> None:
    with _quiet():
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    workers, pool = min(engine.workers, len(chunks)), None
    with contextlib.ExitStack() as stack:
        if engine.has_runner:
            runner, options = None, _complete(engine.options)
        else:
            # Named DirectRunner, Beam would first try to fetch another one from the network.
            runner, mode = FnApiRunner(), "multi_threading" if workers > 1 else "in_memory"
            options = [
                f"--direct_num_workers={workers}",
                f"--direct_running_mode={mode}",
                *engine.options,
            ]
            if workers > 1:
                pool = stack.enter_context(_find_processes(engine))
                job = functools.partial(_delegate, job=job, kind=kind, pool=pool)
        pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(options))
        _ = pipeline | beam.Create(list(chunks)) | beam.Reshuffle() | beam.Map(job)
        if pool is not None:
            _wait_apart(pipeline.run, _POOLS[pool])
            return
        result = pipeline.run()
        result.wait_until_finish()
        # Dask's keeps its connections, and a cluster of its own if it was given none.
        if hasattr(result, "client"):
            result.client.close()


def _wait_apart(run: Callable[[], Any], processes: ProcessPool) -> None:
    """Ctrl-C in the midst of Beam would have its threads print what they miss; so one of ours runs
    it, and with the processes dismissed it runs to its end at once."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        running = executor.submit(run)
        try:
            running.result()
        except KeyboardInterrupt:
            processes.dismiss()
            raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While Beam is imported it warns of what it could do in Google's cloud."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _complete(options: Sequence[str]) -> list[str]:
    """Beam knows Dask by its long name only, and would put 128 chunks into one task of it."""
    if not any(
        option.startswith("--runner=") and option.endswith("DaskRunner") for option in options
    ):
        return list(options)
    named = [
        f"--runner={_DASK}" if option.startswith("--runner=") else option for option in options
    ]
    is_told = any(
        option.startswith(("--dask_npartitions", "--dask_partition_size")) for option in options
    )
    return named if is_told else [*named, "--dask_partition_size=1"]


@contextlib.contextmanager
def keep_processes(engine: Engine) -> Iterator[int]:
    """What this engine runs within is run by the same processes; each has its imports to make only
    once."""
    number = max(_POOLS, default=0) + 1
    with ProcessPool(engine.workers) as pool:
        _POOLS[number], before = pool, _KEPT.get(engine)
        _KEPT[engine] = number
        try:
            yield number
        finally:
            del _POOLS[number], _KEPT[engine]
            if before is not None:
                _KEPT[engine] = before


def _find_processes(engine: Engine) -> contextlib.AbstractContextManager[int]:
    return contextlib.nullcontext(_KEPT[engine]) if engine in _KEPT else keep_processes(engine)


def _delegate(chunk: Any, *, job: Callable[[Any], None], kind: str, pool: int) -> None:
    """Has a process of the pool do it, and another if that dies: work may know by then what to
    leave out."""
    died: WorkerError | None = None
    for _ in range(_ATTEMPTS):
        processes = _POOLS.get(pool)
        # Who stopped the program needs no account of what was not done.
        if processes is None:
            return
        try:
            processes.call(job, chunk)
            return
        except WorkerError as error:
            if processes.is_dismissed:
                return
            died = error
    _note_failure(
        chunk,
        kind,
        f"{_ATTEMPTS} processes that made {kind} died, of memory or of a file that no decoder "
        f"can bear; start again with fewer --workers",
        str(died),
    )


@contextlib.contextmanager
def _show_progress(
    chunks: Sequence[Element], waiting: Sequence[Element], kind: str
) -> Iterator[None]:
    """A bar that follows the parts on the disk: it need not know where the workers are. None off a
    terminal."""
    total, is_over = sum(chunk.size for chunk in chunks), threading.Event()
    left: dict[Path, dict[str, int]] = {}
    for chunk in waiting:
        part = chunk.path(kind)
        left.setdefault(part.parent, {})[part.name] = chunk.size

    with track(
        total=total,
        initial=total - sum(chunk.size for chunk in waiting),
        name=kind,
        unit="utterance",
    ) as bar:

        def look() -> None:
            # A folder is read in one go: there may be a hundred thousand parts.
            for folder, sizes in left.items():
                with os.scandir(folder) as entries:
                    names = [entry.name for entry in entries]
                bar.update(sum(sizes.pop(name) for name in names if name in sizes))

        def watch() -> None:
            patience = _POLL_SECONDS
            while not is_over.wait(patience):
                start = time.monotonic()
                look()
                patience = max(_POLL_SECONDS, _REST * (time.monotonic() - start))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
            look()
