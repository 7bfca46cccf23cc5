"""What holds of every suite: its official layout is read, and what is wrong with a folder is
named."""

import dataclasses
from pathlib import Path

import pytest
from suite_folders import (
    ASKED,
    WRITERS,
    write_clip,
    write_json_lines,
    write_jsonl,
    write_librispeech,
)

from sift_jax.audio.files import read_audio
from sift_jax.evaluation.scores.schema import (
    EvaluationError,
    Item,
    Prediction,
    read_predictions,
    write_prediction,
)
from sift_jax.evaluation.suites import SUITES, SuiteConfig, draw_items, read_suite
from sift_jax.text.chat import make_question


def make_config(name, root, **changes):
    config = SuiteConfig(
        name=name,
        root=str(root),
        subsets=(),
        split="",
        languages=(),
        audio_dirs=(),
        limit=0,
        seed=0,
        cache_dir=str(root / "cache"),
        prompts={},
        constraints=(),
        protocol="official",
    )
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="module", params=SUITES)
def folder(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    WRITERS[request.param](root)
    return request.param, root


def test_a_suite_is_read_in_its_official_layout(folder, tmp_path):
    name, root = folder
    suite = read_suite(make_config(name, root))
    assert len(suite.items) == ASKED[name] and suite.name == name
    for item in suite.items:
        assert item.suite == name and item.id.startswith(f"{name}/{item.subset}/")
        assert item.messages[-1]["role"] == "user" and item.metrics and item.asked
        assert item.references or item.metrics in (("judge_spoken",), ("refused",))
        for path in item.audio:
            assert len(read_audio(path)) > 100
    path = tmp_path / "model.jsonl"
    path.write_text(
        "".join(write_prediction(Prediction(item=item, answer="x")) for item in suite.items)
    )
    assert [prediction.item for prediction in read_predictions(path)] == list(suite.items)


def test_the_name_tells_several_suites_of_a_kind_apart(folder):
    name, root = folder
    suite = read_suite(make_config(f"{name}:home", root))
    assert suite.name == f"{name}:home" and all(
        item.id.startswith(f"{name}:home/") for item in suite.items
    )


def test_a_folder_without_the_suite_is_an_error(folder, tmp_path):
    name, _ = folder
    with pytest.raises(EvaluationError, match=str(tmp_path)):
        read_suite(make_config(name, tmp_path))
    with pytest.raises(EvaluationError, match="missing"):
        read_suite(make_config(name, tmp_path / "missing"))


def test_missing_audio_is_named_and_counted(folder):
    name, root = folder
    whole = read_suite(make_config(name, root))
    gone = Path(whole.items[-1].audio[-1])
    if gone.parent.name == "cache":
        gone = root / "DialogueActPairing_DailyTalk" / "test" / "a.wav"
    hidden = gone.rename(gone.with_name("hidden"))
    try:
        part = read_suite(make_config(name, root))
    finally:
        hidden.rename(gone)
    lost = {item.id for item in whole.items if str(gone) in item.audio}
    assert lost and {item.id for item in part.items} == {item.id for item in whole.items} - lost
    assert {row.id for row in part.set_aside} - {row.id for row in whole.set_aside} == lost
    assert all("no audio file" in row.reason for row in part.set_aside if row.id in lost)


def test_an_unknown_suite_names_all(tmp_path):
    with pytest.raises(
        EvaluationError,
        match="no suite 'evalshift'; the suites are evalsift, .*librispeech.*, jsonl",
    ):
        read_suite(make_config("evalshift", tmp_path))


def test_what_a_suite_does_not_have_is_refused(tmp_path):
    write_librispeech(tmp_path)
    with pytest.raises(
        EvaluationError, match="librispeech has no languages; leave languages empty"
    ):
        read_suite(make_config("librispeech", tmp_path, languages=("de",)))
    with pytest.raises(EvaluationError, match="air_bench has no split"):
        read_suite(make_config("air_bench", tmp_path, split="dev"))


@pytest.mark.parametrize(
    "name, part",
    [
        ("slurp", "intents"),
        ("dynamic_superb", "Snoring"),
        ("air_bench", "speech"),
        ("msp_podcast", "test9"),
        ("evalsift", "closed"),
        ("librispeech", "test_dirty"),
        ("iemocap", "Session6"),
        ("fleurs", "speakers"),
        ("spoken_qa", "heysquad"),
        ("mmau", "noise"),
        ("voicebench", "mtbench"),
    ],
)
def test_an_unknown_part_is_refused(name, part, tmp_path):
    WRITERS[name](tmp_path)
    with pytest.raises(EvaluationError, match=f"{part}|{part.replace('_', '-')}"):
        read_suite(make_config(name, tmp_path, subsets=(part,)))


def make_items(count, subset="part"):
    return tuple(
        Item(
            id=f"s/{subset}/{n}",
            suite="s",
            subset=subset,
            language="en",
            messages=tuple(make_question("Who?", [])),
            references=("x",),
            metrics=("wer",),
        )
        for n in range(count)
    )


def test_a_limit_draws_from_each_part_and_grows():
    items = make_items(40, "a") + make_items(3, "b")
    few, more = draw_items(items, 5, 0), draw_items(items, 10, 0)
    assert [sum(item.subset == part for item in few) for part in "ab"] == [5, 3]
    assert set(item.id for item in few) <= set(item.id for item in more)
    assert [item.id for item in few[:5]] != [item.id for item in items[:5]], (
        "the first ones are no sample"
    )
    assert draw_items(items, 5, 0) == few != draw_items(items, 5, 1)
    without = tuple(item for item in items if item != few[0])
    # what a folder lacks changes the draw of nothing else
    assert {item.id for item in few[1:]} <= {item.id for item in draw_items(without, 5, 0)}
    assert draw_items(items, 0, 0) == items


def test_a_limit_is_the_config_s(tmp_path):
    write_librispeech(tmp_path)
    whole, drawn = (
        read_suite(make_config("librispeech", tmp_path, limit=limit)) for limit in (0, 1)
    )
    assert (
        len(drawn.items) == 2 and drawn.left_out == len(whole.items) - 2 > 0 and whole.left_out == 0
    )


def test_prompts_come_from_the_config(tmp_path):
    write_librispeech(tmp_path)
    suite = read_suite(make_config("librispeech", tmp_path, prompts={"asr": "What was that?"}))
    assert {item.question for item in suite.items} == {"What was that?"}


def test_rows_that_cannot_be_asked_are_set_aside(tmp_path):
    write_clip(tmp_path / "a.wav")
    (tmp_path / "empty.wav").touch()
    good = {"audio": "a.wav", "question": "Who?", "answer": "She."}
    rows = [
        good,
        {**good, "id": "jsonl"},
        {**good, "id": "jsonl"},
        {**good, "answer": "  "},
        {**good, "answer": []},
        {**good, "audio": "empty.wav"},
        {**good, "audio": f"{'b' * 300}.wav"},
        {**good, "labels": ["He.", "They."]},
        {**good, "question": " "},
        {**good, "audio": None},
        {"audio": "a.wav", "answer": "x"},
        {**good, "metric": "loudness"},
        {**good, "metric": "accuracy"},
        {**good, "facets": "loud"},
        ["Who?"],
    ]
    write_json_lines(tmp_path / "own.jsonl", rows)
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write('{"audio": "a.wav", "ques\n')
    suite = read_suite(make_config("jsonl", tmp_path / "own.jsonl"))
    assert [item.id for item in suite.items] == ["jsonl/own/own:1", "jsonl/own/jsonl"]
    reasons = [row.reason for row in suite.set_aside]
    wanted = [
        "another row has this id",
        "empty reference",
        "empty reference",
        "is empty",
        "no audio file",
        "label 'She.' is not one of He., They.",
        "no question",
        "no audio",
        "no question",
        "no metric loudness",
        "accuracy needs labels",
        "facets is not an object",
        "not a JSON object",
        "not a JSON object",
    ]
    assert len(reasons) == len(wanted) and all(
        part in reason for part, reason in zip(wanted, reasons, strict=True)
    )
    assert suite.set_aside[1].id == "jsonl/own/own:4"


def test_a_renamed_column_is_told_with_those_there_are(tmp_path):
    write_json_lines(
        tmp_path / "own.jsonl", [{"audio": "a.wav", "prompt": "Who?", "answer": "She."}]
    )
    with pytest.raises(
        EvaluationError, match="own.jsonl: no question among its columns .audio, prompt, answer."
    ):
        read_suite(make_config("jsonl", tmp_path))


def test_where_nothing_can_be_asked_the_first_reason_is_told(tmp_path):
    write_jsonl(tmp_path)
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).unlink()
    with pytest.raises(
        EvaluationError, match="nothing can be asked; the first of 3 rows: .*no audio file"
    ):
        read_suite(make_config("jsonl", tmp_path))


def test_own_questions_have_metrics_by_their_kind(tmp_path):
    write_jsonl(tmp_path)
    free, closed, own = read_suite(make_config("jsonl", tmp_path)).items
    assert (free.metrics, free.subset, free.facets) == (("judge_open",), "rooms", {"room": "hall"})
    assert (closed.metrics, closed.subset, closed.language, len(closed.audio)) == (
        ("accuracy",),
        "speakers",
        "de",
        2,
    )
    assert own.metrics == ("wer", "cer")
    assert [
        i.id for i in read_suite(make_config("jsonl", tmp_path, subsets=("speakers",))).items
    ] == [closed.id]
