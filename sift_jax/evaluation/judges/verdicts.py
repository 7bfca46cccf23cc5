"""Verdicts on disk: out/verdicts/<system>.<judge>.jsonl, a verdict a line.

    {"id": "u1-0", "judge": "endpoint", "score": 1.0, "status": "scored", "reason": "…", "metric": "judge_closed"}
    {"id": "u1-1", "judge": "endpoint", "score": null, "status": "unparsed", "reason": "no verdict in …", …}

A file is written aside and moved into place, so that it is whole or not there; what a killed run
had judged is in the cache.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sift_jax.evaluation.judges.cache import VerdictCache
from sift_jax.evaluation.judges.config import OFFLINE, JudgeConfig, read_key
from sift_jax.evaluation.judges.control_answers import Judge
from sift_jax.evaluation.judges.endpoint import EndpointJudge
from sift_jax.evaluation.judges.judge_client import JudgeClient
from sift_jax.evaluation.scores.offline_judge import OfflineJudge
from sift_jax.evaluation.scores.schema import EvaluationError, Verdict


@contextlib.contextmanager
def make_judge(config: JudgeConfig, cache_path: Path) -> Iterator[Judge]:
    """The judge that the config names; the cache is held until the block ends."""
    if config.name == OFFLINE:
        yield OfflineJudge()
        return
    cache = VerdictCache(cache_path)
    try:
        yield EndpointJudge(config, JudgeClient(config, read_key(config.key_variable)), cache)
    finally:
        cache.close()


def write_verdicts(path: Path, verdicts: Iterable[Verdict]) -> collections.Counter[str]:
    """Writes them as they come and counts their statuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    counts: collections.Counter[str] = collections.Counter()
    try:
        with aside.open("w", encoding="utf-8") as file:
            for verdict in verdicts:
                file.write(json.dumps(dataclasses.asdict(verdict), ensure_ascii=False) + "\n")
                counts[verdict.status] += 1
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return counts


def read_verdicts(path: Path) -> Iterator[Verdict]:
    """The verdicts of a file."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Verdict(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise EvaluationError(
                    f"{path}:{number}: not a verdict ({error}); move the file away and judge again"
                ) from None
