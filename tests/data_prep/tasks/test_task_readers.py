"""Each corpus of stage 1's tasks in its true layout gives what it is labelled with; a fault has its
place and name."""

import json
from collections import Counter

import pytest
from corpus_layouts import (
    GERMAN,
    write_fleurs,
    write_librispeech,
    write_mls,
    write_peoples_speech,
    write_voice,
)
from task_layouts import (
    REQUESTS,
    write_ami,
    write_covost,
    write_cvss,
    write_msp_podcast,
    write_pairs,
    write_slurp,
)

from data_prep.corpora.recording import CorpusError
from data_prep.engine.ledger import Rejection
from data_prep.tasks import ami
from data_prep.tasks.example import Example, parse_example
from data_prep.tasks.registry import TASKS, read_task


def read(task, corpus, root, languages, manifest=None, name=None):
    items = list(read_task(task, corpus, root, manifest, name or corpus, languages))
    found = {item.key: item for item in items if isinstance(item, Example)}
    for example in found.values():
        assert parse_example(example.to_json()) == example
    return found, [item for item in items if isinstance(item, Rejection)]


def list_held(found):
    held = {}
    for example in found.values():
        held.setdefault(example.recording.held, []).append(example.recording.id)
    return held


def by_id(found):
    return {example.recording.id: example for example in found.values()}


def test_transcribed_corpora_under_ids_of_their_own(tmp_path):
    write_librispeech(tmp_path)
    write_mls(tmp_path, per_speaker=1)
    for task in ("asr", "tts"):
        found, rejected = read(task, "librispeech", tmp_path, ["en"])
        assert (
            found["en/librispeech_en_19-198-0000/"].recording.transcript
            == "rain falls softly over hills"
        )
        assert not rejected and len(found) == 16
    found, _ = read("asr", "mls", tmp_path, ["de"])
    assert list_held(found)["dev"] == ["mls_de_21_1001_000000"]


def test_peoples_speech(tmp_path):
    written = write_peoples_speech(tmp_path)
    long = "very_" * 30 + "long"
    write_voice(tmp_path / "test" / "test" / f"{long}.flac", 3)
    path = tmp_path / "test" / "test.json"
    source = {
        "identifier": "x",
        "training_data": {
            "duration_ms": [1, 1],
            "label": ["so it is", "?!"],
            "name": [f"{long}.flac", "../../gone.flac"],
        },
    }
    path.write_text(path.read_text() + json.dumps(source) + '\n{"training_data": 3}\nno json\n')
    found, rejected = read("asr", "peoples_speech", tmp_path, ["en"])
    held = list_held(found)
    assert held["train"] == [f"peoples_speech_en_{name}" for name in written["train"]]
    assert held["dev"] == [f"peoples_speech_en_{name}" for name in written["validation"]]
    last = held["EvalSIFT"][-1]
    assert (
        last.endswith(long[-60:])
        and len(last) <= 120
        and len(held["EvalSIFT"]) == 1 + len(written["test"])
    )
    assert [(item.reason, item.line) for item in rejected] == [
        ("path leaves the root", 3),
        ("broken line", 4),
        ("broken line", 5),
    ]
    with pytest.raises(CorpusError, match="no train/clean.json with its folder"):
        read("asr", "peoples_speech", tmp_path / "train", ["en"])


def test_covost(tmp_path):
    written = write_covost(tmp_path)
    path = tmp_path / "cv-corpus-4-2019-12-10" / "de" / "covost_v2.de_en.train.tsv"
    path.write_text(
        path.read_text() + "gone.mp3\tWas?\tWhat?\tx\n" + "common_voice_de_101.mp3\tWas?\t\tx\n"
    )
    found, rejected = read("translation", "covost2", tmp_path, ["de", "fr"])
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
    }
    one = found["de/common_voice_de_102/en"]
    assert (one.target, one.translation, one.recording.speaker) == (
        "en",
        'He said "no".',
        "client2",
    )
    assert [(item.reason, item.line) for item in rejected] == [
        ("no audio file", 5),
        ("no transcript", 6),
    ]
    with pytest.raises(CorpusError, match="get_covost_splits.py"):
        read("translation", "covost2", tmp_path, ["fr"])


