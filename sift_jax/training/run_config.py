"""What a training run does, for how long, and when it gives up."""

from __future__ import annotations

import dataclasses


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
    # and how many of the last 200 may be, one by one
    most_skipped_share: float
    # where Weights & Biases shows the run beside TensorBoard; None asks it for nothing
    wandb_project: str | None

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "dev_every", "checkpoint_every", "keep_checkpoints"):
            # what is no number is refused by its type, where configs are built
            if isinstance(value := getattr(self, name), int) and value < 1:
                raise ValueError(f"RunConfig.{name} is {value}; give 1 or more")
        if "://" in str(self.out_dir):
            raise ValueError(f"{self.out_dir} is no folder; mount that storage and set OUT_DIR to a path of the mount")
