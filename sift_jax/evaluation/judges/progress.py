"""How far the judging is, and what it has cost: a line every half minute, readable also in a file.

judging model: 1,200 of 4,500, 38 a minute; 412 calls, 610,230 tokens in, 48,112 out
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

SECONDS = 30.0
_Value = TypeVar("_Value")


def tell(line: str) -> None:
    """In one piece, so that lines of several threads do not run into each other."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def show_progress(
    values: Iterable[_Value],
    total: int,
    name: str,
    describe_cost: Callable[[], str],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[_Value]:
    """The same values; on their way a line every half minute, and one at the end."""
    began = told = clock()
    count = 0

    def make_line() -> str:
        rate = 60 * count / max(clock() - began, 1e-9)
        cost = describe_cost()
        return (
            f"judging {name}: {count:,} of {total:,}, {rate:,.0f} a "
            f"minute{f'; {cost}' if cost else ''}"
        )

    for value in values:
        yield value
        count += 1
        if clock() - told >= SECONDS:
            told = clock()
            tell(make_line())
    if told > began or describe_cost():
        tell(make_line())
