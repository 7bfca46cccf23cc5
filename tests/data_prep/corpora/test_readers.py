"""Each corpus in its true layout gives what it knows; whatever is wrong with a line has its place
and its name."""

import csv
import json
from collections import Counter

import pytest
from corpus_layouts import (
    CV_HEADER,
    write_common_voice,
    write_fleurs,
    write_librispeech,
    write_mls,
    write_vctk,
    write_voice,
    write_voxpopuli,
)

from data_prep.corpora.manifest import read_manifest
from data_prep.corpora.recording import (
    CorpusError,
    Recording,
    name_age,
    name_gender,
    parse_recording,
)
from data_prep.corpora.registry import CORPORA, Reading, list_languages, name_source, read_corpus
from data_prep.engine.ledger import Rejection


def read(name, root, languages=("de",), manifest=None):
    reading = Reading(
        root=root,
        manifest=manifest,
        min_seconds=0.5,
        max_seconds=30.0,
        phonemes="own",
        locales=(),
        locale_utterances=0,
    )
    items = list(read_corpus(name, reading, languages))
    return {item.id: item for item in items if isinstance(item, Recording)}, [
        item for item in items if isinstance(item, Rejection)
    ]


def list_held(found):
    held = {}
    for recording in found.values():
        held.setdefault(recording.held, []).append(recording.id)
    return held


@pytest.mark.parametrize("suffix", [".flac", ".opus"])
def test_mls(tmp_path, suffix):
    written = write_mls(tmp_path, per_speaker=1, suffix=suffix)
    found, rejected = read("mls", tmp_path)
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
    }
    one = found["12_1001_000000"]
    assert (one.speaker, one.gender, one.language, one.age_category, one.accent) == (
        "12",
        "female",
        "de",
        None,
        None,
    )
    assert one.audio.endswith(
        f"train/audio/12/1001/12_1001_000000{suffix}"
    ) and one.transcript.startswith("regen")
    assert not rejected
    # The folder of a language will do for a root too.
    folder = next(tmp_path.iterdir())
    assert read("mls", folder)[0] == found


@pytest.mark.parametrize("quoting", [csv.QUOTE_NONE, csv.QUOTE_MINIMAL])
def test_common_voice_quotes_are_those_of_the_sentence(tmp_path, quoting):
    """As its tables have been written: with backslashes, and with doubled marks."""
    write_common_voice(tmp_path, per_speaker=1)
    path = tmp_path / "cv-corpus-15.0-2023-09-08" / "de" / "validated.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = [
        '"Hallo", sagte er.',
        'Das Prinzip heißt "teile und herrsche".',
        '"Alles in Marken."',
        "Ohne Marken.",
    ]
    for row, sentence in zip(rows[1:], sentences, strict=False):
        row[2] = sentence
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(
            file, delimiter="\t", quoting=quoting, escapechar="\\", lineterminator="\n"
        ).writerows(rows)
    found, _ = read("common_voice", tmp_path)
    assert [found[row[1].removesuffix(".mp3")].transcript for row in rows[1:5]] == sentences


@pytest.mark.parametrize(
    ("given", "accent"),
    [
        ("Andino-Pacífico: Colombia, Perú, Ecuador, oeste de Bolivia y Venezuela andina",) * 2,
        ("España: Centro-Sur peninsular (Madrid, Toledo, Castilla-La Mancha)",) * 2,
        ("México|Caribe: Cuba, Venezuela", "Mexican"),
        ("Deutschland Deutsch,Alemannischer Akzent", "German"),
        ("India and South Asia (India, Pakistan, Sri Lanka)", "Indian"),
        ("Canadian English", "Canadian"),
    ],
)
def test_common_voice_accents_are_whole(tmp_path, given, accent):
    write_common_voice(tmp_path, per_speaker=1)
    path = tmp_path / "cv-corpus-15.0-2023-09-08" / "de" / "validated.tsv"
    path.write_text(
        path.read_text(encoding="utf-8").replace("Deutschland Deutsch,Alemannischer Akzent", given),
        encoding="utf-8",
    )
    assert accent in {item.accent for item in read("common_voice", tmp_path)[0].values()}


