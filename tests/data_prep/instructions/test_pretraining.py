"""Pre-training rows say what the metadata says: by number, and by bare label."""

import collections
import itertools
import json
import random

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.comparison import order_pair
from data_prep.instructions.plain import NAMES, POLES
from data_prep.instructions.pretraining import (
    list_labels,
    make_compares_item,
    make_list_item,
    make_ranks_item,
    make_ratings_item,
)
from data_prep.instructions.write import write_instructions
from sift_jax.sift.labels import LABELS, LANGUAGES, find_labels, say_yes_no
from sift_jax.sift.rows import (
    CLOSED_CATEGORIES,
    PRETRAINING_CATEGORIES,
    PRETRAINING_LISTS,
    list_files,
    read_rows,
)

QUESTIONS = (*CLOSED_CATEGORIES, "open_ended")


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    path = tmp_path_factory.mktemp("pretraining") / "metadata.jsonl"
    write_metadata(path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ratings_and_lists_have_all_labels_each_behind_its_name(utterances):
    forms, starts, asked = {name: form for form, name in NAMES.items()}, set(), set()
    assert len(forms) == len(NAMES)
    for utterance in utterances[::7]:
        language, rng = utterance["language"], random.Random(utterance["id"])
        labels = list_labels(utterance, has_accents=False)
        assert labels["gender"] == ("gender", utterance["gender"]) and "accent" not in labels
        wanted = {form: str(LABELS[key].index(label) + 1) for form, (key, label) in labels.items()}
        ratings = make_ratings_item(utterance, rng, has_accents=False)
        lines = [line.split(" ") for line in ratings.answer.split("\n")]
        assert {forms[name]: number for name, number in lines} == wanted and len(lines) == len(
            wanted
        )
        words = make_list_item(utterance, language, rng, has_accents=False, has_language=True)
        said = {
            forms[name]: (number, found)
            for name, number, found in _read_lines(words.answer, language)
        }
        assert said == {form: (wanted[form], [place]) for form, place in labels.items()}
        starts |= {lines[0][0], words.answer.split(" ")[0]}
        asked.add(ratings.question)
    assert len(starts) > 5 and len(asked) == len(LANGUAGES)


def test_ranks_and_compares_say_which_of_two(utterances):
    seen, poles = (
        set(),
        {name: (key, pole) for key, names in POLES.items() for pole, name in names.items()},
    )
    for language in LANGUAGES:
        mine = [u for u in utterances if u["language"] == language]
        for pair in itertools.pairwise(mine[:40]):
            compares = make_compares_item(pair, language, random.Random(pair[0]["id"]))
            ranks = make_ranks_item(pair, random.Random(pair[1]["id"]))
            lines = _read_lines(compares.answer, language) if compares else []
            assert len(ranks.answer.split("\n")) == len(lines) if ranks else not lines
            for name, number, found in lines:
                key, pole = poles[name]
                assert found == [("recording", ("first", "second")[int(number) - 1])]
                if key == "gender":
                    assert pair[int(number) - 1]["gender"] == pole
                else:
                    assert (order_pair(pair, key) > 0) == ((pole == "high") == (number == "2"))
                seen.add((key, pole, number))
    assert len(seen) == 2 * 2 * len(POLES)


def _read_lines(answer, language):
    """[(name, number, labels)] of "Pitch 2: quite low pitch" lines."""
    parts = [line.split(": ") for line in answer.split("\n")]
    return [(*name.split(" "), find_labels(label, language)) for name, label in parts]


def test_evaluation_has_no_pretraining_rows(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    for category in PRETRAINING_CATEGORIES:
        assert list_files(tmp_path / "sift", "train", category)
        assert not list_files(tmp_path / "sift", "EvalSIFT", category)


def test_fewer_wordings_make_fewer_questions(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    distinct = []
    for wordings in (1, 6):
        out = tmp_path / str(wordings)
        write_instructions(
            tmp_path / "metadata.jsonl", out, rows_per_language=10, wordings=wordings, is_plain=True
        )
        [path] = list_files(out, "train", "closed_ended/acoustic_level", "en")
        parts = [part for row in read_rows(path) for part in row["messages"][0]["content"]]
        distinct.append({part["text"] for part in parts if "text" in part})
    assert len(distinct[0]) < len(distinct[1])


def test_what_is_asked_behind_the_wordings_of_training_is_in_no_word_of_it(tmp_path):
    """Whatever is asked, in five languages: no question of EvalSIFT is one that training has."""
    write_metadata(tmp_path / "metadata.jsonl")
    asked = {}
    for split, wishes in (("train", {"wordings": 2}), ("EvalSIFT", {"skip_wordings": 2})):
        out = tmp_path / split
        write_instructions(
            tmp_path / "metadata.jsonl", out, rows_per_language=30, is_plain=True, **wishes
        )
        asked[split] = {
            part["text"]
            for category in QUESTIONS
            for path in list_files(out, split, category)
            for row in read_rows(path)
            for part in row["messages"][0]["content"]
            if "text" in part
        }
    assert len(asked["train"]) > 300 and len(asked["EvalSIFT"]) > 100
    assert not asked["train"] & asked["EvalSIFT"]


def test_plain_answers_are_lines_behind_the_audio(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(
        tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10, is_plain=True
    )
    lines, verdicts = collections.Counter(), 0
    names = {*NAMES.values(), *(pole for poles in POLES.values() for pole in poles.values())}
    for path in list_files(tmp_path / "sift", "train"):
        category, language = path.parent.parent.name, path.parent.name
        words = {say_yes_no(is_true, language) for is_true in (True, False)}
        for row in read_rows(path):
            parts = row["messages"][0]["content"]
            if category in ("acoustic_level", "comparison"):
                assert "audio_path" in parts[0] and "text" in parts[-1]
                *said, last = row["messages"][1]["content"][0]["text"].split("\n")
                is_verdict = last in words or find_labels(last, language)[0][0] == "same_gender"
                verdicts += is_verdict
                told = "\n".join(said if is_verdict else [*said, last])
                for name, number, [(key, label)] in _read_lines(told, language):
                    assert name in names
                    assert int(number) == LABELS[key].index(label) + 1
                    lines[category] += 1
    assert lines["acoustic_level"] > 100 and lines["comparison"] > 100 and verdicts > 10


def test_lists_that_name_the_language_are_mostly_of_others(utterances, tmp_path):
    """Else the words around a label would say which language is spoken."""
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    [path] = list_files(tmp_path / "sift", "train", PRETRAINING_LISTS, "de")
    found = [
        dict(find_labels(row["messages"][1]["content"][0]["text"], "de")) for row in read_rows(path)
    ]
    named = [labels["language"] for labels in found if "language" in labels]
    assert set(named) > {"French", "Italian"} and named.count("German") < len(named) / 2
    assert len(named) < len(found) / 2
