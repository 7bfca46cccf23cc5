"""A corpus's metadata to SIFT files written by a language model, with every item accounted for.

    metadata.jsonl ─► requests ─► calls.jsonl (journal) ─► pairs ─► rules ─► filter ─►  sift/, unrelated/, numeric_time/
                         └─────────────────┴──────────────────┴────────┴────────┴────►  rejected.jsonl
    report.json    items in = rows out + drops, counted again from the files

    --shard=3/16   every sixteenth utterance, into split3.jsonl: as many processes or machines as the endpoint serves,
                   each with a journal of its own in the same folder

Killed and started again it repeats no finished call, and writes the same rows: the journal decides
what was said, the order is that of the metadata, and each file appears whole.
"""

import collections
import dataclasses
import itertools
import json
import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from data_prep.instructions.llm.ask_llm import Asking, Outcome, converse
from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.metadata_reader import Sources
from data_prep.instructions.llm.prompts import LINES, VERSION
from data_prep.instructions.llm.requests import Request, Skipped
from data_prep.instructions.rows import lay_out_row, name_row
from data_prep.llm.cached_client import CachedClient, Prices
from data_prep.llm.chat_client import ChatClient, Endpoint
from data_prep.llm.journal import Journal
from sift_jax.endpoints.secret import read_secret
from sift_jax.sift.labels import space_signs
from sift_jax.sift.rows import LANGUAGES, SPLITS, Row, read_rows, write_rows

# (split, language, set), and what is asked there
_Place = tuple[str, str, str]
_Task = tuple[_Place, Request | Skipped]
# A line of progress after so many requests of one file.
_PROGRESS = 1000
_ROOTS = tuple(sorted({kind.root for kind in SETS.values()}))


class AccountError(RuntimeError):
    """Items came in that neither went out nor were skipped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked. `utterances` limits each split and language, `pairs` each utterance; `shard`
    is of `shards`."""

    sets: tuple[str, ...] = tuple(SETS)
    splits: tuple[str, ...] = SPLITS
    languages: tuple[str, ...] = LANGUAGES
    utterances: int | None = None
    pairs: int = 10
    pairs_a_call: int = 10
    tries: int = 2
    reply_format: str = LINES
    corpus: str = "embedded"
    use_filter: bool = True
    seed: int = 0
    shard: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.shard < self.shards:
            raise ValueError(
                f"shard {self.shard} of {self.shards}: count them from 0, as in 0/4, 1/4, 2/4, 3/4"
            )
        for name, known in {"sets": tuple(SETS), "splits": SPLITS, "languages": LANGUAGES}.items():
            for entry in getattr(self, name):
                if entry not in known:
                    raise ValueError(
                        f"{name}: {entry!r} is not known; choose of {', '.join(known)}"
                    )
            if not getattr(self, name):
                raise ValueError(f"no {name}; choose of {', '.join(known)}")
        for name, least in {"utterances": 1, "seed": 0}.items():
            if (getattr(self, name) is not None) and getattr(self, name) < least:
                raise ValueError(
                    f"{name}={getattr(self, name)} is too small; give at least {least}"
                )
        _ = self.asking

    @property
    def asking(self) -> Asking:
        return Asking(
            pairs=self.pairs,
            pairs_a_call=self.pairs_a_call,
            tries=self.tries,
            reply_format=self.reply_format,
        )

    def name_file(self, out: Path, stem: str, ending: str) -> Path:
        """A file of this shard's own."""
        return out / (
            f"{stem}{ending}"
            if self.shards == 1
            else f"{stem}-{self.shard}-of-{self.shards}{ending}"
        )

    def name_rows(self, out: Path, name: str, split: str, language: str) -> Path:
        kind = SETS[name]
        return out / kind.root / split / kind.category / language / f"split{self.shard}.jsonl"

    def draw(self, sources: Sources, split: str, language: str) -> list[int]:
        return sources.draw(split, language, self.utterances, self.seed)[self.shard :: self.shards]