def test_common_voice(tmp_path):
    written = write_common_voice(tmp_path, per_speaker=1)
    found, rejected = read("common_voice", tmp_path)
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
        None: written["other"],
    }
    men, women, unknown, teens = (found[identity] for identity in written["train"])
    assert (men.gender, men.age_category, men.accent) == ("male", "forties", "German")
    assert (women.gender, women.age_category, women.accent) == (
        "female",
        "twenties",
        "Süden (Bayern, Tirol)",
    )
    assert (unknown.gender, unknown.age_category, unknown.accent) == (None, None, None)
    assert (teens.gender, teens.age_category) == (None, None)
    assert len(men.speaker) > 60 and men.audio.endswith(f"clips/{men.id}.mp3") and not rejected
    # Without validated.tsv its three splits are read.
    (tmp_path / "cv-corpus-15.0-2023-09-08" / "de" / "validated.tsv").unlink()
    assert set(list_held(read("common_voice", tmp_path)[0])) == {"train", "dev", "EvalSIFT"}


def test_vctk(tmp_path):
    written = write_vctk(tmp_path, per_speaker=1)
    folder = tmp_path / "VCTK-Corpus-0.92"
    write_voice(folder / "wav48_silence_trimmed" / "p315" / "p315_001_mic1.flac", 5)
    (folder / "txt" / "p225" / "p225_999.txt").write_text("Nobody said this.")
    (folder / "txt" / "p226" / "p226_001.txt").write_bytes(b"caf\xe9")
    found, rejected = read("vctk", tmp_path, ("en",))
    assert sorted(found) == sorted(set(written) - {"p226_001"})
    assert {(item.id, item.reason) for item in rejected} == {
        ("p315_001", "no transcript"),
        ("p225_999", "no audio file"),
        ("p226_001", "not UTF-8"),
    }
    assert (found["p225_001"].gender, found["p225_001"].age_category, found["p225_001"].accent) == (
        "female",
        "twenties",
        "British",
    )
    assert found["p280_001"].accent is None
    assert (found["p376_001"].accent, found["p376_001"].age_category) == ("Indian", None)
    assert found["p234_001"].audio.endswith("wav48_silence_trimmed/p234/p234_001_mic1.flac")
    assert {item.held for item in found.values()} == {None}


def test_librispeech(tmp_path):
    written = write_librispeech(tmp_path)
    found, rejected = read("librispeech", tmp_path, ("en",))
    assert list_held(found) == {
        "dev": written["dev"],
        "EvalSIFT": written["test"],
        "train": written["train"],
    }
    one = found["19-198-0000"]
    assert (one.speaker, one.gender, one.transcript) == (
        "19",
        "female",
        "rain falls softly over hills",
    )
    assert not rejected and not read("librispeech", tmp_path, ("de",))[0]


def test_voxpopuli(tmp_path):
    written = write_voxpopuli(tmp_path)
    found, rejected = read("voxpopuli", tmp_path)
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
    }
    first, second, *_ = (found[identity] for identity in written["train"])
    assert (first.speaker, first.gender, first.accent) == (
        "2018",
        "female",
        None,
    ) and first.transcript.endswith("?")
    assert second.speaker is None and second.transcript.islower() is False and not rejected


def test_fleurs(tmp_path):
    written = write_fleurs(tmp_path)
    found, rejected = read("fleurs", tmp_path, ("es",))
    assert list_held(found) == {
        "train": written["train"],
        "dev": written["dev"],
        "EvalSIFT": written["test"],
    }
    man, woman = (found[identity] for identity in written["train"])
    assert (man.gender, woman.gender, man.speaker) == ("male", "female", None)
    assert man.transcript == woman.transcript and not rejected


NEMO = {"audio_filepath": "a/1.wav", "text": "Rain falls.", "duration": 1.0}
RICH = {
    "audio": "a/1.wav",
    "id": "own.id",
    "transcript": "Rain falls.",
    "language": "English",
    "gender": "F",
    "age": 34,
    "split": "test",
    "speaker": 7,
    "accent": "Scottish",
    "phonemes": "R|EY|N",
    "offset": 0.25,
    "duration": 0.5,
    "words": [{"word": "Rain", "start": 0.1, "end": 0.4}],
}


def write_manifest(tmp_path, lines, name="list.jsonl"):
    write_voice(tmp_path / "a" / "1.wav", 1)
    path = tmp_path / name
    encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


