"""Rewards: what each pays for, what becomes of one that fails, and advantages within a group."""

import math
import sys
import time
import types

import numpy as np
import pytest

from sift_jax.rewarding.advantages import normalise_groups
from sift_jax.rewarding.rewards import (
    RewardBook,
    Rollout,
    bound_speech,
    find_reward,
    reward_classes,
    reward_label,
    reward_language,
    reward_words,
)


def make_rollout(answer, reference="The speaker talks very slowly.", **changes):
    fields = {
        "item": "sift.closed_ended.acoustic_level.en#3",
        "task": "sift.closed_ended.acoustic_level.en",
        "language": "en",
        "prompt": "How fast does she talk?",
        "answer": answer,
        "reference": reference,
        "tokens": len(answer.split()),
        "is_whole": True,
    }
    return Rollout(**{**fields, **changes})


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("She talks very slowly.", "The speaker talks very slowly.", 1.0),
        ("She talks very fast.", "The speaker talks very slowly.", 0.0),
        # all of a scale at once is none of it
        ("very slowly, slightly fast or very fast", "The speaker talks very slowly.", 0.0),
        ("", "The speaker talks very slowly.", 0.0),
        ("It is loud.", "It is loud!", 1.0),
        ("It is not.", "A dog barks.", 0.0),
    ],
)
def test_a_label_is_right(answer, reference, expected):
    assert reward_label(make_rollout(answer, reference)) == expected


def test_a_form_is_followed():
    reward = find_reward("constraint:words:3", ())
    assert reward(make_rollout("It is loud.")) == 1.0
    assert reward(make_rollout("It is quite loud.")) == reward(make_rollout("")) == 0.0
    with pytest.raises(ValueError, match="needs a number"):
        find_reward("constraint:words:many", ())


def test_the_language_is_that_of_the_question():
    assert reward_language(make_rollout("The voice is loud and clear.")) == 1.0
    assert reward_language(make_rollout("Die Stimme ist laut und klar.")) == 0.0
    assert reward_language(make_rollout("Die Stimme ist laut.", language="de")) == 1.0
    assert reward_language(make_rollout("Loud.")) == 0.5


def test_length_is_paid_up_to_a_limit():
    reward = find_reward("length:4", ())
    said = {n: reward(make_rollout(" ".join(["word"] * n))) for n in (0, 1, 4, 6, 8, 20)}
    assert said == {0: 0.0, 1: 1.0, 4: 1.0, 6: 0.5, 8: 0.0, 20: 0.0}
    # one that never ends is not rewarded for being short so far
    assert reward(make_rollout("a word", is_whole=False)) == 0.0


def test_classes_of_speech_are_near_those_asked_for():
    asked = {"speaking_rate": 5, "average_intensity": 1}
    assert reward_classes(asked, {"speaking_rate": 5, "average_intensity": 1}) == 1.0
    assert reward_classes(asked, {"speaking_rate": 4, "average_intensity": 1}) == 0.75
    assert reward_classes(asked, {"speaking_rate": 1, "average_intensity": None}) == 0.0
    assert reward_classes({}, {}) == 1.0


def test_words_are_heard():
    said = "rain falls softly on roofs".split()
    assert reward_words(said, said) == 1.0
    assert reward_words(said, said[:4]) == pytest.approx(0.8)
    assert reward_words(said, ["a"] * 30) == 0.0 and reward_words(said, []) == 0.0


def test_neither_words_nor_classes_are_given_up_for_the_other():
    assert bound_speech(1.0, 0.0) == bound_speech(0.0, 1.0) == 0.0
    # more than enough words buy nothing, fewer cost
    assert bound_speech(0.8, 0.95) == bound_speech(0.8, 1.0) == 0.8
    assert bound_speech(0.8, 0.45) == pytest.approx(0.4)


@pytest.fixture
def mine():
    module = types.ModuleType("my_rewards")
    source = "def pays(rollout):\n    return 0.5\nfrom os.path import join\n"
    exec(compile(source, "my_rewards.py", "exec"), module.__dict__)
    return module


def test_a_reward_of_a_module_is_found_where_it_is_imported(mine):
    assert find_reward("my_rewards.pays", [mine])(make_rollout("")) == 0.5
    with pytest.raises(ValueError, match="no reward 'my_rewards.pays'"):
        find_reward("my_rewards.pays", [])
    # nothing is imported by its name, and what the module imported is not its own
    assert "my_rewards" not in sys.modules
    for name in ("my_rewards.join", "my_rewards.lacks"):
        with pytest.raises(ValueError, match="has no function"):
            find_reward(name, [mine])
    with pytest.raises(ValueError, match="no reward 'os.system'"):
        find_reward("os.system", [mine])


def make_book(mine, **functions):
    for name, function in functions.items():
        function.__module__ = "my_rewards"
        setattr(mine, name, function)
    parts = {"label": 1.0, **{f"my_rewards.{name}": 2.0 for name in functions}}
    return RewardBook(parts, [mine], seconds=0.2)


def test_the_sum_is_weighed_and_told_by_part(mine):
    def half(rollout):
        return 0.5

    (judged,) = make_book(mine, half=half).judge([make_rollout("She talks very slowly.")])
    assert judged.total == 2.0 and judged.failures == {}
    assert judged.parts == {"label": 1.0, "my_rewards.half": 0.5}


def test_what_fails_is_named_and_the_others_are_told(mine):
    def breaks(rollout):
        raise KeyError("pitch")

    def is_nan(rollout):
        return math.nan

    def hangs(rollout):
        time.sleep(5)

    for function, said in (
        (breaks, "raised an error (KeyError: 'pitch')"),
        (is_nan, "is not a finite number (nan)"),
        (hangs, "took too long (more than 0.2 s)"),
    ):
        (judged,) = make_book(mine, it=function).judge([make_rollout("She talks very slowly.")])
        assert math.isnan(judged.total) and judged.parts == {"label": 1.0}
        assert judged.failures == {"my_rewards.it": said}


def test_advantages_are_within_a_group():
    nan = math.nan
    rewards = np.array([[1, 0, 1, nan], [0.5] * 4, [nan, nan, nan, 1], [3, 1, 3, 1], [0, 1, 0, 1]])
    found = normalise_groups(rewards, np.array([True, True, True, True, False]))
    np.testing.assert_allclose(found.values[0], [0.5**0.5, -(2**0.5), 0.5**0.5, 0], rtol=1e-6)
    assert not found.values[1:3].any() and not found.values[4].any()
    np.testing.assert_allclose(found.values[3], [1, -1, 1, -1])
    assert found.is_used.tolist() == [
        [True, True, True, False],
        [True] * 4,
        [False] * 4,
        [True] * 4,
        [False] * 4,
    ]
    assert (found.flat, found.lone) == (1, 1)


def test_scale_and_offset_of_a_reward_change_nothing():
    rewards = np.random.default_rng(0).normal(size=(3, 5))
    real = np.ones(3, bool)
    one, other = normalise_groups(rewards, real), normalise_groups(7 * rewards - 3, real)
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)
