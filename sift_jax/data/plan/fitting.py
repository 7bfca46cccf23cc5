"""Which questions a group has, so that it fits a row: asked for in turn, and left out where there
is no room.

    item, first, count ─► its questions in an order that the seed gives, from turn `first` on, round and round: `count`
                       ─► without those that fit no row by themselves
                       ─► without the last ones, until the rest fits together
    5 questions in the order c a e b d, first 3, count 3:  b d c ─► d is too long: b c ─► b c fit: these two

A question that is left out has a cause, so that a run can say what it skips and what there is
to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from sift_jax.batch import BatchShape
from sift_jax.data.plan.bin_packing import Sizes
from sift_jax.data.plan.permutation import mix
from sift_jax.data.records.question_index import Lengths, QuestionIndex

# why a question is left out, and what there is to do; where several hold, the first is said
CAUSES = {
    "a clip is longer than the encoder's window": "cut those recordings (data_prep), leave them out, or "
    "set DataConfig.long_audio = 'windows'",
    "its clips, or the windows of a long one, are more than a row holds": "raise DataConfig.clips",
    "it takes more positions than a row": "raise DataConfig.tokens",
    "its answer takes more targets than a row": "raise DataConfig.targets",
    "nothing of it is to be learnt": "look at its answer",
    "it fits no row together with the others of its recording": "lower "
    "DataConfig.questions_per_record, or raise DataConfig.tokens or targets",
}
_LONG_CLIP, _CLIPS, _TOKENS, _TARGETS, _EMPTY, _TOGETHER = range(len(CAUSES))
_NONE = -1
# groups that are measured one by one at a time
_DOUBTFUL = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowLimits:
    """What a row holds. `levels` are the windows of the run's batches in mel frames, shortest
    first."""

    tokens: int
    targets: int
    clips: int
    levels: tuple[int, ...]
    count_frames: Callable[[np.ndarray], np.ndarray]
    # samples beyond which a clip is several windows; None: it is left out
    window: int | None = None


def make_limits(
    shapes: Sequence[BatchShape],
    count_frames: Callable[[np.ndarray], np.ndarray],
    window: int | None = None,
) -> RowLimits:
    room = shapes[0]
    return RowLimits(
        tokens=room.tokens,
        targets=room.targets,
        clips=room.clips,
        levels=tuple(shape.mel_frames for shape in shapes),
        count_frames=count_frames,
        window=window,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for, a line a group: `count` questions of an item from turn `first` on, in the
    order of its key."""

    item: np.ndarray
    first: np.ndarray
    count: np.ndarray
    key: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """What is left of it: a line a group, of which one without questions fits no row."""

    chosen: np.ndarray
    # the numbers of the chosen, one group's after the other
    numbers: np.ndarray
    sizes: Sizes
    # questions that were left out, by cause
    left_out: np.ndarray


