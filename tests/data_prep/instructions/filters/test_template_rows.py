"""The rules over whole files of template rows: what is true and well said by make, no rule may
drop.

Rules err on the side of dropping, and what they drop of a model's pairs is lost: here their errors
can be counted.
"""

import collections
import json
import re

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.filters.rules import Candidate, find_fault, make_duplicate_key
from data_prep.instructions.write import write_instructions
from data_prep.released.row_checks import find_row_faults
from data_prep.released.sift_paths import Place, list_texts
from sift_jax.sift.labels import LANGUAGES, space_signs
from sift_jax.sift.rows import CATEGORIES, audio_ids, list_files, read_rows

SIZES = {"train": 0, "dev": 0, "EvalSIFT": 20}
# Names of plain answers are English in every language: "Volume 2: mittlere Lautstärke".
NAME = re.compile(r"^\w+ \d: ", re.MULTILINE)
# Too short for the letters of one language to tell: "Di esto con acento latinoamericano: " reads as
# Italian too.
DOUBTFUL = ("con acento latinoamericano", "con acento castellano")


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    path = write_metadata(tmp_path_factory.mktemp("rules") / "metadata.jsonl", sizes=SIZES)
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return path, {row["id"]: row for row in rows}


def read_candidates(sift, utterances):
    """(candidate, its row) of every row of the six categories."""
    for category in CATEGORIES:
        for language in LANGUAGES:
            for split in SIZES:
                for path in list_files(sift, split, category, language):
                    for row in read_rows(path):
                        yield make_candidate(row, category, language, utterances), row


def make_candidate(row, category, language, utterances):
    clips = [utterances[name] for name in audio_ids(row)]
    question, *answer = list_texts(row)
    truths = tuple(
        {**clip["labels"], **{key: clip[key] for key in ("gender", "age_category", "accent")}}
        for clip in clips
    )
    if category == "controllable_generation":
        question = question.removesuffix(space_signs(clips[0]["transcript"], language))
    return Candidate(
        question=question,
        answer=answer[0] if answer else None,
        set_name=category,
        language=language,
        truths=truths,
        transcripts=tuple(clip["transcript"] for clip in clips),
    )


@pytest.mark.parametrize("is_plain", [False, True])
def test_no_rule_drops_a_row_of_the_templates(utterances, tmp_path, is_plain):
    path, by_id = utterances
    write_instructions(
        path, tmp_path, rows_per_language=40, rows_per_utterance=4, is_plain=is_plain
    )
    drops, count = [], 0
    for candidate, _ in read_candidates(tmp_path, by_id):
        count += 1
        fault = find_fault(candidate)
        if fault == "wrong language" and (
            NAME.search(candidate.answer or "")
            if is_plain
            else candidate.question.strip(": ").endswith(DOUBTFUL)
        ):
            continue
        drops += (
            [(candidate.set_name, candidate.language, fault, *candidate.texts)] if fault else []
        )
    assert drops == [] and count >= 1000


def test_questions_about_one_clip_are_not_each_others_duplicates(utterances, tmp_path):
    path, by_id = utterances
    write_instructions(path, tmp_path, rows_per_language=40, rows_per_utterance=4)
    asked = collections.Counter(
        (candidate.set_name, row["id"], candidate.language, make_duplicate_key(candidate))
        for candidate, row in read_candidates(tmp_path, by_id)
    )
    repeated = [key for key, count in asked.items() if count > 1]
    assert not repeated


def test_the_validator_finds_no_fault_in_them(utterances, tmp_path):
    path, _ = utterances
    for is_plain in (False, True):
        write_instructions(
            path,
            tmp_path / str(is_plain),
            rows_per_language=40,
            rows_per_utterance=4,
            is_plain=is_plain,
        )
        for category in CATEGORIES:
            for language in LANGUAGES:
                for file in list_files(tmp_path / str(is_plain), "EvalSIFT", category, language):
                    place = Place(file, "EvalSIFT", category, language)
                    assert not [
                        fault for row in read_rows(file) for fault in find_row_faults(row, place)
                    ]
