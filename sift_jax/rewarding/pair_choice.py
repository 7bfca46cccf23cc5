"""Which two answers to a question become a pair: the best and the worst, if they are far enough apart.

scores   .9 "Slowly."   .9 "Quite slowly."   nan (failed)   .2 "Loudly."   0 "Slowly, slowly, …" (cut off)
         └ chosen                                           └ rejected     └ no answer that ends: left out
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from sift_jax.rewarding.rewards import Judged, Rollout

# why a question has no pair
FAILED, CUT_OFF, TIE = "reward failed", "answer cut off", "tie"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Places of the chosen and the rejected answer, or why there are none."""

    chosen: int | None = None
    rejected: int | None = None
    reason: str = ""


def choose_pair(rollouts: Sequence[Rollout], judged: Sequence[Judged], *, margin: float) -> Choice:
    """The best and the worst of the answers that came to an end and have a reward."""
    whole = [place for place, rollout in enumerate(rollouts) if rollout.is_whole]
    usable = [place for place in whole if math.isfinite(judged[place].total)]
    if len(usable) < 2:
        # what would have been usable but for its reward is named by that
        return Choice(reason=FAILED if len(whole) >= 2 else CUT_OFF)
    # of equals the first
    best = max(usable, key=lambda place: judged[place].total)
    worst = min(usable, key=lambda place: judged[place].total)
    is_apart = judged[best].total - judged[worst].total >= margin
    # a reward may differ from call to call, and an empty answer is nobody's aim
    is_pair = rollouts[best].answer not in ("", rollouts[worst].answer)
    return Choice(chosen=best, rejected=worst) if is_apart and is_pair else Choice(reason=TIE)
