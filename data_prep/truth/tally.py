"""How many rows are untrue, by kind of claim.

(row, its claims, what is known) ─► Tally: kind → rows checked, untrue, not checked; a few untrue ones as examples
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.metadata.bins import Bins
from data_prep.truth.known import Known, judge
from data_prep.truth.texts import Claim

_EXAMPLES = 3
_Z = 1.96


@dataclasses.dataclass(kw_only=True)
class Tally:
    """A row counts once in each kind, and once in all; it is untrue if one of its claims is."""

    rows: Counter[str] = dataclasses.field(default_factory=Counter)
    untrue: Counter[str] = dataclasses.field(default_factory=Counter)
    unchecked: Counter[str] = dataclasses.field(default_factory=Counter)
    sources: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def add(self, claims: Sequence[Claim], known: Sequence[Known], bins: Bins, text: str) -> None:
        """One row."""
        verdicts: dict[str, list[bool]] = {}
        open_kinds = set()
        for claim in claims:
            verdict = judge(claim, list(known), bins)
            if verdict is None:
                open_kinds.add(claim.kind)
                continue
            verdicts.setdefault(claim.kind, []).append(verdict)
            if claim.clip < len(known) and claim.key in known[claim.clip].sources:
                self.sources[f"{claim.key} by {known[claim.clip].sources[claim.key]}"] += 1
            if not verdict:
                self._keep(claim, known, text)
        for kind, found in verdicts.items():
            self.rows[kind] += 1
            self.untrue[kind] += not all(found)
        self.unchecked.update(open_kinds - verdicts.keys())
        if verdicts:
            self.rows[ALL] += 1
            self.untrue[ALL] += not all(verdict for found in verdicts.values() for verdict in found)
        else:
            self.unchecked[ALL] += 1

    def _keep(self, claim: Claim, known: Sequence[Known], text: str) -> None:
        kept = self.examples.setdefault(claim.kind, [])
        if len(kept) < _EXAMPLES:
            facts = known[claim.clip] if claim.clip < len(known) else None
            value = (
                None if facts is None else facts.labels.get(claim.key, facts.values.get(claim.key))
            )
            told = f"{value:.1f}" if isinstance(value, float) else value
            kept.append(f"{text} — {claim.key}: {told}")

    @property
    def share(self) -> float | None:
        """Untrue rows of those that could be checked; None where none could."""
        return self.untrue[ALL] / self.rows[ALL] if self.rows[ALL] else None

    def describe(self) -> dict[str, Any]:
        """For a program."""
        kinds = sorted(self.rows.keys() | self.unchecked.keys())
        return {
            "kinds": {
                kind: {
                    "checked": self.rows[kind],
                    "untrue": self.untrue[kind],
                    "interval": find_interval(self.untrue[kind], self.rows[kind]),
                    "not checked": self.unchecked[kind],
                }
                for kind in kinds
            },
            "sources": dict(self.sources),
            "examples": self.examples,
        }


ALL = "all rows"


def find_interval(hits: int, count: int) -> tuple[float, float] | None:
    """Wilson's, of 95 %."""
    if not count:
        return None
    share, square = hits / count, _Z**2 / count
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def format_tally(title: str, found: Mapping[str, Any]) -> str:
    """A table for people."""
    lines = [
        title,
        (
            f"  {'claim':<52} {'checked':>8} {'untrue':>7} {'share':>7}   {'95 %':<14} "
            f"{'not checked':>11}"
        ),
    ]
    order = sorted(found["kinds"].items(), key=lambda item: (item[0] != ALL, item[0]))
    for kind, row in order:
        share = f"{row['untrue'] / row['checked']:7.1%}" if row["checked"] else "      –"
        between = "to".join(f"{edge:5.1%} " for edge in row["interval"]) if row["interval"] else ""
        lines.append(
            f"  {kind:<52} {row['checked']:>8,} {row['untrue']:>7,} {share}   {between:<14} "
            f"{row['not checked']:>11,}"
        )
    lines += [
        (
            "  known: "
            f"{', '.join(f'{name} ({count:,})' for name, count in sorted(found['sources'].items()))}"
        )
    ]
    for kind, texts in sorted(found["examples"].items()):
        lines += [f"  untrue, {kind}", *(f"    {text}" for text in texts)]
    return "\n".join(lines)
