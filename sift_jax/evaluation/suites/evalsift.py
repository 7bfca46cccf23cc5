"""EvalSIFT, released or home-made: closed questions in four parts, open ones, and instructions to
speak.

    {sift/,}EvalSIFT/closed_ended/acoustic_level/de/split0.jsonl     SIFT files, as data_prep and the release have them
    audio/**/<utterance>.flac                                        or the corpora's own folders, given by name

    closed_ended/*           judged right or wrong; the facet "kind" is what is asked for: "speaking_rate", "yes_no", …;
                             of a free field of the build (fields.json: "emotion") the items have its classes as labels
    open_ended               judged from 0 to 10
    controllable_generation  answered by speech; of an answer in text what can be told is whether it gives back the
                             words to be spoken: word error rate against what follows the instruction. Asked only where
                             `subsets` names it

An id of the release is an utterance and repeats: rows are numbered behind it. Its German rows in
open_ended/fr, of Common Voice, are asked as they are. How the release sets the words to be spoken
off from the instruction is not documented; the last of several text parts is taken, else the lines
after the first, else what follows the first colon, and a row with none of these is skipped.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Required, TypedDict

from sift_jax.data.records.record_writer import index_audio
from sift_jax.evaluation.judges import question_kind
from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.row_files import find_folder
from sift_jax.evaluation.suites.suite_builder import Gathering
from sift_jax.sift.fields import DIRECT, Field, FieldError, Fields, find_field, read_build_fields
from sift_jax.sift.rows import (
    CATEGORIES,
    CLOSED_CATEGORIES,
    LANGUAGES,
    Row,
    SiftError,
    audio_ids,
    list_files,
    name_utterance,
    read_rows,
)
from sift_jax.text.chat import Message

GENERATION = "controllable_generation"
SUBSETS = tuple(category for category in CATEGORIES if category != GENERATION)


class BadRow(ValueError):
    """A row that cannot be asked, for the reason that it gives."""


def read_evalsift(
    root: Path,
    *,
    name: str = "evalsift",
    subsets: Sequence[str] = SUBSETS,
    split: str = "EvalSIFT",
    languages: Sequence[str] = LANGUAGES,
    audio_dirs: Sequence[Path] = (),
) -> Suite:
    gathering = Gathering(name)
    if unknown := [category for category in subsets if category not in CATEGORIES]:
        raise EvaluationError(
            f"{name}: no category {', '.join(unknown)}; they are {', '.join(CATEGORIES)}"
        )
    ask_sift(
        root, gathering, {category: category for category in subsets}, split, languages, audio_dirs
    )
    return gathering.finish()


class Scoring(TypedDict, total=False):
    """How an answer is scored, and what tables split it by."""

    metrics: Required[Sequence[str]]
    labels: Sequence[str]
    aliases: Mapping[str, str]
    facets: Mapping[str, str]
    has_audio: bool


def ask_sift(
    root: Path,
    gathering: Gathering,
    subsets: Mapping[str, str],
    split: str,
    languages: Sequence[str],
    audio_dirs: Sequence[Path] = (),
    metrics: Sequence[str] = (),
) -> None:
    """The rows of a folder of SIFT files, by category, and what the category's part is called.

    `metrics` are for those that are not scored as EvalSIFT is.
    """
    sift_dir = find_folder(root, ["sift", "."], "SIFT files")
    folders = list(audio_dirs) or [
        find_folder(root, ["audio"], "audio; or name the corpora's folders as audio_dirs")
    ]
    rows = {
        (category, language): _read_category(sift_dir, split, category, language)
        for category in subsets
        for language in languages
    }
    files = index_clips(
        folders, {clip for found in rows.values() for row in found for clip in audio_ids(row)}
    )
    fields = _read_fields(root, sift_dir)
    for (category, language), found in rows.items():
        times: dict[str, int] = collections.Counter()
        for row in found:
            times[row["id"]] += 1
            own_id = f"{language}/{row['id']}#{times[row['id']]}"
            try:
                messages, reference = _resolve(row, category, files)
            except BadRow as error:
                gathering.leave(own_id, subsets[category], str(error))
                continue
            if metrics:
                scoring = Scoring(metrics=metrics)
            else:
                asked = find_field(fields, _read_question(messages), language)
                scoring = _describe(category, reference, language, asked)
            gathering.ask(
                own_id,
                subset=subsets[category],
                language=language,
                messages=messages,
                references=[reference],
                **scoring,
            )
    there = {name for place, found in rows.items() if found for name in place}
    for name, subset in [*subsets.items(), *((language, "") for language in languages)]:
        if there and name not in there:
            gathering.leave(
                f"all of its rows in {name}", subset, f"no rows in {name} under {sift_dir}/{split}"
            )


def index_clips(folders: Iterable[Path], wanted: Container[str]) -> dict[str, Path]:
    """Utterance to file, over several corpora; the folder named first has the say where two have
    one of that name."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise EvaluationError(f"{folder}: no such folder of audio; check audio_dirs")
        found = {**index_audio(folder, wanted), **found}
    return found


