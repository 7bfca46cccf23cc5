"""Choosing a token: each rule does what its name says, and its fast form what its plain form
says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sift_jax.decoding import sampling
from sift_jax.decoding.sampling import (
    GREEDY,
    choose_token,
    draw_from_nucleus,
    find_likeliest,
    forbid_ngrams,
    keep_nucleus,
    penalize_repeats,
)


def test_penalty_moves_seen_tokens_down():
    logits = jnp.array([[2.0, -2.0, 3.0, -3.0]])
    seen = jnp.array([[True, True, False, False]])
    np.testing.assert_allclose(penalize_repeats(logits, seen, 2.0), [[1.0, -4.0, 3.0, -3.0]])


@pytest.mark.parametrize(
    "top_p, kept",
    [(0.0, 1), (0.4, 1), (0.5, 1), (0.6, 2), (0.8, 2), (0.81, 3), (0.999, 4), (1.0, 4)],
)
def test_nucleus_keeps_the_likeliest_until_the_mass_is_reached(top_p, kept):
    probabilities = jnp.array([[0.15, 0.5, 0.05, 0.3]])
    found = np.asarray(keep_nucleus(jnp.log(probabilities), top_p))[0]
    is_kept = np.isfinite(found)
    assert is_kept.tolist() == (np.argsort(np.argsort([-0.15, -0.5, -0.05, -0.3])) < kept).tolist()
    np.testing.assert_allclose(
        found[is_kept], np.log(np.array([0.15, 0.5, 0.05, 0.3]))[is_kept], rtol=1e-6
    )


@pytest.mark.parametrize("few", [2, 64])
@pytest.mark.parametrize("top_p", [0.3, 0.7, 0.9])
def test_draws_follow_the_nucleus_by_either_way(monkeypatch, few, top_p):
    """Among a few tokens where they hold the mass, else among all: the same shares."""
    monkeypatch.setattr(sampling, "FEW", few)
    probabilities = np.array([0.15, 0.45, 0.05, 0.25, 0.1])
    order = np.argsort(-probabilities)
    kept = order[: 1 + np.sum(np.cumsum(probabilities[order]) < top_p)]
    rows = 6000
    logits = jnp.tile(jnp.log(jnp.asarray(probabilities, jnp.float32)), (rows, 1))
    found = draw_from_nucleus(logits, top_p, jax.random.split(jax.random.key(1), rows))
    drawn = np.bincount(np.asarray(found), minlength=5) / rows
    wanted = np.where(np.isin(np.arange(5), kept), probabilities, 0.0)
    np.testing.assert_allclose(drawn, wanted / wanted.sum(), atol=0.03)
    assert (drawn[wanted == 0] == 0).all()


def test_a_row_draws_the_same_whoever_stands_beside_it(monkeypatch):
    """Also where only its neighbour needs the whole vocabulary."""
    monkeypatch.setattr(sampling, "FEW", 2)
    peaked, flat = jnp.array([4.0, 3.0, 0.0, -9.0, -9.0, -9.0]), jnp.zeros(6)
    keys = jax.random.split(jax.random.key(0), 40)
    logits = jnp.tile(peaked, (40, 1))
    alone = draw_from_nucleus(logits, 0.9, keys)
    beside = draw_from_nucleus(logits.at[1::2].set(flat), 0.9, keys)
    np.testing.assert_array_equal(alone[::2], beside[::2])
    assert len(set(np.asarray(alone).tolist())) == 2 and (alone[1::2] != beside[1::2]).any()


def test_the_likeliest_is_the_first_of_the_largest():
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 4, (50, 9)).astype(np.float32)
    logits[0] = -np.inf
    np.testing.assert_array_equal(
        find_likeliest(jnp.asarray(logits))[1:], logits.argmax(axis=1)[1:]
    )
    assert 0 <= int(find_likeliest(jnp.asarray(logits))[0]) < 9


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_forbidden_are_the_tokens_that_would_repeat_a_run(size):
    rng = np.random.default_rng(size)
    rows, slots, vocabulary = 40, 14, 4
    text = rng.integers(0, vocabulary, (rows, slots)).astype(np.int32)
    first, end = rng.integers(0, 12, rows), 12
    found = forbid_ngrams(
        jnp.zeros((rows, vocabulary)), jnp.asarray(text), jnp.asarray(first), jnp.int32(end), size
    )
    for row in range(rows):
        known = text[row, first[row] : end].tolist()
        runs = {tuple(known[i : i + size]) for i in range(len(known) - size + 1)}
        start = known[len(known) - size + 1 :] if len(known) >= size - 1 else None
        banned = [start is not None and (*start, token) in runs for token in range(vocabulary)]
        assert np.isneginf(found[row]).tolist() == banned
    assert np.isneginf(found).any() and not np.isneginf(found).all()


def test_temperature_sharpens():
    logits = jnp.tile(jnp.array([[0.0, 1.0]]), (4000, 1))

    def share(temperature):
        config = dataclasses.replace(GREEDY, temperature=temperature)
        return float(
            np.mean(choose_token(logits, jax.random.split(jax.random.key(0), 4000), config))
        )

    assert share(1.0) == pytest.approx(np.e / (1 + np.e), abs=0.03)
    assert share(0.25) == pytest.approx(np.exp(4) / (1 + np.exp(4)), abs=0.02)
    assert share(0.0) == 1.0


@pytest.mark.parametrize(
    "name, value, rule",
    [
        ("max_new_tokens", 0, "1 or more"),
        ("temperature", -0.1, "0 or more"),
        ("top_p", 1.5, "0 or more, at most 1"),
        ("repetition_penalty", 0.0, "above 0"),
        ("no_repeat_ngram", -1, "0 or more"),
    ],
)
def test_what_makes_no_sense_says_so(name, value, rule):
    with pytest.raises(ValueError, match=f"DecodingConfig.{name} is {value}; give {rule}"):
        dataclasses.replace(GREEDY, **{name: value})
