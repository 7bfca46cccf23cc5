"""Transcripts with a wanted share of wrong words: the rate reached, the kinds of errors, and the
folder left."""

import json
import random

import pytest

from data_prep.corpora.splits import normalise_sentence
from data_prep.embedded.corpus import read_sentences
from data_prep.synthesis.__main__ import main
from data_prep.synthesis.corruption import CorruptionError, ErrorModel, corrupt

WER = pytest.importorskip("jiwer").wer


@pytest.fixture(scope="module")
def texts():
    return {str(place): text for place, (_, text) in enumerate(read_sentences("en"))}


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.15, 0.2, 0.3])
def test_the_rate_is_reached(texts, rate):
    found = corrupt(texts, rate, 0)
    measured = WER(
        [normalise_sentence(text) for text in texts.values()], [found.texts[name] for name in texts]
    )
    assert measured == pytest.approx(found.rate, abs=1e-9) and abs(measured - rate) <= 0.01
    counts = found.counts
    assert counts["substitution"] > counts["deletion"] > counts["insertion"] * 0.8 > 0


def test_errors_are_a_recognisers(texts):
    found = corrupt(texts, 0.2, 0)
    known = {word for text in corrupt(texts, 0.05, 0).texts.values() for word in text.split()}
    assert len({word for text in found.texts.values() for word in text.split()} - known) < len(
        known
    )
    model = ErrorModel(["the garden is there", "a warden of gardens", "then", "purple"])
    alike = [word for word, _ in model.find_alike("garden")]
    assert alike[:2] == ["gardens", "warden"] and "is" not in alike
    # words of grammar go missing more often
    model = ErrorModel(["the garden"] * 100)
    left = " ".join(model.corrupt("the garden", 0.5, random.Random(n)) for n in range(2000)).split()
    assert left.count("garden") > left.count("the") + 50


def test_a_text_is_the_same_whatever_stands_beside_it_in_order(texts):
    some = dict(list(texts.items())[::-1])
    assert corrupt(some, 0.1, 3).texts == corrupt(texts, 0.1, 3).texts
    assert corrupt(texts, 0.1, 4).texts != corrupt(texts, 0.1, 3).texts
    assert corrupt(texts, 0.0, 0).texts == texts


def test_what_cannot_be_reached_is_refused(texts):
    for given, rate, wanted in ((texts, 0.9, "from 0 to 0.6"), ({"a": ""}, 0.1, "no words")):
        with pytest.raises(CorruptionError, match=wanted):
            corrupt(given, rate, 0)


def test_a_build_is_copied_but_for_what_is_tested(tmp_path, texts, capsys):
    data = tmp_path / "data"
    (data / "audio").mkdir(parents=True)
    rows = [
        {
            "id": f"u{place}",
            "language": "en",
            "transcript": text,
            "split": ("train", "EvalSIFT")[place % 10 == 9],
        }
        for place, text in enumerate(texts.values())
    ]
    (data / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        main(["corrupt", f"--data={data}", "--rate=0.2", f"--out={tmp_path / 'wrong'}"])
        assert "of 20% asked for" in capsys.readouterr().out
    made = [
        json.loads(line)
        for line in (tmp_path / "wrong" / "metadata.jsonl").read_text().splitlines()
    ]
    assert all(row["reference"] == texts[row["id"][1:]] for row in made)
    assert all(row["transcript"] == row["reference"] for row in made if row["split"] == "EvalSIFT")
    changed = [row["transcript"] != row["reference"] for row in made if row["split"] == "train"]
    assert sum(changed) > len(changed) / 2
    report = json.loads((tmp_path / "wrong" / "report.json").read_text())
    assert abs(report["word_error_rate"] - 0.2) <= 0.01
    assert report["transcripts"] == len(changed) + report["nothing left"]
    assert (tmp_path / "wrong" / "audio").resolve() == data / "audio"
    with pytest.raises(SystemExit, match="was made with another rate"):
        main(["corrupt", f"--data={data}", "--rate=0.1", f"--out={tmp_path / 'wrong'}"])
