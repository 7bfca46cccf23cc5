"""Wordings of stage 1's instructions by a model: the good ones into a file that the tasks take, the
others aside."""

import json
import re

import pytest
from chat_server import fail, say, serve

from data_prep.corpora.recording import CorpusError
from data_prep.tasks.example_to_row import LISTS, load_templates
from data_prep.tasks.wordings import find_wording_fault, make_templates, read_wordings
from data_prep.tasks.write_wordings import main, read_wording_reply
from sift_jax.sift.labels import LANGUAGES

GOOD = [
    ("asr", "en", "Could you put this recording into writing for me?"),
    ("asr", "de", "Bring diese Aufnahme zu Papier."),
    ("translation", "en", "What does the speaker say {in}? I only know {from} words."),
    ("translation", "fr", "Passe ces paroles {into}, sans rien omettre."),
    ("tts", "it", "Recita questo testo: {text}"),
    ("emotion", "en", "Which emotion is in the voice: {labels}?"),
    ("intent", "en", "Which intent does this command have?\n{options}"),
    ("speech_to_speech", "es", "Traduce {into} lo que oyes y dilo en voz alta."),
]
BAD = [
    ("asr", "en", "Transcribe this {text}.", "its slots are text"),
    ("translation", "en", "Translate this.", "translated into"),
    ("translation", "en", "Translate this {from}.", "translated into"),
    ("tts", "en", "Read {text} aloud.", "where it belongs"),
    ("tts", "en", "Read this aloud.", "its slots are none"),
    ("asr", "en", "Transcribe {", "braces"),
    ("asr", "en", "Schreib bitte auf, was in der Aufnahme gesagt wird.", "wrong language"),
    ("asr", "en", "Transcribe this recording. " * 8, "too long"),
    ("asr", "en", "Go.", "too short"),
    ("asr", "en", "transcribe this recording.", "capital"),
    ("intent", "en", "What is the intent of it? {options}", "where it belongs"),
    ("asr", "en", "Bake me a cake, please, with cherries.", "something else"),
    ("emotion", "en", "Is the speaker {labels!r}?", "more than its name"),
]


@pytest.mark.parametrize("task, language, text", GOOD)
def test_good_wordings_are_kept(task, language, text):
    assert find_wording_fault(text, task, language) is None


@pytest.mark.parametrize("task, language, text, fault", BAD)
def test_bad_wordings_are_not(task, language, text, fault):
    assert fault in find_wording_fault(text, task, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_packages_own_wordings_are_good(language):
    for task in LISTS:
        for text in load_templates(language)[task]:
            assert find_wording_fault(text, task, language) is None, (task, text)


def write_more(number, body):
    """A good wording, one of the examples again, and one without its slot."""
    shown = [
        json.loads(line)["instruction"] for line in body["messages"][2]["content"].splitlines()
    ]
    good = re.sub(r"^(.)", lambda match: f"So, {match[1].lower()}", shown[0])
    lines = [good, shown[-1], "Please do it now"]
    return say("\n".join(json.dumps({"instruction": text}, ensure_ascii=False) for text in lines))


def run(server, out, *more):
    main([f"--out={out}", f"--endpoint={server.url}", "--model=m", "--concurrency=1", *more])


def test_a_model_writes_more_wordings(tmp_path, capsys):
    out = tmp_path / "out"
    flags = ["--tasks=asr,translation,tts", "--languages=en", "--count=2", "--calls=6"]
    with serve(write_more) as server:
        run(server, out, *flags)
        calls = len(server.bodies)
        run(server, out, *flags)
        assert len(server.bodies) == calls
    said = capsys.readouterr().out
    assert (
        "en asr                   2 of 2" in said and f"{calls} calls, 0 from the journal" in said
    )
    wordings = read_wordings(out / "wordings.json")
    for task in ("asr", "translation", "tts"):
        texts = wordings["en"][task]
        assert len(set(texts)) == 2 and not set(texts) & set(load_templates("en")[task])
    reasons = {
        json.loads(line)["reason"] for line in (out / "rejected.jsonl").read_text().splitlines()
    }
    assert "twice" in reasons and any(
        "slots" in reason or "into" in reason or "else" in reason for reason in reasons
    )
    # each task is shown its own wordings, and told what its slots are
    prompts = {json.dumps(body["messages"], ensure_ascii=False) for body in server.bodies}
    assert any("{into}" in text and "into English" in text for text in prompts)


def test_calls_that_fail_and_replies_of_no_use_are_told(tmp_path, capsys):
    answers = iter(
        [
            fail(400, "too long"),
            say("I cannot."),
            say("1. Transcribe the whole recording, please.\n"),
        ]
    )
    with serve(lambda *_: next(answers)) as server:
        run(server, tmp_path, "--tasks=asr", "--languages=en", "--count=3", "--calls=3")
    assert json.loads((tmp_path / "wordings.json").read_text()) == {
        "en": {"asr": ["Transcribe the whole recording, please."]}
    }
    assert "no answer: http 400" in capsys.readouterr().out


def test_replies_are_read_as_json_or_as_a_list():
    assert read_wording_reply('{"instruction": "Say  it:\\n{options}"}') == ["Say it:\n{options}"]
    assert read_wording_reply('Sure!\n1. "Write it."\n- Type it.\n') == ["Write it.", "Type it."]
    assert read_wording_reply("Nothing.") == []


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--tasks=sing"], "--tasks: sing is not known"),
        (["--count=0"], "--count=0 is too small"),
        (["--languages="], "--languages: nothing is not known"),
    ],
)
def test_a_wrong_flag_is_one_line(tmp_path, flags, message):
    with serve(write_more) as server, pytest.raises(SystemExit, match=message):
        run(server, tmp_path / "out", *flags)


def test_templates_have_them_beside_their_own():
    added = {"en": {"asr": ["Put this recording into writing."]}}
    templates = make_templates(None, added)
    assert templates["en"]["asr"] == [
        *load_templates("en")["asr"],
        "Put this recording into writing.",
    ]
    assert (
        templates["de"] == load_templates("de") and len(make_templates(1, added)["en"]["asr"]) == 1
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is not JSON"),
        ("[]", "does not hold tasks"),
        ('{"pt": {}}', "no language 'pt'"),
        ('{"en": {"sing": []}}', "no task"),
        ('{"en": {"asr": "x"}}', "is not a list of texts"),
        ('{"en": {"asr": [3]}}', "it is not text"),
        ('{"en": {"tts": ["Read this aloud"]}}', "fix or delete it"),
    ],
)
def test_a_wrong_file_of_wordings_is_one_line(tmp_path, text, message):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_wordings(tmp_path / "w.json")
