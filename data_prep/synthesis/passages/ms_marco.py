"""MS MARCO question answering, version 2.1, in both of its forms.

    {"answers": {"0": ["…"]}, "passages": {"0": [{"is_selected": 1, "passage_text": "…", "url": "…"}, …]},
     "query": {"0": "…"}, "query_id": {"0": 1}, "query_type": {…}, "wellFormedAnswers": {"0": "[]"}}     as downloaded
    {"answers": ["…"], "passages": […], "query": "…", "query_id": 1, …}                                  a line a query

What is spoken are the passages that the annotator has marked as those that answer, one after
another. Where a well formed answer was written, it is the one that is taught, and all of them count
as right.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import CorpusError, decode_line, parse_object, reject
from data_prep.engine.ledger import Rejection
from data_prep.synthesis.passages.qa_passage import (
    Found,
    Passage,
    Question,
    choose_answer,
    clean_passage,
    clean_question,
    is_supported,
)
from data_prep.synthesis.passages.stream_json import open_text, stream_columns
from sift_jax.corpora.bad_item import BadItem

_COLUMNS = ("answers", "query", "query_id", "wellFormedAnswers")
_LONGEST_LINE = 10_000_000


def read_ms_marco(path: Path, language: str, held: str | None) -> Iterator[Found]:
    """A passage for each query that has an answer and a passage marked for it."""
    for place, row in _read_rows(path):
        if isinstance(row, BadItem):
            yield reject(row, file=path, line=place, language=language)
            continue
        try:
            yield _read_query(row, language, held)
        except BadItem as bad:
            yield Rejection(
                reason=bad.reason,
                detail=bad.detail,
                id=bad.identity,
                language=language,
                file=str(path),
                line=place,
            )


def _read_rows(path: Path) -> Iterator[tuple[int | None, Mapping[str, Any] | BadItem]]:
    with open_text(path) as file:
        first = file.readline(1 << 16)
    is_lines: bool | None
    # The whole set is one line that opens with a column; a line of its own opens with a query's
    # field.
    try:
        is_lines = isinstance(json.loads(first), dict) and not _has_columns(path)
    except ValueError:
        is_lines = False if first.lstrip().startswith("{") and _has_columns(path) else None
    if is_lines is None:
        raise CorpusError(
            f"{path}: not in MS MARCO's form; expected an object of columns (answers, passages, "
            "query, …) or a line for each query"
        )
    yield from _read_lines(path) if is_lines else _read_columns(path)


def _has_columns(path: Path) -> bool:
    """Whether the file is an object of columns, told by its first entry."""
    try:
        return next(stream_columns(path), None) is not None
    except ValueError:
        return False


def _read_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | BadItem]]:
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield (
                        number,
                        parse_object(
                            decode_line(line.encode("utf-8", "surrogatepass"), _LONGEST_LINE)
                        ),
                    )
                except BadItem as bad:
                    yield number, bad


def _read_columns(path: Path) -> Iterator[tuple[None, Mapping[str, Any]]]:
    """Twice over the file, so that of three gigabytes no passages are held."""
    rows: dict[str, dict[str, Any]] = {}
    try:
        for column, key, value in stream_columns(path):
            if column in _COLUMNS:
                rows.setdefault(key, {})[column] = value
        for column, key, value in stream_columns(path):
            if column == "passages":
                yield None, {"passages": value, **rows.pop(key, {})}
    except ValueError as error:
        raise CorpusError(
            f"{path}: broken after {len(rows)} queries ({str(error)[:100]}); fetch it again"
        ) from None
    yield from ((None, row) for row in rows.values())


def _read_query(row: Mapping[str, Any], language: str, held: str | None) -> Passage:
    number = row.get("query_id")
    if not isinstance(number, int | str) or not str(number).isalnum():
        raise BadItem("broken query", f"query_id is {str(number)[:40]!r}")
    identity = f"msmarco_{number}"
    question = clean_question(row.get("query"), identity)
    well_formed = row.get("wellFormedAnswers")
    # "[]" is how the download writes that there is none
    written = well_formed if isinstance(well_formed, list) else []
    answers = row.get("answers")
    answer, references = choose_answer(
        [*written, *(answers if isinstance(answers, list) else [answers or ""])], identity
    )
    text = clean_passage("\n".join(_select(row.get("passages"), identity)), identity)
    if not is_supported(answer, text):
        raise BadItem("answer is not in its passage", answer[:80], identity)
    return Passage(
        id=identity,
        language=language,
        held=held,
        text=text,
        questions=(
            Question(id=str(number), question=question, answer=answer, references=references),
        ),
    )


def _select(passages: Any, identity: str) -> list[str]:
    if isinstance(passages, dict):
        # as columns, which is how some copies have them
        names = [
            name for name in ("is_selected", "passage_text") if isinstance(passages.get(name), list)
        ]
        passages = [
            dict(zip(names, values, strict=False))
            for values in zip(*map(passages.get, names), strict=False)
        ]
    if not isinstance(passages, list) or not passages:
        raise BadItem("no passage", "", identity)
    chosen = [
        passage.get("passage_text")
        for passage in passages
        if isinstance(passage, dict) and passage.get("is_selected")
    ]
    if not chosen:
        raise BadItem("no passage that answers", "none is marked", identity)
    texts = [text for text in chosen if isinstance(text, str)]
    if len(texts) < len(chosen):
        raise BadItem("broken passage", "passage_text is not text", identity)
    return list(dict.fromkeys(texts))
