"""Questions about free fields say what the label says: no other class, no near one held against
it."""

import dataclasses
import json
import random
from collections import Counter

import pytest
from fake_metadata import write_metadata

from data_prep.instructions import fields as free_fields
from data_prep.instructions import generation
from data_prep.instructions.choose_items import Item, choose_items
from data_prep.instructions.templates import load_templates
from data_prep.instructions.write import write_instructions
from sift_jax.sift.fields import find_field, find_styles, load_fields
from sift_jax.sift.labels import LANGUAGES, find_labels, read_first_word
from sift_jax.sift.rows import list_files, read_rows

(EMOTION,) = FIELDS = load_fields()
SIZES = {"train": 80, "dev": 30, "EvalSIFT": 60}
CLASSES = ("neutral", "calm", "happy", "excited", "sad", "angry")


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    """Two utterances in three have an emotion; neutral is what half of these are."""
    path = write_metadata(tmp_path_factory.mktemp("fields") / "metadata.jsonl", sizes=SIZES)
    rng, lines = random.Random(0), []
    for row in read_lines(path):
        label = rng.choice([*CLASSES, *["neutral"] * 5])
        row["fields"] = (
            {"emotion": {"label": label, "source": "corpus"}} if rng.random() < 2 / 3 else {}
        )
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(metadata, tmp_path_factory):
    out = tmp_path_factory.mktemp("sift")
    write_instructions(metadata, out, fields=FIELDS, rows_per_utterance=10, rows_per_language=80)
    return out


def read_texts(out, split, category, language):
    for path in list_files(out, split, category, language):
        for row in read_rows(path):
            question, answer = (
                " ".join(part["text"] for part in message["content"] if "text" in part)
                for message in row["messages"]
            )
            ids = [
                part["audio_path"].split("/")[-1].removesuffix(".wav")
                for message in row["messages"]
                for part in message["content"]
                if "audio_path" in part
            ]
            yield ids, question, answer


