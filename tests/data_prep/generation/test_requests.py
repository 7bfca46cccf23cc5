"""What instructions ask for is read from their words, exactly; what does not say it clearly is
counted."""

import dataclasses
import json
import random

import pytest
from fake_metadata import write_metadata

from data_prep.generation import requests as r
from data_prep.instructions import generation
from data_prep.instructions.rows import lay_out_row
from data_prep.instructions.templates import load_templates, write_request
from sift_jax.sift.labels import LABELS, LANGUAGES, space_signs, write_spoken_phrase
from sift_jax.sift.rows import write_rows


def test_all_that_templates_ask_for_is_found_again_in_every_language(tmp_path):
    """The form of a candidate is the number of labels that were drawn for it."""
    rows = map(
        json.loads, write_metadata(tmp_path / "m", sizes={"train": 30}).read_text().splitlines()
    )
    rng, count = random.Random(3), 0
    for utterance in rows:
        for item in generation.make_items(
            utterance, load_templates(utterance["language"]), rng, has_accents=True
        ):
            text = space_signs(utterance["transcript"], utterance["language"])
            words = item.question[: item.question.rindex(text)]
            asked = r.find_asked(words, utterance["language"])
            assert len(asked) == int(item.form), item.question
            assert r.is_true_of(utterance, asked), item.question
            wordings = load_templates(utterance["language"])["controllable_generation"]["questions"]
            assert item.question in [
                write_request(
                    load_templates(utterance["language"]), question, asked, utterance["transcript"]
                )
                for question in wordings
            ]
            count += 1
    assert count > 1_000


def test_every_row_of_a_build_becomes_a_request(built):
    requests, left = r.collect(built, "EvalSIFT", ["en", "de"], None)
    assert len(requests) == 48 and not left
    assert len({request.id for request in requests}) == 48
    known = r.read_known(built)
    for request in requests:
        assert request.instruction.endswith(request.text) and request.asked
        assert known[request.utterance]["transcript"] == request.text
        assert r.is_true_of(known[request.utterance], request.asked) and request.swept is None
    assert r.list_spoken(built, "EvalSIFT", None) == ["en", "de"]


@pytest.mark.parametrize("sign", ["?", " ?"])
def test_a_french_question_is_found_as_its_language_sets_it_and_as_its_corpus_does(tmp_path, sign):
    rows = [
        json.loads(line)
        for line in write_metadata(tmp_path / "m", sizes={"EvalSIFT": 4}).read_text().splitlines()
    ]
    row = next(row for row in rows if row["language"] == "fr") | {"transcript": "Est-ce vrai?"}
    label = row["labels"]["average_intensity"]
    wish = (
        f"Prononce cette phrase {write_spoken_phrase('average_intensity', label, 'fr')} : Est-ce "
        f"vrai{sign}"
    )
    message = {"role": "user", "content": [{"text": wish}]}
    found = r._read_row({"messages": [message]}, "fr", row, (), is_own=True)
    assert found["text"] == "Est-ce vrai?" and found["asked"] == {"average_intensity": label}


def test_a_language_that_the_build_lacks_is_an_error(built):
    with pytest.raises(
        ValueError, match="no controllable_generation rows of EvalSIFT in it; give a build"
    ):
        r.collect(built, "EvalSIFT", ["en", "it"], None)


def test_rows_from_elsewhere_count_by_their_words_alone(built, tmp_path):
    first = next(
        row
        for row in r.read_known(built).values()
        if row["split"] == "EvalSIFT" and row["language"] == "en"
    )
    other = next(
        label
        for label in LABELS["speaking_rate"]
        if label not in ("moderate speed", first["labels"]["speaking_rate"])
    )
    text = first["transcript"]
    questions = {
        first["id"]: [
            f"Please speak {other}, with a male voice: {text}",
            f"Say it at a brisk pace: {text}",
            f"Say this softly and loudly: {text}",
            "Say this softly: something else.",
        ],
        "unknown": [f"Say this softly: {text}"],
    }
    rows = [
        lay_out_row([name], "controllable_generation", question, None, data_source="x", draw="0")
        for name, asked in questions.items()
        for question in asked
    ]
    write_rows(tmp_path / "EvalSIFT/controllable_generation/en/split0.jsonl", rows)
    requests, left = r.collect(built, "EvalSIFT", ["en"], tmp_path)
    assert [request.asked for request in requests] == [{"speaking_rate": other, "gender": "male"}]
    assert left == {
        "no label of this house in its words": 1,
        "asks for two classes of average_intensity": 1,
        "the transcript is not in the instruction": 1,
        "its recording is not in the build": 1,
    }


