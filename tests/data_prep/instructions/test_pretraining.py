"""Pre-training rows say what the metadata says: by number, and by bare label."""

import itertools
import json

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.pretraining import make_list_item, make_ranks_item, make_ratings_item
from data_prep.instructions.write import write_instructions
from sift_jax.data.labels import LABELS, LANGUAGES, MEASURED_KEYS, find_labels, name_label, say_yes_no
from sift_jax.data.sift_files import (
    PRETRAINING_LISTS,
    PRETRAINING_RANKS,
    PRETRAINING_RATINGS,
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
        words = make_list_item(utterance, language, has_accents=False).answer.split("\n")
        found = [find_labels(word, language) for word in words]
        assert [str(LABELS[f[0][0]].index(f[0][1])) if f else "–" for f in found] == numbers


def test_ranks_say_which_of_two_has_more(utterances):
    mine = [u for u in utterances if u["language"] == "en"]
    seen = set()
    for pair in itertools.pairwise(mine[:40]):
        ranks = make_ranks_item(pair, "en").answer.split(" ")
        assert len(ranks) == len(MEASURED_KEYS) + 1
        labels = [u["labels"].get("noise_level") for u in pair]
        is_known = None not in labels
        levels = [LABELS["noise_level"].index(label) for label in labels] if is_known else [0, 0]
        difference = levels[1] - levels[0]
        assert ranks[MEASURED_KEYS.index("noise_level")] == (
            "–" if abs(difference) < 2 else "2" if difference > 0 else "1")
        genders = tuple(u["gender"] for u in pair)
        assert ranks[-1] == {("female", "male"): "2", ("male", "female"): "1"}.get(genders, "–")
        seen |= set(ranks)
    assert seen == {"1", "2", "–"}


def test_evaluation_has_no_pretraining_rows(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    for category in (PRETRAINING_RATINGS, PRETRAINING_LISTS, PRETRAINING_RANKS):
        assert list_files(tmp_path / "sift", "train", category)
        assert not list_files(tmp_path / "sift", "EvalSIFT", category)


def test_fewer_wordings_make_fewer_questions(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    distinct = []
    for wordings in (1, 6):
        out = tmp_path / str(wordings)
        write_instructions(tmp_path / "metadata.jsonl", out, rows_per_language=10, wordings=wordings, is_plain=True)
        [path] = list_files(out, "train", "closed_ended/acoustic_level", "en")
        parts = [part for row in read_rows(path) for part in row["messages"][0]["content"]]
        distinct.append({part["text"] for part in parts if "text" in part})
    assert len(distinct[0]) < len(distinct[1])


def test_plain_rows_are_bare_labels_behind_the_audio(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10, is_plain=True)
    bare = 0
    for path in list_files(tmp_path / "sift", "train", "closed_ended/acoustic_level"):
        for row in read_rows(path):
            parts = row["messages"][0]["content"]
            assert "audio_path" in parts[0] and "text" in parts[1]
            answer, language = row["messages"][1]["content"][0]["text"], path.parent.name
            found = find_labels(answer, language)
            verdicts = {say_yes_no(is_true, language) for is_true in (True, False)}
            if answer.split(",")[0] not in verdicts and len(found) == 1:
                assert answer.casefold() == f"{name_label(*found[0], language)}.".casefold()
                bare += 1
    assert bare > 100


def test_half_of_the_lists_are_about_other_languages(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    [path] = list_files(tmp_path / "sift", "train", PRETRAINING_LISTS, "de")
    named = [dict(find_labels(row["messages"][1]["content"][0]["text"], "de"))["language"] for row in read_rows(path)]
    assert named.count("German") == len(named) // 2 and set(named) > {"German"}
