"""The train run: everything put together, restored, stepped, reported and saved.

config ─► mesh, model, state (new, from another run, or resumed) ─► batches ─► step ─► metrics, dev, checkpoints
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from sift_jax.audio.whisper_mel import RATE
from sift_jax.batch import check_batch
from sift_jax.checkpoints.checkpoint import Checkpoints
from sift_jax.checkpoints.config_history import describe_end, write_config
from sift_jax.checkpoints.run_folder import (
    check_plan,
    write_data_file,
    write_model_file,
    write_tokenizer,
    write_units_file,
)
from sift_jax.checkpoints.run_lock import hold_run
from sift_jax.checkpoints.train_state import (
    State,
    cast_params,
    drop_params,
    fill_params,
    init_state,
    join_params,
    shard_state,
)
from sift_jax.data.batch_stream import BatchStream, SpeechGeometry, make_shapes
from sift_jax.data.data_config import DataConfig
from sift_jax.data.defined_tasks import read_codec
from sift_jax.data.dev_batches import DevSet, read_dev_set
from sift_jax.data.prefetch import prefetch
from sift_jax.data.records.record_files import digest_records
from sift_jax.data.records.unreadable import count_logged, name_log
from sift_jax.models.presets import ModelConfig, make_model_config
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel import heartbeat
from sift_jax.parallel.distributed import check_same, check_shared, is_first_process
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig, check_rows, list_own_rows, make_mesh, put_batch
from sift_jax.text.unit_tokens import NeededRows, list_needed_rows
from sift_jax.training.compile_counter import Compilations
from sift_jax.training.dev_metrics import measure_dev
from sift_jax.training.dry_run import format_dry_run
from sift_jax.training.evaluator import Evaluate, Evaluator
from sift_jax.training.flops import count_costs
from sift_jax.training.gradient_guard import SkipWatch
from sift_jax.training.logged_samples import make_samples
from sift_jax.training.metrics import Meter, MetricWriter, NoWriter
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer, make_schedule
from sift_jax.training.preemption import Stopped, StopRequest
from sift_jax.training.run_config import RunConfig
from sift_jax.training.step import make_dev_step, make_train_step
from sift_jax.training.vocabulary_rows import count_rows
from sift_jax.training.wandb_writer import WandbBoard, import_wandb
from sift_jax.weights.load import Sources, check_vocabulary, load_sources
from sift_jax.weights.spare_rows import check_told_apart, draw_spare_rows


def make_geometry(config: SpeechLMConfig) -> SpeechGeometry:
    """What the data must know of the model."""
    return SpeechGeometry(
        mel_bins=config.encoder.mel_bins,
        window_seconds=config.encoder.window_seconds,
        is_silence_masked=config.encoder.frame_mask == "all",
        front_end=config.encoder.front_end,
        count_frames=config.count_frames,
    )


def describe_state(config: SpeechLMConfig, run: RunConfig, optimizer, mesh: Mesh):
    """(shapes of the state with their shardings, function that draws one)."""

    def make() -> State:
        state = init_state(config, run.trainable, optimizer, run.seed)
        return {**state, "frozen": cast_params(state["frozen"], run.frozen_dtype)}

    abstract = jax.eval_shape(make)
    shardings = shard_state(abstract, mesh)
    described = jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), abstract, shardings)
    return described, make


def _start_state(config: SpeechLMConfig, run: RunConfig, sources: Sources, optimizer, mesh: Mesh):
    """(abstract state with shardings, function that makes the first state)."""
    described, make = describe_state(config, run, optimizer, mesh)
    shardings = jax.tree.map(lambda x: x.sharding, described)

    def start(rows: NeededRows) -> State:
        loaded = load_sources(join_params(described["trainable"], described["frozen"]), config, sources)
        loaded = draw_spare_rows(loaded, rows)
        drawn = jax.jit(lambda: drop_params(make(), loaded), out_shardings=drop_params(shardings, loaded))()
        return fill_params(drawn, loaded, run.trainable)

    return described, start


def train(
    *,
    run: RunConfig,
    model: ModelConfig,
    data: DataConfig,
    optimizer: OptimizerConfig,
    mesh: MeshConfig,
    hardware: HardwareConfig,
    sources: Sources,
    evaluator: Evaluator | None = None,
    dry_run: bool = False,
    modules: tuple[ModuleType, ...] = (),
    config_text: str = "",
) -> Path:
    """Trains to `run.steps`, going on where the folder's last checkpoint stands; returns the folder."""
    # refused before a device is touched: a model that does not fit together, a warm-up longer than the run
    rows = count_rows(model, data, start_run=sources.run, out_dir=run.out_dir)
    config, update = make_model_config(model, rows), make_optimizer(optimizer, run.steps)
    geometry, out_dir = make_geometry(config), Path(run.out_dir)
    shapes, devices = make_shapes(data, geometry), make_mesh(mesh)
    check_rows(data.rows, devices, run.microbatches)
    described, start = _start_state(config, run, sources, update, devices)
    train_step = make_train_step(config, update, described, devices, microbatches=run.microbatches)
    if dry_run:
        print(format_dry_run(train_step, described, shapes, devices, hardware))
        return out_dir
    if run.wandb_project:
        import_wandb(run.wandb_project)
    out_dir.mkdir(parents=True, exist_ok=True)
    check_same("the config", config_text, "start all processes with the same command")
    with hold_run(out_dir):
        _train_in_folder(
            out_dir, run, data, optimizer, hardware,
            config=config, geometry=geometry, devices=devices, described=described, start=start, train_step=train_step,
            evaluator=evaluator, modules=modules, config_text=config_text,
        )  # fmt: skip
    return out_dir


