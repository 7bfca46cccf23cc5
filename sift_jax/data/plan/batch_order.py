"""From rows to batches and their order: a batch has one window, and rows that are near each other
in the stream.

    rows of the long window, by their keys      a . . . b c . . d     four rows a batch
    rows of the short one                       . 1 2 3 . . 4 5 .

a and b are further from each other than `span`, so that a is not kept waiting for b: it takes 1, 2
and 3 along, whose clips are short, into a batch of the long window. The batches then come in the
order of their rows' mean keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def order_batches(
    levels: Sequence[int], keys: Sequence[int], size: int, span: int
) -> list[tuple[int, list[int]]]:
    """(level, rows) of each batch; the rows are whole batches of `size`, and the smallest key comes
    first."""
    by_key = sorted(range(len(keys)), key=lambda row: (keys[row], row))
    falling = sorted(set(levels), reverse=True)
    waiting = {level: [row for row in by_key if levels[row] == level] for level in falling}
    found = []
    for place, level in enumerate(falling):
        rows, shorter = waiting[level], [waiting[other] for other in falling[place + 1 :]]
        while rows:
            first = keys[rows[0]]
            near = (
                bisect_right(rows, first + span, key=keys.__getitem__)
                if any(shorter)
                else len(rows)
            )
            batch = _take(rows, 0, min(near, size))
            for others in shorter:
                start = bisect_left(others, first, key=keys.__getitem__)
                batch += _take(others, start, size - len(batch))
            # at the end of the block there may be no others
            batch += _take(rows, 0, size - len(batch))
            found.append((sum(keys[row] for row in batch) // size, level, batch))
    return [(level, rows) for _, level, rows in sorted(found)]


def _take(rows: list[int], start: int, count: int) -> list[int]:
    """So many from `start` on, or the last ones; they are taken out."""
    start = max(0, min(start, len(rows) - count))
    taken = rows[start : start + count]
    del rows[start : start + count]
    return taken
