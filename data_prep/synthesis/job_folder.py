"""The folder of one way to data: made by one command, which goes on in it where it was stopped.

out/job.json              which way, and what decides its result
out/parts/                chunks, what was asked for them, accounts
out/audio/<xx>/<id>.flac  out/sift/…  out/triples.jsonl  out/rejected.jsonl  out/report.json
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.engine.chunks import BuildError, Chunk, sweep
from data_prep.engine.ledger import Rejection, collect, format_accounts
from sift_jax.storage.folder_lock import FolderHeldError, hold_folder
from sift_jax.storage.whole_files import write_whole

# What decides nothing but the speed, or is applied at the end of each run, is not part of a job's
# settings.
Settings = Mapping[str, Any]


@contextlib.contextmanager
def hold_job(out: Path, settings: Settings) -> Iterator[None]:
    """Claims the folder; an error where it holds something else, or another command is at work in
    it."""
    mark = out / "job.json"
    if not mark.is_file() and out.is_dir() and any(out.iterdir()):
        raise BuildError(
            f"--out={out} is not empty and holds no data of this command; choose another"
        )
    told = json.loads(json.dumps(settings, default=str))
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold_folder(out / "parts", remedy="wait for its end"))
        except FolderHeldError as error:
            raise BuildError(str(error)) from None
        if mark.is_file():
            before = json.loads(mark.read_text(encoding="utf-8"))
            other = sorted(
                name for name in before.keys() | told.keys() if before.get(name) != told.get(name)
            )
            if other:
                raise BuildError(
                    f"--out={out} was made with another {', '.join(other)}; choose another "
                    "folder, or remove it"
                )
        else:
            write_whole(mark, json.dumps(told, ensure_ascii=False, indent=1))
        sweep(out)
        yield


def report_job(out: Path, stages: Sequence[str], found: Mapping[str, Any]) -> None:
    """Joins what was skipped, and writes and prints what became of everything that came in."""
    accounts = collect(out, stages)
    write_whole(
        out / "report.json",
        json.dumps({"accounts": accounts, **found}, ensure_ascii=False, indent=1) + "\n",
    )
    print(format_accounts(accounts))


def describe_file(path: Path) -> list[Any]:
    """What tells a file from another of its name, without reading it."""
    state = path.stat() if path.is_file() else None
    return [str(path), state and state.st_size, state and int(state.st_mtime)]


def read_rejections(chunks: Iterable[Chunk], kind: str) -> Iterator[Rejection]:
    for chunk in chunks:
        for line in chunk.read_lines(kind):
            yield Rejection(**json.loads(line))


def write_rejections(chunk: Chunk, kind: str, rejections: Iterable[Rejection]) -> None:
    chunk.write_lines(kind, [rejection.to_json() for rejection in rejections])
