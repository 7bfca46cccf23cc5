"""Several answers to a prompt, behind one pass over it: the same tokens as where it is asked again
and again."""

import dataclasses

import jax
import numpy as np
from test_generate import CONFIG, GREEDY, NEVER, PROMPTS, lay_out
from tiny_model import make_params

from sift_jax.decoding.generate import prepare
from sift_jax.decoding.generate import speak as speak_prepared

WARM = dataclasses.replace(GREEDY, temperature=1.3)
COPIES = 3


def speak(prompts, draws, copies, rows):
    return speak_prepared(
        CONFIG,
        prepare(CONFIG, make_params(CONFIG), rows=rows),
        lay_out(prompts, draws=draws),
        jax.random.key(4),
        decoding=WARM,
        stop_ids=(NEVER,),
        copies=copies,
    )


def test_a_group_is_the_prompt_asked_again_and_again():
    prompts, rows = PROMPTS[:2], 2 * COPIES
    grouped = speak(prompts, range(rows), COPIES, rows)
    again = speak([p for p in prompts for _ in range(COPIES)], range(rows), 1, rows)
    np.testing.assert_array_equal(grouped, again)
    # the answers of a group differ, or the test proves nothing
    assert len({tuple(row) for row in grouped.tolist()}) > COPIES
