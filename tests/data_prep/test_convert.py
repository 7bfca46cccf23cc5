"""python -m data_prep.convert: there and back gives the same files; what has no counterpart is set
aside by line."""

import filecmp
import json

import pytest

from data_prep.chat_formats import FormatError, Placeholders, make_chat_row, make_sift_row
from data_prep.convert import main
from sift_jax.sift.rows import CATEGORIES, list_files

A, B = ({"audio_path": f"/path/to/{name}.wav"} for name in "ab")
WHICH, FIRST = {"text": "Which is louder?"}, {"text": "The first."}


def make_row(*messages, identity="comparison_a__b"):
    roles = (
        ("system", "user", "assistant")[3 - len(messages) :]
        if len(messages) < 4
        else ("user", "assistant") * 2
    )
    return {
        "id": identity,
        "task": "closed_ended",
        "data_source": "vctk_en",
        "messages": [
            {"role": role, "content": list(parts)}
            for role, parts in zip(roles, messages, strict=False)
        ],
    }


ROWS = {
    "audio first": (make_row([A, B, WHICH], [FIRST]), "<audio><audio>Which is louder?"),
    "text first": (make_row([WHICH, A, B], [FIRST]), "Which is louder?<audio><audio>"),
    "in between": (make_row([A, WHICH, B], [FIRST]), "<audio>Which is louder?<audio>"),
    "several turns": (
        make_row([A, WHICH], [FIRST], [{"text": "And now?"}, B], [FIRST]),
        "<audio>Which is louder?",
    ),
    "answered by audio": (make_row([WHICH], [A, B]), "Which is louder?"),
    "with a system message": (make_row([FIRST], [A, B, WHICH], [FIRST]), "The first."),
    "texts that meet": (
        make_row([A, WHICH, FIRST, B, {"text": " "}], [FIRST, FIRST]),
        "<audio>Which is louder?The first.<audio> ",
    ),
    "an empty text": (
        make_row([A, {"text": ""}, B, WHICH, {"text": ""}], [FIRST]),
        "<audio><audio>Which is louder?",
    ),
}


@pytest.mark.parametrize("row, content", ROWS.values(), ids=ROWS)
def test_rows_come_back_as_they_were(row, content):
    chat = json.loads(json.dumps(make_chat_row(row, lambda path: f"/corpora/{path[-5]}_mic1.flac")))
    assert (
        chat["messages"][0]["content"] == content
        and chat["messages"][0]["role"] == row["messages"][0]["role"]
    )
    assert chat["audios"] == ["/corpora/a_mic1.flac", "/corpora/b_mic1.flac"]
    assert sum(message["content"].count("<audio>") for message in chat["messages"]) == 2
    assert make_sift_row(chat, Placeholders().make) == row
    plain = {
        "audio first",
        "text first",
        "in between",
        "several turns",
        "answered by audio",
        "with a system message",
    }
    assert (chat["parts"] == "") == (row in [ROWS[name][0] for name in plain])


@pytest.mark.parametrize("target", ["ms_swift", "llama_factory"])
def test_files_come_back_to_the_byte(corpus, tmp_path, target, capsys):
    there, back = tmp_path / "chat", tmp_path / "sift"
    main(
        [
            f"--sift={corpus.sift}",
            "--from=sift",
            f"--to={target}",
            f"--out={there}",
            f"--audio={corpus.audio}",
        ]
    )
    main([f"--chat={there}", f"--from={target}", "--to=sift", f"--out={back}"])
    said = capsys.readouterr().out.splitlines()
    assert said == ["154 rows in, 154 out, 0 skipped"] * 2
    files = [
        path.relative_to(corpus.sift)
        for split in ("train", "dev", "EvalSIFT")
        for path in list_files(corpus.sift, split)
    ]
    same, different, absent = filecmp.cmpfiles(corpus.sift, back, files, shallow=False)
    assert len(same) == len(files) == 2 * 3 * len(CATEGORIES) and not different and not absent


