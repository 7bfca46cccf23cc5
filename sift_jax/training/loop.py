"""The train run, from configs to the last checkpoint.

    describe the job ─► claim the folder ─► open the data ─► resume, or start the state ─► step, step, step

What happens beside a step are hooks: see hooks.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from sift_jax.batch import Batch, BatchShape, check_batch
from sift_jax.checkpoints.checkpoint import Checkpoints
from sift_jax.checkpoints.config_history import describe_end, write_config
from sift_jax.checkpoints.refused_start import undo_refused_start
from sift_jax.checkpoints.run_bucket import RunFolder, open_run_folder
from sift_jax.checkpoints.run_folder import (
    check_plan,
    write_data_file,
    write_model_file,
    write_tokenizer,
    write_units_file,
)
from sift_jax.checkpoints.run_lock import hold_run
from sift_jax.checkpoints.train_state import State
from sift_jax.compiled.topologies import open_topology
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.data_config import DataConfig
from sift_jax.data.defined_tasks import read_codec
from sift_jax.data.dev_batches import DevSet, read_dev_set
from sift_jax.data.prefetch import prefetch
from sift_jax.data.records.record_reader import digest_records
from sift_jax.data.records.unreadable import name_log
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.models.presets import ModelConfig
from sift_jax.parallel import heartbeat
from sift_jax.parallel.compile_cache import keep_programs
from sift_jax.parallel.distributed import check_same, check_shared, is_first_process
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig, list_own_rows, put_batch
from sift_jax.text.unit_tokens import list_needed_rows
from sift_jax.training.compile_counter import Compilations
from sift_jax.training.compiled_report import format_compilation
from sift_jax.training.ctc import CtcConfig
from sift_jax.training.dry_run import format_dry_run
from sift_jax.training.evaluator import Evaluator
from sift_jax.training.goodput import TimeLedger
from sift_jax.training.hooks import (
    DevHook,
    EvaluationHook,
    Hook,
    PairDevHook,
    Put,
    ReportHook,
    StepEnd,
)
from sift_jax.training.job import JobConfigs, TrainingJob, describe_job, start_state
from sift_jax.training.logged_samples import make_samples
from sift_jax.training.metrics import MetricWriter, NoWriter
from sift_jax.training.optimizer import OptimizerConfig
from sift_jax.training.preemption import Stopped, StopRequest
from sift_jax.training.preference import DpoConfig, check_reference
from sift_jax.training.profiling import Profile
from sift_jax.training.run_config import RunConfig
from sift_jax.training.teacher import TeacherConfig
from sift_jax.training.vocabulary_rows import fetch_tokenizer
from sift_jax.training.wandb_writer import WandbBoard, import_wandb
from sift_jax.weights.load import Sources, check_vocabulary
from sift_jax.weights.spare_rows import check_told_apart

# questions of each task that boards show before the first step
SHOWN_SAMPLES = 3


def train(
    *,
    run: RunConfig,
    model: ModelConfig,
    data: DataConfig,
    optimizer: OptimizerConfig,
    mesh: MeshConfig,
    hardware: HardwareConfig,
    sources: Sources,
    teacher: TeacherConfig | None = None,
    dpo: DpoConfig | None = None,
    ctc: CtcConfig | None = None,
    evaluator: Evaluator | None = None,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Trains to `run.steps`, resuming where the folder's last checkpoint stands; returns the
    folder."""
    # --- what is trained, and on what: shapes only, nothing is allocated
    devices = open_topology(launch.topology) if launch.topology else None
    is_described = bool(launch.topology) or launch.dry_run
    folder = (
        RunFolder(run.out_dir, is_described=True) if is_described else open_run_folder(run.out_dir)
    )
    if not is_described:
        fetch_tokenizer(data)
    configs = JobConfigs(
        run=run,
        model=model,
        data=data,
        optimizer=optimizer,
        mesh=mesh,
        hardware=hardware,
        sources=sources,
        teacher=teacher,
        dpo=dpo,
        ctc=ctc,
    )
    job = describe_job(configs, devices=devices, folder=folder)
    if launch.topology:
        print(format_compilation(job, hardware))
        return job.out_dir
    if launch.dry_run:
        print(format_dry_run(job.train_step, job.abstract_state, job.shapes, job.mesh, hardware))
        return job.out_dir
    if run.wandb_project:
        import_wandb(run.wandb_project)
    # --- a folder that is this run's alone
    keep_programs(run.out_dir, job.mesh)
    was_there = job.out_dir.exists()
    job.out_dir.mkdir(parents=True, exist_ok=True)
    check_same("the config", launch.config_text, "start all processes with the same command")
    with (
        hold_run(job.out_dir, job.folder.hold),
        undo_refused_start(job.out_dir, was_there=was_there),
        job.folder.copying(),
    ):
        _train_in_folder(job, sources, evaluator, launch)
    return job.out_dir


