"""Where words border on a pause: from moments at which tokens begin to the ends of what is heard.

    attention    … | word 4          | word 5      …        says where a word begins, and never that nobody speaks
    power        …  ▇▇▇▆▅▁▁▁▁▁▁▁▁▅▇▇▇▆▅▇▇▅                 a pause near a border takes its place:
    words        …  | word 4 |       | word 5

A border between two words goes to the pause that is nearest to it, if one is near. Power is that of
10 ms steps; a pause is a run of steps that do not stand out of the background.

The first word and the last may be drawn over what is no word: a knock or a breath long before the
first one, or after the last. Where such a word is longer than words are, it loses what a pause
parts from its inner end:

    power        ▁▇▁▁▁▁▁▁▁▁▁▁▁▁▁▅▇▇▇▆▅▇▇▅
    words         | word 1            | word 2     ─►                  | word 1| word 2
"""

import numpy as np

from data_prep.metadata.intensity import STEP_SECONDS, find_background, frame_power

# Shorter ones are the closures of stops.
_SHORTEST_PAUSE = 0.10
# How far attention may be from the truth; borders farther from a pause than this stay where they
# are.
_NEAR = 0.25
_SHORTEST_WORD = 0.02
# Hardly any word of read speech lasts so long.
_LONGEST_WORD = 1.5
_RANGE_DB = 30.0
_ABOVE_FLOOR = 4.0


def find_pauses(wave: np.ndarray) -> np.ndarray:
    """Start and end in seconds [n, 2] of the runs in which nobody speaks, those at the ends of the
    wave included."""
    power = frame_power(wave)
    heard = np.sort(power[find_background(power)])
    floor = heard[: max(len(heard) // 20, 3)].mean()
    threshold = max(np.quantile(heard, 0.95) * 10 ** (-_RANGE_DB / 10), _ABOVE_FLOOR * floor)
    is_quiet = np.concatenate([[False], power < threshold, [False]])
    edges = np.flatnonzero(is_quiet[1:] != is_quiet[:-1]).reshape(-1, 2)
    # A step of power is 20 ms of samples: what is heard in its second half begins a step later.
    spans = np.stack([(edges[:, 0] + 1) * STEP_SECONDS, edges[:, 1] * STEP_SECONDS], axis=1)
    if len(edges) and edges[0, 0] == 0:
        spans[0, 0] = 0.0
    if len(edges) and edges[-1, 1] == len(power):
        spans[-1, 1] = len(wave) / 16_000
    return spans[spans[:, 1] - spans[:, 0] >= _SHORTEST_PAUSE]


def move_to_pauses(spans: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Starts and ends of words [n, 2], in order, with borders that are near a pause moved to its
    edges."""
    moved = np.array(spans, np.float64)
    count = len(moved)
    # border i is before word i; each pause goes to the border nearest to it
    borders = np.concatenate([moved[:1, 0], (moved[:-1, 1] + moved[1:, 0]) / 2, moved[-1:, 1]])
    for start, end in pauses:
        distances = np.maximum(np.maximum(start - borders, borders - end), 0.0)
        nearest = int(distances.argmin())
        if distances[nearest] > _NEAR:
            continue
        if nearest > 0 and start - moved[nearest - 1, 0] >= _SHORTEST_WORD:
            moved[nearest - 1, 1] = start
        if nearest < count and moved[nearest, 1] - end >= _SHORTEST_WORD:
            moved[nearest, 0] = end
    return moved


def shorten_ends(spans: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Starts and ends of words [n, 2], the first and the last of which no longer reach over a pause
    where that makes them longer than words are. A word by itself keeps the longer part."""
    short, is_alone = np.array(spans, np.float64), len(spans) == 1
    for start, end in pauses:
        before, after = start - short[0, 0], short[0, 1] - end
        has_room = before > 0 and after >= _SHORTEST_WORD
        if has_room and _is_too_long(short[0]) and (not is_alone or before <= after):
            short[0, 0] = end
    for start, end in pauses[::-1]:
        before, after = start - short[-1, 0], short[-1, 1] - end
        has_room = before >= _SHORTEST_WORD and after > 0
        if has_room and _is_too_long(short[-1]) and (not is_alone or after <= before):
            short[-1, 1] = start
    return short


def _is_too_long(span: np.ndarray) -> bool:
    return bool(span[1] - span[0] > _LONGEST_WORD)