def _train_in_folder(
    out_dir: Path, run: RunConfig, data: DataConfig, optimizer: OptimizerConfig, hardware: HardwareConfig, *,
    config: SpeechLMConfig, geometry: SpeechGeometry, devices: Mesh, described: State,
    start: Callable[[NeededRows], State], train_step: Callable, evaluator: Evaluator | None,
    modules: tuple[ModuleType, ...], config_text: str,
) -> None:  # fmt: skip
    """Trains in a folder that is this run's alone."""
    check_shared(out_dir)
    check_same("the records", str(digest_records(data.records)), f"give all processes the same {data.records}")
    checkpoints = Checkpoints(out_dir, is_reader=False, every=run.checkpoint_every, keep=run.keep_checkpoints)
    first_step = checkpoints.latest_step or 0
    if is_first_process():
        write_model_file(out_dir, config, is_begun=first_step > 0)
        write_data_file(out_dir, data.records, digest_records(data.records), is_begun=first_step > 0)
    log = name_log(out_dir, jax.process_index())
    reading = {"modules": modules, "own_rows": list_own_rows(devices, data.rows), "unreadable_log": log}
    stream = BatchStream(data, geometry, split="train", is_endless=True, **reading)
    check_same("the plan", stream.plan.fingerprint, "give all processes the same records, tokenizer and modules")
    if is_first_process() and stream.notes:
        print(*stream.notes, sep="\n")
    if first_step >= run.steps:
        check_plan(out_dir, checkpoints.read_place(first_step).get("plan"), stream.plan.fingerprint)
        print(describe_end(out_dir, first_step, run.steps, config_text))
        return
    if is_first_process():
        write_tokenizer(out_dir, stream.tokenizer.save, data.tokenizer, is_begun=first_step > 0)
        write_units_file(out_dir, stream.describe_units(config.decoder.vocab_size), is_begun=first_step > 0)
    check_vocabulary(len(stream.tokenizer), config.decoder.vocab_size, f"the tokenizer {data.tokenizer}")
    # before anything is loaded: a set that is not there stops a run here
    evaluate = evaluator.open(config, stream.tokenizer, devices, out_dir) if evaluator else None
    needed = list_needed_rows(stream.tokenizer, read_codec(data))
    restored = checkpoints.restore_newest(described, run.trainable)
    state, place = restored or (start(needed), {"batches": 0})
    check_told_apart(state["trainable"], state["frozen"], needed, is_resumed=restored is not None)
    first_step = int(state["step"])
    if restored:
        check_plan(out_dir, place.get("plan"), stream.plan.fingerprint)
        print(f"resuming {out_dir} at step {first_step}, batch {place['batches']}")
    if is_first_process():
        print(*stream.describe_start(), sep="\n")
        # not before: a run that refuses this config keeps its own
        if said := write_config(out_dir, config_text, step=first_step):
            print(said)
    dev = None
    if run.dev_batches:
        # of what is trained: another loss says nothing of the run
        names = [task.name for task in stream.plan.draws.tasks]
        dev_stream = BatchStream(data, geometry, split="dev", is_endless=False, among=names, **reading)
        dev = read_dev_set(dev_stream, run.dev_batches, names)
        if is_first_process() and (said := dev.describe_unseen()):
            print(said)
        dev = dev if dev.batches else None  # a split from which nothing fits has no loss
    writer = _open_writer(run, out_dir, first_step, config_text) if is_first_process() else NoWriter()
    with contextlib.closing(writer), checkpoints.finishing(), StopRequest() as stop:
        _run_steps(
            run,
            config,
            functools.partial(put_batch, mesh=devices, rows=data.rows),
            state,
            stream=stream,
            batches=prefetch(stream.batches(skip=place["batches"]), 2),
            train_step=train_step,
            dev_step=make_dev_step(config, devices, microbatches=run.microbatches, tasks=dev.in_split) if dev else None,
            meter=Meter(count_costs(config, run.trainable), hardware, devices.size, share=stream.share),
            skips=SkipWatch(
                out_dir,
                most_in_a_row=run.most_skipped_in_a_row,
                most_share=run.most_skipped_share,
                first_step=first_step,
                is_writer=is_first_process(),
            ),
            dev=dev,
            evaluate=evaluate,
            schedule=make_schedule(optimizer, run.steps, optimizer.peak_learning_rate),
            writer=writer,
            checkpoints=checkpoints,
            samples=make_samples(dev.batches[0], stream.tokenizer, geometry.front_end) if dev else ({}, {}),
            stop=stop,
        )