def read_labels(metadata):
    return {
        row["id"]: row["fields"].get("emotion", {}).get("label") for row in read_lines(metadata)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_row_says_the_label_and_nothing_else(metadata, built, language):
    labels, kinds = read_labels(metadata), Counter()
    names = EMOTION.list_names(language)
    for split in SIZES:
        for category in (free_fields.CONTENT, free_fields.COMPARISON, free_fields.OPEN_ENDED):
            for ids, question, answer in read_texts(built, split, category, language):
                found = find_field(FIELDS, question, language)
                asked, said = (
                    EMOTION.find_named(question, language),
                    EMOTION.find_named(answer, language),
                )
                truths = [labels[name] for name in ids]
                if found:
                    assert said == truths and find_labels(answer, language) == []
                    kinds[found[1]] += 1
                elif category == free_fields.CONTENT and asked and said:
                    assert said == truths and read_first_word(answer, language) is (
                        asked == truths
                    ), answer
                    assert asked == truths or not EMOTION.is_near(asked[0], truths[0])
                    kinds["verify"] += 1
                elif category == free_fields.COMPARISON and asked:
                    ((_, place),) = find_labels(answer, language)
                    assert (
                        truths.index(asked[0]) == ("first", "second").index(place)
                        and truths.count(asked[0]) == 1
                    )
                    kinds["which"] += 1
                elif category == free_fields.COMPARISON and said:
                    assert said == list(dict.fromkeys(truths))
                    assert read_first_word(answer, language) is (len(set(truths)) == 1)
                    kinds["same"] += 1
    assert names and all(
        kinds[kind] > 10 for kind in ("direct", "open", "verify", "which", "same")
    ), kinds


@pytest.mark.parametrize("language", LANGUAGES)
def test_requests_to_speak_ask_for_the_emotion_that_is_heard(metadata, built, language):
    labels, count = read_labels(metadata), 0
    for ids, question, _ in read_texts(built, "train", "controllable_generation", language):
        before = question.rpartition(":")[0]
        if styles := find_styles(FIELDS, before, language):
            assert styles == {"emotion": labels[ids[0]]}
            count += 1
    assert count > 20


def test_classes_stay_even_in_evalsift_where_the_table_wants_it(metadata, built):
    labels, counts = read_labels(metadata), Counter()
    for ids, question, _ in read_texts(built, "EvalSIFT", free_fields.CONTENT, "en"):
        if find_field(FIELDS, question, "en"):
            counts[labels[ids[0]]] += 1
    spoken = Counter(label for name, label in labels.items() if label and "_en_EvalSIFT_" in name)
    assert spoken["neutral"] > 0.4 * spoken.total()
    assert counts["neutral"] <= 0.35 * counts.total() and set(counts) == set(spoken)


def test_even_forms_are_not_filled_up():
    items = [
        Item(ids=(f"u{n}",), form="f", group="common" if n else "rare", question="?", answer="a")
        for n in range(40)
    ]

    def choose(even):
        return choose_items(
            items, 30, {"f": 1.0}, random.Random(0), cap=1, must_fill=True, even=even
        )

    assert len(choose(())) == 30 and len(choose({"f"})) < 8


def test_a_corpus_without_the_field_is_written_as_without_tables(tmp_path):
    path = write_metadata(
        tmp_path / "m.jsonl", languages=("en", "de"), sizes={"train": 20, "dev": 4}
    )
    write_instructions(path, tmp_path / "with", fields=FIELDS)
    write_instructions(path, tmp_path / "without")
    for language in ("en", "de"):
        for one, other in zip(
            list_files(tmp_path / "with", "train", None, language),
            list_files(tmp_path / "without", "train", None, language),
            strict=True,
        ):
            assert one.read_bytes() == other.read_bytes()


def make_utterance(name, label, gender=None):
    known = {"emotion": {"label": label, "source": "corpus"}} if label else {}
    return {
        "id": name,
        "gender": gender,
        "age_category": None,
        "accent": None,
        "transcript": "Ah.",
        "labels": {},
        "fields": known,
    }


def test_one_class_alone_is_held_against_nothing():
    utterances = [make_utterance("a", "sad"), make_utterance("b", "sad"), make_utterance("c", None)]
    items = free_fields.make_items(
        free_fields.CONTENT, utterances, FIELDS, load_templates("en"), random.Random(0)
    )
    assert {(item.form, item.ids) for item in items} == {
        ("direct:emotion", ("a",)),
        ("direct:emotion", ("b",)),
    }


def test_answers_may_differ_by_gender():
    wording = {
        **EMOTION.languages["fr"],
        "answers": ["La personne semble {label}."],
        "answers_female": ["Elle semble {label}."],
        "answers_male": ["Il a l'air de quelqu'un de {label}."],
    }
    fields = (dataclasses.replace(EMOTION, languages={"fr": wording}),)
    utterances = [
        make_utterance("a", "sad", "female"),
        make_utterance("b", "calm", "male"),
        make_utterance("c", "sad"),
    ]
    answers = {}
    for seed in range(20):
        for item in free_fields.make_items(
            free_fields.CONTENT, utterances, fields, load_templates("fr"), random.Random(seed)
        ):
            if item.form == "direct:emotion":
                answers.setdefault(item.ids[0], set()).add(item.answer.split()[0])
    assert answers == {"a": {"La", "Elle"}, "b": {"La", "Il"}, "c": {"La"}}


def test_plain_templates_answer_in_lines():
    utterances = [make_utterance("a", "angry"), make_utterance("b", "happy")]
    items = free_fields.make_items(
        free_fields.CONTENT,
        utterances,
        FIELDS,
        load_templates("de", is_plain=True),
        random.Random(0),
    )
    answers = {(item.form, item.ids[0], item.group): item.answer for item in items}
    assert answers["direct:emotion", "a", "angry"] == "Emotion 6: wütend"
    assert answers["verify:emotion", "a", "Nein"] == "Emotion 6: wütend\nNein"
    for category in (free_fields.COMPARISON, free_fields.OPEN_ENDED):
        sources = [tuple(utterances)] if category == free_fields.COMPARISON else utterances
        assert (
            free_fields.make_items(
                category, sources, FIELDS, load_templates("de", is_plain=True), random.Random(0)
            )
            == []
        )


def test_a_request_in_words():
    (item, *_) = generation.make_items(
        make_utterance("a", "angry"),
        load_templates("en", 1),
        random.Random(0),
        has_accents=False,
        fields=FIELDS,
    )
    assert item.question == "Say this angrily: Ah."
