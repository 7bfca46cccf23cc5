"""The vocoder's training run: a codec and recordings in, checkpoints and a codec that speaks out.

codec, recordings ─► units beside the run ─► state (new, or resumed) ─► batch of a step ─► step ─► metrics, checkpoints
                                                                         the last one ─► run/codec, vocoder inside
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from sift_jax.checkpoints.checkpoint import Checkpoints
from sift_jax.checkpoints.checkpoint_errors import CheckpointError
from sift_jax.checkpoints.config_history import describe_end, write_config
from sift_jax.checkpoints.refused_start import undo_refused_start
from sift_jax.checkpoints.run_lock import hold_run
from sift_jax.codecs.codec import INPUT_RATE
from sift_jax.codecs.codec_folder import CodecFolder, read_folder
from sift_jax.codecs.registry import load_codec
from sift_jax.codecs.vocoder.hifi_gan_checkpoint import read_hifi_gan
from sift_jax.codecs.vocoder.network import VocoderConfig
from sift_jax.codecs.vocoder.unit_vocoder import check_shape
from sift_jax.field_ranges import CheckedConfig, Count, Seed, Text
from sift_jax.launch import NO_FLAGS, Launch
from sift_jax.parallel.distributed import check_same, check_shared, is_first_process, meet
from sift_jax.parallel.mesh import MeshConfig, check_rows, list_own_rows, make_mesh, put_batch
from sift_jax.training.metrics import MetricWriter, NoWriter
from sift_jax.training.preemption import Stopped, StopRequest
from sift_jax.vocoder_training.discriminators import CriticsConfig
from sift_jax.vocoder_training.install_vocoder import add_to_codec, write_run_file
from sift_jax.vocoder_training.losses import VocoderLosses
from sift_jax.vocoder_training.segments import Segments, UnitCorpus, VocoderData, open_corpus
from sift_jax.vocoder_training.step import (
    Networks,
    State,
    VocoderOptimizer,
    describe_state,
    init_state,
    make_optimizer,
    make_schedule,
    make_step,
)

_EVERYTHING = (".*",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocoderRun(CheckedConfig):
    """What a run does and how often it says so."""

    out_dir: Text
    # whose units are to be spoken
    codec: Text
    steps: Count
    seed: Seed
    log_every: Count
    checkpoint_every: Count
    keep_checkpoints: Count
    # folder of a published HiFi-GAN of this shape, whose levels the generator begins with; None
    # begins at random
    first_generator: Text | None


def train_vocoder(
    *,
    run: VocoderRun,
    data: VocoderData,
    vocoder: VocoderConfig,
    critics: CriticsConfig,
    losses: VocoderLosses,
    optimizer: VocoderOptimizer,
    mesh: MeshConfig,
    launch: Launch = NO_FLAGS,
) -> Path:
    """Trains to `run.steps`, resuming where the folder's last checkpoint stands; returns the
    folder."""
    folder, out_dir = read_folder(run.codec), Path(run.out_dir)
    networks = _make_networks(folder, data, vocoder, critics, losses)
    update, devices = make_optimizer(optimizer, run.steps), make_mesh(mesh)
    check_rows(data.rows, devices)
    described = describe_state(networks, update, run.seed, devices)
    if launch.dry_run:
        print(_format_sizes(described, networks, data))
        return out_dir
    was_there = out_dir.exists()
    out_dir.mkdir(parents=True, exist_ok=True)
    check_same("the config", launch.config_text, "start all processes with the same command")
    with hold_run(out_dir), undo_refused_start(out_dir, was_there=was_there):
        _train_in_folder(
            out_dir,
            run,
            data,
            folder,
            networks,
            optimizer,
            update,
            described,
            devices,
            launch.config_text,
        )
    return out_dir


def _train_in_folder(
    out_dir: Path,
    run: VocoderRun,
    data: VocoderData,
    folder: CodecFolder,
    networks: Networks,
    optimizer: VocoderOptimizer,
    update: optax.GradientTransformation,
    described: State,
    devices: Mesh,
    config_text: str,
) -> None:
    """Trains in a folder that is this run's alone."""
    vocoder = networks.vocoder
    check_shared(out_dir)
    checkpoints = Checkpoints(
        out_dir, is_reader=False, every=run.checkpoint_every, keep=run.keep_checkpoints
    )
    first_step = checkpoints.latest_step or 0
    if is_first_process():
        write_run_file(out_dir, networks, folder.fingerprint, is_begun=first_step > 0)
    if first_step >= run.steps:
        print(describe_end(out_dir, first_step, run.steps, config_text))
        checkpoints.close()
        return
    corpus = _share_corpus(run, data, out_dir, is_begun=first_step > 0)
    restored = checkpoints.restore_newest(described, _EVERYTHING)
    state, place = restored or (_start(networks, update, run, described), {"data": corpus.digest})
    first_step = int(state["step"])
    if place["data"] != corpus.digest:
        raise CheckpointError(
            f"{out_dir} was trained on other units than are in it now; choose another OUT_DIR"
        )
    if restored:
        print(f"resuming {out_dir} at step {first_step}")
    if is_first_process():
        if said := write_config(out_dir, config_text, step=first_step):
            print(said)
        print(corpus.describe())
    segments = Segments(
        corpus,
        data,
        hop=vocoder.generator.hop,
        mel_bins=vocoder.mel_bins,
        has_durations=networks.has_durations,
    )
    writer = (
        MetricWriter(out_dir, steps=run.steps, first_step=first_step)
        if is_first_process()
        else NoWriter()
    )
    with contextlib.closing(writer), checkpoints.finishing(), StopRequest() as stop:
        _run_steps(
            run,
            state,
            segments,
            devices,
            data.rows,
            make_step(networks, update, devices),
            writer,
            checkpoints,
            stop,
            make_schedule(optimizer, run.steps),
            corpus.digest,
        )
    if is_first_process():
        added = add_to_codec(folder, out_dir, run.steps, out_dir / "codec")
        print(f"{added.path}: the codec with this vocoder")


