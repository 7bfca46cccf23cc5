"""Files of rows, as suites are published: JSON lines, tables with a header, Parquet with the audio
inside.

    read_json_lines   {"audio": "a.wav", "question": …}            a line each
    read_table        path ⇥ sentence ⇥ translation                the first line names the columns
    read_parquet      rows of the hub: {"audio": {"bytes": …, "path": "a.wav"}, "label": …}

Each gives (number of the line, row). A column that the whole file lacks is an error that names
those it has; a broken row is skipped by its number.
"""

from __future__ import annotations

import csv
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sift_jax.evaluation.scores.schema import EvaluationError
from sift_jax.evaluation.suites.suite_builder import Gathering
from sift_jax.extras import import_extra

Row = dict[str, Any]

# What a container begins with; the name that the hub has for a clip may lack its ending.
_BEGINNINGS = (
    (b"RIFF", ".wav"),
    (b"fLaC", ".flac"),
    (b"OggS", ".ogg"),
    (b"ID3", ".mp3"),
    (b"\xff", ".mp3"),
)


def find_folder(root: Path, choices: Sequence[str], what: str) -> Path:
    """The first of some folders under the root that is there."""
    if not root.is_dir():
        raise EvaluationError(f"{root}: no such folder; it should hold {what}")
    for choice in choices:
        if (root / choice).is_dir():
            return root / choice
    raise EvaluationError(f"{root}: no {what}; expected the folder {' or '.join(choices)} in it")


def find_file(root: Path, choices: Sequence[str], what: str) -> Path:
    """The first of some files under the root that is there."""
    for choice in choices:
        if (root / choice).is_file():
            return root / choice
    raise EvaluationError(f"{root}: no {what}; expected {' or '.join(choices)} in it")


def read_json_lines(
    path: Path, required: Sequence[str], gathering: Gathering, subset: str
) -> Iterator[tuple[int, Row]]:
    """The objects of a file; those without a key that the first one has are skipped."""
    is_first = True
    for number, line in read_lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            gathering.leave(f"{path.name}:{number}", subset, "not a JSON object")
            continue
        missing = [name for name in required if row.get(name) is None]
        if is_first and not row.keys() >= set(required):
            _refuse_columns(path, [name for name in required if name not in row], row)
        is_first = False
        if missing:
            gathering.leave(f"{path.name}:{number}", subset, f"no {' and no '.join(missing)}")
            continue
        yield number, row


def read_json(path: Path) -> Any:
    try:
        return json.loads(_read_text(path))
    except ValueError as error:
        raise EvaluationError(f"{path}: not JSON ({error}); download it again") from None


def read_table(
    path: Path,
    required: Sequence[str],
    gathering: Gathering,
    subset: str,
    *,
    separator: str = "\t",
    has_quotes: bool = False,
) -> Iterator[tuple[int, Row]]:
    """The rows of a table by the names in its first line."""
    lines = (line for _, line in read_lines(path))
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    rows = csv.reader(lines, delimiter=separator, quoting=quoting)
    header = next(rows, [])
    missing = [name for name in required if name not in header]
    if missing:
        _refuse_columns(path, missing, header)
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            reason = f"{len(row)} columns where the first line has {len(header)}"
            gathering.leave(f"{path.name}:{rows.line_num}", subset, reason)
            continue
        yield rows.line_num, dict(zip(header, row, strict=True))


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not blank."""
    for number, line in enumerate(_read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def read_parquet(
    path: Path, required: Sequence[str], wanted: Sequence[str]
) -> Iterator[tuple[int, Row]]:
    """The rows of a file, some at a time in memory: the required columns, and those wanted that are
    there."""
    pyarrow = import_extra("pyarrow", "eval")
    parquet = import_extra("pyarrow.parquet", "eval")

    try:
        with parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            missing = [name for name in required if name not in columns]
            if missing:
                _refuse_columns(path, missing, columns)
            chosen = [*required, *(name for name in wanted if name in columns)]
            number = 0
            for batch in file.iter_batches(batch_size=64, columns=chosen):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise EvaluationError(
            f"{path}: not a whole Parquet file ({error}); download it again"
        ) from None


def write_clip(
    clip: Mapping[str, Any] | str | None, cache: Path | None, beside: Path
) -> Path | None:
    """The file of a clip: of one that a table holds inside, a copy under the cache, named by its
    content.

    A clip is {"bytes": …, "path": …}, or the name of a file, which lies beside the table.
    """
    data = clip.get("bytes") if isinstance(clip, Mapping) else None
    name = clip.get("path") if isinstance(clip, Mapping) else clip
    if not data:
        return beside / name if name else None
    if cache is None:
        raise EvaluationError(
            f"{beside}: the audio is inside its tables; set cache_dir (--cache), to write it out"
        )
    known = [ending for start, ending in _BEGINNINGS if data.startswith(start)]
    ending = known[0] if known else Path(name or "").suffix or ".wav"
    path = cache / f"{hashlib.sha256(data).hexdigest()[:24]}{ending}"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        # Other hosts may be writing the same clip.
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        draft.write_bytes(data)
        draft.replace(path)
    return path


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise EvaluationError(f"{path}: no such file; check the root of the suite") from None
    except UnicodeDecodeError:
        raise EvaluationError(f"{path}: not UTF-8 text; download it again") from None


def _refuse_columns(path: Path, missing: Iterable[str], found: Iterable[str]) -> None:
    names = ", ".join(map(str, found)) or "none"
    raise EvaluationError(
        f"{path}: no {' and no '.join(missing)} among its columns ({names}); rename the columns, "
        "or take the release that has them"
    )