def _open_writer(run: RunConfig, out_dir: Path, first_step: int, config_text: str) -> MetricWriter:
    boards = [WandbBoard(run.wandb_project, out_dir, config_text)] if run.wandb_project else []
    return MetricWriter(out_dir, steps=run.steps, first_step=first_step, boards=boards)


def _describe_update(step: int, metrics: dict[str, jax.Array], schedule: optax.Schedule) -> dict[str, float]:
    skipped = int(metrics["skipped"])
    # the optimizer counts the updates before this one
    rate = float(schedule(max(step - 1 - skipped, 0)))
    return {"learning_rate": rate, "grad_norm": float(metrics["grad_norm"]), "skipped": skipped}


def _run_steps(
    run: RunConfig,
    config: SpeechLMConfig,
    put,
    state: State,
    *,
    stream: BatchStream,
    batches,
    train_step,
    dev_step,
    meter: Meter,
    skips: SkipWatch,
    dev: DevSet | None,
    evaluate: Evaluate | None,
    schedule,
    writer: MetricWriter,
    checkpoints: Checkpoints,
    samples: tuple[dict[str, str], dict[str, np.ndarray]],
    stop: StopRequest,
) -> None:
    """The loop proper, from the state's step to run.steps."""
    first_step, compilations = int(state["step"]), Compilations()
    writer.write_samples(first_step, *samples, RATE)
    for step in range(first_step + 1, run.steps + 1):
        # the first batch may take what it takes, on each machine
        heartbeat.mark(step, "reading" if step > first_step + 1 else "starting")
        asked = time.perf_counter()
        shape, batch = next(batches)
        waited = time.perf_counter() - asked
        check_batch(batch, shape, vocab_size=config.decoder.vocab_size)
        placed = put(batch)
        heartbeat.mark(step, "stepping")
        with compilations.over(shape):
            state, metrics = train_step(state, placed)
        facts = stream.describe(step - 1)
        writer.write_batch(step, facts)
        skips.see(step, batch, metrics, lambda step=step, facts=facts: {**facts, "items": stream.name_items(step - 1)})
        meter.add(batch, metrics["loss"], waited)
        writer.advance()
        is_last = step == run.steps
        if step % run.log_every == 0 or is_last:
            skips.settle()
            values = meter.report(run.steps - step) | _describe_update(step, metrics, schedule)
            # of all processes, as far as they have written it down
            values["unreadable"] = count_logged(Path(run.out_dir))
            writer.write(step, values | compilations.describe())
        if dev and (step % run.dev_every == 0 or is_last):
            writer.write_dev(step, measure_dev(dev_step, state, dev.batches, put, dev.tasks))
        if evaluate and (found := evaluate(step, join_params(state["trainable"], state["frozen"]), is_last)):
            writer.write_evaluation(step, *found)
        is_stopped = not is_last and stop.is_reached(step)
        place = {"batches": step, "plan": stream.plan.fingerprint}
        checkpoints.save(step, state, place, force=is_last or is_stopped)
        if is_stopped:
            break
    skips.settle()
    batches.close()
    checkpoints.close()
    if is_stopped:
        raise Stopped(f"stopped as asked: step {step} of {run.steps} is saved, and the same command goes on from there")
