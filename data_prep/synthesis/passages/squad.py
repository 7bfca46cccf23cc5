"""SQuAD 1.1 and 2.0, and whatever has their form.

    {"version": "v2.0", "data": [{"title": "Normans", "paragraphs": [{"context": "The Normans …", "qas": [
        {"id": "56dd…", "question": "…?", "answers": [{"text": "France", "answer_start": 159}, …],
         "is_impossible": false, "plausible_answers": […]}]}]}]}

A paragraph is spoken once, for all its questions. Questions of 2.0 that it does not answer are set
aside.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import CorpusError, reject
from data_prep.engine.ledger import Rejection
from data_prep.synthesis.passages.qa_passage import (
    Found,
    Passage,
    Question,
    choose_answer,
    clean_passage,
    clean_question,
)
from data_prep.synthesis.passages.stream_json import open_text
from data_prep.synthesis.passages.strip_markup import strip_markup
from sift_jax.corpora.bad_item import BadItem


def read_squad(path: Path, language: str, held: str | None) -> Iterator[Found]:
    """A passage for each paragraph that has a question with an answer in it."""
    try:
        with open_text(path) as file:
            articles = json.load(file)["data"]
        if not isinstance(articles, list):
            raise TypeError("data is not a list")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CorpusError(
            f'{path}: not in SQuAD\'s form ({str(error)[:100]}); expected {{"data": [{{"title", '
            f'"paragraphs": [{{"context", "qas"}}]}}]}}'
        ) from None
    for place, article in enumerate(articles):
        title = str(article.get("title") or place) if isinstance(article, dict) else str(place)
        # two articles may differ in what no id can hold
        name = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")[:60]
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield Rejection(
                reason="broken article",
                detail="no list of paragraphs",
                id=title[:80],
                file=str(path),
            )
            continue
        for number, paragraph in enumerate(paragraphs):
            yield from _read_paragraph(
                paragraph,
                f"squad_{held or 'x'}{place:04d}-{name}_{number:03d}",
                path,
                language,
                held,
            )


def _read_paragraph(
    paragraph: Any, identity: str, path: Path, language: str, held: str | None
) -> Iterator[Found]:
    asked = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(asked, list) or not asked:
        yield Rejection(reason="no question", id=identity, language=language, file=str(path))
        return
    try:
        text = clean_passage(paragraph.get("context"), identity)
    except BadItem as bad:
        for question in asked:
            named = str(question.get("id")) if isinstance(question, dict) else identity
            yield Rejection(
                reason=bad.reason, detail=bad.detail, id=named, language=language, file=str(path)
            )
        return
    questions = []
    for question in asked:
        try:
            questions.append(_read_question(question, text, identity))
        except BadItem as bad:
            yield reject(bad, file=path, language=language)
    if questions:
        yield Passage(
            id=identity, language=language, held=held, text=text, questions=tuple(questions)
        )


def _read_question(value: Any, passage: str, identity: str) -> Question:
    if not isinstance(value, dict):
        raise BadItem(
            "broken question", f"a {type(value).__name__} where an object belongs", identity
        )
    named = str(value.get("id") or identity)
    question = clean_question(value.get("question"), named)
    if value.get("is_impossible"):
        raise BadItem("not answered by its passage", "is_impossible", named)
    answers = value.get("answers")
    if not isinstance(answers, list):
        raise BadItem("no answer", "", named)
    answer, references = choose_answer(
        [item.get("text") if isinstance(item, dict) else item for item in answers], named
    )
    if _flatten(answer) not in _flatten(passage):
        raise BadItem("answer is not in its passage", answer[:80], named)
    return Question(id=named, question=question, answer=answer, references=references)


def _flatten(text: str) -> str:
    return "".join(strip_markup(text).casefold().split())
