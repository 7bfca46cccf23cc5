"""What a rollout is better than the others of its group by.

rewards    1.0  0.0  1.0  nan │  ½  ½  ½  ½  │  nan  nan  nan  1.0
advantage  .71 −1.41 .71   –  │  0  0  0  0  │   –    –    –    –
           a failure is left out   all equal     one alone compares with nobody
"""

from __future__ import annotations

import dataclasses

import numpy as np

# below it the rewards of a group are all equal, as far as sums of floats can tell
_EQUAL = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advantages:
    """(prompts, rollouts) each; `flat` and `lone` are groups that teach nothing but to stay near the
    reference, and nothing at all."""

    values: np.ndarray
    # whether a rollout counts in the loss
    is_used: np.ndarray
    flat: int
    lone: int


def normalise_groups(rewards: np.ndarray, is_real: np.ndarray) -> Advantages:
    """Rewards (p, g), NaN where they failed, less the mean of their group over its deviation;
    `is_real` (p,) where there is a prompt."""
    is_used = np.isfinite(rewards) & is_real[:, None]
    values = np.zeros(rewards.shape, np.float32)
    flat = lone = 0
    for p in np.flatnonzero(is_real):
        used = is_used[p]
        if used.sum() < 2:
            lone += 1
            is_used[p] = False
            continue
        found = rewards[p, used].astype(np.float64)
        deviation = found.std()
        if deviation < _EQUAL:
            flat += 1
            continue
        values[p, used] = (found - found.mean()) / deviation
    return Advantages(values=values, is_used=is_used, flat=flat, lone=lone)
