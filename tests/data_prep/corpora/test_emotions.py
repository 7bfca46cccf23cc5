"""Free fields from the corpus to the report: readers, builds of manifests, and what is said of
unknown values."""

import dataclasses
import json
import re
from collections import Counter

import pytest
from corpus_layouts import write_voice
from emotion_layouts import write_iemocap, write_manifest

from data_prep.build import main, parse_arguments
from data_prep.corpora.recording import CorpusError, Recording
from data_prep.corpora.registry import Reading, read_corpus
from data_prep.corpora.utterance import parse_utterance
from data_prep.engine.ledger import Rejection
from data_prep.generation.requests import collect, read_items, write_items
from data_prep.pipeline.build_stages import build
from sift_jax.evaluation.suites.evalsift import read_evalsift
from sift_jax.sift.fields import find_field, load_fields, read_build_fields
from sift_jax.sift.rows import list_files, read_rows

SIZES = (
    "--dev=4",
    "--evaluation=12",
    "--evaluation_rows=40",
    "--rows_per_utterance=6",
    "--workers=1",
)
ROLE = {
    "role": {
        "columns": ["role", "part"],
        "classes": {"narrator": ["narr"], "dialogue": []},
        "is_style": True,
        "languages": {
            "en": {
                "forms": {
                    "narrator": {"label": "a [narrator]", "spoken": "like a [narrator]"},
                    "dialogue": {
                        "label": "a [character] of the story",
                        "spoken": "like a [character] of the story",
                    },
                },
                "questions": ["Who is speaking, the narrator or a character?"],
                "answers": ["This is {label}."],
            }
        },
    }
}


def read_json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(name, root):
    reading = Reading(
        root=root,
        manifest=None,
        min_seconds=0.5,
        max_seconds=30.0,
        phonemes="own",
        locales=(),
        locale_utterances=0,
    )
    items = list(read_corpus(name, reading, ("en",)))
    return {item.id: item for item in items if isinstance(item, Recording)}, [
        item for item in items if isinstance(item, Rejection)
    ]


def test_iemocap(tmp_path):
    written = write_iemocap(tmp_path, sessions=(1, 5), turns=4)
    found, rejected = read("iemocap", tmp_path)
    assert found.keys() == written.keys() and not rejected
    one = found["Ses05F_impro01_M001"]
    assert (one.speaker, one.gender, one.language, one.held) == ("Ses05M", "male", "en", None)
    assert one.transcript.startswith("Turn number ") and "LAUGHTER" not in one.transcript
    assert one.audio.endswith("Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_M001.wav")
    (emotion,) = load_fields()
    names = {
        "neu": "neutral",
        "ang": "angry",
        "exc": "excited",
        "sad": "sad",
        "hap": "happy",
        "fru": "frustrated",
        "fea": "fearful",
        "sur": "surprised",
    }
    assert all(
        emotion.find_class(found[turn].fields["emotion"]) == names[code]
        for turn, code in written.items()
    )
    # What people did not agree on has no class, and no line is lost.
    path = (
        tmp_path
        / "IEMOCAP_full_release"
        / "Session1"
        / "dialog"
        / "EmoEvaluation"
        / "Ses01F_impro01.txt"
    )
    path.write_text(path.read_text().replace("\tneu\t", "\txxx\t").replace("\texc\t", "\toth\t"))
    (path.parents[1] / "transcriptions" / path.name).write_text(
        "".join(f"{turn} [001.0-002.0]: Hello.\n" for turn in written if not turn.endswith("F000"))
    )
    found, rejected = read("iemocap", tmp_path)
    assert [(item.reason, item.id, item.line) for item in rejected] == [
        ("no transcript", "Ses01F_impro01_F000", 2)
    ]
    assert {"no agreement", "another emotion"} <= {
        item.fields["emotion"] for item in found.values()
    }
    assert (
        emotion.find_class("no agreement") is None and emotion.find_class("another emotion") is None
    )
    (path.parents[1] / "transcriptions" / path.name).unlink()
    with pytest.raises(CorpusError, match="unpack IEMOCAP's transcriptions"):
        read("iemocap", tmp_path)
    with pytest.raises(CorpusError, match="no Session1/dialog/EmoEvaluation under"):
        read("iemocap", tmp_path / "IEMOCAP_full_release" / "Session1")


