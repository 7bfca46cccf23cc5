"""The filter by a language model: what no rule sees, asked of the endpoint that wrote it, or of
another.

    pairs of one call + their metadata ─► {"number": 1, "keep": true, "fault": ""} a line ─► which to drop, and why
    a pair of which the reply says nothing ─► asked about alone

A pair without a verdict is not kept: a filter that fails must not let everything through. Nor is
one that it keeps and names a fault of: the words were weighed, the word "true" may be copied from
the request.
"""

import json
from collections.abc import Sequence
from typing import Any

from data_prep.llm.cached_client import CachedClient
from data_prep.llm.framed_data import wrap_data
from data_prep.llm.json_repair import find_objects
from sift_jax.endpoints.client import CallError, Message
from sift_jax.sift.labels import simplify

SAMPLING = {"temperature": 0.0, "max_tokens": 1024}
NO_VERDICT = "filter: no verdict"
REJECTED = "filter: rejected"
_LONGEST_FAULT = 200
# how models write that there is nothing to find fault with
_NO_FAULT = ("", "none", "no", "no fault", "no faults", "nothing", "null", "na", "n a", "ok")
_SYSTEM = """You check training data for an assistant that listens to speech. You get what is known of a clip (or two) \
and numbered pairs: what a person who uploaded it asks, and what the assistant answers. Some are requests to speak a \
text in a certain way; these have no answer.
Reject a pair if its answer is wrong or claims what the data does not support; if the two recordings are mixed up; if \
the answer misses the question; if it can only be understood by someone who sees the data; or if the language is \
faulty. {extra}Otherwise keep it, and do not be petty about style.
Write one JSON object for each pair on a line of its own, no more: {{"number": 1, "keep": true, "fault": ""}}"""
_EXTRAS = {
    "open_ended": "Answers may conclude more than the data says, as long as it is likely. ",
    "unrelated": "Here the questions are not about the clip on purpose: reject what is answered "
    "falsely, and what claims to hear what is not known. ",
}
# Invented, with a good pair between two bad ones: what is always the same teaches nothing.
_WORKED = {
    "known": {"speaking rate": "slightly fast", "background noise": "clean"},
    "pairs": [
        {
            "number": 1,
            "question": "How quickly is it spoken?",
            "answer": "It is spoken quite slowly.",
        },
        {"number": 2, "question": "Is there much noise?", "answer": "No, the recording is clean."},
        {
            "number": 3,
            "question": "What noise is the voice?",
            "answer": "The speaking rate of noise is clean.",
        },
    ],
}
_WORKED_VERDICTS = [
    {"number": 1, "keep": False, "fault": "the speech is slightly fast"},
    {"number": 2, "keep": True, "fault": ""},
    {"number": 3, "keep": False, "fault": "it makes no sense"},
]

Verdict = tuple[bool, str]


def judge_pairs(
    client: CachedClient,
    data: dict[str, Any],
    pairs: Sequence[dict[str, str]],
    *,
    set_name: str,
    salt: str,
) -> list[tuple[str, str] | None]:
    """For each pair None, or the reason to drop it and what the model says of it."""
    numbers = range(1, len(pairs) + 1)
    verdicts: dict[int, Verdict] = {}
    detail = "the reply has none"
    for group in [list(numbers), *([number] for number in numbers if len(pairs) > 1)]:
        if set(group) <= set(verdicts):
            continue
        try:
            verdicts |= _ask(client, data, pairs, group, set_name=set_name, salt=salt)
        except CallError as error:
            detail = str(error)
            # one that fails over all pairs may be too long; one that fails over a pair will over
            # the next
            if len(group) == 1:
                break
    return [_read_verdict(verdicts.get(number), detail) for number in numbers]


def _ask(
    client: CachedClient,
    data: dict[str, Any],
    pairs: Sequence[dict[str, str]],
    numbers: Sequence[int],
    *,
    set_name: str,
    salt: str,
) -> dict[int, Verdict]:
    """The verdicts that a model gives of some of the pairs."""
    shown = {
        "known": data,
        "pairs": [{"number": number, **pairs[number - 1]} for number in numbers],
    }
    messages: list[Message] = [
        {"role": "system", "content": _SYSTEM.format(extra=_EXTRAS.get(set_name, ""))},
        {"role": "user", "content": _write_turn(_WORKED, "")},
        {"role": "assistant", "content": "\n".join(map(json.dumps, _WORKED_VERDICTS))},
        {"role": "user", "content": _write_turn(shown, salt)},
    ]
    verdicts: dict[int, Verdict] = {}
    for found in find_objects(client.ask(messages, SAMPLING).text).objects:
        number, keep = found.get("number"), found.get("keep")
        if type(number) is int and type(keep) is bool and number in numbers:
            verdicts.setdefault(number, (keep, str(found.get("fault", ""))[:_LONGEST_FAULT]))
    return verdicts


def _write_turn(shown: dict[str, Any], salt: str) -> str:
    """The data first: small models go on with what they have read last."""
    numbers = [pair["number"] for pair in shown["pairs"]]
    which = (
        f"the pair of number {numbers[0]}"
        if len(numbers) == 1
        else f"each of the {len(numbers)} pairs"
    )
    return f"{wrap_data(shown, salt=salt, clip='clip')}\n\nWrite your verdict of {which}."


def _read_verdict(verdict: Verdict | None, detail: str) -> tuple[str, str] | None:
    if verdict is None:
        return NO_VERDICT, detail
    keep, fault = verdict
    return None if keep and simplify(fault) in _NO_FAULT else (REJECTED, fault)
