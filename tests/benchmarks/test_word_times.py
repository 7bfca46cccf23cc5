"""The benchmark of word times: distances of words and phrases, and a table of what is there."""

import json

import numpy as np
import pytest

from benchmarks import word_times
from data_prep.alignment.word_time import WordTime
from data_prep.corpora.utterance import WordSpan
from data_prep.embedded.corpus import make_plans, synthesize
from sift_jax.audio.files import write_audio


def make_times(*words):
    return [WordTime(word=word, start=start, end=end, score=1.0) for word, start, end in words]


def test_a_span_of_the_truth_is_a_word_or_a_phrase():
    found = make_times(("Es", 0.1, 0.2), ("regnet", 0.3, 0.8), ("kaum", 1.0, 1.4))
    truth = [
        WordSpan(word="es regnet", position=1, start=0.02, end=0.88),
        WordSpan(word="kau", position=2, start=1.07, end=1.2),
        WordSpan(word="m", position=3, start=1.2, end=1.4),
    ]
    near = word_times.measure_distances(found, truth, "Es regnet kaum.")
    np.testing.assert_allclose(near, [[0.08, -0.08], [-0.07, 0.0]], atol=1e-9)
    assert word_times.measure_distances(found, truth, "Es schneit kaum.") is None
    assert word_times.measure_distances(found, truth[1:], "Es regnet kaum.") is None
    assert word_times.measure_distances(found, truth[:2], "Es regnet kaum.") is None
    row = word_times.describe([near])
    assert (
        row["start median"],
        row["start bias"],
        row["end 90 %"],
        row["within 50"],
        row["within 100"],
    ) == (
        75,
        5,
        72,
        25.0,
        100.0,
    )


def test_a_manifest_with_words_is_tried(tmp_path, monkeypatch, capsys):
    lines = []
    for plan in make_plans("de", "train", 2, seed=0):
        wave, truth = synthesize(plan)
        write_audio(tmp_path / f"{truth.id}.flac", wave)
        words = [{"word": word.word, "start": word.start, "end": word.end} for word in truth.words]
        lines.append(
            {
                "audio": f"{truth.id}.flac",
                "text": truth.transcript,
                "language": "de",
                "words": words,
            }
        )
    (tmp_path / "known.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    known = {line["text"]: line["words"] for line in lines}

    class LateAligner:
        def align(self, wave, transcript, language=None):
            return make_times(
                *(
                    (word["word"], word["start"] + 0.06, word["end"] + 0.06)
                    for word in known[transcript]
                )
            )

    monkeypatch.setattr(
        word_times, "make_aligners", lambda whisper, ctc: {"whisper": LateAligner()}
    )
    word_times.main([str(tmp_path / "known.jsonl"), "--clips=0", f"--json={tmp_path / 'out.json'}"])
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert row["source"] == "known" and row["clips"] == 2 and row["aside"] == 0
    assert (
        row["start median"] == row["end bias"] == 60
        and row["within 50"] == 0
        and row["within 100"] == 100
    )
    assert "known" in capsys.readouterr().out
    monkeypatch.setattr(word_times, "make_aligners", lambda whisper, ctc: {})
    with pytest.raises(SystemExit, match="no aligner"):
        word_times.main(["--clips=0"])