def test_msp_podcast_with_its_transcripts(tmp_path):
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    rows = (
        ("Train", "A"),
        ("Train", "X"),
        ("Development", "F"),
        ("Test1", "C"),
        ("Test2", "O"),
        ("Train", "N"),
    )
    for number, (split, letter) in enumerate(rows):
        name = f"MSP-PODCAST_0001_{number:04d}"
        write_voice(tmp_path / "Audios" / f"{name}.wav", 40 + number)
        lines.append(f"{name}.wav,{letter},2.2,4.0,3.1,{number},Female,{split}")
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Labels" / "labels_consensus.csv").write_text("\n".join(lines))
    with pytest.raises(CorpusError, match="no transcripts of MSP-Podcast under"):
        read("msp_podcast", tmp_path)
    (tmp_path / "Transcripts").mkdir()
    for number in range(5):
        (tmp_path / "Transcripts" / f"MSP-PODCAST_0001_{number:04d}.txt").write_text(
            "Well, you know.\n"
        )
    found, rejected = read("msp_podcast", tmp_path)
    assert [(item.reason, item.id) for item in rejected] == [
        ("no transcript", "msp_MSP-PODCAST_0001_0005")
    ]
    assert [item.fields["emotion"] for item in found.values()] == [
        "angry",
        "no agreement",
        "afraid",
        "contemptuous",
        "another emotion",
    ]
    assert [item.held for item in found.values()] == [
        "train",
        "train",
        "dev",
        "EvalSIFT",
        "EvalSIFT",
    ]
    assert {item.transcript for item in found.values()} == {"Well, you know."}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("manifest")
    rows = write_manifest(root)
    (root / "role.json").write_text(json.dumps(ROLE))
    out = root / "build"
    main(
        [
            "--corpus=manifest",
            f"--manifest={root}/mine.jsonl",
            f"--fields={root}/role.json",
            "--languages=en",
            f"--out={out}",
            *SIZES,
        ]
    )
    return rows, out


def test_a_manifest_with_an_emotion_simply_works(built):
    rows, out = built
    stated = {f"a_{number}": row for number, row in enumerate(rows)}
    metadata = {row["id"]: row for row in read_json_lines(out / "metadata.jsonl")}
    assert len(metadata) == len(rows)
    classes = {"Wut": "angry", "happy": "happy", "sad": "sad", "neutral": "neutral"}
    for name, row in metadata.items():
        expected = classes.get(stated[name].get("emotion"))
        assert row["fields"].get("emotion") == (
            expected and {"label": expected, "source": "corpus"}
        )
    account = json.loads((out / "report.json").read_text())["accounts"]["fields"]
    assert account == {
        "unit": "values",
        "in": 94,
        "out": 91,
        "rejected": {"emotion 'puzzled' is in no class": 2, "role 'chorus' is in no class": 1},
    }
    aside = [row for row in read_json_lines(out / "rejected.jsonl") if row["stage"] == "fields"]
    assert {row["id"] for row in aside} == {"a_0", "a_1"}


def test_the_report_counts_the_classes(built):
    rows, out = built
    labels = json.loads((out / "report.json").read_text())["labels"]
    assert sum(labels["emotion"]["en"].values()) == 44 and labels["emotion"]["en"]["angry"] == 11
    assert sum(labels["role"]["en"].values()) == 47
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<figcaption>emotion</figcaption>" in page and "puzzled" in page


