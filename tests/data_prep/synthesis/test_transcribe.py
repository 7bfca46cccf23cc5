"""python -m data_prep.synthesis transcribe: speech in, transcripts that can be believed out, the
others skipped."""

import importlib.util
import json

import pytest
from chat_server import fail, say
from corpus_layouts import write_voice
from test_ask import read_words
from test_synthesis_speak import check_books, read_files, read_lines
from voice_server import hear, serve_voices

from data_prep.corpora.spgispeech import read_spgispeech
from data_prep.embedded.corpus import make_plans, synthesize
from data_prep.engine.ledger import Rejection
from data_prep.recognition.asr_endpoint import parse_transcription
from data_prep.recognition.hypothesis import Hypothesis
from data_prep.recognition.recognisers import Recognising, Sphinx
from data_prep.synthesis.__main__ import main
from data_prep.synthesis.transcript_checks import Limits, find_made_up
from data_prep.synthesis.triples import read_triples
from sift_jax.audio.files import write_audio

LIMITS = Limits(least_confidence=0.3, most_letters=25.0, least_letters=1.0, most_no_speech=0.8)
HEARD = "I think that the momentum of the business goes on."


def write_spgispeech(root, *, train=6, val=2):
    """In the layout of the release; returns the lines of both tables."""
    folder, seed, lines = root / "spgispeech", 0, {}
    for part, count in (("train", train), ("val", val)):
        lines[part] = ["wav_filename|wav_filesize|transcript"]
        for number in range(count):
            seed += 1
            name = f"{seed % 2}c48aa0ee1674{len(part)}/{number}.wav"
            write_voice(folder / part / name, seed, seconds=3.0)
            size = (folder / part / name).stat().st_size
            lines[part].append(f"{name}|{size}|I think the momentum, of {number}% or so, goes on.")
        (folder / f"{part}.csv").write_text("\n".join(lines[part]) + "\n", encoding="utf-8")
    return lines


def test_spgispeech_as_it_is_released(tmp_path):
    write_spgispeech(tmp_path)
    with (tmp_path / "spgispeech" / "train.csv").open("a") as out:
        out.write("1c/99.wav|5|Gone.\n../../etc/passwd|5|Oh.\nno columns\n1c/9.wav|5|\n")
    found = list(read_spgispeech(tmp_path, ["en"]))
    kept = [item for item in found if not isinstance(item, Rejection)]
    assert [item.held for item in kept] == ["train"] * 6 + ["dev"] * 2
    assert (
        kept[0].id == "1c48aa0ee16745-0"
        and kept[0].transcript == "I think the momentum, of 0% or so, goes on."
    )
    assert [item.reason for item in found if isinstance(item, Rejection)] == [
        "no audio file",
        "path leaves the root",
        "broken line",
        "no audio file",
    ]
    assert list(read_spgispeech(tmp_path, ["de"])) == []
    (tmp_path / "spgispeech" / "val.csv").write_text("wav_filename,wav_filesize,transcript\n")
    with pytest.raises(ValueError, match="expected wav_filename|wav_filesize|transcript"):
        list(read_spgispeech(tmp_path, ["en"]))
    with pytest.raises(ValueError, match="no train.csv or val.csv"):
        list(read_spgispeech(tmp_path / "spgispeech" / "val", ["en"]))


MADE_UP = [
    ("", "nothing heard"),
    ("[BLANK_AUDIO]", "nothing heard"),
    ("(music) ♪♪", "nothing heard"),
    (" ... ", "nothing heard"),
    ("Thank you for watching!", "stock phrase"),
    ("Untertitel der Amara.org-Community", "stock phrase"),
    ("Thank you. " * 8, "repeats itself"),
    ("and then we went on to " * 5, "repeats itself"),
    ("so so so so it goes on and on", "repeats itself"),
    ("a lot of words " * 40, "repeats itself"),
    (
        "word after word after word is said here and so on and on until there are far too many of "
        "them to be spoken by anybody in such a short time",
        "too many letters a second",
    ),
    ("Oh", "too few letters a second"),
    ("Das ist aber doch ein ganz und gar deutscher Satz.", "another language"),
    ("Привет, как дела сегодня?", "another language"),
]


@pytest.mark.parametrize("text, reason", MADE_UP)
def test_what_was_made_up_is_told_by_its_reason(text, reason):
    assert find_made_up(Hypothesis(text=text, confidence=0.9), 4.0, "en", LIMITS)[0] == reason