def test_parts_of_one_file_are_utterances_of_their_own(tmp_path):
    lines = [{**NEMO, "offset": start, "duration": 0.5} for start in (0, 0.25, 12.5)]
    found, rejected = read("manifest", None, ("en",), write_manifest(tmp_path, lines))
    assert {name: part.start for name, part in found.items()} == {
        "a_1": 0,
        "a_1_0000250": 0.25,
        "a_1_0012500": 12.5,
    }
    assert not rejected


def test_two_microphones_are_one_utterance(tmp_path):
    for number in (1, 2):
        write_voice(tmp_path / "a" / f"p1_mic{number}.wav", 1)
    lines = [{"audio": f"a/p1_mic{number}.wav", "text": "Rain falls."} for number in (1, 2)]
    items = list(read_manifest(write_manifest(tmp_path, lines), tmp_path, ("en",)))
    assert [item.id for item in items] == ["a_p1", "a_p1"]


def test_manifest_of_json_lines(tmp_path):
    path = write_manifest(tmp_path, [NEMO, RICH])
    found, rejected = read("manifest", None, ("en",), path)
    plain, rich = found["a_1"], found["own.id"]
    assert (plain.seconds, plain.speaker, plain.words, plain.language) == (None, None, (), "en")
    assert (rich.start, rich.seconds, rich.held, rich.speaker) == (0.25, 0.5, "EvalSIFT", "7")
    assert (rich.gender, rich.age_category, rich.accent, rich.phonemes) == (
        "female",
        "thirties",
        "Scottish",
        "R|EY|N",
    )
    assert rich.words[0].position == 1 and not rejected
    assert parse_recording(rich.to_json()) == rich


def test_manifest_with_tabs(tmp_path):
    path = write_manifest(
        tmp_path, [b"path\tsentence\tlocale\tage", b"a/1.wav\tEs regnet.\tde-DE\t71"], "list.tsv"
    )
    found, _ = read("manifest", None, ("de", "fr"), path)
    one = found["a_1"]
    assert (one.language, one.age_category, one.transcript) == ("de", "seventies", "Es regnet.")


BROKEN = [
    (b'{"audio": "a/1.wav", "text": "cut', "broken line"),
    (b"[1, 2]", "broken line"),
    (b"[" * 100_000, "broken line"),
    (b'{"text": "Rain."}', "broken line"),
    (b'{"audio": "a/1.wav", "text": "caf\xe9"}', "not UTF-8"),
    (b'{"audio": "../../etc/passwd", "text": "Rain."}', "path leaves the root"),
    (b'{"audio": "/etc/passwd", "text": "Rain."}', "path leaves the root"),
    (b'{"audio": "a/../../x.wav", "text": "Rain."}', "path leaves the root"),
    (b'{"audio": "a/none.wav", "text": "Rain."}', "no audio file"),
    (b'{"audio": "a", "text": "Rain."}', "no audio file"),
    (b'{"audio": "a/1\\u0000.wav", "text": "Rain."}', "broken line"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "accent": "\\ud800"}', "not UTF-8"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "speaker": "a\\u2028b"}', "broken line"),
    (b'{"audio": "a/1.wav", "id": "../x", "text": "Rain."}', "unusable id"),
    (b'{"audio": "a/1.wav", "id": "a b", "text": "Rain."}', "unusable id"),
    (b'{"audio": "a/1.wav", "text": ""}', "no transcript"),
    (b'{"audio": "a/1.wav", "text": " ... "}', "no transcript"),
    (b'{"audio": "a/1.wav", "text": ["Rain"]}', "no transcript"),
    (json.dumps({"audio": "a/1.wav", "text": "la " * 5_000}).encode(), "transcript too long"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "language": "tlh"}', "another language"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "offset": "soon"}', "broken line"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "offset": -1}', "broken line"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "offset": NaN}', "broken line"),
    (b'{"audio": "a/1.wav", "text": "Rain.", "words": [{"word": "Rain"}]}', "broken word times"),
    (
        b'{"audio": "a/1.wav", "text": "Rain.", "words": [{"word": "Rain", "start": 2, "end": 1}]}',
        "broken word times",
    ),
    (b'{"audio": "a/1.wav", "text": "Rain.", "words": 5}', "broken word times"),
    (b"x" * 2_000_000, "broken line"),
]


