"""What a plan will take, before anybody is asked.

    metadata, plan ─►  {"open_ended": {"calls": 6000, "prompt_tokens": 3.1M, "completion_tokens": 2.4M}, …}

Tokens are letters over a ratio; the prompts are counted as they will be sent, the answers are
assumed. The ledger of a small first run (`--utterances=20`) has measured tokens, and is the better
guide.
"""

import collections
import json
import random
from pathlib import Path
from typing import Any

from data_prep.instructions.llm.briefs import draw_briefs
from data_prep.instructions.llm.metadata_reader import Sources
from data_prep.instructions.llm.prompts import make_messages
from data_prep.instructions.llm.requests import Request
from data_prep.instructions.llm.write import Plan, list_tasks
from data_prep.llm.cached_client import Prices

# Letters a token: about four in English, fewer in the other languages and in JSON.
_LETTERS_A_TOKEN = 3.5
# A pair with its keys and quotes, open answers being longer; a verdict of the filter.
_TOKENS_A_PAIR = {"open_ended": 110, "closed_ended/comparison": 75, "controllable_generation": 35}
_OTHER_PAIR, _TOKENS_A_VERDICT, _FILTER_PROMPT = 55, 20, 700


def estimate(metadata_path: str | Path, plan: Plan, prices: Prices) -> dict[str, Any]:
    """Calls, tokens and cost of each set, if each call gives all its pairs and all of them reach
    the filter."""
    sources = Sources(metadata_path)
    sets: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in plan.sets}
    for (_, _, name), request in list_tasks(sources, plan):
        if isinstance(request, Request):
            sets[name].update(_count_tokens(request, plan))
    total = sum(sets.values(), collections.Counter())
    cost = (
        total["prompt_tokens"] * prices.prompt + total["completion_tokens"] * prices.completion
    ) / 1e6
    return {
        "utterances": len(sources),
        "set_aside": len(sources.rejected),
        "sets": sets,
        "total": total,
        "cost": cost,
    }


def format_estimate(found: dict[str, Any]) -> list[str]:
    lines = [
        (
            f"{name:28s} {counts['calls']:10d} calls {counts['prompt_tokens']:14d} + "
            f"{counts['completion_tokens']:d} tokens"
        )
        for name, counts in [*found["sets"].items(), ("total", found["total"])]
    ]
    return [
        f"{found['utterances']} utterances, {found['set_aside']} lines skipped",
        *lines,
        f"cost about {found['cost']:g}",
    ]


def _count_tokens(request: Request, plan: Plan) -> dict[str, int]:
    kind = request.kind
    rng = random.Random(0)
    briefs = draw_briefs(request, plan.pairs, rng)
    if not briefs:
        return {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}
    groups = [
        briefs[place : place + plan.pairs_a_call]
        for place in range(0, len(briefs), plan.pairs_a_call)
    ]
    letters = [
        sum(len(message["content"]) for message in make_messages(request, group, salt=""))
        for group in groups
    ]
    a_pair = _TOKENS_A_PAIR.get(kind.name, _OTHER_PAIR)
    prompt, completion, calls = sum(letters) / _LETTERS_A_TOKEN, len(briefs) * a_pair, len(groups)
    if plan.use_filter:
        calls += 1
        data = len(json.dumps(request.data, ensure_ascii=False))
        prompt += data / _LETTERS_A_TOKEN + _FILTER_PROMPT + completion
        completion += len(briefs) * _TOKENS_A_VERDICT
    return {"calls": calls, "prompt_tokens": round(prompt), "completion_tokens": completion}
