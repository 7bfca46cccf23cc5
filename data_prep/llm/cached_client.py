"""A client that asks once: replies come from the journal, or from the endpoint and then into the
journal.

    messages, parameters ─ make_key ─► journal has it? ─ yes ─────────────────────► Reply     ledger: cached
                                             └─ no ─► ChatClient ─► journal.add ──► Reply     ledger: asked
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from data_prep.llm.chat_client import ChatClient
from data_prep.llm.circuit_breaker import Patience
from data_prep.llm.journal import Journal, make_key
from sift_jax.endpoints.client import CallError, Message, Reply

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """Of a million tokens, in whatever currency the bill has."""

    prompt: float = 0.0
    completion: float = 0.0


class CachedClient:
    """Safe to use from many threads. `version` names the prompts: a new one asks everything
    again."""

    def __init__(self, client: ChatClient, journal: Journal, *, version: str):
        self.client, self.journal, self.version = client, journal, version
        self.counts: collections.Counter[str] = collections.Counter()
        self._lock, self._patience = threading.Lock(), Patience(client.endpoint.concurrency)

    def ask(self, messages: list[Message], parameters: dict[str, Any]) -> Reply:
        """The reply to messages; raises CallError where the call came to nothing."""
        endpoint = self.client.endpoint
        sent = messages if endpoint.use_system_role else merge_system(messages)
        body = endpoint.make_body(parameters, messages=sent)
        key = make_key({"body": body, "version": self.version})
        kept = self.journal.get(key)
        if kept is not None:
            self._count("cached", kept)
            return kept
        try:
            reply = self.journal.add(key, self.client.complete(body))
        except CallError as error:
            self._patience.fail(error)
            raise
        self._count("asked", reply)
        return reply

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """The results in the order of the items, as many at once as the endpoint takes."""
        return self.client.map(function, items)

    def report(self, prices: Prices) -> dict[str, Any]:
        """What was asked and what it cost, in this run and over the life of the journal."""
        journal = self.journal

        def cost(prompt: int, completion: int) -> float:
            return round((prompt * prices.prompt + completion * prices.completion) / 1e6, 6)

        asked = {
            name: self.counts[f"asked {name}"] for name in ("prompt_tokens", "completion_tokens")
        }
        return {
            "model": self.client.endpoint.model,
            "this_run": {
                "calls": self.counts["asked"],
                "from_journal": self.counts["cached"],
                **asked,
                "calls_without_token_counts": self.counts["asked without counts"],
                "cost": cost(*asked.values()),
                "attempts": dict(sorted(self.client.outcomes.items())),
            },
            "journal": {
                "calls": len(journal),
                "prompt_tokens": journal.prompt_tokens,
                "completion_tokens": journal.completion_tokens,
                "cost": cost(journal.prompt_tokens, journal.completion_tokens),
                "torn_bytes": journal.torn_bytes,
                "damaged_lines": journal.damaged,
            },
            "price_of_a_million": dataclasses.asdict(prices),
        }

    def _count(self, how: str, reply: Reply) -> None:
        self._patience.succeed()
        with self._lock:
            self.counts[how] += 1
            self.counts[f"{how} prompt_tokens"] += reply.prompt_tokens or 0
            self.counts[f"{how} completion_tokens"] += reply.completion_tokens or 0
            if reply.prompt_tokens is None or reply.completion_tokens is None:
                self.counts[f"{how} without counts"] += 1


def merge_system(messages: list[Message]) -> list[Message]:
    """The same messages with the system's at the beginning of the first of the user."""
    if messages[0]["role"] != "system":
        return messages
    system, user, *rest = messages
    return [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}, *rest]
