"""What a training run does, for how long, and when it gives up."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from sift_jax.field_ranges import (
    DTYPES,
    CheckedConfig,
    Count,
    Items,
    Pattern,
    Range,
    Seed,
    Share,
    Text,
    Whole,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegularizationConfig(CheckedConfig):
    """SpecAugment's masks of each clip, and the adapter's dropout."""

    # bands of mel bins that are hidden in each clip
    frequency_masks: Whole
    # a band's greatest height
    frequency_mask_bins: Count
    # spans of frames that are hidden in each clip
    time_masks: Whole
    # a span's greatest width, as a share of the clip
    time_mask_share: Share
    # of SALM's conformer; the other projectors have none
    adapter_dropout: Annotated[float, Range(least=0, below=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(CheckedConfig):
    """What a run does and how often it says so."""

    out_dir: Text
    steps: Count
    # a batch is computed in so many pieces, one after the other, for less memory and the same
    # gradient
    microbatches: Count
    # patterns over parameter paths, as --dry_run prints them
    trainable: Annotated[tuple[Annotated[str, Pattern()], ...], Items(least=1)]
    # what is not trained may lie in memory as bfloat16; what is trained is float32
    frozen_dtype: Annotated[str, DTYPES]
    seed: Seed
    log_every: Count
    dev_every: Count
    dev_batches: Whole
    checkpoint_every: Count
    keep_checkpoints: Count
    # updates that are left out (no finite gradient, or a spike) before the run gives up
    most_skipped_in_a_row: Count
    # and how many of the last 200 may be, one by one
    most_skipped_share: Annotated[float, Range(above=0, most=1)] = dataclasses.field(
        metadata={"before": 1.0}
    )
    # SpecAugment and dropout; None for neither
    regularization: RegularizationConfig | None = dataclasses.field(metadata={"before": None})
    # where Weights & Biases shows the run beside TensorBoard; None asks it for nothing
    wandb_project: Text | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if "://" in self.out_dir and not self.out_dir.startswith("gs://"):
            raise ValueError(
                f"{self.out_dir} is not a folder: of buckets Orbax writes to gs:// alone; set OUT_DIR "
                "to gs://…, or to a file system that all processes share (NFS, Lustre)"
            )
