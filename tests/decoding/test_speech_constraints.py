"""Within speech only units and their end, behind it the end of the turn; the narrow head says what
the mask says."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from tiny_model import make_config, make_params

from sift_jax.decoding import generate
from sift_jax.decoding.generate import Prompt, lay_out_prompts, prepare
from sift_jax.decoding.sampling import GREEDY
from sift_jax.decoding.speech_constraints import SpeechRules, check_speaking, mask_all, mask_narrow
from sift_jax.text.unit_tokens import weigh_speech

CONFIG = make_config(extra_tokens=30)
BEGIN, CODES, TURN_END = 384, 24, 2
OPEN = SpeechRules(begin=BEGIN, codes=CODES, turn_end=TURN_END, is_only=False)
ONLY = dataclasses.replace(OPEN, is_only=True)
WARM = dataclasses.replace(GREEDY, max_new_tokens=20, temperature=0.8, top_p=0.95)
PROMPTS = [[5, 6, 7, BEGIN], [9, 8, BEGIN], [11, 12, 13, 14, BEGIN], [40, BEGIN]]
LIMITS = [3, 12, 19, 1]


@functools.cache
def get_prepared(rows):
    return prepare(CONFIG, make_params(CONFIG), rows=rows, speech=OPEN)


def speak(prompts, decoding, speech, limits=(), draws=(), seed=0):
    batch = lay_out_prompts(
        [Prompt.of_text(np.asarray(p)) for p in prompts],
        CONFIG,
        tokens=16,
        limits=limits,
        draws=draws,
    )
    stop = (OPEN.ids.end,) if speech.is_only else (TURN_END,)
    return generate.speak(
        CONFIG,
        get_prepared(len(prompts)),
        batch,
        jax.random.key(seed),
        decoding=decoding,
        stop_ids=stop,
        speech=speech,
    )


@pytest.mark.parametrize(
    "decoding", [dataclasses.replace(GREEDY, max_new_tokens=20), WARM], ids=["greedy", "warm"]
)
def test_units_then_their_end_then_that_of_the_turn(decoding):
    found = speak(PROMPTS, decoding, OPEN, LIMITS)
    for row, limit in zip(found.tolist(), LIMITS, strict=True):
        end = row.index(OPEN.ids.end) if OPEN.ids.end in row else len(row)
        units = row[:end]
        assert 1 <= len(units) <= limit and all(
            OPEN.ids.first <= t < BEGIN + 2 + CODES for t in units
        )
        assert all(t == TURN_END for t in row[end + 1 :])


@pytest.mark.parametrize("rows", [4, 1])
def test_the_narrow_head_gives_what_the_mask_gives(rows):
    greedy = dataclasses.replace(GREEDY, max_new_tokens=20)
    whole, narrow = (speak(PROMPTS[:rows], greedy, rules, LIMITS[:rows]) for rules in (OPEN, ONLY))
    for row, other in zip(whole, narrow, strict=True):
        assert OPEN.ids.read(row).tolist() == OPEN.ids.read(other).tolist()


def test_drawn_units_are_their_rows_own():
    """Whatever stands beside a row, and in whatever order."""
    draws = [3, 4, 5, 6]
    found = speak(PROMPTS, WARM, ONLY, LIMITS, draws)
    np.testing.assert_array_equal(
        found[::-1], speak(PROMPTS[::-1], WARM, ONLY, LIMITS[::-1], draws[::-1])
    )
    assert (speak(PROMPTS, WARM, ONLY, LIMITS, [7, 8, 9, 10]) != found).any()


def test_text_knows_no_units_but_may_open_speech():
    found = speak(
        [[5, 6, 7], [9, 8, 4]], dataclasses.replace(WARM, temperature=30.0, top_p=1.0), OPEN
    )
    for row in found.tolist():
        for last, token in zip([7, *row], row, strict=False):
            assert token <= BEGIN or last >= BEGIN or last == BEGIN, (last, token)
    # of ids whose rows nobody uses none is likely enough, whatever its logit
    logits = np.zeros((1, CONFIG.decoder.vocab_size), np.float32)
    allowed = {
        last: np.flatnonzero(
            np.isfinite(
                mask_all(logits, np.array([last]), np.array([said]), np.array([5]), OPEN)[0]
            )
        )
        for last, said in ((7, 0), (BEGIN, 0), (BEGIN + 2, 1), (BEGIN + 3, 5), (BEGIN + 1, 0))
    }
    assert allowed[7].tolist() == list(range(BEGIN + 1))
    assert allowed[BEGIN].tolist() == list(range(BEGIN + 2, BEGIN + 2 + CODES))
    assert allowed[BEGIN + 2].tolist() == list(range(BEGIN + 1, BEGIN + 2 + CODES))
    assert allowed[BEGIN + 3].tolist() == [BEGIN + 1] and allowed[BEGIN + 1].tolist() == [TURN_END]


def test_decoding_takes_back_what_an_end_counted():
    heavy = dataclasses.replace(OPEN, end_weight=20.0)
    logits, said = np.zeros((1, CODES + 1), np.float32), np.array([2])
    found = mask_narrow(logits, said, np.array([9]), heavy)[0]
    assert found[0] == pytest.approx(-np.log(20.0)) and not found[1:].any()
    whole = np.zeros((1, CONFIG.decoder.vocab_size), np.float32)
    wide = mask_all(whole, np.array([BEGIN + 2]), said, np.array([9]), heavy)[0]
    np.testing.assert_allclose(wide[OPEN.narrow], found, rtol=1e-6)


WEIGHTS = {"0:4": 10.0, "4:12": 3.0}


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("unit", [2, 7, 20], ids=["of the first range", "of the second", "of none"])
def test_an_end_is_spoken_as_often_as_it_occurs(unit, share):
    """The model that has the least weighted loss, through the mask: what training weighs, decoding
    takes back."""
    truth = {OPEN.ids.end: share, OPEN.ids.first + unit: 1 - share}
    batch = {"target_bm": np.array([list(truth)]), "weight_bm": np.ones((1, 2), np.float32)}
    weigh_speech(batch, OPEN.ids, 15.0, WEIGHTS)
    # Σ weight · truth · log p is greatest at p ∝ weight · truth
    logits = np.full((1, CONFIG.decoder.vocab_size), -60.0, np.float32)
    logits[0, list(truth)] = np.log(batch["weight_bm"][0] * list(truth.values()))
    rules = dataclasses.replace(OPEN, end_weight=15.0, unit_weights=tuple(WEIGHTS.items()))
    said, most = np.array([9]), np.array([500])
    narrow = jax.nn.softmax(mask_narrow(logits[:, OPEN.narrow], said, most, rules))[0]
    wide = jax.nn.softmax(mask_all(logits, np.array([BEGIN + 2]), said, most, rules))[0]
    for token, wanted in truth.items():
        assert narrow[token - OPEN.ids.end] == pytest.approx(wanted, rel=1e-5)
        assert wide[token] == pytest.approx(wanted, rel=1e-5)


def test_what_looks_back_is_refused():
    with pytest.raises(ValueError, match="leave repetition_penalty at 1"):
        check_speaking(dataclasses.replace(WARM, repetition_penalty=1.1))
