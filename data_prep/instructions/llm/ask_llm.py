"""One request to its outcome: rows and drops, together as many as there were items.

    Request ─ draw_briefs ─►  ten briefs ─ so many a call ─►  reply ─ read_reply ─►  pairs ─ rules, briefs ─► kept
                                              │  ▲               └─ broken ─►  drop "not JSON"    └─► drop "no question"
                                              │  └─ those that came to nothing, worded again, fewer a call ◄─┘
                                              └─ no reply ─►  drop "no answer: http 500"
    kept ─ filter ─►  rows

What comes to nothing is asked for once more, from scratch: of what was wrong the model is told nothing, for
a small one would repeat it.
"""

import dataclasses
import random
import re
from collections.abc import Sequence
from typing import Any

from data_prep.instructions.filters.answers import misses_wish
from data_prep.instructions.filters.llm_filter import judge_pairs
from data_prep.instructions.filters.rules import Candidate, find_fault, make_duplicate_key
from data_prep.instructions.llm.briefs import Brief, draw_briefs, reopen
from data_prep.instructions.llm.prompts import FORMATS, make_messages, make_sampling
from data_prep.instructions.llm.requests import Request
from data_prep.instructions.llm.worked import load_worked
from data_prep.llm.cached_client import CachedClient
from data_prep.llm.json_repair import Found, find_objects
from sift_jax.endpoints.client import CallError
from sift_jax.sift.labels import simplify