def test_every_broken_line_is_set_aside_with_its_number_and_the_rest_goes_on(tmp_path):
    path = write_manifest(tmp_path, [NEMO, *(line for line, _ in BROKEN), {**NEMO, "id": "last"}])
    found, rejected = read("manifest", None, ("en",), path)
    assert list(found) == ["a_1", "last"]
    assert [(item.line, item.reason) for item in rejected] == [
        (number, reason) for number, (_, reason) in enumerate(BROKEN, 2)
    ]
    assert all(item.file == str(path) and len(item.to_json()) < 1_000 for item in rejected)


def test_no_language_is_a_question_back(tmp_path):
    path = write_manifest(tmp_path, [NEMO])
    rejected = read("manifest", None, ("en", "de"), path)[1]
    assert rejected[0].reason == "no language" and "--languages" in rejected[0].detail


def test_broken_lines_of_tables(tmp_path):
    written = write_common_voice(tmp_path, per_speaker=1)
    path = tmp_path / "cv-corpus-15.0-2023-09-08" / "de" / "validated.tsv"
    with path.open("ab") as out:
        out.write(b"only\tthree\tcolumns\n\n")
        out.write(b"s\t../../../../secret.mp3\tEs regnet.\t2\t0\t\t\t\t\tde\t\n")
        out.write("s\tgone.mp3\t„Es“ regnet.\t2\t0\t\t\t\t\tde\t\n".encode())
        out.write(b"s\tx.mp3\tEs \xff regnet.\t2\t0\t\t\t\t\tde\t\n")
    found, rejected = read("common_voice", tmp_path)
    assert len(found) == sum(map(len, written.values()))
    assert Counter(item.reason for item in rejected) == {
        "broken line": 1,
        "unusable id": 1,
        "no audio file": 1,
        "not UTF-8": 1,
    }


def test_what_is_not_there_is_one_line(tmp_path):
    cases = {
        "mls": "no Multilingual LibriSpeech in de under .*; expected mls_german or mls_german_opus",
        "common_voice": "no Common Voice in de",
        "vctk": "unpack VCTK 0.92 there",
        "librispeech": "no train-",
        "voxpopuli": "no VoxPopuli in de",
        "fleurs": "expected de_de or data/de_de",
        "peoples_speech": "no train/clean.json with its folder",
        "spgispeech": "no train.csv or val.csv",
        "iemocap": "no Session1/dialog/EmoEvaluation",
        "msp_podcast": "no transcripts of MSP-Podcast",
    }
    assert cases.keys() == CORPORA.keys()
    for name, message in cases.items():
        with pytest.raises(CorpusError, match=message) as error:
            read(name, tmp_path, ("de", "en"))
        assert "\n" not in str(error.value)
        with pytest.raises(CorpusError, match="needs --root"):
            read(name, tmp_path / "none")
    with pytest.raises(CorpusError, match="no such file"):
        read("manifest", None, ("en",), tmp_path / "none.jsonl")
    with pytest.raises(CorpusError, match="needs --manifest"):
        read("manifest", None, ("en",))


def test_another_release_is_one_line(tmp_path):
    write_common_voice(tmp_path, per_speaker=1)
    path = tmp_path / "cv-corpus-15.0-2023-09-08" / "de" / "validated.tsv"
    path.write_text(CV_HEADER.replace("sentence", "satz") + "\n")
    with pytest.raises(CorpusError, match="no column sentence"):
        read("common_voice", tmp_path)


def test_names(tmp_path):
    assert [
        name_age(age)
        for age in (19, 20, "29", "99", 100, "fourties", "teens", "", None, "34.0", "x")
    ] == [
        None,
        "twenties",
        "twenties",
        "nineties",
        None,
        "forties",
        None,
        None,
        None,
        "thirties",
        None,
    ]
    assert [
        name_gender(gender) for gender in ("F", "MALE", "other", "", None, "female_feminine")
    ] == [
        "female",
        "male",
        None,
        None,
        None,
        "female",
    ]
    assert (
        name_source("mls") == "multilingual_librispeech" and name_source("embedded") == "embedded"
    )
    assert list_languages("vctk") == ("en",)
