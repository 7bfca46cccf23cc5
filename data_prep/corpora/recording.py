"""What a reader finds in a corpus: an item is a recording, or it is skipped with its place and
its reason.

    train.tsv:7   "f3a…⇥clip_7.mp3⇥Es regnet.⇥…"  ─►  Recording(id="clip_7", audio="/…/clips/clip_7.mp3", …)
    train.tsv:8   "f3a…⇥../../etc/passwd⇥Oh.⇥…"   ─►  Rejection(file="train.tsv", line=8, reason="path leaves the root")

A reader is a function (root, languages) ─► iterator of both. It opens no audio, keeps nothing, and raises only where
the corpus is not there at all. What a corpus does not know is None.
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from data_prep.corpora.splits import DEV, EVALUATION, TRAIN
from data_prep.corpora.utterance import WordSpan
from data_prep.engine.ledger import Rejection
from sift_jax.corpora.bad_item import BadItem
from sift_jax.sift.labels import AGE_CATEGORIES, GENDERS

# What most corpora call the splits in which they hold their recordings.
PARTS = {"train": TRAIN, "dev": DEV, "test": EVALUATION}

_LONGEST_LINE = 1_000_000
_LONGEST_TRANSCRIPT = 2_000
# The id names files, and is quoted by comparisons.
_ID = re.compile(r"[\w.:-]{1,120}")
_GENDERS = {
    "f": "female",
    "m": "male",
    "female": "female",
    "male": "male",
    "woman": "female",
    "man": "male",
    "female_feminine": "female",
    "male_masculine": "male",
}
# Common Voice spells it so.
_AGES = {"fourties": "forties", **{name: name for name in AGE_CATEGORIES}}


class CorpusError(ValueError):
    """The corpus is not there, or is another one; the message is one line for the user."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """An utterance on disk. `held` is the split in which its corpus has it: "train", "dev",
    "EvalSIFT" or None."""

    id: str
    language: str
    audio: str
    transcript: str
    speaker: str | None = None
    gender: str | None = None
    age_category: str | None = None
    accent: str | None = None
    held: str | None = None
    phonemes: str | None = None
    words: tuple[WordSpan, ...] = ()
    # Part of a longer file: seconds from its start, and how many.
    start: float = 0.0
    seconds: float | None = None
    # That of several in one manifest which it is from.
    collection: str | None = None
    # free fields of its corpus, each under its name, as the corpus writes it
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


Item = Recording | Rejection
Reader = Callable[[Path, Sequence[str]], Iterator[Item]]


def parse_recording(line: str) -> Recording:
    row: dict[str, Any] = json.loads(line)
    words = tuple(WordSpan(**word) for word in row.pop("words"))
    return Recording(**row, words=words)


T = TypeVar("T")


def read_items(
    path: Path, parse: Callable[[str], T], *, skip: int = 0, longest: int = _LONGEST_LINE
) -> Iterator[T | Rejection]:
    """One item for each line that is not blank, from line `skip` + 1 on."""
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if number <= skip or not raw.strip():
                continue
            try:
                yield parse(decode_line(raw, longest))
            except BadItem as bad:
                yield reject(bad, file=path, line=number)


def reject(
    bad: BadItem, *, file: Path, line: int | None = None, language: str | None = None
) -> Rejection:
    return Rejection(
        reason=bad.reason,
        detail=bad.detail,
        id=bad.identity,
        file=str(file),
        line=line,
        language=language,
    )


def read_table(
    path: Path, required: Sequence[str], parse: Callable[[Mapping[str, str]], T]
) -> Iterator[T | Rejection]:
    """One item for each line under a header of tab-separated names."""
    with path.open("rb") as lines:
        first = lines.readline()
    try:
        header = [name.strip() for name in decode_line(first).split("\t")]
    except BadItem as bad:
        raise CorpusError(
            f"{path}: its first line is {bad.reason}; expected the names of its columns"
        ) from None
    missing = [name for name in required if name not in header]
    if missing:
        raise CorpusError(
            f"{path}: no column {', '.join(missing)} in its first line; is it of another release?"
        )

    def parse_columns(text: str) -> T:
        columns = text.split("\t")
        if len(columns) != len(header):
            raise BadItem(
                "broken line", f"{len(columns)} columns where the header has {len(header)}"
            )
        return parse(dict(zip(header, columns, strict=True)))

    return read_items(path, parse_columns, skip=1)


def decode_line(raw: bytes, longest: int = _LONGEST_LINE) -> str:
    if len(raw) > longest:
        raise BadItem("broken line", f"{len(raw)} bytes in a line")
    try:
        text = raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadItem("not UTF-8", f"byte {error.start} of the line") from None
    if "\0" in text:
        raise BadItem("broken line", "a zero byte")
    return text


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object of a line, of text that can be written again."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadItem("broken line", f"not JSON: {error}"[:200]) from None
    if not isinstance(row, dict):
        raise BadItem("broken line", f"a {type(row).__name__} where an object belongs")
    if re.search(r"\\u[dD][89a-fA-F]", text) and not _is_encodable(row):
        raise BadItem("not UTF-8", "half of a surrogate pair")
    return row


def _is_encodable(row: Any) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def find_folder(root: Path, choices: Sequence[str], what: str) -> Path:
    """The first of some folders under the root that is there."""
    for choice in choices:
        if (root / choice).is_dir():
            return root / choice
    raise CorpusError(
        f"no {what} under {root}; expected {' or '.join(choices)}: unpack it there, or change "
        "--root or --languages"
    )


def locate_audio(root: Path, names: str | Sequence[str], identity: str | None = None) -> str:
    """The file of the first name that is there, as an absolute path that does not leave the
    root."""
    names = [names] if isinstance(names, str) else names
    base = os.path.normpath(root.absolute())
    for name in names:
        path = os.path.normpath(Path(base, name))
        if os.path.commonpath([base, path]) != base:
            raise BadItem("path leaves the root", name, identity)
        # Path.is_file raises where a name is too long for the disk
        if os.path.isfile(path):  # noqa: PTH113
            return path
    raise BadItem("no audio file", names[0], identity)


def check_id(identity: str) -> str:
    if not _ID.fullmatch(identity) or identity in {".", ".."}:
        raise BadItem("unusable id", identity[:120])
    return identity


def clean_transcript(text: str, identity: str | None = None) -> str:
    """On one line, without control characters; a corpus that shouts is quietened."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in text):
        raise BadItem("no transcript", "", identity)
    if len(text) > _LONGEST_TRANSCRIPT:
        raise BadItem(
            "transcript too long",
            (
                f"{len(text)} characters; cut the recording into clips by python -m data_prep.cut "
                "--manifest=…"
            ),
            identity,
        )
    return text.lower() if text.isupper() and len(text.split()) > 1 else text


def name_gender(value: str | None) -> str | None:
    found = _GENDERS.get((value or "").strip().lower())
    return found if found in GENDERS else None


def read_genders(path: Path) -> dict[str, str | None]:
    """Speaker to gender, of the lists of the LibriSpeech family; none without the file, which not
    every copy has.

    SPEAKER | GENDER | … in each line, and comments behind a semicolon
    """
    lines = (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    )
    rows = (line.split("|") for line in lines if not line.startswith(";"))
    return {row[0].strip(): name_gender(row[1]) for row in rows if len(row) > 2}


def name_age(value: str | int | None) -> str | None:
    """Years or a decade's name to the decade's name; None under twenty, over a hundred, or
    unknown."""
    text = str(value if value is not None else "").strip().lower()
    if re.fullmatch(r"\d{1,3}(\.0)?", text):
        decade = int(float(text)) // 10 - 2
        return AGE_CATEGORIES[decade] if 0 <= decade < len(AGE_CATEGORIES) else None
    return _AGES.get(text)
