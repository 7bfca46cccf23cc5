"""The books of a build: what goes into a stage comes out of it, or is skipped with a reason.

parts/accounts/decode.json             {"unit": "recordings", "in": 100, "out": 97, "rejected": {"too long": 3}}
parts/accounts/decode_rejected.jsonl   {"reason", "detail", "id", "language", "file", "line"} each
    ─►  rejected.jsonl, all of them with their stage, and the table that ends a build
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_prep.engine.chunks import BuildError
from sift_jax.storage.whole_files import write_whole

Accounts = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejection:
    """An item skipped: `reason` is one of few short names, `detail` says more, `file` and `line`
    say where."""

    reason: str
    detail: str = ""
    id: str | None = None
    language: str | None = None
    file: str | None = None
    line: int | None = None

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


def settle(
    out: Path, stage: str, unit: str, entered: int, left: int, rejections: Iterable[Rejection]
) -> None:
    """Writes the account of a stage; an error where an item is neither out nor skipped."""
    folder = out / "parts" / "accounts"
    folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    draft = folder / f"{stage}_rejected.jsonl.part"
    with draft.open("w", encoding="utf-8") as lines:
        for rejection in rejections:
            counts[rejection.reason] += 1
            lines.write(rejection.to_json() + "\n")
    if entered != left + counts.total():
        raise BuildError(
            f"{stage}: of {entered} {unit} {left} came out and {counts.total()} were skipped, "
            f"which does not add up; remove {out} and build again"
        )
    draft.replace(folder / f"{stage}_rejected.jsonl")
    account = {"unit": unit, "in": entered, "out": left, "rejected": dict(counts.most_common())}
    write_whole(folder / f"{stage}.json", json.dumps(account, ensure_ascii=False))


def collect(out: Path, stages: Iterable[str]) -> Accounts:
    """The accounts of the stages that have one, in this order; joins what they skipped in
    rejected.jsonl."""
    folder = out / "parts" / "accounts"
    accounts = {
        stage: json.loads((folder / f"{stage}.json").read_text(encoding="utf-8"))
        for stage in stages
        if (folder / f"{stage}.json").is_file()
    }
    draft = out / "rejected.jsonl.part"
    with draft.open("w", encoding="utf-8") as joined:
        for stage in accounts:
            with (folder / f"{stage}_rejected.jsonl").open(encoding="utf-8") as lines:
                for line in lines:
                    joined.write(
                        json.dumps({"stage": stage, **json.loads(line)}, ensure_ascii=False) + "\n"
                    )
    draft.replace(out / "rejected.jsonl")
    return accounts


def format_accounts(accounts: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a stage, and one for each of its reasons."""
    lines = []
    for stage, account in accounts.items():
        lines.append(
            f"{stage:<12} {account['unit']:<12} {account['in']:>10,} in  {account['out']:>10,} "
            f"out  {sum(account['rejected'].values()):>10,} skipped"
        )
        lines += [
            f"{'':<25} {count:>10,} {reason}" for reason, count in account["rejected"].items()
        ]
    return "\n".join(lines)