def test_every_line_has_the_same_columns_and_true_paths(corpus, tmp_path):
    main(
        [
            f"--sift={corpus.sift}",
            "--from=sift",
            "--to=llama_factory",
            f"--out={tmp_path / 'x'}",
            f"--audio={corpus.audio}",
        ]
    )
    info = json.loads((tmp_path / "x/dataset_info.json").read_text())
    assert len(info) == 2 * 3 * len(CATEGORIES)
    for entry in info.values():
        assert entry["formatting"] == "sharegpt" and entry["columns"] == {
            "messages": "messages",
            "audios": "audios",
        }
        (file,) = (tmp_path / "x" / entry["file_name"]).iterdir()
        for row in map(json.loads, file.read_text().splitlines()):
            assert list(row) == ["messages", "audios", "id", "task", "data_source", "parts"]
            assert all((corpus.audio / path.rpartition("/")[2]).is_file() for path in row["audios"])
            tags = {entry["tags"][f"{role}_tag"] for role in ("user", "assistant", "system")}
            assert {message[entry["tags"]["role_tag"]] for message in row["messages"]} <= tags


def test_what_others_write_is_read(tmp_path, capsys):
    """The sharegpt style, one JSON array, and OpenAI's parts."""
    rows = [
        {
            "conversations": [
                {"from": "human", "value": "<audio>Wer spricht?"},
                {"from": "gpt", "value": "Ein Mann."},
            ],
            "system": "Sei knapp.",
            "audios": ["clips/x1.mp3"],
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "audio", "audio": "/y/x2.wav"},
                        {"type": "text", "text": "Wer?"},
                    ],
                },
                {"role": "assistant", "content": "Eine Frau."},
            ]
        },
    ]
    (tmp_path / "theirs.json").write_text(json.dumps(rows))
    main(
        [
            "--from=llama_factory",
            "--to=sift",
            f"--chat={tmp_path / 'theirs.json'}",
            f"--out={tmp_path / 'out'}",
            "--place=train/open_ended/de",
            "--task=open_ended",
            "--data_source=mine_de",
        ]
    )
    lines = (tmp_path / "out/train/open_ended/de/split0.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert (
        first["id"] == "x1" and first["data_source"] == "mine_de" and first["task"] == "open_ended"
    )
    assert [m["role"] for m in first["messages"]] == ["system", "user", "assistant"]
    assert first["messages"][1]["content"] == [
        {"audio_path": "/path/to/x1.wav"},
        {"text": "Wer spricht?"},
    ]
    assert second["id"] == "x2" and second["messages"][0]["content"][1] == {"text": "Wer?"}


BAD = [
    ({"messages": [{"role": "user", "content": "<audio>?"}]}, "more <audio> than paths"),
    (
        {"messages": [{"role": "user", "content": "?"}], "audios": ["a.wav"]},
        "1 of its audios have no <audio>",
    ),
    ({"messages": [{"role": "user", "content": "<image>?"}], "images": ["a.png"]}, "it has images"),
    ({"messages": [{"role": "tool", "content": "?"}]}, "role 'tool' is none of"),
    ({"messages": [{"role": "user", "content": None}]}, "content is NoneType, not a string"),
    ({"query": "?"}, "neither messages nor conversations"),
    ({"messages": [{"role": "user", "content": "Hi"}]}, "id is empty"),
    ({"messages": [{"role": ["user"], "content": "?"}]}, "role ['user'] is none of"),
    (
        {"messages": [{"role": "user", "content": "<audio>?"}], "audios": 5},
        "audios is int, not a list",
    ),
    (
        {
            "messages": [{"role": "user", "content": "<audio>?"}],
            "audios": ["a.wav"],
            "parts": "[[null",
        },
        "parts has not",
    ),
    (
        {
            "messages": [{"role": "user", "content": "<audio>??"}],
            "audios": ["a.wav"],
            "parts": "[[null, 1]]",
        },
        "parts has not the lengths",
    ),
]


