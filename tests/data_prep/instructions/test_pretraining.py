"""Pre-training rows say what the metadata says: by number, and by bare label."""

import json
import random

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.pretraining import make_list_item, make_ratings_item, make_short_items
from data_prep.instructions.templates import load_templates
from data_prep.instructions.write import write_instructions
from sift_jax.data.labels import LABELS, LANGUAGES, MEASURED_KEYS, find_labels
from sift_jax.data.sift_files import (
    PRETRAINING_LISTS,
    PRETRAINING_RATINGS,
    PRETRAINING_SHORT,
    list_files,
    read_rows,
)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    path = tmp_path_factory.mktemp("pretraining") / "metadata.jsonl"
    write_metadata(path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ratings_are_places_on_the_scales(utterances):
    for utterance in utterances[:50]:
        numbers = make_ratings_item(utterance, "en", has_accents=False).answer.split(" ")
        assert len(numbers) == 16 and numbers[3] == "–"
        assert LABELS["gender"][int(numbers[0])] == utterance["gender"]
        for key, number in zip(MEASURED_KEYS, numbers[6:12], strict=True):
            label = utterance["labels"].get(key)
            assert number == (str(LABELS[key].index(label)) if label else "–")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_says_the_ratings_in_words(utterances, language):
    for utterance in [u for u in utterances if u["language"] == language][:20]:
        numbers = make_ratings_item(utterance, language, has_accents=False).answer.split(" ")
        words = make_list_item(utterance, language, has_accents=False).answer.split("; ")
        found = [find_labels(word, language) for word in words]
        assert [str(LABELS[f[0][0]].index(f[0][1])) if f else "–" for f in found] == numbers


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_short_answer_is_one_label_and_true(utterances, language):
    templates = load_templates(language)
    mine = [u for u in utterances if u["language"] == language][:20]
    seen = set()
    for utterance in mine:
        for item in make_short_items(utterance, templates, random.Random(0), has_accents=False):
            [(key, label)] = find_labels(item.answer, language)
            assert label == item.group
            if key in MEASURED_KEYS:
                assert utterance["labels"][key] == label
            seen.add(item.form)
    assert {"gender", "speaking_rate", "noise_level"} <= seen and "language" not in seen


def test_evaluation_has_no_pretraining_rows(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    for category in (PRETRAINING_RATINGS, PRETRAINING_LISTS, PRETRAINING_SHORT):
        assert list_files(tmp_path / "sift", "train", category)
        assert not list_files(tmp_path / "sift", "EvalSIFT", category)


def test_fewer_wordings_make_fewer_questions(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    distinct = []
    for wordings in (1, 6):
        out = tmp_path / str(wordings)
        write_instructions(tmp_path / "metadata.jsonl", out, rows_per_language=10, wordings=wordings)
        [path] = list_files(out, "train", PRETRAINING_SHORT, "en")
        parts = [part for row in read_rows(path) for part in row["messages"][0]["content"]]
        distinct.append({part["text"] for part in parts if "text" in part})
    assert len(distinct[0]) < len(distinct[1])
