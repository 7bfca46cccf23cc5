"""Forced alignment against lattices with known answers and against every path of small ones."""

import itertools

import numpy as np
import pytest

from data_prep.alignment.forced_alignment import align_symbols, score_spans
from data_prep.alignment.word_time import AlignmentError


def make_lattice(path, symbols=4, sure=0.9):
    """Log probabilities that favour one label a frame."""
    probs = np.full((len(path), symbols), (1 - sure) / (symbols - 1))
    probs[np.arange(len(path)), path] = sure
    return np.log(probs)


def collapse(path, blank=0):
    return [label for label, _ in itertools.groupby(path) if label != blank]


def find_best(log_probs, symbols):
    """The probability of the best path of all that collapse to the symbols."""
    frames, labels = log_probs.shape
    paths = (
        path
        for path in itertools.product(range(labels), repeat=frames)
        if collapse(path) == list(symbols)
    )
    return max(sum(log_probs[frame, label] for frame, label in enumerate(path)) for path in paths)


def add_up(log_probs, symbols, spans):
    """The probability of the path that the spans describe, blank everywhere else."""
    path = np.zeros(len(log_probs), int)
    for symbol, (start, end) in zip(symbols, spans, strict=True):
        path[start:end] = symbol
    assert collapse(path) == list(symbols)
    return log_probs[np.arange(len(path)), path].sum()


@pytest.mark.parametrize(
    ("path", "symbols", "spans"),
    [
        ([0, 1, 1, 0, 2, 3, 3, 0], [1, 2, 3], [(1, 3), (4, 5), (5, 7)]),
        ([1, 2], [1, 2], [(0, 1), (1, 2)]),
        ([1, 0, 1, 1], [1, 1], [(0, 1), (2, 4)]),
        ([0, 0, 3, 0], [3], [(2, 3)]),
    ],
)
def test_known_answers(path, symbols, spans):
    lattice = make_lattice(path)
    found = align_symbols(lattice, np.array(symbols), 0)
    assert found.tolist() == [list(span) for span in spans]
    np.testing.assert_allclose(np.exp(score_spans(lattice, symbols, found)), 0.9)


def test_a_repeated_symbol_needs_a_blank_between():
    # the frames all say 1, so the cheapest frame must be given to the blank
    lattice = make_lattice([1, 1, 1, 1, 1])
    lattice[3, 0] = np.log(0.5)
    assert align_symbols(lattice, np.array([1, 1]), 0).tolist() == [[0, 3], [4, 5]]


def test_no_path_is_better():
    rng = np.random.default_rng(0)
    for _ in range(40):
        frames, labels = rng.integers(3, 7), rng.integers(2, 4)
        symbols = rng.integers(1, labels + 1, size=rng.integers(1, 4))
        if frames < len(symbols) + (symbols[1:] == symbols[:-1]).sum():
            continue
        lattice = np.log(rng.dirichlet(np.ones(labels + 1), size=frames))
        spans = align_symbols(lattice, symbols, 0)
        assert add_up(lattice, symbols, spans) == pytest.approx(find_best(lattice, symbols))


def test_the_blank_may_be_any_label():
    rng = np.random.default_rng(1)
    lattice = np.log(rng.dirichlet(np.ones(4), size=12))
    order = [3, 1, 2, 0]
    np.testing.assert_array_equal(
        align_symbols(lattice, np.array([1, 2, 2]), 0),
        align_symbols(lattice[:, order], np.array([1, 2, 2]), 3),
    )


def test_long_speech_is_quick_and_exact():
    rng = np.random.default_rng(2)
    symbols = rng.integers(1, 30, size=400)
    spans = np.stack([np.arange(400) * 3 + 1, np.arange(400) * 3 + 3], axis=1)
    path = np.zeros(1_201, int)
    for symbol, (start, end) in zip(symbols, spans, strict=True):
        path[start:end] = symbol
    np.testing.assert_array_equal(align_symbols(make_lattice(path, 30), symbols, 0), spans)


def test_what_cannot_be_aligned_is_said():
    with pytest.raises(AlignmentError, match="3 symbols do not fit into 3 frames.*belong together"):
        align_symbols(make_lattice([1, 1, 2]), np.array([1, 1, 2]), 0)
    with pytest.raises(AlignmentError, match="cut the recording"):
        align_symbols(np.broadcast_to(np.float32(-1), (200_000, 9)), np.resize([1, 2], 20_000), 0)
    with pytest.raises(AlignmentError, match="check the vocabulary"):
        align_symbols(make_lattice([1, 1, 2]), np.array([9]), 0)
    with pytest.raises(AlignmentError, match="NaN"):
        align_symbols(np.full((4, 4), np.nan), np.array([1]), 0)
    assert align_symbols(make_lattice([0, 0]), np.array([], int), 0).shape == (0, 2)
