"""spoken.jsonl: what a speaker leaves is taken at its word only where the word makes sense."""

import dataclasses
import json

import pytest

from data_prep.generation.requests import Request
from data_prep.generation.spoken_folder import (
    Spoken,
    check_same_codec,
    check_same_items,
    read_spoken,
    write_spoken,
)

REQUEST = Request(
    id="a--0",
    language="en",
    instruction="Say this softly: x",
    text="x",
    asked={"average_intensity": "softly"},
)
LINE = Spoken(request=REQUEST, sample=0, seed=3, audio="a.wav", units=5, has_ended=True)
PROMISED = {
    "id": "a--0",
    "language": "en",
    "instruction": "Say this softly: x",
    "text": "x",
    "asked": {"average_intensity": "softly"},
    "sample": 0,
    "seed": 3,
    "audio": "a.wav",
    "units": 5,
    "ended": True,
}


def test_a_line_has_the_promised_form(tmp_path):
    write_spoken(tmp_path, [LINE])
    assert json.loads((tmp_path / "spoken.jsonl").read_text()) == PROMISED
    assert read_spoken(tmp_path) == [LINE]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": None}, "sample is None, not int"),
        ({"units": 5.0}, "units is 5.0, not int"),
        ({"ended": 1}, "ended is 1, not bool"),
        ({"audio": "/etc/passwd.wav"}, "is not below the folder"),
        ({"audio": "../a.wav"}, "is not below the folder"),
        ({"sample": -1}, "sample -1 is below 0"),
        (
            {"asked": {"average_intensity": "at a whisper"}},
            "has no label 'at a whisper'; its labels are softly",
        ),
        ({"asked": ["softly"]}, r"asked is \['softly'\], not"),
        ({"language": "xx"}, "language 'xx' is none of"),
        ({}, "sample 0 of 'a--0' is also at .*spoken.jsonl:1"),
        (
            {"sample": 1, "text": "y"},
            "the item 'a--0' asks for something else than at .*spoken.jsonl:1",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, changes, message):
    lines = [PROMISED, {**PROMISED, **changes}]
    (tmp_path / "spoken.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=message) as error:
        read_spoken(tmp_path)
    assert "spoken.jsonl:2" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("{\n", "line 1 is not JSON"),
        ("[1]\n", "not an object"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "spoken.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_spoken(tmp_path)


def test_figures_beside_each_other_are_of_the_same_items(tmp_path):
    other = dataclasses.replace(LINE, request=dataclasses.replace(REQUEST, id="b--0"))
    told = {"folder": tmp_path, "flag": "ceiling"}
    assert check_same_items([LINE], [LINE, other], **told) == [LINE]
    assert check_same_items([LINE, other], [LINE], **told) == [LINE]
    with pytest.raises(
        ValueError, match="has none of the 1 items, such as 'b--0'; give --ceiling a folder"
    ):
        check_same_items([other], [LINE], **told)
    changed = dataclasses.replace(
        LINE, request=dataclasses.replace(REQUEST, asked={"average_intensity": "loudly"})
    )
    with pytest.raises(ValueError, match="'a--0' is another text or asks for something else"):
        check_same_items([LINE], [changed], **told)
    # one that was not told has another instruction for the same item
    untold = dataclasses.replace(
        LINE, request=dataclasses.replace(REQUEST, instruction="Say this: x")
    )
    assert check_same_items([LINE], [untold], **told) == [untold]


def test_figures_beside_each_other_are_of_the_same_codec(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c", "d")]
    for folder, text in zip(
        folders, ('{"codec": "123"}', '{"codec": "456"}', "{", None), strict=True
    ):
        folder.mkdir()
        if text:
            (folder / "speaking.json").write_text(text)
    with pytest.raises(
        ValueError,
        match="b: was spoken by the codec 456.*; give --ceiling a folder of the same codec",
    ):
        check_same_codec(folders[0], folders[1], flag="ceiling")
    # who does not tell is not doubted
    for other in (folders[0], *folders[2:]):
        check_same_codec(folders[0], other, flag="ceiling")