def test_cvss_as_text_and_as_speech(tmp_path):
    written = write_cvss(tmp_path)
    found, rejected = read("translation", "cvss", tmp_path, ["de"])
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
    }
    one = found["de/common_voice_de_101/en"]
    assert one.translation == "it rains" and one.speech is None and not rejected
    (tmp_path / "cvss_c_de_en_v1.0" / "dev" / "common_voice_de_104.mp3.wav").unlink()
    found, rejected = read("speech_to_speech", "cvss", tmp_path, ["de"])
    assert [item.reason for item in rejected] == ["no audio file"] and len(found) == 4
    speech = found["de/common_voice_de_101/en"].speech
    assert (speech.id, speech.language) == (
        "cvss_common_voice_de_101",
        "en",
    ) and speech.audio.endswith("_101.mp3.wav")


def test_fleurs_says_one_sentence_in_several_languages(tmp_path):
    write_fleurs(tmp_path, "es_419")
    write_fleurs(tmp_path, "de_de", GERMAN)
    path = tmp_path / "de_de" / "dev.tsv"
    path.write_text(path.read_text().replace("1601\t", "1799\t"))
    found, rejected = read("translation", "fleurs", tmp_path, ["de"])
    one = found["de/fleurs_de_de_10001/es"]
    assert (
        one.recording.transcript == "Regen fällt leise über hügel."
        and one.translation.startswith("Rain falls")
    )
    assert {example.target for example in found.values()} == {"es"} and len(found) == 4
    # a sentence that only one language has, and none that is in another split
    assert [item.reason for item in rejected] == ["not translated"] * 2
    with pytest.raises(CorpusError, match="a translation needs two"):
        read("translation", "fleurs", tmp_path / "de_de", ["de"])


def test_voxpopuli_interpreted(tmp_path):
    written = write_pairs(tmp_path)
    path = tmp_path / "transcribed_data" / "de" / "en" / "s2s_ref.tsv"
    path.write_text(path.read_text() + "20210101-x-de_1\tja\tNone\t20210101-x-en_1\tyes\n")
    found, rejected = read("translation", "voxpopuli", tmp_path, ["de"])
    assert list_held(found)["dev"] == [f"voxpopuli_de_{identity}" for identity in written["dev"]]
    assert [item.reason for item in rejected] == ["in no split"]
    assert next(iter(found.values())).translation == "said 1"
    with pytest.raises(CorpusError, match="run get_s2s_data"):
        read("speech_to_speech", "voxpopuli", tmp_path, ["de"])
    write_pairs(tmp_path / "spoken", is_spoken=True)
    found, rejected = read("speech_to_speech", "voxpopuli", tmp_path / "spoken", ["de"])
    assert len(found) == 12 and not rejected
    assert all(example.speech.id.startswith("voxpopuli_en_20") for example in found.values())


def test_slurp(tmp_path):
    written = write_slurp(tmp_path)
    path = tmp_path / "dataset" / "slurp" / "devel.jsonl"
    beyond = {
        "scenario": "a",
        "action": "b",
        "tokens": [],
        "entities": [{"span": [4], "type": "x"}],
        "recordings": [],
    }
    path.write_text(
        path.read_text() + json.dumps(beyond) + "\n[1]\n" + json.dumps({"scenario": 3}) + "\n"
    )
    intents, rejected = read("intent", "slurp", tmp_path, ["en"])
    assert list_held(intents) == {
        "train": written["train"],
        "dev": written["devel"],
        "EvalSIFT": written["test"],
    }
    assert [(item.reason, item.line) for item in rejected] == [
        ("broken line", line) for line in (3, 4, 5)
    ]
    known = {f"{scenario} {action}".replace("_", " ") for _, scenario, action, _ in REQUESTS} | {
        "a b"
    }
    for example in intents.values():
        assert len(set(example.others)) == 3 and set(example.others) <= known - {example.intent}
    # the wrong ones are not always the same
    assert len(Counter(example.others for example in intents.values())) > 5
    slots, _ = read("slots", "slurp", tmp_path, ["en"])
    told = {example.recording.transcript: example.entities for example in slots.values()}
    assert told["play some jazz by miles davis"] == (
        ("music genre", "jazz"),
        ("artist name", "miles davis"),
    )
    assert told["tell me a joke"] == ()


def test_msp_podcast(tmp_path):
    written = write_msp_podcast(tmp_path)
    found, rejected = read("emotion", "msp_podcast", tmp_path, ["en"])
    assert list_held(found) == {
        "train": written["Train"][:2],
        "dev": written["Development"],
        "EvalSIFT": written["Test1"] + written["Test2"],
    }
    assert by_id(found)[written["Train"][1]].emotion == "happy"
    assert by_id(found)[written["Train"][1]].recording.gender == "male"
    assert [(item.reason, item.detail, item.line) for item in rejected] == [
        ("no agreed emotion", "X", 4)
    ]
    (tmp_path / "Labels" / "labels_consensus.csv").write_text("FileName;EmoClass\n")
    with pytest.raises(CorpusError, match="no column FileName"):
        read("emotion", "msp_podcast", tmp_path, ["en"])


