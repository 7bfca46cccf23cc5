"""The filter by a language model: what no rule sees, asked of the endpoint that wrote it, or of another.

    pairs of one call + their metadata ─► {"number": 1, "keep": true, "fault": ""} a line ─► which to drop, and why

A pair without a verdict is not kept: a filter that fails must not let everything through. Nor is one that it keeps
and names a fault of: the words were weighed, the word "true" may be copied from the request.
"""

from collections.abc import Sequence
from typing import Any

from data_prep.instructions.llm.prompts import wrap_data
from data_prep.llm.cache import CachedClient
from data_prep.llm.client import CallError
from data_prep.llm.repair import find_objects
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
    "unrelated": "Here the questions are not about the clip on purpose: reject what is answered falsely, and what "
                 "claims to hear what is not known. ",
}


def judge_pairs(client: CachedClient, data: dict[str, Any], pairs: Sequence[dict[str, str]], *, set_name: str,
                salt: str) -> list[tuple[str, str] | None]:
    """For each pair None, or the reason to drop it and what the model says of it."""
    numbered = [{"number": number, **pair} for number, pair in enumerate(pairs, 1)]
    messages = [{"role": "system", "content": _SYSTEM.format(extra=_EXTRAS.get(set_name, ""))},
                {"role": "user", "content": wrap_data({"known": data, "pairs": numbered}, salt=salt, clip="clip")}]
    try:
        reply = client.ask(messages, SAMPLING)
    except CallError as error:
        return [(NO_VERDICT, str(error))] * len(pairs)
    verdicts = {}
    for found in find_objects(reply.text).objects:
        number, keep = found.get("number"), found.get("keep")
        if type(number) is int and type(keep) is bool:
            verdicts.setdefault(number, (keep, str(found.get("fault", ""))[:_LONGEST_FAULT]))
    return [_read_verdict(verdicts.get(number)) for number in range(1, len(pairs) + 1)]


def _read_verdict(verdict: tuple[bool, str] | None) -> tuple[str, str] | None:
    if verdict is None:
        return NO_VERDICT, "the reply has none"
    keep, fault = verdict
    return None if keep and simplify(fault) in _NO_FAULT else (REJECTED, fault)
