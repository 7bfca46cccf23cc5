"""The count of an epoch: the same as walking through it, by its causes, and kept beside the
index."""

import dataclasses

import numpy as np
import pytest
from test_plan import SHAPES, MadeUpIndex, MixedIndex, count_frames

from sift_jax.data.plan import survey as survey_module
from sift_jax.data.plan.fitting import CAUSES, Asked, fit_groups, make_limits
from sift_jax.data.plan.survey import Turns, make_survey, read_survey

LIMITS = make_limits(SHAPES, count_frames)
LONG_CLIP, CLIPS, TOKENS, TARGETS, EMPTY, TOGETHER = CAUSES
TOGETHER_AT = list(CAUSES).index(TOGETHER)


def ask_all(index, questions):
    every = np.arange(len(index))
    count = np.full(len(index), questions)
    return Asked(item=every, first=np.zeros_like(every), count=count, key=every.astype(np.uint64))


@pytest.mark.parametrize("questions", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("chunk", [50, 1 << 18])
def test_places_are_found_again(monkeypatch, questions, chunk):
    monkeypatch.setattr(survey_module, "_CHUNK", chunk)
    counts = np.random.default_rng(questions).integers(1, 10, 500)
    index, turns = MixedIndex(counts), Turns(questions=questions, counts="examples", key=5)
    survey = make_survey(index, turns, LIMITS, "mixed")
    times = -(-counts // questions)
    assert (survey.items, survey.places, survey.questions) == (500, times.sum(), counts.sum())
    item, part = survey.find(index, turns, np.arange(survey.places))
    np.testing.assert_array_equal(item, np.repeat(np.arange(500), times))
    np.testing.assert_array_equal(part, np.concatenate([np.arange(n) for n in times]))


def test_what_is_set_aside_has_its_cause():
    index = MadeUpIndex(5, 4)
    index.clips[:] = 16_000
    index.clips[0] = 20 * 16_000
    index.questions["tokens"][4 + 1] = 5000
    index.questions["targets"][8 + 2] = 257
    index.questions["targets"][12 + 3] = 0
    index.questions["targets"][16:] = 100
    survey = make_survey(index, Turns(questions=0, counts="examples", key=0), LIMITS, "mine")
    # of the last item two fit together, not four
    expected = {LONG_CLIP: 4, CLIPS: 0, TOKENS: 1, TARGETS: 1, EMPTY: 1, TOGETHER: 2}
    assert dict(zip(CAUSES, survey.left_out, strict=True)) == expected
    assert (survey.groups, survey.questions, survey.asked) == (4, 11, 20)
    said = survey.describe_set_aside("mine")
    assert said.startswith(
        "mine: 9 of 20 questions, 4 as a clip is longer than the encoder's window (cut those"
    )
    assert "1 as its answer takes more targets than a row (raise DataConfig.targets)" in said
    few = make_limits([dataclasses.replace(shape, clips=0) for shape in SHAPES], count_frames)
    assert make_survey(index, Turns(questions=0, counts="examples", key=0), few, "mine").left_out[
        :2
    ] == (4, 16)


@pytest.mark.parametrize("giant", [0, 2, 4])
def test_a_question_that_is_too_long_takes_only_itself_away(giant):
    index = MadeUpIndex(50, 5)
    index.questions["targets"][giant::5] = 300
    fitted = fit_groups(index, ask_all(index, 5), LIMITS)
    assert set(fitted.chosen.tolist()) == {4} and giant not in fitted.numbers
    assert dict(zip(CAUSES, fitted.left_out, strict=True)) == dict.fromkeys(CAUSES, 0) | {
        TARGETS: 50
    }


@pytest.mark.parametrize("questions", [0, 1, 3])
@pytest.mark.parametrize("counts", ["examples", "records"])
def test_a_survey_is_what_fitting_all_groups_gives(questions, counts):
    """Over rows that hold some groups and not others, and questions that fit by themselves and do
    not."""
    index = MixedIndex(np.random.default_rng(2).integers(1, 10, 700))
    turns = Turns(questions=questions, counts=counts, key=7)
    narrow = make_limits(
        [dataclasses.replace(shape, tokens=260, targets=24) for shape in SHAPES], count_frames
    )
    index.questions["targets"][::50] = 25
    survey = make_survey(index, turns, narrow, "mixed")
    item, part = survey.find(index, turns, np.arange(survey.places))
    fitted = fit_groups(index, turns.ask(index, item, part, np.zeros_like(item)), narrow)
    assert survey.left_out == tuple(fitted.left_out.tolist())
    assert (survey.left_out[TOGETHER_AT] > 0) == (questions != 1)
    assert (survey.groups, survey.questions) == ((fitted.chosen > 0).sum(), fitted.chosen.sum())
    assert fitted.left_out[:TOGETHER_AT].sum() > 0


def test_thousands_of_questions_of_one_item():
    """As many as fit, which are the first in the order of their turns: one more would be too
    many."""
    index = MadeUpIndex(3, 3000)
    fitted = fit_groups(index, ask_all(index, 3000), LIMITS)
    sizes = fitted.sizes
    assert (sizes.tokens <= LIMITS.tokens).all() and (sizes.targets <= LIMITS.targets).all()
    assert fitted.left_out.sum() == 9000 - fitted.chosen.sum()
    more = fit_groups(
        index, dataclasses.replace(ask_all(index, 0), count=fitted.chosen + 1), LIMITS
    )
    np.testing.assert_array_equal(more.chosen, fitted.chosen)
    np.testing.assert_array_equal(more.numbers, fitted.numbers)


def test_it_is_counted_once(tmp_path, monkeypatch):
    index, turns = MixedIndex([1, 5, 9] * 100), Turns(questions=2, counts="examples", key=1)
    index.folder = tmp_path
    first = read_survey(index, turns, LIMITS, "mixed")
    monkeypatch.setattr(survey_module, "make_survey", lambda *_: pytest.fail("counted again"))
    again = read_survey(index, turns, LIMITS, "mixed")
    np.testing.assert_array_equal(again.starts, first.starts)
    assert dataclasses.replace(again, starts=first.starts) == first
    for other in (
        dataclasses.replace(LIMITS, tokens=99),
        dataclasses.replace(LIMITS, count_frames=np.sign),
    ):
        with pytest.raises(pytest.fail.Exception, match="counted again"):
            read_survey(index, turns, other, "mixed")
    monkeypatch.undo()
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert read_survey(index, turns, LIMITS, "mixed").places == first.places
