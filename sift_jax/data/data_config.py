"""What a run reads, and how it is laid into batches: the config that gin files bind as
DataConfig."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from sift_jax.data.plan.survey import RATES_COUNT
from sift_jax.data.tasks.mixture_table import MixtureConfig
from sift_jax.field_ranges import CheckedConfig, Count, OneOf, Positive, Seed, Share, Text, Whole
from sift_jax.text.chat_template import TEMPLATES
from sift_jax.text.unit_tokens import read_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(CheckedConfig):
    """What is read and how it is laid into batches."""

    records: Text
    tokenizer: Text
    # a template of chat_template.TEMPLATES; None takes the tokenizer's own, or "chatml" where it
    # has none
    chat_template: Annotated[str, OneOf(*TEMPLATES)] | None = dataclasses.field(
        metadata={"before": "chatml"}
    )
    mixture: MixtureConfig
    # what a rate is a share of: 'examples', questions with their audio as the paper counts, or
    # 'records', utterances
    rates_count: Annotated[str, OneOf(*RATES_COUNT)] = dataclasses.field(
        metadata={"before": "records"}
    )
    # how many share an utterance's audio each time it comes; 1 turns sharing off, 0 takes all
    questions_per_record: Whole
    rows: Count
    tokens: Count
    targets: Count
    clips: Count
    # a batch holds clips of one length class, padded to that many seconds; the last must be the
    # encoder's window
    clip_seconds: tuple[Positive, ...]
    # recordings longer than that window: skipped and counted, or heard as windows that follow
    # each other in one prompt, of which a row holds `clips`
    long_audio: Annotated[str, OneOf("set_aside", "windows")] = dataclasses.field(
        metadata={"before": "set_aside"}
    )
    seed: Seed
    # threads that read, decode and compute mel
    readers: Count
    # the share of the recordings that may be left out because they cannot be read; with more a run
    # ends
    most_unreadable: Share = dataclasses.field(metadata={"before": 0.0})
    # folder of the codec in whose units answers are spoken; None leaves answers that are speech out
    codec: Text | None = dataclasses.field(metadata={"before": None})
    # how much the end of a spoken answer counts, of whose targets it is one in hundreds; decoding
    # takes the bias back
    end_weight: Positive = dataclasses.field(metadata={"before": 1.0})
    # "first:stop" of units to how much they count, as those of pitch among those of sound
    unit_weights: Mapping[Text, Positive] = dataclasses.field(metadata={"before": {}})

    def __post_init__(self) -> None:
        super().__post_init__()
        list(map(read_range, self.unit_weights))
        if "://" in self.records:
            # a plan reads them at random, and an index is made beside them
            raise ValueError(
                f"records {self.records} are in a bucket; copy them to each machine's disk first "
                f"(gcloud storage rsync --recursive {self.records} records/, or copies of "
                "tpu_scripts/pod.py) and set RECORDS to that folder"
            )
