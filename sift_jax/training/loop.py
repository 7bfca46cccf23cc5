"""The train run: everything put together, restored, stepped, reported and saved.

config ─► mesh, model, state (new, from another run, or resumed) ─► batches ─► step ─► metrics, dev, checkpoints
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from sift_jax.audio.mel import RATE
from sift_jax.batch import check_batch
from sift_jax.data.dev_batches import DevSet, read_dev_set
from sift_jax.data.pipeline import BatchStream, DataConfig, SpeechGeometry, make_shapes, read_codec
from sift_jax.data.prefetch import prefetch
from sift_jax.data.records import digest_records
from sift_jax.data.unit_ids import NeededRows, list_needed_rows
from sift_jax.models.presets import ModelConfig, make_model_config
from sift_jax.models.speech_lm import SpeechLMConfig
from sift_jax.parallel import watch
from sift_jax.parallel.distributed import check_same, check_shared, is_first_process
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig, check_rows, list_own_rows, make_mesh, put_batch
from sift_jax.training.checkpoint import Checkpoints
from sift_jax.training.compilations import Compilations
from sift_jax.training.costs import count_costs
from sift_jax.training.describe import format_dry_run
from sift_jax.training.dev import measure_dev
from sift_jax.training.evaluator import Evaluate, Evaluator
from sift_jax.training.guard import SkipWatch
from sift_jax.training.metrics import Meter, MetricWriter, NoWriter
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer, make_schedule
from sift_jax.training.run_files import (
    check_plan,
    describe_end,
    write_data_file,
    write_model_file,
    write_tokenizer,
    write_units_file,
    write_whole,
)
from sift_jax.training.samples import make_samples
from sift_jax.training.state import (
    State,
    cast_params,
    drop_params,
    fill_params,
    init_state,
    join_params,
    shard_state,
)
from sift_jax.training.step import make_dev_step, make_train_step
from sift_jax.training.stopping import Stopped, StopRequest
from sift_jax.training.wandb_board import WandbBoard, import_wandb
from sift_jax.weights.load import Sources, check_vocabulary, load_sources
from sift_jax.weights.spare_rows import check_told_apart, draw_spare_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run does and how often it says so."""

    out_dir: str
    steps: int
    # a batch is computed in so many pieces, one after the other, for less memory and the same gradient
    microbatches: int
    # patterns over parameter paths, as --dry_run prints them
    trainable: tuple[str, ...]
    # what is not trained may lie in memory as bfloat16; what is trained is float32
    frozen_dtype: str
    seed: int
    log_every: int
    dev_every: int
    dev_batches: int
    checkpoint_every: int
    keep_checkpoints: int
    # updates that are left out (no finite gradient, or a spike) before the run gives up
    most_skipped_in_a_row: int
    # where Weights & Biases shows the run beside TensorBoard; None asks it for nothing
    wandb_project: str | None

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "dev_every", "checkpoint_every", "keep_checkpoints"):
            # what is no number is refused by its type, where configs are built
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ValueError(f"RunConfig.{name} is {value}; give 1 or more")
        if "://" in str(self.out_dir):
            raise ValueError(f"{self.out_dir} is no folder; mount that storage and set OUT_DIR to a path of the mount")


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
    config, devices = make_model_config(model), make_mesh(mesh)
    geometry, out_dir = make_geometry(config), Path(run.out_dir)
    check_rows(data.rows, devices, run.microbatches)
    shapes = make_shapes(data, geometry)
    update = make_optimizer(optimizer, run.steps)
    described, start = _start_state(config, run, sources, update, devices)
    train_step = make_train_step(config, update, described, devices, microbatches=run.microbatches)
    if dry_run:
        print(format_dry_run(train_step, described, shapes, devices, hardware))
        return out_dir
    if run.wandb_project:
        import_wandb(run.wandb_project)
    out_dir.mkdir(parents=True, exist_ok=True)
    check_same("the config", config_text, "start all processes with the same command")
    check_shared(out_dir)
    check_same("the records", str(digest_records(data.records)), f"give all processes the same {data.records}")
    checkpoints = Checkpoints(out_dir, is_reader=False, every=run.checkpoint_every, keep=run.keep_checkpoints)
    first_step = checkpoints.latest_step or 0
    if is_first_process():
        write_model_file(out_dir, config, is_begun=first_step > 0)
        write_data_file(out_dir, data.records, digest_records(data.records), is_begun=first_step > 0)
    own_rows = list_own_rows(devices, data.rows)
    stream = BatchStream(data, geometry, split="train", is_endless=True, modules=modules, own_rows=own_rows)
    check_same("the plan", stream.plan.fingerprint, "give all processes the same records, tokenizer and modules")
    if first_step >= run.steps:
        check_plan(out_dir, checkpoints.read_place(first_step).get("plan"), stream.plan.fingerprint)
        print(describe_end(out_dir, first_step, run.steps, config_text))
        return out_dir
    if is_first_process():
        write_tokenizer(out_dir, stream.tokenizer.save, data.tokenizer, is_begun=first_step > 0)
        write_units_file(out_dir, stream.describe_units(config.decoder.vocab_size), is_begun=first_step > 0)
    check_vocabulary(len(stream.tokenizer), config.decoder.vocab_size, f"the tokenizer {data.tokenizer}")
    # before anything is loaded: a set that is not there stops a run here
    evaluate = evaluator.open(config, stream.tokenizer, devices, out_dir) if evaluator else None
    restored = checkpoints.restore_newest(described, run.trainable)
    needed = list_needed_rows(stream.tokenizer, read_codec(data))
    state, place = restored or (start(needed), {"batches": 0})
    check_told_apart(state["trainable"], state["frozen"], needed, is_resumed=restored is not None)
    first_step = int(state["step"])
    if restored:
        check_plan(out_dir, place.get("plan"), stream.plan.fingerprint)
        print(f"resuming {out_dir} at step {first_step}, batch {place['batches']}")
    if is_first_process():
        # not before: a run that refuses this config keeps its own
        write_whole(out_dir / "config.gin", config_text)
    dev = None
    if run.dev_batches:
        dev_stream = BatchStream(data, geometry, split="dev", is_endless=False, modules=modules, own_rows=own_rows)
        dev = read_dev_set(dev_stream, run.dev_batches, [task.name for task in stream.plan.draws.tasks])
        if is_first_process() and (said := dev.describe_unseen()):
            print(said)
        # a split from which nothing fits has no loss
        dev = dev if dev.batches else None
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
            skips=SkipWatch(out_dir, most_in_a_row=run.most_skipped_in_a_row, is_writer=is_first_process()),
            dev=dev,
            evaluate=evaluate,
            schedule=make_schedule(optimizer, run.steps, optimizer.peak_learning_rate),
            writer=writer,
            checkpoints=checkpoints,
            samples=make_samples(dev.batches[0], stream.tokenizer, geometry.front_end) if dev else ({}, {}),
            stop=stop,
        )
    if said := stream.counts.describe_dropped():
        print(said)
    return out_dir


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
        watch.mark(step, "reading" if step > first_step + 1 else "starting")
        asked = time.perf_counter()
        shape, batch = next(batches)
        waited = time.perf_counter() - asked
        check_batch(batch, shape, vocab_size=config.decoder.vocab_size)
        placed = put(batch)
        watch.mark(step, "stepping")
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