def test_what_was_heard_is_believed():
    for text in (
        HEARD,
        "No, no, no, I said that we never do that.",
        "He thanked them for listening to the music of the band, and said that many would "
        "subscribe to what they think.",
    ):
        assert find_made_up(Hypothesis(text=text, confidence=None), 6.0, "en", LIMITS) is None
    for known, reason in (
        ({"confidence": 0.2}, "unsure"),
        ({"confidence": 0.9, "no_speech": 0.95}, "no speech"),
        ({"confidence": 0.9, "language": "german"}, "another language"),
        ({"confidence": 0.9, "language": "english"}, None),
        ({"confidence": 0.9, "language": "en"}, None),
    ):
        found = find_made_up(Hypothesis(text=HEARD, **known), 4.0, "en", LIMITS)
        assert (found and found[0]) == reason


def transcribe(out, *more):
    main(["transcribe", f"--out={out}", "--workers=1", *more])


def point(server, *more):
    return [
        "--asr=endpoint",
        f"--endpoint={server.url}",
        "--model=whisper-1",
        "--attempts=2",
        "--concurrency=1",
        *more,
    ]


def test_from_spgispeech_to_questions(tmp_path, monkeypatch):
    monkeypatch.setenv("SIFT_LLM_KEY", "sk-tell-nobody")
    write_spgispeech(tmp_path)
    out = tmp_path / "out"
    answers = {1: hear(""), 2: fail(400, "too short"), 3: hear("Thank you. " * 9)}

    def answer(number, sent):
        name, data = sent["file"]
        assert name == "audio.flac" and data.startswith(b"fLaC") and sent["language"] == "en"
        assert sent["model"] == "whisper-1" and sent["response_format"] == "verbose_json"
        segments = [
            {"avg_logprob": -0.2, "no_speech_prob": 0.01},
            {"avg_logprob": -0.4, "no_speech_prob": 0.1},
        ]
        return answers.get(number, hear(HEARD, language="english", segments=segments))

    flags = ["--corpus=spgispeech", f"--root={tmp_path}"]
    with serve_voices(transcriptions=answer) as server:
        transcribe(out, *flags, *point(server))
        assert (
            len(server.asked) == 8
            and server.asked[0][2]["Authorization"] == "Bearer sk-tell-nobody"
        )
        before = read_files(out)
        # other limits are held against what was heard: only what came to nothing is asked for again
        transcribe(out, *flags, *point(server), "--least_letters=1.5")
        assert check_books(out)["transcribe"]["rejected"] == {
            "nothing heard": 1,
            "repeats itself": 1,
        }
        transcribe(out, *flags, *point(server))
        assert len(server.asked) == 9 and read_files(out) == before
    accounts = check_books(out)
    assert accounts["transcribe"]["rejected"] == {
        "nothing heard": 1,
        "no transcript: http 400": 1,
        "repeats itself": 1,
    }
    assert '\\"Thank you. Thank you.' in (out / "rejected.jsonl").read_text()
    rows = read_lines(out / "metadata.jsonl")
    assert len(rows) == 5 and {row["split"] for row in rows} == {"train", "dev"}
    assert rows[0]["transcript"] == HEARD and rows[0]["confidence"] == pytest.approx(
        0.7408, abs=1e-4
    )
    assert rows[0]["reference"].startswith("I think the momentum, of")
    # wrong: that, business, of, the; missing: 0, or, so
    errors = json.loads((out / "report.json").read_text())["against_references"]
    assert errors["recordings"] == 5 and 0.3 < errors["wer"] < 0.9
    assert all(b"sk-tell" not in path.read_bytes() for path in out.rglob("*") if path.is_file())

    questions = tmp_path / "questions"

    def write(number, sent):
        assert read_words(sent) == {"words": HEARD}
        return say('{"question": "What goes on?", "answer": "The momentum of the business."}')

    with serve_voices(completions=write) as server:
        main(
            [
                "ask",
                "--corpus=build",
                f"--root={out}",
                f"--out={questions}",
                "--workers=1",
                f"--endpoint={server.url}",
                "--model=m",
            ]
        )
    triples = list(read_triples(questions / "triples.jsonl"))
    assert len(triples) == 5 and {triple.source for triple in triples} == {"spgispeech"}
    assert {triple.transcript for triple in triples} == {HEARD} and triples[0].id.startswith(
        "spgispeech_en_"
    )


