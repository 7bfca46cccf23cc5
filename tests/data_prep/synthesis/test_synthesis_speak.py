"""python -m data_prep.synthesis speak: questions in their official forms in, spoken passages and
SIFT files out."""

import json

import numpy as np
import pytest
import soundfile
from chat_server import fail
from question_sets import MARCO_REASONS, make_marco_rows, write_marco, write_squad
from voice_server import serve_voices, sing

from data_prep.corpora.recording import CorpusError
from data_prep.engine.ledger import Rejection, format_accounts
from data_prep.synthesis.__main__ import main
from data_prep.synthesis.passages.ms_marco import read_ms_marco
from data_prep.synthesis.passages.squad import read_squad
from data_prep.synthesis.speech_sources import SpeechSource
from data_prep.synthesis.triples import read_triples
from data_prep.synthesis.tts.engine import share_voices
from sift_jax.sift.rows import list_files, read_rows

MARCO_KEPT = MARCO_REASONS.count(None)


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_files(out):
    """All that is made, but for what remembers how."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "parts" not in path.parts and path.name != "job.json"
    }


def check_books(out):
    accounts = json.loads((out / "report.json").read_text())["accounts"]
    for account in accounts.values():
        assert account["in"] == account["out"] + sum(account["rejected"].values())
    assert sum(sum(account["rejected"].values()) for account in accounts.values()) == len(
        read_lines(out / "rejected.jsonl")
    )
    return accounts


def speak(corpus, path, out, *more):
    main(["speak", f"--corpus={corpus}", f"--file={path}", f"--out={out}", "--workers=1", *more])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_marco(folder / "train_v2.1.json.gz")
    write_marco(folder / "lines.jsonl", as_lines=True)
    write_squad(folder / "train-v2.0.json")
    write_squad(folder / "train-v1.1.json", "v1.1")
    return folder


def test_both_forms_of_ms_marco_are_one(files):
    columns, lines = (
        list(read_ms_marco(files / name, "en", "train"))
        for name in ("train_v2.1.json.gz", "lines.jsonl")
    )
    assert [getattr(item, "text", None) or item.reason for item in columns] == [
        getattr(item, "text", None) or item.reason for item in lines
    ]
    found = [item.reason if isinstance(item, Rejection) else None for item in columns]
    # how long it takes to say is seen later
    assert found == [None if reason == "too many words" else reason for reason in MARCO_REASONS]
    ticket, table, colours = (columns[place] for place in (1, 2, 6))
    assert ticket.text == "A ticket costs $5.50 & children pay 50%. See www.trains.example.org."
    assert ticket.questions[0].answer == "A ticket costs $5.50."
    assert ticket.questions[0].references == ("A ticket costs $5.50.", "$5.50")
    assert table.text == "City, People. Ulm, 126,000."
    assert table.questions[0].references == ("126,000", "About 126,000 people")
    assert colours.questions[0].answer == "red, green, blue"


def test_a_set_that_is_none_is_one_line(files, tmp_path):
    for name, text in (
        ("a.json", "[1, 2]"),
        ("b.json", "oh"),
        ("c.json", '{"answers": {"0": ["a"]'),
        ("d.json", ""),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(CorpusError, match="expected an object of columns|fetch it again"):
            list(read_ms_marco(tmp_path / name, "en", None))
        with pytest.raises(CorpusError, match="not in SQuAD's form"):
            list(read_squad(tmp_path / name, "en", None))
    with pytest.raises(CorpusError, match="no such file"):
        list(read_squad(tmp_path / "none.json", "en", None))


def test_broken_rows_are_set_aside(tmp_path):
    good = make_marco_rows()[0]
    bad = [
        {**good, "query_id": None},
        {**good, "passages": "none"},
        {**good, "answers": {"a": 1}},
        {**good, "answers": [None]},
        {**good, "passages": [{"is_selected": 1, "passage_text": 7}]},
        {
            **good,
            "passages": {"is_selected": [0, 1], "passage_text": ["no", "Rain falls on hills."]},
            "query_id": 5,
        },
    ]
    lines = [json.dumps(row) for row in bad] + ["{", "[1]", '{"query": "\\ud800"}']
    (tmp_path / "m.jsonl").write_text("\n".join([json.dumps(good), *lines]), encoding="utf-8")
    found = [
        item.reason if isinstance(item, Rejection) else item.id
        for item in read_ms_marco(tmp_path / "m.jsonl", "en", None)
    ]
    assert found == [
        "msmarco_19000",
        "broken query",
        "no passage",
        "broken answer",
        "broken answer",
        "broken passage",
        "msmarco_5",
        "broken line",
        "broken line",
        "not UTF-8",
    ]
    (tmp_path / "s.json").write_text(
        json.dumps(
            {
                "data": [
                    7,
                    {
                        "title": "a",
                        "paragraphs": [
                            7,
                            {"qas": []},
                            {"context": 3, "qas": [{"id": "x"}]},
                            {
                                "context": "Rain falls.",
                                "qas": [
                                    7,
                                    {"id": "y", "question": ""},
                                    {"id": "z", "question": "?!"},
                                    {"id": "q", "question": "What?"},
                                ],
                            },
                        ],
                    },
                ]
            }
        )
    )
    assert [item.reason for item in read_squad(tmp_path / "s.json", "en", None)] == [
        "broken article",
        "no question",
        "no question",
        "broken passage",
        "broken question",
        "no question",
        "no question",
        "no answer",
    ]


def test_speech_msmarco(files, tmp_path, capsys):
    out = tmp_path / "out"
    speak("ms_marco", files / "train_v2.1.json.gz", out)
    accounts = check_books(out)
    assert accounts["read"]["in"] == len(MARCO_REASONS) and accounts["speak"]["out"] == MARCO_KEPT
    assert accounts["speak"]["rejected"] == {"too many words": 1}
    assert format_accounts(accounts) in capsys.readouterr().out
    rows = [
        row
        for path in list_files(out / "sift", "train", "open_ended", "en")
        for row in read_rows(path)
    ]
    assert len(rows) == MARCO_KEPT and {row["data_source"] for row in rows} == {"speech_msmarco_en"}
    ticket = rows[1]["messages"]
    assert ticket[0]["content"] == [
        {"audio_path": "/path/to/msmarco_19001.wav"},
        {"text": "how much is a ticket"},
    ]
    assert ticket[1]["content"] == [{"text": "A ticket costs $5.50."}]
    known = {row["id"]: row for row in read_lines(out / "metadata.jsonl")}
    assert known["msmarco_19001"]["spoken"] == (
        "A ticket costs five dollars fifty cents and children pay fifty percent. See trains dot "
        "example dot org."
    )
    for row in known.values():
        wave, rate = soundfile.read(next((out / "audio").rglob(f"{row['id']}.flac")))
        assert rate == 16_000 and len(wave) / rate == pytest.approx(row["duration"], abs=1e-3)
        assert 1 < row["duration"] < 15 and np.abs(wave).max() < 0.96
        # the words are where they are said to be, and a pause lies between
        for first, second in zip(row["sentences"], row["sentences"][1:], strict=False):
            assert 0.25 <= second["start"] - first["end"] <= 0.46
            assert (
                np.abs(
                    wave[round(first["end"] * rate) + 9 : round(second["start"] * rate) - 9]
                ).max()
                < 2e-4
            )
    # other commands know it by its name
    source = SpeechSource(
        corpus="build",
        root=out,
        manifest=None,
        name=None,
        languages=("en",),
        is_said=True,
        min_seconds=0.5,
        max_seconds=30.0,
    )
    assert source.source == "speech_msmarco" and len(list(source.read())) == MARCO_KEPT
    again = tmp_path / "again"
    speak("ms_marco", files / "lines.jsonl", again)
    assert {
        name: data
        for name, data in read_files(again).items()
        if name.startswith(("audio", "sift", "meta"))
    } == {
        name: data
        for name, data in read_files(out).items()
        if name.startswith(("audio", "sift", "meta"))
    }
    # done before: nothing is spoken again
    stamps = {path: path.stat().st_mtime_ns for path in (out / "audio").rglob("*.flac")}
    speak("ms_marco", files / "train_v2.1.json.gz", out)
    assert {path: path.stat().st_mtime_ns for path in (out / "audio").rglob("*.flac")} == stamps


def test_a_paragraph_is_spoken_once_for_all_its_questions(files, tmp_path):
    out = tmp_path / "out"
    speak("squad", files / "train-v2.0.json", out)
    accounts = check_books(out)
    assert accounts["read"]["rejected"] == {
        "not answered by its passage": 2,
        "answer is not in its passage": 2,
    }
    triples = list(read_triples(out / "triples.jsonl"))
    assert len(triples) == 4 and len({triple.id for triple in triples}) == 2
    assert (
        triples[1].references == ("The Normans", "Normans") and triples[0].source == "speech_squad"
    )
    assert len(list((out / "audio").rglob("*.flac"))) == 2
    assert (
        "tenth century" in read_lines(out / "metadata.jsonl")[0]["spoken"]
        and "10th" in triples[0].transcript
    )


def test_dev_files_are_shared_out_and_train_knows_nothing_of_them(files, tmp_path):
    write_squad(tmp_path / "dev-v1.1.json", "v1.1", articles=7)
    out = tmp_path / "out"
    speak("squad", f"{files / 'train-v1.1.json'},{tmp_path / 'dev-v1.1.json'}", out)
    accounts = check_books(out)
    refused = accounts["choose"]["rejected"]
    assert sum(refused.values()) >= 4 and all("its passage is in" in reason for reason in refused)
    rows = {
        split: {row["id"] for path in list_files(out / "sift", split) for row in read_rows(path)}
        for split in ("train", "dev", "EvalSIFT")
    }
    assert (
        rows["dev"]
        and rows["EvalSIFT"]
        and len(rows["dev"] | rows["EvalSIFT"]) == 7
        and not rows["train"]
    )
    speakers = {}
    for row in read_lines(out / "metadata.jsonl"):
        speakers.setdefault(row["split"], set()).add(row["speaker"])
    assert not speakers["dev"] & speakers["EvalSIFT"]
    fewer = tmp_path / "fewer"
    speak("squad", tmp_path / "dev-v1.1.json", fewer, "--split=train", "--train=3")
    assert check_books(fewer)["choose"]["rejected"] == {"more than asked for": 8}


def test_voices_of_a_split_are_in_no_other():
    for count in range(1, 40):
        shared = {
            split: {voice.name for voice in share_voices([f"v{n}" for n in range(count)], split)}
            for split in ("train", "dev", "EvalSIFT")
        }
        assert all(shared.values())
        if count >= 3:
            assert sum(map(len, shared.values())) == count == len(set.union(*shared.values()))


def endpoint_flags(server, *more):
    return [
        "--engine=endpoint",
        f"--endpoint={server.url}",
        "--model=tts",
        "--voices=ash,birch,cedar,dogwood",
        "--attempts=3",
        "--concurrency=2",
        *more,
    ]


def test_an_endpoint_speaks(files, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFT_LLM_KEY", "sk-tell-nobody")

    def answer(number, sent):
        # some servers stumble, some send what is no audio
        if number in (1, 4):
            return fail(503)
        if number == 2:
            return {"status": 200, "body": b"not audio"}
        return sing(len(sent["input"]))

    out = tmp_path / "out"
    with serve_voices(speech=answer) as server:
        speak("ms_marco", files / "lines.jsonl", out, *endpoint_flags(server))
        asked = server.of("/v1/audio/speech")
        assert {sent["voice"] for sent in asked} <= {"ash", "birch"} and asked[0][
            "response_format"
        ] == "flac"
        assert server.asked[0][2]["Authorization"] == "Bearer sk-tell-nobody"
        assert "A ticket costs five dollars fifty cents and children pay fifty percent." in [
            sent["input"] for sent in asked
        ]
    assert check_books(out)["speak"]["out"] == MARCO_KEPT
    assert all(b"sk-tell" not in path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert not list(out.rglob("pieces/*"))


def test_what_an_endpoint_does_not_say_is_set_aside(files, tmp_path):
    def answer(number, sent):
        if "Rain" in sent["input"]:
            return fail(400, "no weather")
        if "ticket" in sent["input"]:
            return sing(3)
        if "Ulm" in sent["input"]:
            return {**sing(3), "body": b""}
        return sing(len(sent["input"]))

    with serve_voices(speech=answer) as server:
        speak("ms_marco", files / "lines.jsonl", tmp_path / "out", *endpoint_flags(server))
    assert check_books(tmp_path / "out")["speak"]["rejected"] == {
        "no speech: http 400": 1,
        "cut or drawn out": 1,
        "too many words": 1,
        "no speech: no audio in the answer": 1,
    }


def test_a_stopped_run_asks_for_no_sentence_twice(files, tmp_path):
    def answer(number, sent):
        return sing(len(sent["input"])) if number != 3 else fail(401, "no credit")

    out = tmp_path / "out"
    with serve_voices(speech=answer) as server:
        with pytest.raises(SystemExit, match="refuses the key; set"):
            speak(
                "ms_marco", files / "lines.jsonl", out, *endpoint_flags(server, "--concurrency=1")
            )
        done = [sent["input"] for sent in server.of("/v1/audio/speech")][:3]
        speak("ms_marco", files / "lines.jsonl", out, *endpoint_flags(server, "--concurrency=1"))
        asked = [sent["input"] for sent in server.of("/v1/audio/speech")]
        assert not set(done) & set(asked[4:])
    with serve_voices(speech=lambda number, sent: sing(len(sent["input"]))) as calm:
        # the address decides what is kept: another server may speak otherwise
        with pytest.raises(SystemExit, match="was made with another server"):
            speak("ms_marco", files / "lines.jsonl", out, *endpoint_flags(calm))
        speak("ms_marco", files / "lines.jsonl", tmp_path / "calm", *endpoint_flags(calm))
    assert read_files(tmp_path / "calm") == read_files(out)


def test_a_server_that_is_down_stops_the_run(files, tmp_path):
    with (
        serve_voices(speech=lambda number, sent: fail(500)) as server,
        pytest.raises(SystemExit, match="3 calls in a row came to nothing"),
    ):
        speak(
            "ms_marco",
            files / "lines.jsonl",
            tmp_path / "out",
            *endpoint_flags(server, "--concurrency=1", "--attempts=1"),
        )
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_set_of_any_size_is_read_through_a_window(files, monkeypatch):
    whole = list(read_ms_marco(files / "train_v2.1.json.gz", "en", "train"))
    for size in (1, 7, 64):
        monkeypatch.setattr("data_prep.synthesis.passages.stream_json._PIECE", size)
        assert list(read_ms_marco(files / "train_v2.1.json.gz", "en", "train")) == whole


@pytest.mark.parametrize(
    "more, message",
    [
        (["--engine=endpoint"], "--engine=endpoint needs --endpoint"),
        (["--engine=local"], "--voice_model"),
        (["--engine=local", "--voice_model=/none"], "no model there"),
        (["--max_seconds=0"], "--max_seconds"),
        (["--train=-1"], "too small"),
        (["--endpoint=http://a/v1"], "--endpoint needs --model"),
    ],
)
def test_a_wrong_flag_is_one_line(files, tmp_path, more, message):
    with pytest.raises(SystemExit) as stop:
        speak("squad", files / "train-v1.1.json", tmp_path / "out", *more)
    assert message in str(stop.value) and len(str(stop.value).splitlines()) == 1


def test_a_folder_of_something_else_is_left_alone(files, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty and holds no data of this command"):
        speak("squad", files / "train-v1.1.json", tmp_path)
    out = tmp_path / "out"
    speak("squad", files / "train-v1.1.json", out)
    with pytest.raises(SystemExit, match="was made with another max_seconds, seed"):
        speak("squad", files / "train-v1.1.json", out, "--seed=1", "--max_seconds=20")


@pytest.mark.slow
def test_through_beam_several_processes_speak_the_same(files, tmp_path):
    write_squad(tmp_path / "dev.json", "v1.1", articles=8)
    flags = ["speak", "--corpus=squad", f"--file={tmp_path / 'dev.json'}"]
    main([*flags, f"--out={tmp_path / 'one'}", "--workers=1"])
    main([*flags, f"--out={tmp_path / 'two'}", "--workers=2"])
    assert read_files(tmp_path / "one") == read_files(tmp_path / "two")


def test_the_benchmark_tells_what_the_time_goes_into(capsys, monkeypatch):
    from benchmarks import synthesis

    monkeypatch.setattr("sys.argv", ["synthesis", "--passages=2", "--words=12", "--rounds=1"])
    synthesis.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    parts = told["ms_per_utterance"]
    assert parts["synthesis"] < parts["the whole"] and parts["markup stripped"] < parts["synthesis"]
    assert told["utterances_per_second_and_core"] == pytest.approx(
        1000 / parts["the whole"], rel=0.01
    )
