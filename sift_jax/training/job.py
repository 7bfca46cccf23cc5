"""What a run trains, and on what: all that is known before anything is allocated.

configs ─► describe_job ─► TrainingJob: the model's sizes, the batches' shapes, the mesh, the step,
                           and the state as shapes with their shardings
           start_state  ─► a first state of these shapes: weights from elsewhere, the rest drawn
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped

from sift_jax.batch import BatchShape
from sift_jax.checkpoints.run_bucket import RunFolder
from sift_jax.checkpoints.train_state import (
    State,
    cast_params,
    drop_params,
    fill_params,
    init_state,
    join_params,
    shard_state,
)
from sift_jax.data.batch_stream import SpeechGeometry, make_shapes
from sift_jax.data.data_config import DataConfig
from sift_jax.models.presets import ModelConfig, make_model_config
from sift_jax.models.speech_lm import Params, SpeechLMConfig
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig, check_rows, make_mesh
from sift_jax.text.unit_tokens import NeededRows
from sift_jax.training.attention_check import settle_attention
from sift_jax.training.ctc import CtcConfig, check_ctc, make_ctc_objective
from sift_jax.training.losses import Objective
from sift_jax.training.optimizer import OptimizerConfig, make_optimizer, make_schedule
from sift_jax.training.preference import (
    DpoConfig,
    check_preference,
    make_preference_objective,
)
from sift_jax.training.regularization import check_regularization
from sift_jax.training.run_config import RunConfig
from sift_jax.training.step import make_train_step
from sift_jax.training.teacher import TeacherConfig, check_teacher, make_taught_objective
from sift_jax.training.vocabulary_rows import count_rows
from sift_jax.weights.load import Sources, load_sources
from sift_jax.weights.spare_rows import draw_spare_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobConfigs:
    """What a gin file says of a run, but for its evaluation."""

    run: RunConfig
    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig
    hardware: HardwareConfig
    sources: Sources
    teacher: TeacherConfig | None = None
    dpo: DpoConfig | None = None
    ctc: CtcConfig | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A run as it is described: configs, and what follows from them."""

    run: RunConfig
    data: DataConfig
    hardware: HardwareConfig
    model: SpeechLMConfig
    geometry: SpeechGeometry
    shapes: list[BatchShape]
    mesh: Mesh
    schedule: optax.Schedule
    # the state as shapes with their shardings, and the function that draws one
    abstract_state: State
    draw_state: Callable[[], State]
    train_step: Wrapped
    folder: RunFolder
    # of a row of what the teacher reads; 0 where there is none
    teacher_tokens: int = 0
    # where the data are pairs of answers, how they are learnt from
    dpo: DpoConfig | None = None

    @property
    def out_dir(self) -> Path:
        """Where it writes; its checkpoints may lie elsewhere."""
        return self.folder.local


def _choose_objective(
    configs: JobConfigs, config: SpeechLMConfig, trainable: Params
) -> Objective | None:
    """What is learnt in place of the cross-entropy alone; None where nothing else is asked for."""
    asked = [name for name in ("teacher", "dpo", "ctc") if getattr(configs, name)]
    if len(asked) > 1:
        raise ValueError(
            f"a run has one objective; take train.{' or train.'.join(asked[1:])} out, or "
            f"train.{asked[0]}"
        )
    if configs.teacher:
        check_teacher(trainable)
        return make_taught_objective(config, configs.teacher)
    if configs.dpo:
        if configs.run.regularization:
            raise ValueError(
                "DPO compares the answers of a pair as they are; take RunConfig.regularization out"
            )
        check_preference(trainable)
        return make_preference_objective(config, configs.dpo)
    if configs.ctc:
        check_ctc(config)
        return make_ctc_objective(config, configs.ctc, configs.data)
    return None


