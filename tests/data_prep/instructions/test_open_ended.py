"""Open answers in plain instructions: in lines what they are inferred from; which lines, follows
from the question."""

import collections
import json
import re

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.plain import NAMES
from data_prep.instructions.write import write_instructions
from sift_jax.evaluation.scores.offline_judge import make_majority, question_kind, score_open
from sift_jax.sift.labels import LABELS, LANGUAGES, find_labels
from sift_jax.sift.rows import list_files, read_rows

LINE = re.compile(r"(\w+) (\d+): (.+)")
WHOLE = (
    "gender",
    "speaking_rate",
    "average_pitch",
    "pitch_variation",
    "average_intensity",
    "noise_level",
    "reverberation",
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """(split, language, row, its utterance) of the open questions about utterances whose labels are
    all known."""
    folder = tmp_path_factory.mktemp("open")
    write_metadata(folder / "metadata.jsonl")
    facts = {
        line["id"]: line
        for line in map(json.loads, (folder / "metadata.jsonl").read_text().splitlines())
    }
    write_instructions(
        folder / "metadata.jsonl", folder / "sift", rows_per_language=40, is_plain=True
    )
    found = []
    for split in ("train", "EvalSIFT"):
        for path in list_files(folder / "sift", split, "open_ended"):
            for row in read_rows(path):
                fact = facts[row["id"]]
                if all(key == "gender" or fact["labels"].get(key) for key in WHOLE):
                    found.append((split, path.parent.name, row, fact))
    assert {language for _, language, _, _ in found} == set(LANGUAGES)
    return found


def read_texts(row) -> tuple[str, str]:
    """(question, answer)"""
    asked, said = (message["content"] for message in row["messages"])
    return asked[-1]["text"], said[0]["text"]


def test_a_plain_answer_is_its_evidence_and_then_what_follows(rows):
    names, conclusions = {name: key for key, name in NAMES.items()}, 0
    for _, language, row, fact in rows:
        known, told = {**fact["labels"], "gender": fact["gender"]}, []
        is_evidence = True
        for line in read_texts(row)[1].split("\n"):
            match = LINE.fullmatch(line)
            if match is None:
                is_evidence = False
                conclusions += 1
                assert (
                    find_labels(line, language) == []
                    and line[:1] == line[:1].upper()
                    and "{" not in line
                )
                continue
            assert is_evidence, "evidence stands before what is inferred from it"
            [(key, label)] = find_labels(match[3], language)
            assert (names[match[1]], known[key]) == (key, label)
            assert int(match[2]) == LABELS[key].index(label) + 1
            told.append(key)
        assert told and len(told) == len(set(told))
    assert conclusions > 500


def test_which_labels_an_answer_names_follows_from_the_question(rows):
    """Else who hears all of them could only guess, while the constant answer is made for those of
    the reference."""
    kinds = collections.defaultdict(set)
    for _, language, row, _ in rows:
        question, answer = read_texts(row)
        kinds[language, question].add(question_kind(answer, language))
    assert len(kinds) > 80 and {len(found) for found in kinds.values()} == {1}


def test_each_label_counts_and_a_constant_is_far_from_all_of_them(rows):
    train = [
        ("open_ended", language, read_texts(row)[1])
        for split, language, row, _ in rows
        if split == "train"
    ]
    table, constant = make_majority(train), []
    for split, language, row, _ in rows:
        if split != "EvalSIFT":
            continue
        answer = read_texts(row)[1]
        constant.append(
            score_open(
                answer, table["open_ended", language, question_kind(answer, language)], language
            )
        )
        first, second, *_ = answer.split("\n")
        assert score_open(answer, answer, language) == 10.0
        # Of a place the first line is all that can be named.
        if find_labels(second, language):
            assert (
                0.0
                < score_open(answer, first, language)
                < score_open(answer, f"{first}\n{second}", language)
            )
    assert len(constant) > 100 and sum(constant) / len(constant) < 4.0
