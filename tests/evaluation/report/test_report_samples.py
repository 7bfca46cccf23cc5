"""Which samples a page shows, and their recordings."""

import numpy as np
import soundfile
from made_evaluation import LANGUAGES, SUBSETS, make_corpus, make_evaluation

from sift_jax.evaluation.report.page import write_report
from sift_jax.evaluation.report.players import AudioShelf
from sift_jax.evaluation.report.read_results import read_evaluation
from sift_jax.evaluation.report.samples_section import (
    MOST_CHARACTERS,
    Sample,
    choose_random,
    choose_worst,
    make_badge,
    read_samples,
    shorten,
)
from sift_jax.evaluation.scores.schema import MODEL, Item, Prediction, Verdict


def make_sample(number: int, metric: str, score: float | None, status: str = "scored") -> Sample:
    item = Item(
        id=f"{number}",
        suite="s",
        subset="",
        language="en",
        messages=(),
        references=(),
        metrics=(metric,),
    )
    verdict = Verdict(id=item.id, judge="j", score=score, status=status, metric=metric)
    return Sample(prediction=Prediction(item=item, answer=""), verdict=verdict)


def test_the_draw_mixes_parts_languages_and_outcomes_whatever_the_order(tmp_path):
    out = make_evaluation(tmp_path / "out", data_dir=make_corpus(tmp_path / "data"), count=40)
    samples = read_samples(read_evaluation(out), "evalsift")
    chosen = choose_random(samples, 12)
    assert len(samples) == 200 and len(chosen) == 12
    assert {s.item.subset for s in chosen} == set(SUBSETS)
    assert {s.item.language for s in chosen} == set(LANGUAGES)
    assert {s.outcome for s in chosen} == {"right", "wrong", "scored"}
    assert chosen == choose_random(list(reversed(samples)), 12)


def test_the_worst_are_the_worst_of_each_kind_of_score():
    errors = [make_sample(i, "wer", score) for i, score in enumerate((0.1, 2.0, 0.0, 0.6))]
    assert [s.item.id for s in choose_worst(errors, 2)] == ["1", "3"]
    scores = [make_sample(i, "judge_open", score) for i, score in enumerate((9.0, 0.0, 5.0))]
    unscored = make_sample(9, "judge_open", None, "unparsed")
    right = make_sample(10, "judge_closed", 1.0)
    assert [s.item.id for s in choose_worst([*scores, unscored, right], 9)] == ["1", "2", "0"]


def test_badges_say_what_the_verdict_is():
    assert "✓ right" in make_badge(make_sample(0, "accuracy", 1.0))
    assert "not scored: unparsed" in make_badge(make_sample(0, "judge_open", None, "unparsed"))
    assert "Judged 7.5 of 10" in make_badge(make_sample(0, "judge_open", 7.5))
    assert "WER 12.5 %" in make_badge(make_sample(0, "wer", 0.125))


def test_the_verdict_is_that_of_the_judge_who_made_the_results(tmp_path):
    out = make_evaluation(tmp_path / "out", judge={"name": "endpoint"})
    lines = (out / "verdicts" / "model.offline.jsonl").read_text()
    (out / "verdicts" / "model.endpoint.jsonl").write_text(
        lines.replace("because", "since") + '{"torn'
    )
    evaluation = read_evaluation(out)
    item = evaluation.predictions[MODEL][0].item
    assert evaluation.find_verdict(item).reason.startswith("since")
    assert evaluation.find_verdict(item, "majority").reason.startswith("because")


def test_an_answer_without_end_is_cut():
    text = shorten("x" * 5000)
    assert len(text) < MOST_CHARACTERS + 40 and text.endswith("(3,500 more characters)")


def test_recordings_stop_at_the_budget(tmp_path):
    data_dir = make_corpus(tmp_path / "data")
    name = sorted(path.stem for path in (data_dir / "audio").iterdir())[0]
    assert "<audio" in AudioShelf(data_dir).make_player(name, "x")
    assert "left out to keep the page small" in AudioShelf(data_dir, budget=10).make_player(
        name, "x"
    )
    shelf = AudioShelf(data_dir, players=1)
    assert ["<audio" in shelf.make_player(name, "x") for _ in range(2)] == [True, False]
    shelf = AudioShelf(data_dir)
    shelf.grant(0.0)
    assert "left out" in shelf.make_player(name, "x")


def test_large_and_broken_recordings(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 30 * 16_000)
    soundfile.write(tmp_path / "long.wav", noise, 16_000)
    soundfile.write(tmp_path / "short.wav", noise[:8000], 16_000)
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    shelf = AudioShelf(None)
    long, short, broken = (
        shelf.make_player(str(tmp_path / n), "x") for n in ("long.wav", "short.wav", "broken.flac")
    )
    assert "data:audio/mpeg" in long and len(long) < 400_000
    assert "data:audio/flac" in short
    assert "cannot be read" in broken


def test_a_line_separator_in_an_answer_is_no_end_of_line(tmp_path):
    out = make_evaluation(tmp_path / "out")
    path = out / "predictions" / "model.jsonl"
    before = len(path.read_text().split("\n"))
    path.write_text(
        path.read_text().replace("slightly low pitch", "slightly\u2028low pitch"), encoding="utf-8"
    )
    assert len(read_evaluation(out).predictions[MODEL]) == before - 1
    assert write_report(out).is_file()
