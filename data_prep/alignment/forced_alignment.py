"""Forced alignment: the best path of a symbol sequence through CTC's frames.

    log probabilities [t, v], symbols c a t  ─►  states  _ c _ a _ t _        (_ is the blank: always optional)
        frames   _  c  c  _  a  t  t  _
        state    0  1  1  2  3  5  5  6      ─►  c: frames 1–2, a: frame 4, t: frames 5–6

A step stays, goes to the next state, or leaps over a blank between two unlike symbols. All states
advance at once, frame by frame; only the step taken into each state is kept, a byte a cell.
"""

import numpy as np

from data_prep.alignment.word_time import AlignmentError

# A byte each: an hour of speech would have nine thousand million.
MOST_CELLS = 2_000_000_000


def align_symbols(log_probs: np.ndarray, symbols: np.ndarray, blank: int) -> np.ndarray:
    """Int [n, 2]: first frame and the one after the last of every symbol."""
    symbols = np.asarray(symbols, np.int64)
    frames, repeats = len(log_probs), int((symbols[1:] == symbols[:-1]).sum())
    if not len(symbols):
        return np.zeros((0, 2), np.int64)
    if frames < len(symbols) + repeats:
        raise AlignmentError(
            f"{len(symbols)} symbols do not fit into {frames} frames; "
            "check that transcript and recording belong together"
        )
    if symbols.min() < 0 or symbols.max() >= log_probs.shape[1] or blank in symbols:
        raise AlignmentError(
            f"symbols must lie in 0 … {log_probs.shape[1] - 1} and none be the blank {blank}; "
            "check the vocabulary"
        )
    if frames * (2 * len(symbols) + 1) > MOST_CELLS:
        raise AlignmentError(
            f"{len(symbols)} symbols in {frames} frames are too many to align at once; cut the "
            "recording into parts"
        )
    states = np.full(2 * len(symbols) + 1, blank)
    states[1::2] = symbols
    path = _trace(*_advance(log_probs.astype(np.float64), states))
    # The path never falls, so the frames of a state lie together: where its number would be put in
    # from the left, and from the right. A state that is leapt over has none.
    place = np.arange(len(symbols)) * 2 + 1
    return np.stack(
        [np.searchsorted(path, place), np.searchsorted(path, place, side="right")], axis=1
    )


def score_spans(log_probs: np.ndarray, symbols: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The mean log probability of each symbol over its frames."""
    return np.array(
        [log_probs[a:b, symbol].mean() for symbol, (a, b) in zip(symbols, spans, strict=True)]
    )


def _advance(log_probs: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, int]:
    """The step into each state at each frame [t, s], and the best last state."""
    # States _ c _ a _ t _: only a symbol may be leapt into, over the blank before it, and only from
    # another symbol. In "all" the blank between the two l must be said, or they are one.
    leap_cost = np.full(len(states), -np.inf)
    leap_cost[3::2] = np.where(states[3::2] != states[1:-2:2], 0.0, -np.inf)
    best = np.full(len(states), -np.inf)
    best[:2] = log_probs[0, states[:2]]
    # A path begins in the first blank or the first symbol. Of each cell only 0, 1 or 2 is kept: how
    # many states back the best way into it came from.
    steps = np.zeros((len(log_probs), len(states)), np.uint8)
    choices = np.full((3, len(states)), -np.inf)
    for frame in range(1, len(log_probs)):
        choices[0] = best
        choices[1, 1:] = best[:-1]
        choices[2, 2:] = best[:-2]
        choices[2] += leap_cost
        step = choices.argmax(axis=0)
        best = np.take_along_axis(choices, step[None], axis=0)[0] + log_probs[frame, states]
        steps[frame] = step
    # and ends in the last blank or the last symbol
    last = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    if not np.isfinite(best[last]):
        raise AlignmentError(
            "no path through the frames has a probability; check the model's output for NaN"
        )
    return steps, last


def _trace(steps: np.ndarray, last: int) -> np.ndarray:
    """The state at each frame, from the last one back."""
    path = np.empty(len(steps), np.int64)
    path[-1] = last
    for frame in range(len(steps) - 1, 0, -1):
        path[frame - 1] = path[frame] - steps[frame, path[frame]]
    return path
