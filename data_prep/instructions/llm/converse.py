"""One request to its outcome: rows and drops, together as many as there were items.

    Request ─ ask ─► reply ─ find_objects ─►  pairs ─ rules ─ filter ─►  kept
                │                  └─ broken ─ asked once more ─► broken again ─►  drop "not JSON"
                └─ no reply ──────────────────────────────────────────────────►  drop "no answer: http 500"
"""

import dataclasses
from typing import Any

from data_prep.instructions.llm.prompts import SAMPLING, make_messages, make_second_try
from data_prep.instructions.llm.requests import Request
from data_prep.llm.cache import CachedClient
from data_prep.llm.client import CallError
from data_prep.llm.repair import Found, find_objects
from data_prep.quality.judge import judge_pairs
from data_prep.quality.rules import Candidate, find_fault, make_duplicate_key

_NAMES = {"question": ("question", "q", "instruction", "request"), "answer": ("answer", "a", "response")}
_LONGEST_PIECE = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drop:
    """An item that is no row: why, more about it, and the item itself."""

    reason: str
    detail: str
    item: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """All items of a request: `items` of them, each in `pairs` or in `drops`."""

    request: Request
    items: int
    pairs: list[dict[str, str]]
    drops: list[Drop]


def converse(request: Request, client: CachedClient, judge: CachedClient | None, *, count: int, seed: int) -> Outcome:
    """Asks for the instructions of a request, and keeps the good ones."""
    kind = request.kind
    messages = make_messages(kind.name, request.language, request.data, count=count, clips=kind.clips,
                             is_spoken=kind.is_spoken, salt=_make_salt(request, seed))
    try:
        text = client.ask(messages, SAMPLING).text
    except CallError as error:
        item = {"data": request.data}
        drop = Drop(reason=f"no answer: {error.reason}", detail=error.detail, item=item)
        return Outcome(request=request, items=1, pairs=[], drops=[drop])
    pairs, drops = read_reply(text, is_spoken=kind.is_spoken)
    wrong = [drop for drop in drops if drop.reason != "cut off"]
    if wrong:
        second = _ask_again(messages, text, wrong, request, client)
        if second is not None:
            # what was asked for again is replaced by what came, good or bad
            pairs, drops = pairs + second[0], [drop for drop in drops if drop not in wrong] + second[1]
    # after the last pair that was asked for there is nothing to keep
    drops += [Drop(reason="too many", detail=f"{count} were asked for", item=pair) for pair in pairs[count:]]
    pairs = pairs[:count]
    items = len(pairs) + len(drops)
    pairs, found = _check(pairs, request)
    drops += found
    if judge is not None and pairs:
        pairs, found = _filter(pairs, request, judge, seed)
        drops += found
    return Outcome(request=request, items=items, pairs=pairs, drops=drops)


def _make_salt(request: Request, seed: int) -> str:
    return f"{seed}/{'/'.join(request.ids)}"


def _ask_again(messages: list[dict[str, str]], text: str, wrong: list[Drop], request: Request,
               client: CachedClient) -> tuple[list[dict[str, str]], list[Drop]] | None:
    is_spoken = request.kind.is_spoken
    pieces = "; ".join(drop.item["text"][:200] for drop in wrong[:3])
    problem = (f"{len(wrong)} of these could not be read as JSON ({wrong[0].detail}), beginning with: {pieces}."
               if wrong[0].reason == "not JSON" else "There was no JSON object in that.")
    try:
        reply = client.ask(make_second_try(messages, text, problem, is_spoken=is_spoken), SAMPLING)
    except CallError:
        return None
    return read_reply(reply.text, is_spoken=is_spoken)


def read_reply(text: str, *, is_spoken: bool) -> tuple[list[dict[str, str]], list[Drop]]:
    """The pairs in a reply, and what is in it besides."""
    found: Found = find_objects(text)
    pairs, drops = [], []
    for value in found.objects:
        pair = _read_pair(value, has_answer=not is_spoken)
        if pair is None:
            drops.append(_drop_text("not JSON", "keys or values are not those asked for", str(value)))
        else:
            pairs.append(pair)
    drops += [_drop_text("not JSON", "no repair helps", piece) for piece in found.broken]
    if found.tail:
        drops.append(_drop_text("cut off", "the reply ends within it", found.tail))
    if not pairs and not drops:
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
        # one line each, and nothing that UTF-8 cannot hold
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        pair[name] = " ".join(whole.split())
    return pair


def _check(pairs: list[dict[str, str]], request: Request) -> tuple[list[dict[str, str]], list[Drop]]:
    kept, drops, seen = [], [], set()
    for pair in pairs:
        candidate = Candidate(question=pair["question"], answer=pair.get("answer"), set_name=request.kind.name,
                              language=request.language, truths=request.truths, transcripts=request.transcripts)
        fault, key = find_fault(candidate), make_duplicate_key(candidate)
        if fault is None and key in seen:
            fault = "duplicate"
        if fault is None:
            seen.add(key)
            kept.append(pair)
        else:
            drops.append(Drop(reason=fault, detail="", item=pair))
    return kept, drops


def _filter(pairs: list[dict[str, str]], request: Request, judge: CachedClient,
            seed: int) -> tuple[list[dict[str, str]], list[Drop]]:
    verdicts = judge_pairs(judge, request.data, pairs, set_name=request.kind.name,
                           salt=_make_salt(request, seed))
    kept = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is None]
    drops = [Drop(reason=verdict[0], detail=verdict[1], item=pair)
             for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is not None]
    return kept, drops
