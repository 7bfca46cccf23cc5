"""Pre-training rows say what the metadata says: by number, and by bare label."""

import itertools
import json
import random

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.comparison import order_pair
from data_prep.instructions.pretraining import (
    list_labels,
    make_compares_item,
    make_list_item,
    make_ranks_item,
    make_ratings_item,
)
from data_prep.instructions.templates import load_templates
from data_prep.instructions.write import write_instructions
from sift_jax.data.labels import LABELS, LANGUAGES, MEASURED_KEYS, find_labels, name_label, say_yes_no
from sift_jax.data.sift_files import (
    PRETRAINING_CATEGORIES,
    PRETRAINING_LISTS,
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
        assert LABELS["gender"][int(numbers[0]) - 1] == utterance["gender"]
        for key, number in zip(MEASURED_KEYS, numbers[6:12], strict=True):
            label = utterance["labels"].get(key)
            assert number == (str(LABELS[key].index(label) + 1) if label else "–")


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_say_the_ratings_in_words_each_behind_its_name(utterances, language):
    templates, starts = load_templates(language), set()
    forms = {name: form for form, name in templates["names"].items()}
    assert len(forms) == len(templates["names"])
    for utterance in [u for u in utterances if u["language"] == language][:20]:
        item = make_list_item(utterance, templates, random.Random(utterance["id"]), has_accents=False,
                              has_language=True)
        said = {forms[name]: (number, find_labels(label, language)) for name, number, label in _split(item)}
        wanted = {form: (str(LABELS[key].index(label) + 1), [(key, label)])
                  for form, (key, label) in list_labels(utterance, has_accents=False).items() if label}
        assert said == wanted and "accent" not in wanted
        ratings = make_ratings_item(utterance, language, has_accents=False).answer.split(" ")
        assert [number for number, _ in wanted.values()] == [number for number in ratings if number != "–"]
        starts.add(next(iter(said)))
    assert len(starts) > 5


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


@pytest.mark.parametrize("language", LANGUAGES)
def test_compares_say_the_ranks_in_words(utterances, language):
    templates, seen = load_templates(language), set()
    poles = {name: (key, pole) for key, names in templates["poles"].items() for pole, name in names.items()}
    mine = [u for u in utterances if u["language"] == language]
    for pair in itertools.pairwise(mine[:40]):
        item = make_compares_item(pair, templates, random.Random(pair[0]["id"]))
        for name, number, recording in _split(item) if item else ():
            key, pole = poles[name]
            assert find_labels(recording, language) == [("recording", ("first", "second")[int(number) - 1])]
            if key == "gender":
                assert pair[int(number) - 1]["gender"] == pole
            else:
                assert (order_pair(pair, key) > 0) == ((pole == "high") == (number == "2"))
            seen.add((key, pole, number))
    assert len(seen) > 20


def _split(item):
    """[(name, number, label)] of a row."""
    parts = [part.split(": ") for part in item.answer.removesuffix(".").split(". ")]
    return [(*name.rsplit(" ", 1), label) for name, label in parts]


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
        write_instructions(tmp_path / "metadata.jsonl", out, rows_per_language=10, wordings=wordings, is_plain=True)
        [path] = list_files(out, "train", "closed_ended/acoustic_level", "en")
        parts = [part for row in read_rows(path) for part in row["messages"][0]["content"]]
        distinct.append({part["text"] for part in parts if "text" in part})
    assert len(distinct[0]) < len(distinct[1])


def test_plain_rows_are_named_and_numbered_labels_behind_the_audio(utterances, tmp_path):
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10, is_plain=True)
    named = verdicts = 0
    for path in list_files(tmp_path / "sift", "train", "closed_ended/acoustic_level"):
        language = path.parent.name
        names = load_templates(language)["names"]
        words = {say_yes_no(is_true, language) for is_true in (True, False)}
        for row in read_rows(path):
            parts = row["messages"][0]["content"]
            assert "audio_path" in parts[0] and "text" in parts[1]
            *said, last = row["messages"][1]["content"][0]["text"].removesuffix(".").split(". ")
            verdicts += last in words
            for text in said if last in words else [*said, last]:
                [(key, label)] = find_labels(text, language)
                number = LABELS[key].index(label) + 1
                assert text == f"{names[key]} {number}: {name_label(key, label, language)}"
                named += 1
    assert named > 100 and verdicts > 10


def test_lists_that_name_the_language_are_mostly_of_others(utterances, tmp_path):
    """Else the words around a label would say which language is spoken."""
    write_metadata(tmp_path / "metadata.jsonl")
    write_instructions(tmp_path / "metadata.jsonl", tmp_path / "sift", rows_per_language=10)
    [path] = list_files(tmp_path / "sift", "train", PRETRAINING_LISTS, "de")
    found = [dict(find_labels(row["messages"][1]["content"][0]["text"], "de")) for row in read_rows(path)]
    named = [labels["language"] for labels in found if "language" in labels]
    assert set(named) > {"French", "Italian"} and named.count("German") < len(named) / 2
    assert len(named) < len(found) / 2
