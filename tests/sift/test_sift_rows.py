"""SIFT files: read and written, and refused with a place and a remedy."""

import json

import pytest

from sift_jax.sift.rows import (
    SiftError,
    audio_ids,
    list_files,
    name_utterance,
    read_rows,
    write_rows,
)


def make_row(**changes):
    user = {
        "role": "user",
        "content": [
            {"text": "Which?"},
            {"audio_path": "/path/to/a.b_1.wav"},
            {"audio_path": "/path/to/c.wav"},
        ],
    }
    answer = {"role": "assistant", "content": [{"text": "The first."}]}
    return {
        "id": "comparison_a.b_1__c",
        "messages": [user, answer],
        "task": "closed_ended",
        "data_source": "embedded_en",
        **changes,
    }


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "train/open_ended/en/split0.jsonl"
    assert write_rows(path, [make_row(), make_row(id="ü")]) == 2
    assert list(read_rows(path)) == [make_row(), make_row(id="ü")]
    assert [child.name for child in path.parent.iterdir()] == ["split0.jsonl"]


def test_null_partner_keys_are_dropped(tmp_path):
    row = make_row()
    for message in row["messages"]:
        message["content"] = [
            {"text": None, "audio_path": None, **part} for part in message["content"]
        ]
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n\n")
    assert list(read_rows(tmp_path / "x.jsonl")) == [make_row()]


def test_audio_ids_in_order():
    assert audio_ids(make_row()) == ["a.b_1", "c"]


@pytest.mark.parametrize(
    "path, name",
    [
        ("/path/to/p234_238_mic1.flac", "p234_238"),
        ("p234_238_mic2.flac", "p234_238"),
        ("/path/to/a.b_1.wav", "a.b_1"),
        ("/x.y/u1", "u1"),
        ("/path/to/u_mic3.wav", "u_mic3"),
        ("/path/to/.wav", ".wav"),
    ],
)
def test_an_utterance_has_one_name_whichever_microphone(path, name):
    assert name_utterance(path) == name


@pytest.mark.parametrize(
    "row, message",
    [
        ("{", "Expecting property name"),
        ("[]", "a row is list, not dict"),
        (json.dumps(make_row(id=3)), "id is int, not str"),
        (json.dumps(make_row(task="")), "task is empty"),
        (json.dumps(make_row(messages=[])), "messages is empty"),
        (
            json.dumps(make_row(messages=[{"role": "robot", "content": []}])),
            "role is 'robot', not one of system",
        ),
        (
            json.dumps(make_row(messages=[{"role": "user", "content": []}])),
            "content of the user message is empty",
        ),
        (
            json.dumps(
                make_row(messages=[{"role": "user", "content": [{"text": "a", "audio_path": "b"}]}])
            ),
            "a part holds audio_path and text, not either",
        ),
        (
            json.dumps(make_row(messages=[{"role": "user", "content": [{"text": None}]}])),
            "a part holds nothing",
        ),
    ],
)
def test_errors_name_the_line(tmp_path, row, message):
    path = tmp_path / "split0.jsonl"
    path.write_text(json.dumps(make_row()) + "\n" + row + "\n")
    with pytest.raises(SiftError) as error:
        list(read_rows(path))
    assert (
        f"{path}:2: " in str(error.value)
        and message in str(error.value)
        and "\n" not in str(error.value)
    )


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(SiftError, match="no such SIFT file; write it with"):
        list(read_rows(tmp_path / "none.jsonl"))


def test_files_are_listed_by_number_and_filtered(tmp_path):
    for place in (
        "dev/open_ended/en/split10",
        "dev/open_ended/en/split9",
        "validation/open_ended/de/split0",
        "dev/closed_ended/word_align/en/split0",
        "dev/open_ended/en/split0.part",
        "train/open_ended/en/split0",
    ):
        write_rows(tmp_path / f"{place}.jsonl", [make_row()])
    assert [path.name for path in list_files(tmp_path, "dev", "open_ended", "en")] == [
        "split9.jsonl",
        "split10.jsonl",
    ]
    assert len(list_files(tmp_path, "validation")) == 4
    assert len(list_files(tmp_path, "dev", "closed_ended/word_align")) == 1
    with pytest.raises(SiftError, match="no split 'test'; the splits are train, dev, EvalSIFT"):
        list_files(tmp_path, "test")