@pytest.mark.parametrize("row, reason", BAD, ids=[reason[:20] for _, reason in BAD])
def test_what_cannot_be_said_is_set_aside_with_its_line(tmp_path, capsys, row, reason):
    good = {"messages": [{"role": "user", "content": "<audio>?"}], "audios": ["a.wav"]}
    (tmp_path / "x.jsonl").write_text(
        "\n".join([json.dumps(good), "", json.dumps(row), "{", json.dumps(good)])
    )
    main(
        [
            "--from=ms_swift",
            "--to=sift",
            f"--chat={tmp_path / 'x.jsonl'}",
            f"--out={tmp_path / 'out'}",
            "--place=train/open_ended/de",
        ]
    )
    assert "4 rows in, 2 out, 2 skipped" in capsys.readouterr().out
    rejected = [
        json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    ]
    assert [item["line"] for item in rejected] == [3, 4] and reason in rejected[0]["reason"]


def test_files_that_meet_in_one_folder_are_all_kept(tmp_path):
    for number, name in enumerate(
        (
            "a/train/open_ended/de/split0.jsonl",
            "b/train/open_ended/de/more.jsonl",
            "b/train/open_ended/de/split0.jsonl",
            "b/train/open_ended/de/split1.jsonl",
        )
    ):
        path = tmp_path / "chat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {"messages": [{"role": "user", "content": "<audio>?"}], "audios": [f"{number}.wav"]}
        path.write_text(json.dumps(row) + "\n")
    main(
        ["--from=ms_swift", "--to=sift", f"--chat={tmp_path / 'chat'}", f"--out={tmp_path / 'out'}"]
    )
    files = list_files(tmp_path / "out", "train", "open_ended", "de")
    assert sorted(json.loads(path.read_text())["id"] for path in files) == ["0", "1", "2", "3"]


def test_recordings_of_one_name_are_not_one_utterance(tmp_path, capsys):
    """The first keeps it, in whichever file; both microphones of one are the same."""
    (tmp_path / "chat").mkdir()
    for name, paths in (
        ("a", ["/d/anna/0001.wav", "/d/anna/0002_mic1.wav"]),
        ("b", ["/d/bert/0001.wav", "/d/anna/0001.wav", "/d/anna/0002_mic2.wav"]),
    ):
        rows = [
            {"messages": [{"role": "user", "content": "<audio>?"}], "audios": [path]}
            for path in paths
        ]
        (tmp_path / f"chat/{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    main(
        [
            "--from=ms_swift",
            "--to=sift",
            f"--chat={tmp_path / 'chat'}",
            f"--out={tmp_path / 'out'}",
            "--place=train/open_ended/de",
        ]
    )
    assert "5 rows in, 4 out, 1 skipped" in capsys.readouterr().out
    (rejected,) = map(json.loads, (tmp_path / "out/rejected.jsonl").read_text().splitlines())
    assert rejected["file"].endswith("b.jsonl") and rejected["line"] == 1
    assert "/d/bert/0001.wav: 0001 is the name of another recording too" in rejected["reason"]


def test_a_tag_in_a_text_has_no_counterpart():
    with pytest.raises(FormatError, match="a text holds <audio>"):
        make_chat_row(
            make_row([A, {"text": "What does <audio> mean?"}], [FIRST], identity="a"), str
        )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--from=sift", "--to=sift"], "one of --from and --to is sift"),
        (["--from=sift", "--to=ms_swift"], "needs --sift=DIR"),
        (["--from=sift", "--to=ms_swift", "--sift={0}"], "no SIFT files under"),
        (["--from=ms_swift", "--to=sift", "--chat={0}"], "has no JSON files"),
        (
            ["--from=ms_swift", "--to=sift", "--chat={0}/x.json"],
            "say where it goes, as in --place=",
        ),
    ],
)
def test_wrong_flags_are_one_line(tmp_path, flags, message):
    if flags[-1].endswith("x.json"):
        (tmp_path / "x.json").write_text("[]")
    with pytest.raises(SystemExit) as stop:
        main([*(flag.format(tmp_path) for flag in flags), f"--out={tmp_path / 'out'}"])
    assert stop.value.code == 2
    assert message in str(stop.value) and "\n" not in str(stop.value)
