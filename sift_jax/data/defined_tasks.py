"""From what gin says of a mixture to its tasks in one split; SeqIO is asked only where a module of
yours is.

mixture "understanding", or rates {…} ─► rate_changes ─► languages ─► tasks with rows in the split and their rates
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

from sift_jax.data.data_config import DataConfig
from sift_jax.data.records.pair_files import PAIRS, PairTask, find_pair_files
from sift_jax.data.tasks.mixture_rates import (
    RecordTask,
    describe_left_out,
    list_record_tasks,
    resolve_rates,
)
from sift_jax.text.tokenizers import SpeechTokenizer
from sift_jax.text.unit_tokens import CodecIdentity, read_codec_identity

if TYPE_CHECKING:
    import seqio


def read_codec(config: DataConfig) -> CodecIdentity | None:
    """Whose units answers are spoken in."""
    return None if config.codec is None else read_codec_identity(config.codec)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefinedTasks:
    """The tasks of the mixture that have a split, each with its rate and where its examples are;
    what is to be told."""

    tasks: list[tuple[str, float, RecordTask | PairTask | seqio.Task]]
    notes: list[str]


def define_tasks(
    config: DataConfig,
    tokenizer: SpeechTokenizer,
    modules: tuple,
    split: str,
    among: Collection[str] | None = None,
) -> DefinedTasks:
    """The tasks of a split; `among` are the only ones to be chosen from."""
    codec, notes = read_codec(config), []
    rates, languages = config.mixture.choose_rates(), config.mixture.languages
    if (
        codec is None
        and rates is not None
        and (said := describe_left_out(config.records, rates, languages))
    ):
        notes.append(said)
    try:
        if rates is None or modules:
            tasks, told = _define_by_seqio(config, tokenizer, modules, split, among)
            return DefinedTasks(tasks=tasks, notes=notes + told)
        # tasks over records and a table of rates: SeqIO would say the same, with TensorFlow in the
        # process
        known = list_record_tasks(config.records, languages=languages, has_speech=codec is not None)
        known = {name: task for name, task in known.items() if among is None or name in among}
        resolved = resolve_rates(
            rates, known, [name for name in known if split in known[name].splits], split=split
        )
    except ValueError as error:
        # what is left out for want of a codec may be why nothing is there
        raise ValueError("; ".join([str(error), *notes])) from error
    return DefinedTasks(
        tasks=[(name, rate, known[name]) for name, rate in resolved.rates.items()],
        notes=notes + resolved.notes,
    )


def define_pairs(config: DataConfig, split: str) -> DefinedTasks:
    """The one task of a folder of preference pairs."""
    files = find_pair_files(config.records)
    if split not in files:
        raise ValueError(
            f"{config.records} has no {split}.jsonl; make pairs of that split, or, without "
            "held-out pairs, set RunConfig.dev_batches = 0"
        )
    rates = config.mixture.choose_rates() or {config.mixture.name or "": 1.0}
    resolved = resolve_rates(rates, [PAIRS], split=split)
    return DefinedTasks(
        tasks=[(PAIRS, rate, PairTask(path=files[split])) for rate in resolved.rates.values()],
        notes=resolved.notes,
    )


def _define_by_seqio(
    config: DataConfig,
    tokenizer: SpeechTokenizer,
    modules: tuple,
    split: str,
    among: Collection[str] | None,
) -> tuple[list[tuple[str, float, RecordTask | seqio.Task]], list[str]]:
    """The same, where a module of the user's has tasks or mixtures of its own."""
    from sift_jax.data import mixtures
    from sift_jax.data.tasks.seqio_tasks import TaskContext, get_record_task
    from sift_jax.data.tasks.seqio_vocabulary import SpeechVocabulary

    if config.mixture.languages:
        # each has its records
        list_record_tasks(config.records, languages=config.mixture.languages)
    context = TaskContext(
        records=config.records,
        vocabulary=SpeechVocabulary(tokenizer),
        questions_per_record=config.questions_per_record,
        codec=read_codec(config),
    )
    mixture = mixtures.define_mixture(config.mixture, context, modules)
    resolved = mixtures.resolve_mixture(mixture, config.mixture, split, among)
    tasks = [(mixtures.get_task(name), rate) for name, rate in resolved.rates.items()]
    return [
        (task.name, rate, get_record_task(task) or task) for task, rate in tasks
    ], resolved.notes