COPIED, MISSED = "copies the example", "misses what was asked"
_NAMES = {
    "question": ("question", "q", "instruction", "request"),
    "answer": ("answer", "a", "response"),
}
_LONGEST_PIECE = 2000
# Pairs of a call that asks again, at most.
_FEWER = 3
# "Q: How fast? A: Very fast.", on a line or on two: what small models write in place of JSON
_MARKED = re.compile(
    r"^\W*(?:\d+\W+)?(?:question|q)\W*?[:.]\W*?(?P<question>\w.*?)\s+"
    r"(?:answer|a)\W*?:\s*(?P<answer>\S.*)$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """How many pairs are asked of a request and of each call, how often, and in which form."""

    pairs: int
    pairs_a_call: int
    tries: int
    reply_format: str

    def __post_init__(self) -> None:
        for name in ("pairs", "pairs_a_call", "tries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too small; give at least 1")
        if self.reply_format not in FORMATS:
            raise ValueError(
                f"reply_format={self.reply_format} is not known; choose of {', '.join(FORMATS)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drop:
    """An item that is no row: why, more about it, and the item itself."""

    reason: str
    detail: str
    item: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """All items of a request: `items` of them, each in `pairs` or in `drops`; `asked` is how many
    were wanted."""

    request: Request
    asked: int
    items: int
    pairs: list[dict[str, str]]
    drops: list[Drop]


def converse(
    request: Request, client: CachedClient, judge: CachedClient | None, *, asking: Asking, seed: int
) -> Outcome:
    """Asks for the instructions of a request, and keeps the good ones."""
    salt = f"{seed}/{'/'.join(request.ids)}"
    rng = random.Random(f"{salt}/{request.kind.name}")
    briefs = draw_briefs(request, asking.pairs, rng)
    asked, taken = len(briefs), Taken(request)
    for attempt in range(asking.tries):
        if not briefs:
            break
        size = asking.pairs_a_call if attempt == 0 else min(asking.pairs_a_call, _FEWER)
        missed: list[Brief] = []
        for place in range(0, len(briefs), size):
            group = briefs[place : place + size]
            missed += _ask(group, taken, client, reply_format=asking.reply_format, salt=salt)
        briefs = reopen(missed, request.language, rng)
    pairs, drops = taken.pairs, taken.drops
    items = len(pairs) + len(drops)
    if judge is not None and pairs:
        pairs, found = _filter(pairs, request, judge, salt)
        drops += found
    return Outcome(request=request, asked=asked, items=items, pairs=pairs, drops=drops)


def _ask(
    briefs: Sequence[Brief], taken: "Taken", client: CachedClient, *, reply_format: str, salt: str
) -> list[Brief]:
    """One call; returns the briefs that came to nothing and are worth another."""
    request = taken.request
    messages = make_messages(request, briefs, salt=salt, reply_format=reply_format)
    try:
        reply = client.ask(
            messages, make_sampling(len(briefs), reply_format, is_spoken=request.kind.is_spoken)
        )
    except CallError as error:
        # the client has tried it often enough
        taken.drops.append(
            Drop(
                reason=f"no answer: {error.reason}",
                detail=error.detail,
                item={"data": request.data},
            )
        )
        return []
    pairs, drops = read_reply(reply.text, is_spoken=request.kind.is_spoken)
    taken.drops += drops
    return taken.take(pairs, briefs)


class Taken:
    """The pairs of a request that were kept so far, and what was skipped."""

    def __init__(self, request: Request):
        self.request = request
        self.pairs: list[dict[str, str]] = []
        self.drops: list[Drop] = []
        self._seen: set[str] = set()
        self._copies = load_worked(request.kind.name, request.language).copies

    def take(self, pairs: Sequence[dict[str, str]], briefs: Sequence[Brief]) -> list[Brief]:
        """Keeps the pairs that some brief asked for, each one; returns the briefs that got none."""
        open_briefs = list(briefs)
        for number, pair in enumerate(pairs):
            if number >= len(briefs):
                self.drops.append(
                    Drop(reason="too many", detail=f"{len(briefs)} were asked for", item=pair)
                )
                continue
            fault, brief = self._find_fault(pair, open_briefs)
            if fault is not None or brief is None:
                self.drops.append(Drop(reason=fault or MISSED, detail="", item=pair))
            else:
                open_briefs.remove(brief)
                self.pairs.append(pair)
        return open_briefs

    def _find_fault(
        self, pair: dict[str, str], briefs: Sequence[Brief]
    ) -> tuple[str | None, Brief | None]:
        """What is wrong with a pair; and of a good one the brief that it answers, for a model may
        leave one out."""
        request = self.request
        candidate = Candidate(
            question=pair["question"],
            answer=pair.get("answer"),
            set_name=request.kind.name,
            language=request.language,
            truths=request.truths,
            transcripts=request.transcripts,
        )
        if any(self._copies.has(text) for text in pair.values()):
            return COPIED, None
        if (fault := find_fault(candidate)) is not None:
            return fault, None
        key = make_duplicate_key(candidate)
        if key in self._seen:
            return "duplicate", None
        brief = next(
            (
                brief
                for brief in briefs
                if simplify(brief.opening) != key
                and not misses_wish(
                    candidate, keys=brief.keys, other=brief.other, verdict=brief.verdict
                )
            ),
            None,
        )
        if brief is not None:
            self._seen.add(key)
        return None, brief


def read_reply(text: str, *, is_spoken: bool) -> tuple[list[dict[str, str]], list[Drop]]:
    """The pairs in a reply, and what is in it besides."""
    found: Found = find_objects(text)
    pairs, drops = [], []
    for value in found.objects:
        pair = _read_pair(value, has_answer=not is_spoken)
        if pair is None:
            drops.append(
                _drop_text("not JSON", "keys or values are not those asked for", str(value))
            )
        else:
            pairs.append(pair)
    drops += [_drop_text("not JSON", "no repair helps", piece) for piece in found.broken]
    if found.tail:
        drops.append(_drop_text("cut off", "the reply ends within it", found.tail))
    if not pairs and not drops:
        if not is_spoken:
            pairs = [
                {name: _tidy(match[name]) for name in ("question", "answer")}
                for match in _MARKED.finditer(text)
            ]
        if not pairs:
            drops.append(_drop_text("nothing in the reply", "it has no JSON object", text))
    return pairs, drops


def _drop_text(reason: str, detail: str, text: str) -> Drop:
    return Drop(reason=reason, detail=detail, item={"text": text[:_LONGEST_PIECE]})


def _read_pair(value: dict[str, Any], *, has_answer: bool) -> dict[str, str] | None:
    lower = {str(key).strip().lower(): item for key, item in value.items()}
    pair = {}
    for name in ("question", "answer") if has_answer else ("question",):
        text = next((lower[key] for key in _NAMES[name] if key in lower), None)
        if not isinstance(text, str):
            return None
        pair[name] = _tidy(text)
    return pair


def _tidy(text: str) -> str:
    """One line, and nothing that UTF-8 cannot hold."""
    return " ".join(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").split())


def _filter(
    pairs: list[dict[str, str]], request: Request, judge: CachedClient, salt: str
) -> tuple[list[dict[str, str]], list[Drop]]:
    verdicts = judge_pairs(judge, request.data, pairs, set_name=request.kind.name, salt=salt)
    kept = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is None]
    drops = [
        Drop(reason=verdict[0], detail=verdict[1], item=pair)
        for pair, verdict in zip(pairs, verdicts, strict=True)
        if verdict is not None
    ]
    return kept, drops
