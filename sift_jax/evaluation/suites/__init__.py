"""Suites: what is asked, read from their official files as downloaded.

    SuiteConfig ─► SUITES[name] ─► Suite: every row of the folder, as an item or skipped
                └─ limit, seed: as many of each part and language, drawn by a hash of their ids

`jsonl:rooms` is read by `jsonl` and called `jsonl:rooms`, so that one evaluation may have several
of a kind.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from sift_jax.evaluation.scores.metrics import check_metrics
from sift_jax.evaluation.scores.schema import EvaluationError, Item, Suite, check_ids
from sift_jax.evaluation.suites.air_bench import read_air_bench
from sift_jax.evaluation.suites.constrain import constrain
from sift_jax.evaluation.suites.covost2 import read_covost2
from sift_jax.evaluation.suites.dynamic_superb import read_dynamic_superb
from sift_jax.evaluation.suites.evalsift import read_evalsift
from sift_jax.evaluation.suites.fleurs import read_fleurs
from sift_jax.evaluation.suites.iemocap import read_iemocap
from sift_jax.evaluation.suites.jsonl import read_jsonl
from sift_jax.evaluation.suites.librispeech import read_librispeech
from sift_jax.evaluation.suites.mmau import read_mmau
from sift_jax.evaluation.suites.msp_podcast import read_msp_podcast
from sift_jax.evaluation.suites.peoples_speech import read_peoples_speech
from sift_jax.evaluation.suites.prompts import load_prompts
from sift_jax.evaluation.suites.protocols import OFFICIAL, PAPER, find_protocol
from sift_jax.evaluation.suites.slurp import read_slurp
from sift_jax.evaluation.suites.spoken_qa import read_spoken_qa
from sift_jax.evaluation.suites.voicebench import read_voicebench
from sift_jax.field_ranges import CheckedConfig, MayBeEmpty, OneOf, Seed, Text, Value, Whole

SUITES: dict[str, Callable[..., Suite]] = {
    "evalsift": read_evalsift,
    "dynamic_superb": read_dynamic_superb,
    "air_bench": read_air_bench,
    "librispeech": read_librispeech,
    "fleurs": read_fleurs,
    "peoples_speech": read_peoples_speech,
    "covost2": read_covost2,
    "slurp": read_slurp,
    "msp_podcast": read_msp_podcast,
    "iemocap": read_iemocap,
    "spoken_qa": read_spoken_qa,
    "mmau": read_mmau,
    "voicebench": read_voicebench,
    "jsonl": read_jsonl,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteConfig(CheckedConfig):
    """A suite on disk and what is asked of it. Empty values take what the suite's figures are
    published for."""

    # of SUITES, with ":anything" behind it where there are several of a kind
    name: Text
    root: MayBeEmpty
    # what the suite's tables call its columns
    subsets: tuple[Text, ...]
    # dev, say, where the suite has more than its test
    split: MayBeEmpty
    languages: tuple[Text, ...]
    # folders of corpora in which the utterances of EvalSIFT are looked up
    audio_dirs: tuple[Text, ...]
    # items of each part and language; 0 takes all
    limit: Whole
    # of the draw where there is a limit
    seed: Seed
    # where audio that is inside of tables is written out
    cache_dir: MayBeEmpty
    # prompts that replace those of prompts.json, or a file of them
    prompts: Mapping[Text, Value] | MayBeEmpty
    # forms asked of the answers, one drawn for each question: ("json", "words:5", "language:fr", …)
    constraints: tuple[Text, ...] = dataclasses.field(metadata={"before": ()})
    # by whose rules it is asked and scored: the suite's own, or those of the SIFT paper's tables
    protocol: Annotated[str, OneOf(OFFICIAL, PAPER)] = dataclasses.field(
        metadata={"before": OFFICIAL}
    )


def read_suite(config: SuiteConfig) -> Suite:
    """The suite that a config names."""
    kind, _, _ = config.name.partition(":")
    if kind not in SUITES:
        raise EvaluationError(f"no suite {config.name!r}; the suites are {', '.join(SUITES)}")
    reader = SUITES[kind]
    takes = inspect.signature(reader).parameters
    given: dict[str, Any] = {
        "subsets": config.subsets,
        "split": config.split,
        "languages": config.languages,
        "audio_dirs": tuple(Path(folder) for folder in config.audio_dirs),
    }
    for option in (option for option, value in given.items() if value and option not in takes):
        raise EvaluationError(f"{config.name} has no {option}; leave {option} empty")
    options = {option: value for option, value in given.items() if value}
    # These come from the evaluation as a whole, and not every suite has a use for them.
    prompts = load_prompts(config.prompts)
    shared = {
        "cache_dir": Path(config.cache_dir) if config.cache_dir else None,
        "prompts": prompts,
        "protocol": config.protocol,
    }
    options |= {option: value for option, value in shared.items() if option in takes}
    suite = reader(Path(config.root), name=config.name, **options)
    check_ids(suite.items)
    drawn = constrain(draw_items(suite.items, config.limit, config.seed), config.constraints)
    protocol = find_protocol(config.name, config.protocol)
    return dataclasses.replace(
        suite, items=drawn, left_out=len(suite.items) - len(drawn), protocol=protocol
    )


def read_checked_suites(configs: Sequence[SuiteConfig]) -> list[Suite]:
    """All suites, their items checked for what their scores need."""
    names = [config.name for config in configs]
    if not names or len(set(names)) < len(names):
        what = (
            f"two suites are called {max(names, key=names.count)}" if names else "no suite is given"
        )
        raise EvaluationError(
            f"{what}; give suites of different names, such as jsonl:rooms and jsonl:cars"
        )
    suites = [read_suite(config) for config in configs]
    for suite in suites:
        check_metrics(suite.items)
    return suites


def draw_items(items: tuple[Item, ...], limit: int, seed: int) -> tuple[Item, ...]:
    """At most so many of each part and language, in their old order.

    The draw goes by a hash of the id: a larger limit takes the same ones and more, and what a
    folder lacks changes nothing about the others.
    """
    if not limit:
        return items
    groups: dict[tuple[str, str], list[Item]] = collections.defaultdict(list)
    for item in items:
        groups[item.subset, item.language].append(item)

    def draw(item: Item) -> bytes:
        return hashlib.sha256(f"{seed}/{item.id}".encode()).digest()

    chosen = {item.id for group in groups.values() for item in sorted(group, key=draw)[:limit]}
    return tuple(item for item in items if item.id in chosen)