def describe_job(
    configs: JobConfigs,
    *,
    devices: list[jax.Device] | None = None,
    folder: RunFolder | None = None,
    make_objective: Callable[[SpeechLMConfig], Objective] | None = None,
    updates: int = 1,
) -> TrainingJob:
    """The job of these configs, on all devices that there are or on those given.

    What does not fit together is refused: a model's parts, a warm-up longer than the run, rows that
    the devices cannot share. `make_objective` makes another loss, of rewarded batches; a step may
    have several `updates`.
    """
    run, data, optimizer = configs.run, configs.data, configs.optimizer
    teacher = configs.teacher
    folder = folder or RunFolder(run.out_dir)
    start_run, out_dir = configs.sources.run, str(folder.local)
    rows = count_rows(configs.model, data, start_run=start_run, out_dir=out_dir)
    config, steps = make_model_config(configs.model, rows), run.steps * updates
    config = dataclasses.replace(config, windows=count_most_windows(data))
    update = make_optimizer(optimizer, steps)
    geometry = make_geometry(config)
    positions = teacher.positions if teacher else 0
    shapes = make_shapes(data, geometry, teacher_tokens=positions)
    mesh = make_mesh(configs.mesh, devices)
    check_rows(data.rows, mesh, run.microbatches)
    if devices is None:
        # on devices that can execute; those of a topology cannot
        config = settle_attention(config, mesh)
    check_regularization(run.regularization, config)
    abstract_state, draw_state = describe_state(config, run, update, mesh)
    objective = _choose_objective(configs, config, abstract_state["trainable"])
    if make_objective:
        objective = make_objective(config)
        shapes = [dataclasses.replace(shape, is_rewarded=True) for shape in shapes]
    return TrainingJob(
        run=run,
        folder=folder,
        data=data,
        hardware=configs.hardware,
        model=config,
        geometry=geometry,
        shapes=shapes,
        mesh=mesh,
        schedule=make_schedule(optimizer, steps, optimizer.peak_learning_rate),
        abstract_state=abstract_state,
        draw_state=draw_state,
        train_step=make_train_step(
            config,
            update,
            abstract_state,
            mesh,
            microbatches=run.microbatches,
            regularization=run.regularization,
            seed=run.seed,
            objective=objective,
        ),
        teacher_tokens=positions,
        dpo=configs.dpo,
    )


def count_most_windows(data: DataConfig) -> int:
    """Windows that a recording of these data may have."""
    return data.clips if data.long_audio == "windows" else 1


def make_geometry(config: SpeechLMConfig) -> SpeechGeometry:
    """What the data must know of the model."""
    return SpeechGeometry(
        mel_bins=config.encoder.mel_bins,
        window_seconds=config.encoder.window_seconds,
        is_silence_masked=config.encoder.frame_mask == "all",
        front_end=config.encoder.front_end,
        count_frames=config.count_frames,
        hears_units=config.hears_units,
    )


def describe_state(
    config: SpeechLMConfig, run: RunConfig, update: optax.GradientTransformation, mesh: Mesh
) -> tuple[State, Callable[[], State]]:
    """(shapes of the state with their shardings, function that draws one)."""

    def draw() -> State:
        state = init_state(config, run.trainable, update, run.seed)
        return {**state, "frozen": cast_params(state["frozen"], run.frozen_dtype)}

    abstract = jax.eval_shape(draw)
    shardings = shard_state(abstract, mesh)
    described = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), abstract, shardings
    )
    return described, draw


def start_state(job: TrainingJob, sources: Sources, needed: NeededRows) -> State:
    """A state at step 0: what the sources have is read, and only what they have not is drawn."""
    abstract = job.abstract_state
    shardings = jax.tree.map(lambda x: x.sharding, abstract)
    loaded = load_sources(
        join_params(abstract["trainable"], abstract["frozen"]), job.model, sources
    )
    loaded = draw_spare_rows(loaded, needed)
    draw = jax.jit(
        lambda: drop_params(job.draw_state(), loaded), out_shardings=drop_params(shardings, loaded)
    )
    return fill_params(draw(), loaded, job.run.trainable)