def test_rows_of_the_build_ask_for_both_fields_and_are_true(built):
    _, out = built
    fields, counts = read_build_fields(out), Counter()
    assert [field.name for field in fields] == ["emotion", "role"]
    known = {row["id"]: row["fields"] for row in read_json_lines(out / "metadata.jsonl")}
    for category in ("closed_ended/content_level", "open_ended"):
        for path in list_files(out / "sift", "train", category, "en"):
            for row in read_rows(path):
                question, answer = (
                    next(part["text"] for part in message["content"] if "text" in part)
                    for message in row["messages"]
                )
                if found := find_field(fields, question, "en"):
                    field, kind = found
                    assert field.find_named(answer, "en") == [known[row["id"]][field.name]["label"]]
                    counts[field.name, kind] += 1
    assert counts.keys() == {("emotion", "direct"), ("emotion", "open"), ("role", "direct")}


def test_evalsift_scores_the_fields_by_their_classes(built):
    _, out = built
    items = [item for item in read_evalsift(out, languages=("en",)).items if item.aliases]
    assert {item.facets["kind"] for item in items} == {"emotion", "role"}
    emotions = [item for item in items if item.facets["kind"] == "emotion"]
    assert {item.metrics for item in emotions} == {("judge_closed",), ("judge_open",)}
    assert all("angry" in item.labels and item.aliases["anger"] == "angry" for item in emotions)


def test_requests_to_speak_say_which_class_they_ask_for(built, tmp_path):
    _, out = built
    requests, left = collect(out, "EvalSIFT", ["en"], None)
    asked = {(name, label) for request in requests for name, label in request.fields.items()}
    assert {name for name, _ in asked} == {"emotion", "role"} and not left
    write_items(tmp_path / "items.jsonl", requests)
    assert read_items(tmp_path / "items.jsonl") == requests
    # Rows of elsewhere may ask for what the recording has not; those of a build may not.
    path = out / "metadata.jsonl"
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(whole.replace('"label": "sad"', '"label": "bored"'), encoding="utf-8")
        assert collect(out, "EvalSIFT", ["en"], None)[1].keys() <= {
            "its words and the metadata differ"
        }
    finally:
        path.write_text(whole, encoding="utf-8")


def test_another_table_labels_anew_and_measures_nothing_again(built, tmp_path, capsys):
    rows, out = built
    mark = (out / "parts" / "measured").stat().st_mtime_ns
    table = {**ROLE["role"], "classes": {"narrator": ["narr"], "dialogue": ["chorus"]}}
    (tmp_path / "role.json").write_text(json.dumps({"role": table}))
    root = out.parent
    arguments = [
        "--corpus=manifest",
        f"--manifest={root}/mine.jsonl",
        "--languages=en",
        f"--out={out}",
        *SIZES,
    ]
    config = parse_arguments([*arguments, f"--fields={tmp_path}/role.json"])
    capsys.readouterr()
    build(config, ["corpus", "words", "measure", "metadata"])
    assert "measure: done before" in capsys.readouterr().out
    assert (out / "parts" / "measured").stat().st_mtime_ns == mark
    labels = [
        row["fields"].get("role", {}).get("label")
        for row in read_json_lines(out / "metadata.jsonl")
    ]
    assert labels.count(None) == 0
    build(dataclasses.replace(config, fields=()), ["metadata"])
    assert not (out / "fields.json").exists()
    assert all(row["fields"] == {} for row in read_json_lines(out / "metadata.jsonl"))
    main([*arguments, f"--fields={root}/role.json"])


def test_utterances_without_fields_are_read(built):
    _, out = built
    row = read_json_lines(out / "utterances.jsonl")[0]
    assert row.pop("fields") and parse_utterance(json.dumps(row)).fields == {}


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--fields=none.json"], "--fields=none.json: cannot be read"),
        (["--experts=emotion=nowhere"], "emotion=nowhere: no such folder"),
        (["--experts=mood=none"], "no expert 'none' for 'mood'; choose of .*emotion=<folder>"),
    ],
)
def test_flags_that_name_nothing(tmp_path, monkeypatch, capsys, flags, fault):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        parse_arguments(["--corpus=manifest", "--manifest=m.jsonl", "--out=o", *flags])
    assert re.search(fault, capsys.readouterr().err)
