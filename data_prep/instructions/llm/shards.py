"""A corpus's instructions in shards, side by side: each has its own journal, rows and report, the
engine runs them.

    shard 3 of 8 ─ write_llm_instructions ─►  {sift,…}/…/split3.jsonl  calls-3-of-8.jsonl  report-3-of-8.json
                                                  └─►  parts/llm_<what was asked for>/3-of-8.json: it is done
    all of them  ─ added up ─►  report.json

What was asked for is a hash of metadata, plan, prompts and endpoints: of the same, no finished
shard is looked at again; of another, the journals still spare the calls that are the same.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.instructions.llm.prompts import VERSION
from data_prep.instructions.llm.write import AccountError, Plan, write_llm_instructions
from data_prep.llm.cached_client import Prices
from data_prep.llm.chat_client import Endpoint
from data_prep.llm.journal import make_key
from sift_jax.storage.whole_files import write_whole

# The same in every shard, so not to be added up.
_SHARED = ("utterances", "price_of_a_million", "model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One of so many; what the engine works on."""

    out: Path
    number: int
    count: int
    size: int = 1

    def path(self, kind: str) -> Path:
        return self.out / "parts" / kind / f"{self.number}-of-{self.count}.json"


def write_shards(
    metadata: Path,
    out: Path,
    *,
    endpoint: Endpoint,
    plan: Plan,
    judge: Endpoint | None,
    prices: Prices,
    engine: Engine,
) -> dict[str, Any]:
    """Writes all shards of a plan and returns the sum of their reports."""
    shards = [Shard(out=out, number=number, count=plan.shards) for number in range(plan.shards)]
    asked = {
        "metadata": _hash_file(metadata),
        "prompts": VERSION,
        "plan": dataclasses.asdict(plan),
        "endpoints": [_identify(server) for server in (endpoint, judge) if server is not None],
    }
    kind = f"llm_{make_key(asked)[:12]}"
    work = functools.partial(
        write_shard,
        kind=kind,
        metadata=metadata,
        endpoint=endpoint,
        plan=plan,
        judge=judge,
        prices=prices,
    )
    run_chunks(shards, kind, work, engine)
    reports = [json.loads(shard.path(kind).read_text(encoding="utf-8")) for shard in shards]
    report = functools.reduce(add_reports, reports)
    if report["items"] != _count_rows(report["rows"]) + sum(report["drops"].values()):
        raise AccountError(f"{out}: the shards' items are not their rows and drops; start again")
    write_whole(out / "report.json", json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return report


def write_shard(
    shard: Shard,
    *,
    kind: str,
    metadata: Path,
    endpoint: Endpoint,
    plan: Plan,
    judge: Endpoint | None,
    prices: Prices,
) -> None:
    """One of them, wherever it is run: the key is read from the environment there."""
    own = dataclasses.replace(plan, shard=shard.number)
    report = write_llm_instructions(
        metadata, shard.out, endpoint=endpoint, plan=own, judge=judge, prices=prices
    )
    write_whole(shard.path(kind), json.dumps(report, ensure_ascii=False))


def add_reports(first: Any, second: Any) -> Any:
    """Numbers are added, at whatever depth."""
    if isinstance(first, dict):
        return {
            key: first[key]
            if key in _SHARED and key in first
            else add_reports(first[key], second[key])
            if key in first and key in second
            else first.get(key, second.get(key))
            for key in first | second
        }
    return first + second


def _count_rows(rows: dict[str, dict[str, dict[str, int]]]) -> int:
    return sum(
        count
        for splits in rows.values()
        for languages in splits.values()
        for count in languages.values()
    )


def _identify(server: Endpoint) -> dict[str, Any]:
    """What decides the replies; not how many calls are made at once, nor how patiently."""
    return {
        "url": server.url,
        "model": server.model,
        "system": server.use_system_role,
        "extra": server.extra,
    }


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
