"""A language model as judge: each prediction a question, each reply a verdict bound to it.

    prediction ─► data ─ cached? ─ yes ──────────────────────────────────────────────────► Verdict
                           └ no ─► messages ─► server ─► verdict in the reply? ─ yes ─► cache ─┤
                                      ▲                    no: again with a reminder           │
                                      └──── up to `tries` ───────┴─ "unparsed", counted ───────┘

At temperature 0, with a code in each question that the verdict must repeat. The server's help is
asked for closed and open questions against their references, and for pairs in both orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sift_jax.endpoints.client import CallError
from sift_jax.evaluation.judges.cache import VerdictCache, make_key
from sift_jax.evaluation.judges.config import ENDPOINT, JudgeConfig
from sift_jax.evaluation.judges.judge_client import JudgeClient
from sift_jax.evaluation.judges.judge_protocol import Data, make_messages, read_reason, read_verdict
from sift_jax.evaluation.judges.pairwise import PAIRWISE, combine, make_pairs
from sift_jax.evaluation.judges.prompts import PROMPTS, hash_prompts
from sift_jax.evaluation.scores.metrics import SCORED
from sift_jax.evaluation.scores.schema import Prediction, Verdict

UNPARSED, ERROR = "unparsed", "error"


class Unparsed(Exception):
    """No reply held a verdict."""


class EndpointJudge:
    """Gives the verdicts in the order of the predictions."""

    name = ENDPOINT

    def __init__(self, config: JudgeConfig, client: JudgeClient, cache: VerdictCache):
        self.config, self.client, self.cache = config, client, cache

    def describe(self) -> dict[str, Any]:
        """What a verdict depends on, for the results."""
        return {
            "name": self.name,
            "model": self.config.model,
            "prompt_hash": hash_prompts(),
            "parameters": self._parameters(),
        }

    def describe_cost(self) -> str:
        return self.client.describe_cost()

    def judge(self, predictions: Iterable[Prediction]) -> Iterator[Verdict]:
        asked = (
            (prediction, metric)
            for prediction in predictions
            for metric in prediction.item.metrics
            if metric.startswith("judge_")
        )
        return self.client.map(lambda pair: self._judge(*pair), asked)

    def _judge(self, prediction: Prediction, metric: str) -> Verdict:
        item = prediction.item

        def make(score: float | None, status: str, reason: str) -> Verdict:
            return Verdict(
                id=item.id,
                judge=self.name,
                score=score,
                status=status,
                reason=reason,
                metric=metric,
            )

        if not prediction.answer.strip():
            return make(PROMPTS[metric].low, SCORED, "the answer is empty")
        try:
            if metric == PAIRWISE:
                replies = [self._ask(metric, data) for data in make_pairs(prediction)]
                score, reason = combine(replies)
            else:
                (score,), reason = self._ask(metric, _make_data(prediction))
        except Unparsed as error:
            return make(None, UNPARSED, str(error))
        except CallError as error:
            return make(None, ERROR, str(error))
        return make(score, SCORED, reason)

    def _ask(self, metric: str, data: Data) -> tuple[tuple[float, ...], str]:
        """The numbers of the verdict, and the reasoning before it."""
        config = self.config
        key = make_key([config.model, hash_prompts(), self._parameters(), metric, dict(data)])
        kept = self.cache.get(key)
        if kept is not None:
            return kept
        said = ""
        for attempt in range(config.tries):
            messages, nonce = make_messages(
                metric,
                data,
                longest=config.longest_text,
                attempt=attempt,
                use_system_role=config.use_system_role,
            )
            said = self.client.ask(messages)
            values = read_verdict(metric, said, nonce)
            if values is not None:
                reason = read_reason(said, nonce)
                self.cache.add(key, values, reason)
                return values, reason
        start = " ".join(said.split())[:200]
        raise Unparsed(f"no verdict in {config.tries} replies; the last one: {start or 'nothing'}")

    def _parameters(self) -> dict[str, Any]:
        config = self.config
        return {
            "temperature": 0.0,
            "max_tokens": config.max_tokens,
            "longest_text": config.longest_text,
            "use_system_role": config.use_system_role,
            **config.extra,
        }


def _make_data(prediction: Prediction) -> Data:
    item = prediction.item
    return {
        # of a spoken question the context is the question
        "description": item.context if item.question else "",
        "question": item.asked,
        "references": list(item.references),
        "answer": prediction.answer,
    }
