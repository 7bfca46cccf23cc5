"""A training run that takes seconds: its arguments, and the same as a gin file."""

import dataclasses
from pathlib import Path

from tiny_corpus import Corpus
from tiny_model import MODEL

from sift_jax.data.data_config import DataConfig
from sift_jax.data.tasks.mixture_table import MixtureConfig
from sift_jax.models.presets import ModelConfig
from sift_jax.parallel.hardware import HardwareConfig
from sift_jax.parallel.mesh import MeshConfig
from sift_jax.training.loop import RunConfig
from sift_jax.training.optimizer import OptimizerConfig
from sift_jax.weights.load import Sources

RATES = {"sift.closed_ended.*": 0.7, "sift.open_ended.*": 0.3}
# what a run reads whose answers are speech: rows long enough for a second of units
SPOKEN = {"rates": {"sift.controllable_generation.*": 1.0}, "tokens": 192, "targets": 128}
NO_SOURCES = Sources(run=None, step=None, model=None, encoder=None, decoder=None)


MIXTURE = MixtureConfig(name=None, rates=RATES, rate_changes={}, languages=())


def make_data(corpus: Corpus, **changes) -> DataConfig:
    """Fields of the mixture may stand among those of the data; a name takes the place of the
    rates."""
    data = DataConfig(
        long_audio="set_aside",
        records=str(corpus.records),
        tokenizer=str(corpus.tokenizer),
        chat_template=None,
        mixture=MIXTURE,
        rates_count="examples",
        questions_per_record=2,
        rows=2,
        tokens=160,
        targets=48,
        clips=3,
        clip_seconds=(0.75, 2.0),
        seed=3,
        readers=1,
        most_unreadable=0.01,
        codec=None,
        end_weight=1.0,
        unit_weights={},
    )
    return change_data(data, **changes)


def change_data(data: DataConfig, **changes) -> DataConfig:
    fields = {field.name for field in dataclasses.fields(MixtureConfig)}
    mixed = {name: changes.pop(name) for name in fields & set(changes)}
    mixture = dataclasses.replace(data.mixture, **mixed)
    return dataclasses.replace(data, **{"mixture": mixture, **changes})


def make_run(
    corpus: Corpus,
    out_dir: Path,
    *,
    model: ModelConfig = MODEL,
    data: dict | None = None,
    **changes,
) -> dict:
    """The keyword arguments of the train function."""
    run = RunConfig(
        out_dir=str(out_dir),
        steps=6,
        microbatches=1,
        trainable=(".*",),
        frozen_dtype="float32",
        seed=0,
        log_every=2,
        dev_every=100,
        dev_batches=1,
        checkpoint_every=3,
        keep_checkpoints=2,
        most_skipped_in_a_row=3,
        most_skipped_share=0.5,
        regularization=None,
        wandb_project=None,
    )
    optimizer = OptimizerConfig(
        peak_learning_rate=1e-2,
        muon_learning_rate=1e-2,
        warmup_steps=2,
        final_fraction=0.1,
        weight_decay=0.01,
        beta1=0.9,
        beta2=0.98,
        clip_norm=1.0,
        spike_factor=None,
    )
    return {
        "run": dataclasses.replace(run, **changes),
        "model": model,
        "data": make_data(corpus, **(data or {})),
        "optimizer": optimizer,
        "mesh": MeshConfig(data=-1, fsdp=1, tensor=1),
        "hardware": HardwareConfig(name="test", memory_gb=1.0, teraflops=1.0),
        "sources": NO_SOURCES,
    }


def write_gin(path: Path, arguments: dict) -> Path:
    """The arguments as a gin file of the run."""
    lines = ["include 'configs/train.gin'", "DataConfig.mixture = @MixtureConfig()"]
    for config in [*arguments.values(), arguments["data"].mixture]:
        for field in dataclasses.fields(config):
            if not isinstance(value := getattr(config, field.name), MixtureConfig):
                lines.append(f"{type(config).__name__}.{field.name} = {value!r}")
    path.write_text("\n".join(lines) + "\n")
    return path
