"""A mixture as a run would read it, without a run.

configs/stage2.gin, bindings ─► the run's DataConfig and its model's shape ─┐
"understanding", "sift.open_ended.*", {"sift.open_ended.en": 1.0} ──────────┴─► BatchStream
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sift_jax.cli import build_arguments, import_quietly, read_binding
from sift_jax.data.batch_stream import BatchStream
from sift_jax.data.data_config import DataConfig
from sift_jax.data.shapes import SpeechGeometry
from sift_jax.data.tasks.mixture_table import MIXTURES, MixtureConfig
from sift_jax.models.presets import make_model_config

Mixture = str | Path | Mapping[str, float]
_RUN, _PARTS = (
    "sift_jax.training.loop",
    ("sift_jax.evaluation.during_training:EvaluationSets",),
)
# Of a mixture without a run: rows that hold whatever a recording of Whisper's window is asked.
_ROWS, _TOKENS, _TARGETS, _CLIPS, _CLIP_SECONDS = 8, 4096, 2048, 16, 30.0
_FRAMES_A_POSITION = 8
_GEOMETRY = SpeechGeometry(
    mel_bins=80,
    window_seconds=30.0,
    hears_units=False,
    is_silence_masked=True,
    front_end="whisper",
    count_frames=lambda frames: -(-frames // _FRAMES_A_POSITION),
)


def is_gin_file(mixture: Mixture) -> bool:
    return not isinstance(mixture, Mapping) and str(mixture).endswith(".gin")


def check_known(mixture: Mixture, modules: Sequence[ModuleType]) -> None:
    """A name that nobody defines is refused in the words of a caller from Python, who has no knobs
    and no flags; one that a module may define is looked up with the module."""
    name = None if isinstance(mixture, Mapping) else str(mixture)
    if name is None or name in MIXTURES or is_pattern(name) or modules:
        return
    near = difflib.get_close_matches(name, MIXTURES, 1)
    raise ValueError(
        f"there is no mixture {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else ".")
        + f" The shipped mixtures are {', '.join(sorted(MIXTURES))}; mixture= also takes a run's "
        "gin file, a pattern such as 'sift.open_ended.*' or a table of rates, and modules= those "
        "that define mixtures of your own"
    )


def is_pattern(name: str) -> bool:
    """Whether it names tasks and not a mixture."""
    return "*" in name or name.startswith("sift.")


def open_gin_mixture(
    gin_files: Sequence[str],
    bindings: Sequence[str] = (),
    *,
    split: str = "train",
    modules: Sequence[ModuleType] = (),
) -> BatchStream:
    """The batches of the run that these files describe; a binding is "NAME=value", as on the
    command line."""
    # gin's arguments are those of the run's function
    train = import_quietly(_RUN).train
    given = [read_binding(binding) for binding in bindings]
    arguments = build_arguments(train, list(gin_files), given, _PARTS)
    run, model, data = (arguments[name] for name in ("run", "model", "data"))
    has_pairs = arguments.get("dpo") is not None
    return _open(data, _describe_model(run, model, data), split, modules, has_pairs=has_pairs)


def _describe_model(run: Any, model: Any, data: DataConfig) -> SpeechGeometry:
    from sift_jax.training.job import make_geometry
    from sift_jax.training.vocabulary_rows import count_rows, fetch_tokenizer

    fetch_tokenizer(data)
    rows = count_rows(model, data, start_run=None, out_dir=run.out_dir)
    return make_geometry(make_model_config(model, rows))


def open_named_mixture(
    mixture: str | Path | Mapping[str, float],
    *,
    records: str | Path,
    tokenizer: str | Path,
    codec: str | Path | None = None,
    languages: Sequence[str] = (),
    split: str = "train",
    seed: int = 0,
    modules: Sequence[ModuleType] = (),
) -> BatchStream:
    """A mixture by its name, a task by its own or by a pattern, or a table of rates."""
    rates = dict(mixture) if isinstance(mixture, Mapping) else None
    name = None if rates else str(mixture)
    if name is not None and name not in MIXTURES and is_pattern(name):
        rates = {name: 1.0}
        name = None
    data = DataConfig(
        long_audio="set_aside",
        records=str(records),
        tokenizer=str(tokenizer),
        chat_template=None,
        mixture=MixtureConfig(name=name, rates=rates, rate_changes={}, languages=tuple(languages)),
        rates_count="examples",
        questions_per_record=1,
        seed=seed,
        readers=1,
        most_unreadable=0.01,
        codec=None if codec is None else str(codec),
        end_weight=1.0,
        unit_weights={},
        rows=_ROWS,
        tokens=_TOKENS,
        targets=_TARGETS,
        clips=_CLIPS,
        clip_seconds=(_CLIP_SECONDS,),
    )
    return _open(data, _GEOMETRY, split, modules)


def _open(
    data: DataConfig,
    geometry: SpeechGeometry,
    split: str,
    modules: Sequence[ModuleType],
    *,
    has_pairs: bool = False,
) -> BatchStream:
    return BatchStream(
        data,
        geometry,
        split=split,
        is_endless=split == "train",
        modules=tuple(modules),
        has_pairs=has_pairs,
    )
