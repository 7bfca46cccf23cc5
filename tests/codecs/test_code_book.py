"""k-means: clusters are found, the same again, and too few points are told."""

import numpy as np
import pytest

from sift_jax.codecs.code_book import find_nearest, fit_book

RANDOM = np.random.default_rng(0)
MIDDLES = RANDOM.uniform(-50, 50, (12, 5)).astype(np.float32)
POINTS = (MIDDLES[np.arange(1_200) % 12] + 0.1 * RANDOM.standard_normal((1_200, 5))).astype(
    np.float32
)


def test_clusters_are_found_whatever_is_drawn_first():
    for seed in range(3):
        book = fit_book(POINTS, np.ones(len(POINTS)), 18, seed=seed)
        _, distance = find_nearest(MIDDLES, book)
        assert float(distance.max()) < 0.3, seed


def test_the_same_seed_gives_the_same_book():
    first, again = (fit_book(POINTS, np.ones(len(POINTS)), 30, seed=4) for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_weights_draw_codes():
    points = np.concatenate([POINTS, RANDOM.uniform(200, 300, (50, 5)).astype(np.float32)])
    weights = np.concatenate([np.ones(len(POINTS)), np.full(50, 1e-6)])
    assert fit_book(points, weights, 24, seed=0).max() < 200


def test_the_nearest_code_is_the_nearest():
    book = fit_book(POINTS, np.ones(len(POINTS)), 20, seed=0)
    code, distance = find_nearest(POINTS[:50], book)
    exact = ((POINTS[:50, None] - book) ** 2).sum(-1)
    assert np.array_equal(code, exact.argmin(1)) and np.allclose(distance, exact.min(1), atol=1e-2)


def test_too_few_points_are_told():
    with pytest.raises(
        ValueError, match="2 different frames cannot fill a book of 8 codes; give more recordings"
    ):
        fit_book(np.repeat([[0.0], [1.0]], 50, axis=0), np.ones(100), 8, seed=0)
