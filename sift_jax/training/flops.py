"""Arithmetic of a step as a model needs it, for the share of the hardware's peak that a run reaches
(MFU).

A matrix of n entries costs 2n operations for what it passes forward, 2n for the gradient that
passes back through it, and 2n for a gradient of its own. Under a frozen base that is 4n a token,
not 6n; below everything that trains, 2n.

    encoder frames · (2n, or more if it trains) + tokens · 4n of the blocks + targets · 4n of the
    head + …

Padding counts for nothing, nor does what is computed twice to save memory. Attention scores are
left out, as is usual.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np

from sift_jax.batch import Batch
from sift_jax.models.speech_lm import SpeechLMConfig, describe_params
from sift_jax.parallel.sharding import flatten_paths


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepCosts:
    """Operations for one encoder frame, one projected frame, one token and one target."""

    frame: float
    position: float
    token: float
    target: float
    # whether the silence up to the window's end is heard, and so counts
    is_window_heard: bool
    # mel frames to encoder frames, and to projected ones where these do not stand among the tokens
    count_frames: Callable
    count_positions: Callable | None

    def count(self, batch: Batch) -> float:
        """Operations of one step over `batch`."""
        frames_ba = batch["frames_ba"]
        window = batch["mel_basf"].shape[2] if self.is_window_heard else frames_ba
        frames = np.where(frames_ba > 0, self.count_frames(window), 0).sum()
        is_real_bt = batch["group_bt"] > 0
        positions = (is_real_bt & (batch["slot_bt"] >= 0)).sum()
        if self.count_positions:
            positions = np.where(frames_ba > 0, self.count_positions(frames_ba), 0).sum()
        targets = (batch["weight_bm"] > 0).sum()
        counts = (frames, positions, is_real_bt.sum(), targets)
        costs = (self.frame, self.position, self.token, self.target)
        return float(sum(count * cost for count, cost in zip(counts, costs, strict=True)))


def count_costs(config: SpeechLMConfig, trainable: tuple[str, ...]) -> StepCosts:
    """What a frame, a position, a token and a target cost when `trainable` trains."""
    leaves = flatten_paths(describe_params(config))
    trained = {path for path in leaves if any(re.fullmatch(pattern, path) for pattern in trainable)}
    # norms behind an encoder pass nothing back through it
    is_encoder_trained = any(re.fullmatch("encoder/.*kernel", path) for path in trained)

    def cost(pattern: str, passes_back: bool) -> float:
        total = 0.0
        for path, leaf in leaves.items():
            if re.fullmatch(pattern, path):
                total += math.prod(leaf.shape) * (2 + 2 * passes_back + 2 * (path in trained))
        return total

    # a tied decoder's embedding is its head; looking a row up costs nothing
    head = "decoder/embedding" if config.decoder.is_tied else "decoder/head"
    uses = config.encoder.kernel_uses.items()
    return StepCosts(
        frame=sum(
            times * cost(f"encoder/{pattern}", is_encoder_trained) for pattern, times in uses
        ),
        position=cost("projector/.*kernel|cross/blocks/cross_[kv]/kernel", is_encoder_trained),
        token=cost("decoder/blocks/.*/(kernel(_int8)?|lora_[ab])", bool(trained))
        + cost("cross/blocks/(self_.|cross_[qo]|up|down)/kernel", bool(trained)),
        target=cost(head, bool(trained)),
        is_window_heard=config.encoder.frame_mask == "none",
        count_frames=config.encoder.count_frames,
        count_positions=config.count_positions if config.cross else None,
    )
