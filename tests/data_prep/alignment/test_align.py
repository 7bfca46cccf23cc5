"""The command: what can be aligned is, what cannot is skipped by name, and nothing is read
outside the root."""

import json

import numpy as np
import pytest
from word_files import read_word_times

from data_prep.alignment import align
from data_prep.alignment.align import main, make_aligner
from data_prep.alignment.word_time import AlignmentError, WordTime
from sift_jax.audio.files import write_audio


class EvenAligner:
    """Shares the recording out evenly."""

    def align(self, wave, transcript, language=None):
        words = transcript.split()
        if not words:
            raise AlignmentError("the transcript has no words; leave the utterance out")
        edges = np.linspace(0, len(wave) / 16_000, len(words) + 1)
        return [
            WordTime(word=word, start=a, end=b, score=1.0)
            for word, a, b in zip(words, edges[:-1], edges[1:], strict=True)
        ]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(align, "make_aligner", lambda name, checkpoint: EvenAligner())
    (tmp_path / "audio" / "sub").mkdir(parents=True)
    for name in ("audio/a.flac", "audio/sub/b.wav", "outside.wav"):
        write_audio(tmp_path / name, np.full(16_000, 0.1, np.float32))
    (tmp_path / "audio" / "cut.flac").write_bytes(b"fLaC")
    return tmp_path


def test_good_rows_are_aligned_and_bad_ones_set_aside(root):
    rows = [
        {"id": "a", "transcript": "one two"},
        {"id": "b", "transcript": "three", "audio": "sub/b.wav"},
        {"id": "a", "transcript": "again"},
        {"id": "cut", "transcript": "x"},
        {"id": "gone", "transcript": "x"},
        {"id": "out", "transcript": "x", "audio": "../outside.wav"},
        {"id": "a2", "audio": "a.flac"},
        {"id": "none", "transcript": "", "audio": "a.flac"},
    ]
    lines = [json.dumps(row) for row in rows] + ["{broken", "[]"]
    (root / "list.jsonl").write_text("\n".join(lines) + "\n")
    main(
        [f"--utterances={root}/list.jsonl", f"--audio={root}/audio", f"--out={root}/made/words.ctm"]
    )
    times = read_word_times(root / "made" / "words.ctm")
    assert [(w.word, w.start, w.end) for w in times["a"]] == [("one", 0.0, 0.5), ("two", 0.5, 1.0)]
    assert set(times) == {"a", "b"}
    aside = [
        json.loads(line)
        for line in (root / "made" / "words.rejected.jsonl").read_text().splitlines()
    ]
    assert len(aside) + len(times) == len(lines)
    reasons = {row["id"]: row["reason"] for row in aside}
    assert (
        "came before" in reasons["a"]
        and "cannot be decoded" in reasons["cut"]
        and "no audio" in reasons["gone"]
    )
    assert "leads out of" in reasons["out"] and "no words" in reasons["none"]
    assert all("fix the line" in reasons[name] for name in ("a2", "list.jsonl:9", "list.jsonl:10"))


def test_wrong_choices_are_said(tmp_path):
    with pytest.raises(AlignmentError, match="give --checkpoint"):
        make_aligner("ctc")
    with pytest.raises(AlignmentError, match="leave --checkpoint out"):
        make_aligner("sphinx", tmp_path)
    with pytest.raises(AlignmentError, match="no aligner 'mfa'; choose of sphinx, ctc"):
        make_aligner("mfa")
    with pytest.raises(SystemExit, match="no config.json"):
        main(
            [
                f"--utterances={tmp_path}/x",
                f"--audio={tmp_path}",
                f"--out={tmp_path}/y.ctm",
                "--aligner=ctc",
                f"--checkpoint={tmp_path}",
            ]
        )
