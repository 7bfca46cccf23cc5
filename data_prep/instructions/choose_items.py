"""Candidate questions, and the choice among them.

    utterances ─ make_x ─►  Item(form, group, …) × many  ─ choose_items ─►  a quota of rows

A *form* is a kind of question ("verify"), a *group* the class of its answer ("yes"). The choice
shares the quota among the forms by weight, and within a form takes the group used least, and within
that the utterance used least.
"""

import collections
import dataclasses
import heapq
import math
import random
from collections.abc import Collection

# A class may hold this much more than its even share before its form stops (a rare class must not
# drown).
_EXCESS = 0.1
# Forms whose groups are what they ask about, and not what the answer is.
_OWN_ANSWERS = frozenset({"pair", "compare", "describe"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """A question about one or two utterances. `answer` is None where the answer is the utterance
    itself."""

    ids: tuple[str, ...]
    form: str
    group: str
    question: str
    answer: str | None


class _Form:
    """The items of one form, by group, each group a heap that yields the least used utterance
    first."""

    def __init__(self, items: list[Item], rng: random.Random):
        self.used: collections.Counter[str] = collections.Counter()
        self.heaps: dict[str, list[tuple[int, float, int, Item]]] = {}
        for place, item in enumerate(items):
            self.heaps.setdefault(item.group, []).append((0, rng.random(), place, item))
        for heap in self.heaps.values():
            heapq.heapify(heap)
        self.order = {group: rng.random() for group in sorted(self.heaps)}
        self.share = min(1.0, 1 / len(self.heaps) + _EXCESS)

    def take(self, uses: collections.Counter, cap: int, *, is_even: bool) -> Item | None:
        """The next item, or None where all are spent, or where the classes would become uneven."""
        limit = math.ceil((self.used.total() + 1) * self.share) + 1
        for group in sorted(self.heaps, key=lambda group: (self.used[group], self.order[group])):
            if is_even and self.used[group] + 1 > limit:
                return None
            heap = self.heaps[group]
            while heap:
                count, draw, place, item = heapq.heappop(heap)
                if uses[item.ids] >= cap:
                    continue
                if uses[item.ids] > count:  # its place in the heap is stale
                    heapq.heappush(heap, (uses[item.ids], draw, place, item))
                    continue
                self.used[group] += 1
                return item
        return None


def drop_certain(items: list[Item]) -> list[Item]:
    """Without the forms that have one answer for all of these utterances: it could be given without
    listening."""
    answers: dict[str, set[str]] = {}
    for item in items:
        answers.setdefault(item.form, set()).add(item.group)
    return [
        item
        for item in items
        if item.form in _OWN_ANSWERS or not item.group or len(answers[item.form]) > 1
    ]


def choose_items(
    items: list[Item],
    quota: int,
    weights: dict[str, float],
    rng: random.Random,
    *,
    cap: int,
    must_fill: bool,
    even: Collection[str] = (),
) -> list[Item]:
    """A quota of the items: forms by weight, classes even, no utterance more than `cap` times.

    Where even classes leave the quota open, `must_fill` fills it without that demand, but for the
    forms in `even`.
    """
    by_form: dict[str, list[Item]] = {}
    for item in {(item.ids, item.question): item for item in items}.values():
        by_form.setdefault(item.form, []).append(item)
    forms = {name: _Form(by_form[name], rng) for name in sorted(by_form)}
    uses: collections.Counter[tuple[str, ...]] = collections.Counter()
    counts: collections.Counter[str] = collections.Counter()
    chosen: list[Item] = []
    for is_even in (True, False) if must_fill else (True,):
        active = sorted(forms if is_even else forms.keys() - set(even))
        while active and len(chosen) < quota:
            name = min(active, key=lambda name: (counts[name] + 0.5) / weights[name])
            taken = forms[name].take(uses, cap, is_even=is_even)
            if taken is None:
                active.remove(name)
                continue
            counts[name] += 1
            uses[taken.ids] += 1
            chosen.append(taken)
    return chosen