class Account:
    """Items, rows and drops, as they are made; `rejected` gets every drop."""

    def __init__(self, rejected: TextIO):
        self.rejected = rejected
        self.requests = self.asked = self.items = 0
        self.rows: dict[str, dict[str, dict[str, int]]] = {}
        self.drops: collections.Counter[str] = collections.Counter()
        self.skips: collections.Counter[str] = collections.Counter()

    def drop(self, entry: dict[str, Any]) -> None:
        self.drops[entry["reason"]] += 1
        self.rejected.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def take(self, outcome: Outcome, place: dict[str, str]) -> None:
        self.requests += 1
        self.asked += outcome.asked
        self.items += outcome.items
        for drop in outcome.drops:
            self.drop(
                {
                    **place,
                    "ids": outcome.request.ids,
                    "reason": drop.reason,
                    "detail": drop.detail,
                    "item": drop.item,
                }
            )


def write_llm_instructions(
    metadata_path: str | Path,
    out_dir: str | Path,
    *,
    endpoint: Endpoint,
    plan: Plan,
    judge: Endpoint | None = None,
    prices: Prices | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Writes the instructions of a corpus and returns the report. The filter asks `judge`, or the
    same endpoint."""
    out = Path(out_dir)
    if not any(out.glob("calls*.jsonl")) and any((out / root).exists() for root in _ROOTS):
        raise ValueError(
            f"{out} holds instructions that were not written by a language model; give "
            "another folder"
        )
    sources = Sources(metadata_path)
    rejected_path = plan.name_file(out, "rejected", ".jsonl")
    with Journal(plan.name_file(out, "calls", ".jsonl")) as journal:
        client = _make_client(endpoint, journal, plan.seed)
        filtering = None
        if plan.use_filter:
            filtering = client if judge is None else _make_client(judge, journal, plan.seed)
        draft = rejected_path.with_name(f".{rejected_path.name}.part")
        try:
            with draft.open("w", encoding="utf-8") as rejected:
                account = Account(rejected)
                for entry in sources.list_rejected(plan.shard, plan.shards):
                    account.drop(entry)
                    account.items += 1
                _write_sets(sources, out, plan, client, filtering, account, tell)
            draft.replace(rejected_path)
        finally:
            ledger = {"writer": client.report(prices or Prices())}
            if judge is not None and filtering is not None:
                ledger["filter"] = filtering.report(prices or Prices())
            _write_json(plan.name_file(out, "ledger", ".json"), ledger)
    report = {
        "utterances": len(sources),
        "requests": account.requests,
        "asked": account.asked,
        "items": account.items,
        "rows": account.rows,
        "drops": dict(sorted(account.drops.items())),
        "nothing_to_ask": dict(sorted(account.skips.items())),
        "ledger": ledger,
    }
    _check_account(out, plan, report)
    _write_json(plan.name_file(out, "report", ".json"), report)
    return report


def _make_client(endpoint: Endpoint, journal: Journal, seed: int) -> CachedClient:
    return CachedClient(
        ChatClient(endpoint, read_secret(endpoint.key_variable), seed=seed),
        journal,
        version=VERSION,
    )


def _write_sets(
    sources: Sources,
    out: Path,
    plan: Plan,
    client: CachedClient,
    judge: CachedClient | None,
    account: Account,
    tell: Callable[[str], None],
) -> None:
    """All files in one stream of calls: the last calls of one do not hold up the first of the
    next."""

    def answer(task: _Task) -> tuple[_Place, Outcome | Skipped]:
        place, request = task
        if isinstance(request, Skipped):
            return place, request
        return place, converse(request, client, judge, asking=plan.asking, seed=plan.seed)

    outcomes = client.map(answer, list_tasks(sources, plan))
    for place, group in itertools.groupby(outcomes, key=operator.itemgetter(0)):
        split, language, name = place
        count = write_rows(
            plan.name_rows(out, name, split, language),
            _make_rows((outcome for _, outcome in group), place, plan, account, tell),
        )
        account.rows.setdefault(name, {}).setdefault(split, {})[language] = count
        tell(f"{split} {language} {name}: {count} rows")


def list_tasks(sources: Sources, plan: Plan) -> Iterator[_Task]:
    """All that a plan asks for, file by file."""
    for split in plan.splits:
        for language in plan.languages:
            places = plan.draw(sources, split, language)
            for name in plan.sets:
                for request in sources.make_requests(name, places, plan.seed):
                    yield (split, language, name), request


def _make_rows(
    outcomes: Iterator[Outcome | Skipped],
    place: _Place,
    plan: Plan,
    account: Account,
    tell: Callable[[str], None],
) -> Iterator[Row]:
    named = dict(zip(("split", "language", "set"), place, strict=True))
    for count, outcome in enumerate(outcomes, 1):
        if count % _PROGRESS == 0:
            tell(f"{' '.join(place)}: {count} requests")
        if isinstance(outcome, Skipped):
            account.skips[f"{place[2]}: {outcome.reason}"] += 1
            continue
        account.take(outcome, named)
        for number, pair in enumerate(outcome.pairs):
            yield make_row(outcome.request, pair, number, corpus=plan.corpus, seed=plan.seed)


def make_row(request: Request, pair: dict[str, str], number: int, *, corpus: str, seed: int) -> Row:
    """A pair in the released layout; a request to speak has the transcript behind it and the audio
    as its answer."""
    question = (
        _append_transcript(pair["question"], request)
        if request.kind.is_spoken
        else pair["question"]
    )
    return lay_out_row(
        request.ids,
        request.kind.category,
        question,
        None if request.kind.is_spoken else pair["answer"],
        data_source=f"{corpus}_{request.language}",
        draw=f"{seed}/{request.kind.name}/{name_row(request.ids)}/{number}",
    )


def _append_transcript(instruction: str, request: Request) -> str:
    colon = " :" if request.language == "fr" else ":"
    end = "" if instruction.endswith("?") else colon
    return (
        f"{instruction.rstrip(' .:!')}{end} {space_signs(request.transcripts[0], request.language)}"
    )


def _check_account(out: Path, plan: Plan, report: dict[str, Any]) -> None:
    """The equation over the files as they lie on the disk."""
    rows = sum(
        1
        for name, splits in report["rows"].items()
        for split, languages in splits.items()
        for language in languages
        for _ in read_rows(plan.name_rows(out, name, split, language))
    )
    with plan.name_file(out, "rejected", ".jsonl").open(encoding="utf-8") as lines:
        drops = sum(1 for _ in lines)
    if report["items"] != rows + drops:
        raise AccountError(
            f"{report['items']} items came in, {rows} rows and {drops} drops went out of {out}; "
            "another program may write there: start again"
        )


def _write_json(path: Path, value: Any) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def format_report(report: dict[str, Any]) -> Sequence[str]:
    """The counts of a run, as lines."""
    run = report["ledger"]["writer"]["this_run"]
    lines = [
        f"{name:28s} "
        + "  ".join(
            f"{split} " + " ".join(f"{code} {n}" for code, n in languages.items())
            for split, languages in splits.items()
        )
        for name, splits in report["rows"].items()
    ]
    lines += [
        f"{count:9d} dropped: {reason}"
        for reason, count in sorted(report["drops"].items(), key=lambda x: -x[1])
    ]
    lines += [
        f"{count:9d} not asked: {reason}" for reason, count in report["nothing_to_ask"].items()
    ]
    rows = report["items"] - sum(report["drops"].values())
    return [
        *lines,
        f"{report['asked']} pairs were asked for, {rows} are rows",
        f"{report['items']} items = {rows} rows + {sum(report['drops'].values())} drops",
        f"{run['calls']} calls, {run['from_journal']} from the journal; {run['prompt_tokens']} + "
        f"{run['completion_tokens']} tokens, cost {run['cost']:g}",
    ]
