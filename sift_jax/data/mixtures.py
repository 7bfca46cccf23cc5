"""Mixtures in SeqIO's registry: those of mixture_table under their names, and yours; importing this
registers them.

A mixture is a table of (pattern over task names → rate). A pattern's rate is shared by the tasks
that it matches and that have the split that is asked for:

    make_mixture("mine", {"sift.closed_ended.acoustic_level.*": 0.3, "sift.open_ended.*": 0.1,
    "my.*": 0.6})
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

import seqio
import tensorflow as tf

from sift_jax.data.tasks.mixture_rates import ResolvedRates, resolve_rates
from sift_jax.data.tasks.mixture_table import (
    MIXTURES,
    TASKS,
    MixtureConfig,
    Rates,
    change_rates,
    is_in_languages,
    match_patterns,
)
from sift_jax.data.tasks.seqio_tasks import TaskContext, list_splits, use_context


class PatternMixture(seqio.Mixture):
    """A mixture that asks for its tasks when it is read: those of the registry that have rows in
    the split.

    SeqIO's own fixes the rate of each task, so that the rate of one without rows is lost without a
    word.
    """

    def __init__(self, name: str, patterns: Rates, names: Iterable[str] | None):
        self.patterns = dict(patterns)
        # None: all that are registered by then
        self._names = None if names is None else sorted(names)
        self._is_made = False
        # SeqIO's own choice ends a one-epoch mixture where its first task ends, and most of the
        # others are never read
        sample = partial(tf.data.Dataset.sample_from_datasets, stop_on_empty_dataset=False)
        super().__init__(name, [], sample_fn=sample)
        self._is_made = True

    def list_names(self) -> list[str]:
        """The tasks that the patterns choose from."""
        return sorted(seqio.TaskRegistry.names()) if self._names is None else self._names

    def resolve(self, split: str, among: Collection[str] | None = None) -> ResolvedRates:
        """Task to rate in a split."""
        matched = sum(match_patterns(self.patterns, self.list_names()).values(), [])
        # what others have registered is asked only where it is named: to list splits may take a
        # download
        names = [name for name in self.list_names() if name in TASKS or name in matched]
        splits = {name: list_splits(seqio.TaskRegistry.get(name)) for name in names}
        known = [name for name in splits if splits[name] and (among is None or name in among)]
        return resolve_rates(
            self.patterns, known, [name for name in known if split in splits[name]], split=split
        )

    @property
    def tasks(self) -> list[seqio.Task]:
        """Those of a positive rate that have rows in any split; before it is made, all of a
        positive rate."""
        matched = sum(match_patterns(self.patterns, self.list_names()).values(), [])
        found = [seqio.TaskRegistry.get(name) for name in sorted(matched)]
        return [task for task in found if list_splits(task)] if self._is_made else found

    @property
    def rate_per_task_name(self) -> dict[str, float]:
        return self.resolve("train").rates

    def get_dataset(
        self,
        sequence_length: Mapping[str, int] | None = None,
        split: str = "train",
        *others: Any,
        **options: Any,
    ) -> tf.data.Dataset:
        resolved = seqio.Mixture(
            self.name, list(self.resolve(split).rates.items()), sample_fn=self._sample_fn
        )
        return resolved.get_dataset(sequence_length, split, *others, **options)


def make_mixture(
    name: str, rates: Rates, task_names: Iterable[str] | None = None
) -> PatternMixture:
    """A mixture over these tasks; over all that are registered, if none are given."""
    return PatternMixture(name, rates, task_names)


def register_mixture(mixture: seqio.Mixture) -> None:
    """Puts a mixture into SeqIO's registry, in place of an earlier one of its name."""
    if mixture.name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(mixture.name)
    seqio.MixtureRegistry.add_provider(mixture.name, mixture)


def get_mixture(name: str) -> seqio.Mixture | seqio.Task:
    known = sorted([*seqio.MixtureRegistry.names(), *seqio.TaskRegistry.names()])
    if name not in known:
        # of our tasks there are dozens
        named = [one for one in known if one not in TASKS]
        raise ValueError(
            f"unknown mixture {name!r}; known are {', '.join(named)}, and each task by its name; "
            "give RATES or register it in a --module_import module"
        )
    return seqio.get_mixture_or_task(name)


def _resolve_fixed(
    mixture: seqio.Mixture | seqio.Task, split: str, names: Collection[str]
) -> ResolvedRates:
    """The rates of a mixture that SeqIO made, or of a task by itself."""
    tasks = [mixture] if isinstance(mixture, seqio.Task) else mixture.tasks
    rates = {task.name: 1.0 if task is mixture else float(mixture.get_rate(task)) for task in tasks}
    wanted = {
        task.name: rates[task.name] for task in tasks if task.name in names and rates[task.name] > 0
    }
    here = {
        name: rate
        for name, rate in wanted.items()
        if split in list_splits(seqio.TaskRegistry.get(name))
    }
    if not here:
        raise ValueError(
            f"no task of {mixture.name} has a split {split!r}; its tasks: "
            f"{', '.join(sorted(rates))}"
        )
    notes = [
        (
            f"mixture {mixture.name}: no rows in {split} of {name}; its rate of {rate:g} goes to "
            "the others"
        )
        for name, rate in wanted.items()
        if name not in here
    ]
    return ResolvedRates(rates=here, notes=notes)


def resolve_mixture(
    mixture: seqio.Mixture | seqio.Task,
    config: MixtureConfig,
    split: str,
    among: Collection[str] | None,
) -> ResolvedRates:
    """Task to rate in a split, with the config's changes, of its languages and of the names that
    are asked for."""
    changes, languages = config.rate_changes, config.languages
    if isinstance(mixture, PatternMixture):
        names = [name for name in mixture.list_names() if is_in_languages(name, languages)]
        changed = make_mixture(mixture.name, change_rates(mixture.patterns, changes), names)
        return changed.resolve(split, among)
    if any(rate is not None for rate in changes.values()):
        raise ValueError(
            f"MixtureConfig.rate_changes apply to patterns, and {mixture.name} has none; "
            "make it by sift_jax.data.mixtures.make_mixture, or give no changes"
        )
    names = [name for name in seqio.TaskRegistry.names() if is_in_languages(name, languages)]
    return _resolve_fixed(
        mixture, split, [name for name in names if among is None or name in among]
    )


def define_mixture(
    config: MixtureConfig, context: TaskContext, modules: tuple
) -> seqio.Mixture | seqio.Task:
    """The mixture of a name, or of a table of rates over our tasks and those of the user's
    modules."""
    use_context(context)
    names = list(TASKS)
    for module in modules:
        if hasattr(module, "register"):
            names += module.register(context) or []
    if config.name is not None:
        return get_mixture(config.name)
    if config.rates is None:
        raise ValueError("MixtureConfig has neither a name nor rates; give one of them")
    return make_mixture("rates", config.rates, names)


def get_task(name: str) -> seqio.Task:
    return seqio.TaskRegistry.get(name)


for _name, _rates in MIXTURES.items():
    register_mixture(make_mixture(_name, _rates))