def _make_networks(
    folder: CodecFolder,
    data: VocoderData,
    vocoder: VocoderConfig,
    critics: CriticsConfig,
    losses: VocoderLosses,
) -> Networks:
    if folder.config.kind != "hubert":
        raise ValueError(
            f"{folder.path} is a codec of kind {folder.config.kind}, which speaks by itself; "
            "vocoders are for HuBERT units"
        )
    if folder.config.sample_rate != INPUT_RATE:
        raise ValueError(
            f"{folder.path} speaks at {folder.config.sample_rate} Hz, and recordings are read at "
            f"{INPUT_RATE} Hz; fit the codec again"
        )
    check_shape(vocoder, folder.config)
    return Networks(
        vocoder=vocoder,
        critics=critics,
        losses=losses,
        codes=folder.config.codes,
        has_durations=folder.config.is_deduplicated,
        samples=data.segment_units * vocoder.generator.hop,
    )


def _share_corpus(
    run: VocoderRun, data: VocoderData, out_dir: Path, *, is_begun: bool
) -> UnitCorpus:
    """The first process makes the units, the others read them."""
    codec = load_codec(run.codec)
    corpus = open_corpus(codec, data, out_dir, is_begun=is_begun) if is_first_process() else None
    meet("units are made")
    corpus = corpus or open_corpus(codec, data, out_dir, is_begun=is_begun)
    check_same("the units", corpus.digest, "give all processes the same recordings")
    return corpus


def _start(
    networks: Networks, update: optax.GradientTransformation, run: VocoderRun, described: State
) -> State:
    state = jax.jit(
        lambda: init_state(networks, update, run.seed),
        out_shardings=jax.tree.map(lambda x: x.sharding, described),
    )()
    if run.first_generator is None:
        return state
    config, params, _ = read_hifi_gan(run.first_generator)
    wanted = networks.vocoder.generator
    if config != wanted:
        raise ValueError(
            f"{run.first_generator} is a generator of another shape ({config}) than this config's "
            f"({wanted}); bind HifiGanConfig like it, or VocoderRun.first_generator = None"
        )
    # what it hears is other: the first convolution stays random
    generator = state["trainable"]["vocoder"]["generator"]
    for name in generator.keys() & params.keys() - {"before"}:
        generator[name] = jax.tree.map(
            lambda new, old: jax.device_put(new, old.sharding), params[name], generator[name]
        )
    return state


def _run_steps(
    run: VocoderRun,
    state: State,
    segments: Segments,
    devices: Mesh,
    rows: int,
    step_once: Any,
    writer: MetricWriter,
    checkpoints: Checkpoints,
    stop: StopRequest,
    schedule: optax.Schedule,
    digest: str,
) -> None:
    """The loop proper; the next batch is read while a step is computed."""
    own, first_step = list_own_rows(devices, rows), int(state["step"])
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(segments.make_batch, first_step + 1, own)
        for step in range(first_step + 1, run.steps + 1):
            batch = put_batch(waiting.result(), devices, rows)
            waiting = reader.submit(segments.make_batch, step + 1, own)
            state, metrics = step_once(state, batch)
            writer.advance()
            is_last = step == run.steps
            if step % run.log_every == 0 or is_last:
                values = {name: float(value) for name, value in metrics.items()}
                if not math.isfinite(values["loss"]):
                    raise FloatingPointError(
                        f"the loss of step {step} is {values['loss']}; lower LEARNING_RATE, or go "
                        "on from an earlier checkpoint with another seed"
                    )
                writer.write(step, values | {"learning_rate": float(schedule(step - 1))})
            is_stopped = not is_last and stop.is_reached(step)
            checkpoints.save(step, state, {"data": digest}, force=is_last or is_stopped)
            if is_stopped:
                break
        checkpoints.close()
    if is_stopped:
        raise Stopped(
            f"stopped as asked: step {step} of {run.steps} is saved, and the same command "
            "resumes from there"
        )


def _format_sizes(described: State, networks: Networks, data: VocoderData) -> str:
    def count(tree: Any) -> int:
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))

    lines = [f"{part}: {count(tree):,} parameters" for part, tree in described["trainable"].items()]
    for name, tree in described["trainable"]["vocoder"].items():
        lines.append(f"  {name}: {count(tree):,}")
    lines.append(
        f"a step: {data.rows} segments of {data.segment_units} units, {networks.samples} samples; "
        f"a unit's samples know {networks.vocoder.generator.reach} units to either side"
    )
    return "\n".join(lines)