def test_ami_talkers_at_once_have_a_turn_each():
    first, second = (
        "so we should move the button left".split(),
        "yeah but the thumb hides it".split(),
    )
    words = [
        ami._Word(
            speaker=speaker,
            text=text,
            start=begin + 0.3 * i,
            end=begin + 0.3 * i + 0.25,
            is_punctuation=False,
        )
        for speaker, begin, texts in (("A", 0.0, first), ("B", 1.0, second))
        for i, text in enumerate(texts)
    ]
    # After half a second of silence, in which B spoke, A has a turn of its own.
    later = ami._Word(speaker="A", text="Right", start=2.9, end=3.1, is_punctuation=False)
    window = sorted([*words, later], key=lambda word: word.start)
    assert ami._list_turns(window) == (
        ("A", " ".join(first)),
        ("B", " ".join(second)),
        ("A", "Right"),
    )


def test_ami_in_windows_between_pauses(tmp_path):
    write_ami(tmp_path)
    found, rejected = read("speaker_asr", "ami", tmp_path, ["en"])
    assert {held: len(ids) for held, ids in list_held(found).items()} == {
        "train": 2,
        "dev": 2,
        "EvalSIFT": 2,
    }
    first, second = (example for example in found.values() if "ES2002a" in example.recording.id)
    assert first.turns == (
        ("A", "Good morning."),
        ("B", "Hi, all"),
        ("C", "Mm-hmm"),
        ("A", "We'll start."),
    )
    assert (first.recording.start, first.recording.seconds) == (0.9, 16.8)
    assert second.turns == (("B", "Fine"), ("A", "So")) and second.recording.start == 18.3
    words = tmp_path / "ami_public_manual_1.6.2" / "words"
    path = words / "ES2002a.B.words.xml"
    path.write_text(path.read_text().replace('endtime="2.8"', 'endtime="40.0"'))
    (words / "ES2004c.A.words.xml").write_text("<broken")
    (words / "ES2011b.A.words.xml").write_text('<?xml version="1.0" encoding="none"?><a/>')
    found, rejected = read("speaker_asr", "ami", tmp_path, ["en"])
    assert [item.reason for item in rejected] == [
        "no pause to cut at",
        "broken words",
        "broken words",
    ]
    assert [example.recording.seconds for example in found.values()] == [1.0]


LINES = {
    "asr": {"text": "Rain falls.", "words": [{"word": "Rain", "start": 0.1, "end": 0.3}]},
    "tts": {"text": "Rain falls."},
    "translation": {"target_language": "de", "translation": "Es regnet."},
    "speech_to_speech": {"target_language": "de", "translation_audio": "b.wav"},
    "emotion": {"emotion": "sad"},
    "speaker_asr": {
        "turns": [{"speaker": "anna", "text": "Good morning."}, {"speaker": "ben", "text": "Hi."}]
    },
    "intent": {"intent": "set alarm", "choices": ["play music", "set alarm", "tell joke"]},
    "slots": {"slots": [{"name": "time", "value": "nine"}]},
}


def test_a_manifest_serves_every_task(tmp_path):
    assert set(LINES) == set(TASKS)
    for place, name in enumerate("ab"):
        write_voice(tmp_path / f"{name}.wav", place)
    for task, labels in LINES.items():
        path = tmp_path / f"{task}.jsonl"
        path.write_text(
            json.dumps({"audio": "a.wav", "language": "en", **labels}) + '\n{"audio": "b.wav"}\n'
        )
        found, rejected = read(task, "manifest", None, ["en"], manifest=path, name="mine")
        (example,) = found.values()
        assert example.recording.id == "mine_en_a" and example.recording.held is None
        assert len(rejected) == 1 and rejected[0].line == 2 and rejected[0].reason.startswith("no ")
        if task == "intent":
            assert set(example.others) == {"play music", "tell joke"}
        if task == "speech_to_speech":
            assert (example.speech.id, example.speech.language) == ("mine_en_a_de", "de")


def test_a_corpus_that_is_not_there_is_one_line(tmp_path):
    for task, corpora in TASKS.items():
        for name, corpus in corpora.items():
            with pytest.raises(CorpusError) as error:
                read(task, name, tmp_path, corpus.languages[:1])
            assert len(str(error.value).splitlines()) == 1 and str(tmp_path) in str(error.value)