def fit_groups(index: QuestionIndex, asked: Asked, limits: RowLimits) -> Fitted:
    """The groups that are asked for, as far as they fit an empty row."""
    lengths = Lengths(index, asked.item, limits.count_frames, limits.window)
    level = np.searchsorted(np.array(limits.levels), lengths.longest)
    turn = _take_turns(lengths, asked)
    is_wanted = turn < asked.count[lengths.owner]
    cause = _judge_alone(lengths, level, limits)
    is_fit = is_wanted & (cause == _NONE)
    is_chosen = is_fit.copy()
    tokens, targets = _leave_out_last(index, asked.item, lengths, turn, is_chosen, limits)
    cause[is_fit & ~is_chosen] = _TOGETHER
    return Fitted(
        chosen=lengths.count_chosen(is_chosen),
        numbers=lengths.number[is_chosen],
        sizes=Sizes(tokens=tokens, targets=targets, clips=lengths.clips, level=level),
        left_out=np.bincount(cause[is_wanted & ~is_chosen], minlength=len(CAUSES)),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """Groups that items are divided into, and what is left of their questions."""

    groups: int
    questions: int
    left_out: np.ndarray


def count_parts(
    index: QuestionIndex,
    whole: Asked,
    size: int,
    times: np.ndarray,
    limits: RowLimits,
    ask: Callable[..., Asked],
) -> Parts:
    """What `fit_groups` makes of the first `times` groups of `size` questions of each item; `whole`
    asks for all.

    An item is looked at once for all its groups. What they share is at least what all its questions
    share: where a group fits even so, it fits, and only the others are measured one by one, as
    `ask(item, part)` asks for them.
    """
    lengths = Lengths(index, whole.item, limits.count_frames, limits.window)
    level = np.searchsorted(np.array(limits.levels), lengths.longest)
    cause = _judge_alone(lengths, level, limits)
    part = (
        _take_turns(lengths, whole) // size
        if (lengths.count > size).any()
        else np.zeros_like(lengths.owner)
    )
    is_wanted = part < times[lengths.owner]
    is_fit = is_wanted & (cause == _NONE)
    item, first = np.repeat(np.arange(len(times)), times), np.cumsum(times) - times
    group = (first[lengths.owner] + part)[is_fit]
    count = np.bincount(group, minlength=len(item))
    shared = lengths.measure_shared(np.ones(len(part), bool))[item]
    tokens = (
        np.bincount(group, lengths.tokens[is_fit], len(item)) - np.maximum(count - 1, 0) * shared
    )
    targets = np.bincount(group, lengths.question["targets"][is_fit], len(item))
    # The estimate counts too little as shared, and so too much in all: only where even that is too
    # long is the group measured exactly.
    doubtful = np.flatnonzero((tokens > limits.tokens) | (targets > limits.targets))
    left_out = np.bincount(cause[is_wanted & ~is_fit], minlength=len(CAUSES))
    for few in np.array_split(doubtful, len(doubtful) // _DOUBTFUL + 1):
        if len(few):
            fitted = fit_groups(index, ask(whole.item[item[few]], few - first[item[few]]), limits)
            left_out[_TOGETHER] += fitted.left_out[_TOGETHER]
    kept = int(count.sum()) - int(left_out[_TOGETHER])
    return Parts(groups=int((count > 0).sum()), questions=kept, left_out=left_out)


def _take_turns(lengths: Lengths, asked: Asked) -> np.ndarray:
    """Of each question the number of its turn, from the first that is asked for."""
    # Each item has an order of its own in which its questions have their turn; it is that of a
    # hash, and stored nowhere.
    order = np.lexsort((mix(asked.key[lengths.owner] ^ mix(lengths.number)), lengths.owner))
    turn = np.empty(len(order), np.int64)
    # A question's number in that order, counted from the one that is asked for first, around the
    # end: 3 questions from turn 4 of 5 are 4, 0, 1.
    turn[order] = np.arange(len(order)) - lengths.start[lengths.owner]
    return (turn - asked.first[lengths.owner]) % lengths.count[lengths.owner]


def _judge_alone(lengths: Lengths, level: np.ndarray, limits: RowLimits) -> np.ndarray:
    """Why each question fits no row even by itself, or _NONE."""
    targets = lengths.question["targets"]
    cause = np.full(len(lengths.owner), _NONE)
    cause[targets == 0] = _EMPTY
    cause[targets > limits.targets] = _TARGETS
    cause[lengths.tokens > limits.tokens] = _TOKENS
    cause[(lengths.clips > limits.clips)[lengths.owner]] = _CLIPS
    cause[(level == len(limits.levels))[lengths.owner]] = _LONG_CLIP
    return cause


def _leave_out_last(
    index: QuestionIndex,
    item: np.ndarray,
    lengths: Lengths,
    turn: np.ndarray,
    is_chosen: np.ndarray,
    limits: RowLimits,
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps the first of a group's questions that fit a row together; changes `is_chosen`, returns
    the sizes.

    With a question less a group is never longer, so that how many fit is found by halving.
    """
    tokens, targets = lengths.measure(is_chosen)
    long = np.flatnonzero((tokens > limits.tokens) | (targets > limits.targets))
    if not len(long):
        return tokens, targets
    lines = np.flatnonzero(np.isin(lengths.owner, long))
    some = Lengths(index, item[long], limits.count_frames, limits.window)
    chosen = is_chosen[lines]
    # The chosen first, in the order of their turns: the first `n` of a group are then those with
    # place < n.
    order = np.lexsort((turn[lines], ~chosen, some.owner))
    place = np.empty(len(lines), np.int64)
    place[order] = np.arange(len(lines)) - some.start[some.owner]
    # each fits by itself, and all of them do not
    fits, too_many = np.ones(len(long), np.int64), some.count_chosen(chosen)
    while (too_many - fits > 1).any():
        # Bisection for all groups at once: `fits` questions fit, `too_many` do not.
        half = (fits + too_many) // 2
        half_tokens, half_targets = some.measure(chosen & (place < half[some.owner]))
        is_good = (half_tokens <= limits.tokens) & (half_targets <= limits.targets)
        fits, too_many = np.where(is_good, half, fits), np.where(is_good, too_many, half)
    chosen &= place < fits[some.owner]
    is_chosen[lines] = chosen
    tokens[long], targets[long] = some.measure(chosen)
    return tokens, targets
