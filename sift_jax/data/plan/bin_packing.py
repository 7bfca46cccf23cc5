"""Which groups share a row, by their sizes alone, before anything is read.

    level by level, the longest clips first:   a row takes groups as they come, until two more could fill it, and then
                                               the two that fill it to the last position, or nearly

Taking the largest first would leave rows of equal small groups at the end, which fill nothing
exactly; taken as they come, all sizes are there until the end. That two sizes with a given sum
exist is seen by one operation on numbers that have a bit for each size, so that a row costs
microseconds. All is in whole numbers: hosts must not differ by a rounding.

**Groups that come in order.** Sections of them are filled one after the other, and a row holds groups of its section
alone, but for the few that were left of the one before: the last two rows' worth, among which
little fits exactly, wait for the next section, where they are taken first.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from sift_jax.batch import BatchShape

# positions that may stay empty for want of an exact fit
_SLACK = 40
# groups that are looked at before a row is left as it is
_TRIES = 24
# rows that the groups of a section must fill, or they wait for the next one
_FEW_ROWS = 2
# 2³² ÷ 1.618…: its multiples, modulo 2³², fill the range evenly
_GOLDEN_RATIO, _WHOLE = 2654435769, 1 << 32

Room = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """What groups take of a row, an array each; `level` is the shortest of the run's windows that
    holds their clips."""

    tokens: np.ndarray
    targets: np.ndarray
    clips: np.ndarray
    level: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


class _Pool:
    """Groups of one level that have no row yet, by their tokens."""

    def __init__(
        self, groups: Sequence[int], sizes: Sequence[Room], whole: int, overdue: Sequence[int] = ()
    ):
        self.order, self.sizes, self.whole = [*overdue, *groups], sizes, whole
        groups = self.order
        self.by_tokens: dict[int, list[int]] = {}
        for group in groups:
            self.by_tokens.setdefault(sizes[group][0], []).append(group)
        # bit s: there are groups of s tokens; and the same from the other end, bit whole − s
        self.bits = sum(1 << s for s in self.by_tokens)
        self.reversed = sum(1 << whole - s for s in self.by_tokens)
        # `order` keeps all groups; who is placed leaves `_waiting` alone, and `_first` moves on
        # past them.
        self._waiting, self._first = set(groups), 0
        self._overdue = list(overdue)
        # of all that are waiting
        self.total = [sum(sizes[group][i] for group in groups) for i in range(3)]

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def least(self) -> int:
        # x & −x keeps the lowest bit that is set: 0b10100 → 0b00100, a group of 2 tokens.
        return (self.bits & -self.bits).bit_length() - 1

    def list_waiting(self) -> list[int]:
        return [group for group in self.order if group in self._waiting]

    def take(self, group: int) -> None:
        tokens = self.sizes[group][0]
        self._waiting.remove(group)
        self.total = [
            total - size for total, size in zip(self.total, self.sizes[group], strict=True)
        ]
        same = self.by_tokens[tokens]
        same.remove(group)
        if not same:
            # The last of its size is gone: nobody has this size any more.
            self.bits &= ~(1 << tokens)
            self.reversed &= ~(1 << self.whole - tokens)

    def _fits(self, room: Room, *groups: int) -> bool:
        return all(sum(self.sizes[g][i] for g in groups) <= room[i] for i in range(3))

    def find_overdue(self, room: Room) -> list[int]:
        """The first that an earlier section left."""
        self._overdue = [group for group in self._overdue if group in self._waiting]
        return next(([group] for group in self._overdue if self._fits(room, group)), [])

    def find_next(self, room: Room) -> list[int]:
        """The group that has waited longest, of the first few that fit."""
        while self._first < len(self.order) and self.order[self._first] not in self._waiting:
            self._first += 1
        for group in self.order[self._first : self._first + 2 * _TRIES]:
            if group in self._waiting and self._fits(room, group):
                return [group]
        return []

    def find_largest(self, room: Room) -> list[int]:
        """The group that leaves least empty."""
        # Only sizes that fit: all bits above the room are cleared.
        bits = self.bits & (1 << room[0] + 1) - 1
        for _ in range(_TRIES):
            if not bits:
                break
            # The highest bit is the largest size.
            tokens = bits.bit_length() - 1
            if self._fits(room, self.by_tokens[tokens][-1]):
                return [self.by_tokens[tokens][-1]]
            # It has the tokens but not the targets or clips; the next smaller size is tried.
            bits ^= 1 << tokens
        return []

    def find_pair(self, room: Room) -> list[int]:
        """Two groups that leave next to nothing empty."""
        largest = self.bits.bit_length() - 1
        for _, (small, large) in zip(
            range(_TRIES), self._list_pairs(room[0], largest), strict=False
        ):
            pair = [self.by_tokens[large][-1], self.by_tokens[small][0]]
            if pair[0] != pair[1] and self._fits(room, *pair):
                return pair
        return []

    def _list_pairs(self, room: int, largest: int) -> Iterator[tuple[int, int]]:
        """Pairs of sizes whose sum is almost `room`, the closest first, alternately unlike and
        alike."""
        for total in range(min(room, 2 * largest), max(room - _SLACK, 2 * self.least - 1), -1):
            # `reversed` has bit whole − s; moved down by whole − total, bit i says that there is a
            # group of total − i. Together with `bits`: there are groups of i and of total − i. The
            # last mask keeps i ≤ total / 2, so that each pair is found once.
            #     total 7, sizes {2, 3, 5}: bits 0b101100, total − i {5, 4, 2}: 0b110100
            #     both 0b100100, of which i ≤ 3 is 2: the pair 2 + 5
            pairs = self.bits & self.reversed >> self.whole - total & (1 << total // 2 + 1) - 1
            is_unlike = True
            while pairs:
                # By turns the most unlike pair (1 + 9) and the most alike (5 + 5), so that neither
                # large nor middling groups are all gone early.
                small = (pairs & -pairs if is_unlike else pairs).bit_length() - 1
                yield small, total - small
                pairs ^= 1 << small
                is_unlike = not is_unlike


class RowFiller:
    """Rows, opened as they are needed, each with the window of its longest clip; shorter clips fit
    into it, too."""

    def __init__(self, sizes: Sizes, shape: BatchShape, most_rows: int | None = None):
        self.shape, self.most_rows = shape, most_rows
        self.rows: list[list[int]] = []
        # of each row; without a section it may stand anywhere
        self.levels: list[int] = []
        self.sections: list[int | None] = []
        self._group_levels = sizes.level.tolist()
        self._sizes = list(
            zip(*(x.tolist() for x in (sizes.tokens, sizes.targets, sizes.clips)), strict=True)
        )
        self._room: list[Room] = []

    def open(self, level: int, section: int | None = None) -> bool:
        """Another row, which is empty; False where there may be no more."""
        if len(self.rows) == self.most_rows:
            return False
        self.rows.append([])
        self.levels.append(level)
        self.sections.append(section)
        self._room.append((self.shape.tokens, self.shape.targets, self.shape.clips))
        return True

    def fill(self, groups: Sequence[int]) -> list[int]:
        """Places groups where there is room, and in rows of their own; returns those that found
        none."""
        left = []
        # Longest clips first: their rows' windows hold shorter clips too, never the other way
        # round.
        for level in self._list_levels(groups):
            pool = self._make_pool(groups, level)
            self._fill_rows(pool, range(len(self.rows)), level)
            while len(pool) and self.open(level):
                self._fill_row(len(self.rows) - 1, pool)
            left += pool.list_waiting()
        return left

    def fill_in_order(self, sections: Sequence[Sequence[int]]) -> list[int]:
        """Places groups section by section, each in its order as far as may be; returns those that
        found no room."""
        waiting: dict[int, list[int]] = {}
        for section, groups in enumerate(sections):
            # Rows of earlier sections are closed: what comes late would stand in a batch that is
            # long past.
            is_last, first_row = section == len(sections) - 1, len(self.rows)
            for level in self._list_levels([*groups, *itertools.chain(*waiting.values())]):
                pool = self._make_pool(groups, level, waiting.pop(level, ()))
                self._fill_rows(pool, range(first_row, len(self.rows)), level)
                while (
                    len(pool) and (is_last or self._is_enough(pool)) and self.open(level, section)
                ):
                    self._fill_row(len(self.rows) - 1, pool)
                waiting[level] = pool.list_waiting()
        return list(itertools.chain(*waiting.values()))

    def share_rows(self) -> None:
        """Gives an empty row half of the groups of a row that has most: a batch of empty rows would
        teach nothing."""
        # A block has room to spare, and a short stream may have fewer groups than rows. Rows by
        # multiples of the golden ratio lie far from each other, so that the halved ones do not
        # stand in one batch after another.
        fullest = [
            (-len(groups), row * _GOLDEN_RATIO % _WHOLE, row)
            for row, groups in enumerate(self.rows)
            if groups
        ]
        heapq.heapify(fullest)
        for row in [row for row, groups in enumerate(self.rows) if not groups]:
            half, donor = -fullest[0][0] // 2, fullest[0][2]
            if not half:
                return
            self.rows[row], self.rows[donor] = self.rows[donor][:half], self.rows[donor][half:]
            self.sections[row] = self.sections[donor]
            for each in (row, donor):
                self.levels[each] = max(self._group_levels[group] for group in self.rows[each])
            place = donor * _GOLDEN_RATIO % _WHOLE
            heapq.heapreplace(fullest, (-len(self.rows[donor]), place, donor))
            heapq.heappush(fullest, (-half, row * _GOLDEN_RATIO % _WHOLE, row))

    def _list_levels(self, groups: Sequence[int]) -> list[int]:
        return sorted({self._group_levels[group] for group in groups}, reverse=True)

    def _make_pool(self, groups: Sequence[int], level: int, overdue: Sequence[int] = ()) -> _Pool:
        return _Pool(
            [g for g in groups if self._group_levels[g] == level],
            self._sizes,
            self.shape.tokens,
            overdue,
        )

    def _is_enough(self, pool: _Pool) -> bool:
        """Whether those that wait fill more than a few rows, by whichever limit is reached
        first."""
        room = (self.shape.tokens, self.shape.targets, self.shape.clips)
        return any(total > _FEW_ROWS * most for total, most in zip(pool.total, room, strict=True))

    def _fill_rows(self, pool: _Pool, rows: range, level: int) -> None:
        for row in rows:
            if self.levels[row] >= level:
                self._fill_row(row, pool)

    def _fill_row(self, row: int, pool: _Pool) -> None:
        while len(pool):
            room, least = self._room[row], pool.least
            # Nothing that waits is small enough; the row is done.
            if room[0] < least:
                break
            # An empty row begins with what an earlier section left over.
            found = [] if self.rows[row] else pool.find_overdue(room)
            # While there is room for two, look for the pair that ends the row; if there is none
            # yet, take the next in line and look again.
            if not found and room[0] >= 2 * least:
                found = pool.find_pair(room) or pool.find_next(room)
            for group in found or pool.find_largest(room):
                pool.take(group)
                self.rows[row].append(group)
                self._room[row] = tuple(
                    a - b for a, b in zip(self._room[row], self._sizes[group], strict=True)
                )
            # Nothing was found that fits.
            if self._room[row] == room:
                break