def test_a_stopped_run_hears_nothing_twice(tmp_path):
    write_spgispeech(tmp_path)
    out, flags = tmp_path / "out", ["--corpus=spgispeech", f"--root={tmp_path}"]
    with serve_voices(
        transcriptions=lambda number, sent: hear(HEARD) if number != 4 else fail(403)
    ) as server:
        with pytest.raises(SystemExit, match="refuses the key"):
            transcribe(out, *flags, *point(server))
        transcribe(out, *flags, *point(server))
        assert len(server.asked) == 9
        transcribe(tmp_path / "calm", *flags, *point(server))
    assert read_files(out) == read_files(tmp_path / "calm")


def test_speech_that_nobody_has_written_down(tmp_path):
    write_voice(tmp_path / "voices" / "a" / "one day.wav", 1, seconds=3.0)
    write_voice(tmp_path / "voices" / "two.flac", 2, seconds=3.0)
    (tmp_path / "voices" / "three.wav").write_bytes(b"RIFF")
    (tmp_path / "mine.jsonl").write_text(
        '{"audio": "voices/two.flac"}\n{"audio": "voices/none.flac"}\n'
    )
    with serve_voices(transcriptions=lambda number, sent: hear(HEARD)) as server:
        transcribe(
            tmp_path / "folder", "--corpus=folder", f"--root={tmp_path / 'voices'}", *point(server)
        )
        transcribe(
            tmp_path / "list",
            "--corpus=manifest",
            f"--manifest={tmp_path / 'mine.jsonl'}",
            *point(server),
        )
        with pytest.raises(SystemExit, match="does not tell languages"):
            transcribe(
                tmp_path / "none",
                "--corpus=folder",
                f"--root={tmp_path / 'voices'}",
                "--languages=en,de",
                *point(server),
            )
    assert [row["id"] for row in read_lines(tmp_path / "folder" / "metadata.jsonl")] == [
        "voices_en_a_one-day",
        "voices_en_two",
    ]
    assert check_books(tmp_path / "folder")["decode"]["rejected"] == {"cannot be decoded": 1}
    assert check_books(tmp_path / "list")["read"]["rejected"] == {"no audio file": 1}
    assert json.loads((tmp_path / "list" / "report.json").read_text())["against_references"] is None


def test_answers_without_words():
    from sift_jax.endpoints.client import Passing

    assert parse_transcription(b'{"text": ""}') == Hypothesis(text="", confidence=None)
    odd = b'{"text": " a  b ", "segments": [{"avg_logprob": "x"}, 7], "language": 5}'
    assert parse_transcription(odd) == Hypothesis(text="a b", confidence=None)
    for payload in (b"", b"[]", b'{"words": "a"}', b'{"text": null}', b"<html>"):
        with pytest.raises(Passing, match="broken answer"):
            parse_transcription(payload)


def test_where_a_recogniser_is_missing_the_remedy_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'pocketsphinx>="):
        Recognising(recogniser="pocketsphinx")
    with pytest.raises(ValueError, match=r"pip install 'faster-whisper>="):
        Recognising(recogniser="faster_whisper", model="small")
    with pytest.raises(ValueError, match="--asr=endpoint needs"):
        Recognising(recogniser="endpoint")


@pytest.mark.extras
def test_pocketsphinx_hears_what_is_said(tmp_path):
    pytest.importorskip("pocketsphinx")
    spoken = [synthesize(plan) for plan in make_plans("en", "train", 3, seed=3)]
    sphinx, found = Sphinx(), []
    for wave, truth in spoken:
        write_audio(tmp_path / f"{truth.id}.flac", wave)
        found.append(sphinx.recognise(tmp_path / f"{truth.id}.flac", "en"))
    assert all(item.confidence is None or 0 <= item.confidence <= 1 for item in found)
    assert sum(bool(item.text) for item in found) >= 2
    # the same words, whatever was heard before
    again = [sphinx.recognise(tmp_path / f"{truth.id}.flac", "en") for _, truth in spoken[::-1]][
        ::-1
    ]
    assert [item.text for item in again] == [item.text for item in found]
    with pytest.raises(ValueError, match="understands English"):
        sphinx.recognise(tmp_path, "de")
