"""The lines of a SIFT file, each a row or a fault; a broken line spoils no other.

    b'{"id": "p234_238", …}\n' ─►  Line(number=1, raw=…, row={…}, fault=None)
    b'{"id": "p234_\n'         ─►  Line(number=2, raw=…, row=None, fault=Fault("not JSON", "…"))

Bytes are read, for a text may hold one of Unicode's other ends of a line. A line that does not end
within LONGEST bytes is passed over without being held.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from sift_jax.sift.rows import SiftError, parse_row

LONGEST = 1 << 24
_ROLES = ("system", "user", "assistant")

# Kind of fault to what is to be done about it.
REMEDIES = {
    "not UTF-8": "write the file again as UTF-8",
    "not JSON": "correct or remove the line",
    "too long": f"a line ends within {LONGEST >> 20} MiB; remove it, or give the file its ends of lines",
    "not a row": "give id, messages, task and data_source",
    "unknown role": "roles are system, user and assistant",
    "roles do not alternate": "after a system message, if any, user and assistant take turns, and the assistant ends",
    "empty text": "fill the text or leave the part out",
    "no audio": "a row asks about audio, or answers with it: add the part",
    "id and audio differ": "name the row after its audio, or comparison_<id1>__<id2> after its two",
    "wrong side": "questions come with audio; answers are audio only where the category is about speaking",
    "wrong language": "move the row to the folder of its language, or translate it",
    "missing audio": "point --audio to where the corpus is unpacked, or remove the row",
    "repeated row": "remove one of the two",
    "unknown category": "the folders are {train,dev,EvalSIFT}/{category}/{language}/",
    "unknown language": "the folders are {train,dev,EvalSIFT}/{category}/{language}/",
    "stray file": "files are {train,dev,EvalSIFT}/{category}/{language}/split<N>.jsonl",
}


class Fault(NamedTuple):
    """A kind of REMEDIES, and what is wrong in this place."""

    kind: str
    detail: str

    def describe(self) -> str:
        return f"{self.kind}{': ' if self.detail else ''}{self.detail}; {REMEDIES[self.kind]}"


class Line(NamedTuple):
    """A line of a file: `row` is None where it has a fault that leaves nothing to look at."""

    number: int
    raw: bytes
    row: Any
    fault: Fault | None


def read_sift_lines(path: str | Path) -> Iterator[Line]:
    """All lines that are not blank."""
    with Path(path).open("rb") as file:
        for number, raw in _read_lines(file):
            if raw is None:
                yield Line(number, b"", None, Fault("too long", ""))
            elif raw.strip():
                yield parse_line(number, raw)


def parse_line(number: int, raw: bytes) -> Line:
    """A line from its bytes."""
    try:
        value = json.loads(raw.decode("utf-8"))
        # Half a character, written as an escape: JSON allows it, and no file can hold it.
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Line(number, raw, None, Fault("not UTF-8", "half of a surrogate pair"))
    except UnicodeDecodeError as error:
        return Line(number, raw, None, Fault("not UTF-8", f"byte {error.start + 1} of the line"))
    except (ValueError, RecursionError) as error:
        end = "" if raw.endswith(b"\n") else ", and the file ends in it"
        return Line(number, raw, None, Fault("not JSON", f"{' '.join(str(error).split())}{end}"))
    try:
        return Line(number, raw, parse_row(value), None)
    except SiftError as error:
        messages = value.get("messages") if isinstance(value, dict) else None
        roles = (
            [m.get("role") for m in messages if isinstance(m, dict)]
            if isinstance(messages, list)
            else []
        )
        kind = "unknown role" if any(role not in _ROLES for role in roles) else "not a row"
        return Line(number, raw, None, Fault(kind, str(error)))


def _read_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        is_whole = True
        while len(line) == LONGEST and not line.endswith(b"\n"):
            is_whole, line = False, file.readline(LONGEST)
        yield number, line if is_whole else None