def _read_category(sift_dir: Path, split: str, category: str, language: str) -> list[Row]:
    try:
        return [
            row
            for path in list_files(sift_dir, split, category, language)
            for row in read_rows(path)
        ]
    except SiftError as error:
        raise EvaluationError(str(error)) from None


def _resolve(row: Row, category: str, files: Mapping[str, Path]) -> tuple[list[Message], str]:
    """The question with files for its audio, and the answer held to be right."""
    *question, answer = row["messages"]
    if [message["role"] for message in row["messages"][-2:]] != ["user", "assistant"]:
        raise BadRow("its messages do not end with a question and an answer")

    def resolve(part: Mapping[str, str]) -> dict[str, str]:
        if "audio_path" not in part:
            return dict(part)
        utterance = name_utterance(part["audio_path"])
        if utterance not in files:
            raise BadRow(f"no audio file of {utterance} in the audio folders")
        return {"audio_path": str(files[utterance])}

    messages = [
        {**message, "content": [resolve(part) for part in message["content"]]}
        for message in question
    ]
    if category == GENERATION:
        return messages, find_spoken(
            [part["text"] for part in question[-1]["content"] if "text" in part]
        )
    return messages, " ".join(part["text"] for part in answer["content"] if "text" in part)


def _read_fields(root: Path, sift_dir: Path) -> Fields:
    """The tables of the free fields that a build asks about; the release has none."""
    try:
        return read_build_fields(root) or read_build_fields(sift_dir.parent)
    except FieldError as error:
        raise EvaluationError(str(error)) from None


def _read_question(messages: Sequence[Message]) -> str:
    return " ".join(part["text"] for part in messages[-1]["content"] if "text" in part)


def _describe(
    category: str, reference: str, language: str, asked: tuple[Field, str] | None
) -> Scoring:
    """How the answer is scored, and what tables split it by."""
    if category == GENERATION:
        return Scoring(metrics=["wer"], has_audio=False)
    if category != GENERATION and asked:
        return _describe_field(*asked, language)
    if category not in CLOSED_CATEGORIES:
        return Scoring(metrics=["judge_open"])
    return Scoring(
        metrics=["judge_closed"],
        facets={"kind": _name_kind(question_kind(reference, language), category)},
    )


def _describe_field(field: Field, kind: str, language: str) -> Scoring:
    """A question about a free field has its classes as labels; in an answer any of their words
    counts."""
    return Scoring(
        metrics=["judge_closed" if kind == DIRECT else "judge_open"],
        labels=tuple(field.classes),
        aliases=field.list_names(language),
        facets={"kind": field.name},
    )


def _name_kind(kind: str, category: str) -> str:
    """Questions about several keys are few kinds in the figures: thirty pairs would have two rows
    each."""
    keys = kind.count("+") + 1
    if keys > 2:
        return "several_keys"
    return "two_keys" if keys == 2 and category == CLOSED_CATEGORIES[0] else kind


def find_spoken(texts: Sequence[str]) -> str:
    """The words that an instruction to speak asks for; empty where none are set off from it."""
    if len(texts) > 1:
        return texts[-1].strip(' "“”')
    text = " ".join(texts).strip()
    for border in (r"\n", r":\s+"):
        _, *rest = re.split(border, text, maxsplit=1)
        if rest:
            return rest[0].strip(' \n"“”')
    return ""