def _train_in_folder(
    job: TrainingJob, sources: Sources, evaluator: Evaluator | None, launch: Launch
) -> None:
    """Refusals come in the order of what they cost: the folder, the data, the evaluation sets, and
    then the weights."""
    run, out_dir = job.run, job.out_dir
    ledger = TimeLedger(out_dir, is_writer=is_first_process())
    # --- is this folder ours, and what is there to do? every process plans the whole data
    opened = open_run(job, launch)
    if opened is None:
        return
    stream, checkpoints = opened.stream, opened.checkpoints
    evaluate = evaluator.open(job.model, stream.tokenizer, job.mesh, out_dir) if evaluator else None
    # --- the state: 1. this folder's newest checkpoint, 2. another run, 3. published weights, 4. drawn
    # From here on memory of the devices is taken.
    state, place = resume_or_start(job, sources, opened, first_place={"batches": 0})
    first_step = int(state["step"])
    if job.dpo and not first_step:
        check_reference(state["trainable"])
    if is_first_process():
        print(*stream.describe_start(), sep="\n")
        # not before: a run that refuses this config keeps its own
        if said := write_config(out_dir, launch.config_text, step=first_step):
            print(said)
    dev = _read_dev_set(job, stream, launch)
    # --- the loop, and what is due beside it
    put = functools.partial(put_batch, mesh=job.mesh, rows=job.data.rows)
    writer = open_writer(job, first_step, launch) if is_first_process() else NoWriter()
    with contextlib.closing(writer), checkpoints.finishing(), StopRequest() as stop:
        if dev:
            writer.write_samples(first_step, make_samples(dev.samples))
        compilations = Compilations(say=writer.say)
        report = ReportHook(
            job, writer, compilations, ledger, share=stream.share, first_step=first_step
        )
        profile = Profile(out_dir, launch.profile, writer.say)
        hooks: list[Hook] = [report]
        if dev and job.dpo:
            hooks.append(PairDevHook(job, job.dpo, dev, put, writer))
        elif dev:
            hooks.append(DevHook(job, dev, put, writer))
        if evaluate:
            hooks.append(EvaluationHook(evaluate, writer))
        # Two batches are laid out ahead by a thread, while the devices step. A resumed run enters
        # the stream at the batch after the last one that its state has seen.
        ledger.begin(first_step)
        with (
            contextlib.closing(prefetch(stream.batches(skip=place["batches"]), 2)) as batches,
            contextlib.closing(profile),
        ):
            watched = Watched(compilations=compilations, ledger=ledger, profile=profile)
            stopped_at = _run_steps(job, opened, state, batches, put, hooks, watched, stop)
        report.close()
        with ledger.over("saving"):
            checkpoints.close()
        ledger.keep()
        if stopped_at is not None:
            raise Stopped(
                f"stopped as asked: step {stopped_at} of {run.steps} is saved, and the same "
                "command resumes from there"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watched:
    """What looks at each step from outside."""

    compilations: Compilations
    ledger: TimeLedger
    profile: Profile


def _run_steps(
    job: TrainingJob,
    opened: OpenRun,
    state: State,
    batches: Iterator[tuple[BatchShape, Batch]],
    put: Put,
    hooks: Sequence[Hook],
    watched: Watched,
    stop: StopRequest,
) -> int | None:
    """The loop proper, from the state's step to the last; the step at which it was asked to stop,
    or None."""
    first, last = int(state["step"]) + 1, job.run.steps
    compilations, ledger = watched.compilations, watched.ledger
    stream, checkpoints = opened.stream, opened.checkpoints
    for step in range(first, last + 1):
        # the first batch may take what it takes, on each machine
        heartbeat.mark(step, "reading" if step > first else "starting")
        asked = time.perf_counter()
        shape, batch = next(batches)
        # How long the devices had nothing to do because the data came late.
        waited = time.perf_counter() - asked
        ledger.book("data", waited)
        check_batch(batch, shape, vocab_size=job.model.decoder.vocab_size)
        placed = put(batch)
        heartbeat.mark(step, "stepping")
        made, asked = compilations.made, time.perf_counter()
        with watched.profile.over(step), compilations.over(shape):
            # dispatched, not waited for
            state, metrics = job.train_step(state, placed)
        if compilations.made > made:
            ledger.book("compiling", time.perf_counter() - asked)
        ledger.note_step(step)
        end = StepEnd(
            step=step,
            is_last=step == last,
            state=state,
            batch=batch,
            metrics=metrics,
            waited=waited,
            facts=stream.describe(step - 1),
            name_items=functools.partial(stream.name_items, step - 1),
        )
        for hook in hooks:
            with ledger.over(hook.cause):
                hook(end)
        watched.profile.see(step, metrics)
        is_stopped = step < last and stop.is_reached(step)
        # the state and the data's place together: what is restored goes on with the very next batch
        place = {"batches": step, "plan": stream.plan.fingerprint}
        with ledger.over("saving"):
            checkpoints.save(step, state, place, force=step == last or is_stopped)
        if is_stopped:
            return step
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A folder that is claimed, by its checkpoints, and the data of its run."""

    checkpoints: Checkpoints
    stream: BatchStream


def open_run(job: TrainingJob, launch: Launch) -> OpenRun | None:
    """Claims the folder and opens the data, of which this process reads its own rows. None, and a
    line about it, where all steps are done."""
    checkpoints = claim_folder(job)
    reached = checkpoints.latest_step or 0
    stream = open_stream(job, launch, "train")
    plan = stream.plan.fingerprint
    check_same("the plan", plan, "give all processes the same records, tokenizer and modules")
    if is_first_process() and stream.notes:
        print(*stream.notes, sep="\n")
    # Nothing is left to do: say so, before weights are read.
    if reached >= job.run.steps:
        check_plan(job.out_dir, checkpoints.read_place(reached).get("plan"), plan)
        told = describe_end(job.out_dir, reached, job.run.steps, launch.config_text)
        print(told.replace(str(job.out_dir), job.folder.name))
        return None
    keep_tokenizer(job, stream, is_begun=reached > 0)
    return OpenRun(checkpoints=checkpoints, stream=stream)


def claim_folder(job: TrainingJob) -> Checkpoints:
    """The folder's checkpoints; an error where they are of another model or other records."""
    run, records = job.run, job.data.records
    digest = digest_records(records)
    check_shared(job.folder.store)
    check_same("the records", str(digest), f"give all processes the same {records}")
    checkpoints = Checkpoints(
        job.folder.store,
        is_reader=False,
        every=run.checkpoint_every,
        keep=run.keep_checkpoints,
        # logs are never behind a checkpoint
        before_save=job.folder.copy,
    )
    if is_first_process():
        is_begun = (checkpoints.latest_step or 0) > 0
        write_model_file(job.out_dir, job.model, is_begun=is_begun)
        write_data_file(job.out_dir, records, digest, is_begun=is_begun)
    return checkpoints


def open_stream(
    job: TrainingJob, launch: Launch, split: str, among: Collection[str] | None = None
) -> BatchStream:
    """The batches of a split, of which this process reads its own rows; those of the training split
    have no end."""
    return BatchStream(
        job.data,
        job.geometry,
        split=split,
        is_endless=split == "train",
        modules=launch.modules,
        own_rows=list_own_rows(job.mesh, job.data.rows),
        among=among,
        unreadable_log=name_log(job.out_dir, jax.process_index()),
        teacher_tokens=job.teacher_tokens,
        has_pairs=job.dpo is not None,
    )


def keep_tokenizer(job: TrainingJob, stream: BatchStream, *, is_begun: bool) -> None:
    """Lays the tokenizer, and what is to be known of the codec, beside the checkpoints."""
    rows, name = job.model.decoder.vocab_size, job.data.tokenizer
    if is_first_process():
        write_tokenizer(job.out_dir, stream.tokenizer.save, name, is_begun=is_begun)
        write_units_file(job.out_dir, stream.describe_units(rows), is_begun=is_begun)
    check_vocabulary(len(stream.tokenizer), rows, f"the tokenizer {name}")


def resume_or_start(
    job: TrainingJob, sources: Sources, opened: OpenRun, *, first_place: dict[str, int]
) -> tuple[State, dict[str, Any]]:
    """(state, its place in the data): those of the newest checkpoint, or a new state at the first
    place."""
    needed = list_needed_rows(opened.stream.tokenizer, read_codec(job.data))
    restored = opened.checkpoints.restore_newest(job.abstract_state, job.run.trainable)
    found: tuple[State, dict[str, Any]] = restored or (
        start_state(job, sources, needed),
        first_place,
    )
    state, place = found
    check_told_apart(state["trainable"], state["frozen"], needed, is_resumed=restored is not None)
    if restored:
        check_plan(job.out_dir, place.get("plan"), opened.stream.plan.fingerprint)
        # a step of rewards is several of the state's
        step = place.get("step", int(state["step"]))
        print(f"resuming {job.folder.name} at step {step}, batch {place['batches']}")
    return state, place


def _read_dev_set(job: TrainingJob, stream: BatchStream, launch: Launch) -> DevSet | None:
    """Held-out batches of what is trained; another loss says nothing of the run. None where there
    are none."""
    if not job.run.dev_batches:
        return None
    names = [task.name for task in stream.plan.draws.tasks]
    held_out = open_stream(job, launch, "dev", among=names)
    # the first process writes the boards
    shown = SHOWN_SAMPLES if is_first_process() else 0
    dev = read_dev_set(held_out, job.run.dev_batches, names, samples=shown)
    if is_first_process() and (said := dev.describe_unseen()):
        print(said)
    return dev if dev.batches else None


def open_writer(job: TrainingJob, first_step: int, launch: Launch) -> MetricWriter:
    project = job.run.wandb_project
    boards = [WandbBoard(project, job.out_dir, launch.config_text)] if project else []
    return MetricWriter(job.out_dir, steps=job.run.steps, first_step=first_step, boards=boards)
