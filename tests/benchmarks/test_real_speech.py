"""The lists of the run on recorded voices, from corpora in their published layouts, and its curves."""

import json
import re

import numpy as np
import pytest
import soundfile

from benchmarks import real_curves, real_manifest

PROMPTS = [f"prompt number {'abcdefghijklmnopqrstuvwxyz'[i % 26]}{i}" for i in range(70)]


def _speak(path, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(16000 * seconds), np.float32), 16000)


@pytest.fixture
def corpora(tmp_path):
    root = tmp_path / "corpora"
    for actor, sentence in [("01", "01"), ("01", "02"), ("19", "01"), ("19", "02")]:
        name = f"03-01-05-01-{sentence}-01-{actor}.wav"
        _speak(root / "ravdess" / f"Actor_{actor}" / name)
        # some copies hold each file twice
        _speak(root / "ravdess" / "by_emotion" / name)
    for name in ("03a01Wa", "03b01Fa", "14a01Wa", "14b01Fa"):
        _speak(root / "emodb" / "wav" / f"{name}.wav")
    for place in range(70):
        _speak(root / "asterisk" / "es" / f"p{place}.flac", 10.5 if place == 69 else 0.1)
    lines = ["; what is said", *(f"p{i}: {text}" for i, text in enumerate(PROMPTS))]
    (root / "asterisk" / "core-sounds-es.txt").write_text(
        "\n".join([*lines, "digits/ñ: ñ"]), "latin-1"
    )
    return root


def _read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_lists_of_what_is_there(corpora, tmp_path, capsys):
    out = tmp_path / "lists"
    real_manifest.write_lists(out, corpora, real_manifest.read_corpora(corpora))
    said = capsys.readouterr().out
    assert "LJSpeech: not there" in said and "RAVDESS: train 1, dev 0, test 1" in said
    rows = {row["id"]: row for row in _read(out / "all.jsonl")}
    seen, unseen = (
        rows[f"ravdess_03-01-05-01-{s}-01-{a}"] for s, a in (("01", "01"), ("02", "19"))
    )
    assert (seen["split"], seen["gender"], seen["emotion"]) == ("train", "male", "angry")
    assert (unseen["split"], unseen["text"]) == ("test", "Dogs are sitting by the door.")
    german = rows["emodb_14b01Fa"]
    assert (german["split"], german["age"], german["emotion"]) == ("test", 35, "happy")
    # neither a known voice with a held-out sentence nor the other way round
    assert not {"emodb_03b01Fa", "emodb_14a01Wa", "ravdess_03-01-05-01-02-01-01"} & set(rows)
    assert all((corpora / row["audio"]).exists() for row in rows.values())

    spoken = _read(out / "recognition.jsonl")
    assert {row["id"].split("_")[0] for row in spoken} == {"asterisk"}
    assert "asterisk_es_p69" not in {row["id"] for row in spoken}
    questions = _read(out / "questions.jsonl")
    assert {row["subset"] for row in questions} == {"RAVDESS", "EmoDB", "Asterisk_es"}
    assert json.loads((out / "held_out.json").read_text())["RAVDESS"] == [unseen["text"]]


def test_no_four_words_of_a_held_out_sentence_are_trained():
    def row(text, split, language="en"):
        return {"text": text, "split": split, "language": language}

    rows = [
        row("The exit is on the left.", "test"),
        row("Yes.", "test"),
        row("An EXIT is on the right", "train"),
        row("The exit is, on the whole, small", "train"),
        row("yes", "dev"),
        row("Yes, it is on", "train"),
        row("yes", "train", "de"),
    ]
    kept = real_manifest.leave_out_shared(rows)
    assert [r["text"] for r in kept] == [rows[0]["text"], "Yes.", "Yes, it is on", "yes"]


def test_curves_of_a_run(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    lines = [
        {"step": 10, "loss": 5.0},
        {
            "step": 10,
            "dev_loss": 4.0,
            "audio_gain": 0.1,
            "dev_loss/sift.x": 4.0,
            "dev_tokens/sift.x": 9,
        },
        {"step": 20, "loss": 3.0},
        {"step": 20, "dev_loss": 3.5, "audio_gain": -0.05},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    real_curves.main([f"--run=first={run}", f"--out={tmp_path / 'out'}"])
    assert "| 20 | 3.50 | -0.05 |" in capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "first.json").read_text())
    assert told["loss"] == [[10, 5.0], [20, 3.0]]
    assert told["dev"][0] == {
        "step": 10,
        "dev_loss": 4.0,
        "audio_gain": 0.1,
        "dev_loss/sift.x": 4.0,
    }
    svg = (tmp_path / "out" / "curves.svg").read_text()
    assert len(re.findall("<polyline", svg)) == 4 and "first: audio gain" in svg