def test_own_rows_must_say_what_the_metadata_has(built, tmp_path):
    lines = [json.loads(line) for line in (built / "metadata.jsonl").read_text().splitlines()]
    for row in lines:
        row["labels"]["speaking_rate"] = "very slowly"
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    (tmp_path / "sift").symlink_to(built / "sift")
    requests, left = r.collect(tmp_path, "EvalSIFT", ["en"], None)
    assert left["its words and the metadata differ"] > 3
    assert all(
        request.asked.get("speaking_rate", "very slowly") == "very slowly" for request in requests
    )


def test_a_sweep_asks_for_each_class_once(built):
    requests = r.sweep(built, "EvalSIFT", ["en", "de"], None, 2, "male")
    assert len(requests) == 2 * 2 * sum(len(LABELS[key]) for key in r.MEASURED)
    pitches = r.sweep(built, "EvalSIFT", ["en"], ["average_pitch"], 1, "male")
    assert [request.asked["average_pitch"] for request in pitches] == list(LABELS["average_pitch"])
    for request in requests:
        assert request.swept and request.utterance in r.read_known(built)
        words = request.instruction[: request.instruction.rindex(request.text)]
        assert r.find_asked(words, request.language) == request.asked
        assert ("gender" in request.asked) == (request.swept in ("average_pitch", "gender"))
    with pytest.raises(ValueError, match="--gender=low is none of female, male"):
        r.sweep(built, "EvalSIFT", ["en"], None, 1, "low")
    with pytest.raises(ValueError, match="--keys: 'accent' is none of average_pitch"):
        r.sweep(built, "EvalSIFT", ["en"], ["accent"], 1, "male")


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_not_told_reads_the_text_and_nothing_else(language):
    told = r.Request(
        id="a--0", language=language, instruction="…", text="Una: nox.", asked={"gender": "female"}
    )
    untold = r.forget([told])[0]
    assert (
        untold.instruction.endswith(f": {space_signs('Una: nox.', language)}")
        and "  " not in untold.instruction
    )
    assert dataclasses.replace(untold, instruction="…") == told
    with pytest.raises(r.Unclear, match="no label"):
        r.find_asked(untold.instruction, language)


def test_a_limit_draws_evenly_and_keeps_the_order(built):
    requests, _ = r.collect(built, "EvalSIFT", ["en", "de"], None)
    drawn = r.draw(requests, 5, seed=1)
    assert [request.language for request in drawn] == ["en"] * 5 + ["de"] * 5
    assert drawn == [request for request in requests if request in drawn] and drawn != r.draw(
        requests, 5, seed=2
    )


GOOD = {
    "id": "a--0",
    "language": "en",
    "instruction": "Say this softly: x",
    "text": "x",
    "asked": {"average_intensity": "softly"},
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        (json.dumps(GOOD), "the id 'a--0' is there twice"),
        (
            json.dumps({**GOOD, "id": "b", "asked": {"average_intensity": "quietly"}}),
            "intensity has no label 'quietly'",
        ),
        (
            json.dumps({**GOOD, "id": "b", "asked": {"noise_level": "clean"}}),
            "asked has the key 'noise_level'; it takes",
        ),
        (json.dumps({**GOOD, "id": "b", "language": "ja"}), "language 'ja' is none of en, de"),
        (json.dumps({**GOOD, "id": "b", "text": " "}), "text is ' ', not a text"),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(tmp_path, line, message):
    path = tmp_path / "items.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{line}\n")
    with pytest.raises(ValueError, match=message) as error:
        r.read_items(path)
    assert "items.jsonl" in str(error.value) and "2" in str(error.value)


def test_items_come_back_as_they_were_written(tmp_path, built):
    requests, _ = r.collect(built, "EvalSIFT", ["de"], None)
    r.write_items(tmp_path / "new" / "items.jsonl", requests)
    assert r.read_items(tmp_path / "new" / "items.jsonl") == requests
    with pytest.raises(ValueError, match="none.jsonl: cannot be read"):
        r.read_items(tmp_path / "none.jsonl")
