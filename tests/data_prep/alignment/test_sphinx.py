"""pocketsphinx as an aligner: English speech of the embedded synthesizer, whose word times are
known."""

import importlib.util

import numpy as np
import pytest

from data_prep.alignment.sphinx import SphinxAligner, guess_phones
from data_prep.alignment.word_time import AlignmentError
from data_prep.embedded.corpus import make_plans, synthesize


def test_words_without_a_dictionary_are_guessed():
    assert guess_phones("shake") == "SH AE K"
    assert guess_phones("42") == "F AO R T UW"
    assert guess_phones("'") == ""


def test_where_it_is_missing_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        AlignmentError, match=r"pocketsphinx is not installed; pip install 'pocketsphinx>="
    ):
        SphinxAligner()


@pytest.mark.extras
def test_words_of_synthesized_english_are_found():
    pytest.importorskip("pocketsphinx")
    aligner = SphinxAligner()
    spoken = [synthesize(plan) for plan in make_plans("en", "train", 12, seed=3)]
    spoken = [(wave, truth) for wave, truth in spoken if truth.truth["noise_level"] > 15]
    errors = []
    for wave, truth in spoken:
        times = aligner.align(wave, truth.transcript)
        assert [time.word for time in times] == [span.word for span in truth.words]
        errors += [
            abs(time.start - span.start) for time, span in zip(times, truth.words, strict=True)
        ]
    assert len(errors) > 30 and np.median(errors) < 0.03 and np.mean(np.array(errors) < 0.1) > 0.9


@pytest.mark.extras
def test_answers_do_not_depend_on_what_came_before():
    pytest.importorskip("pocketsphinx")
    (first, a), (second, b) = (synthesize(plan) for plan in make_plans("en", "train", 2, seed=5))
    aligner = SphinxAligner()
    before = aligner.align(first, a.transcript)
    aligner.align(second, b.transcript)
    assert (
        aligner.align(first, a.transcript) == before == SphinxAligner().align(first, a.transcript)
    )


@pytest.mark.extras
def test_unknown_words_and_foreign_recordings():
    pytest.importorskip("pocketsphinx")
    wave, _ = synthesize(make_plans("en", "train", 1, seed=5)[0])
    aligner = SphinxAligner()
    assert [time.word for time in aligner.align(wave, "Zqrblé half-forgotten-zqr")] == [
        "Zqrblé",
        "half-forgotten-zqr",
    ]
    assert aligner._decoder.lookup_word("half-forgotten-zqr").startswith(
        "HH AE F F ER G AA T AH N "
    )
    with pytest.raises(AlignmentError, match="no letters that English can say"):
        aligner.align(wave, "你好")
    with pytest.raises(AlignmentError, match="belong together|fails on"):
        aligner.align(wave[:3_000], "far more words than fit into so few frames of a recording")
    with pytest.raises(AlignmentError, match="no words"):
        aligner.align(wave, "?")
