"""What probes are made of: votes of neighbours, a ridge in closed form, and which class lies where in a mask."""

import numpy as np
import pytest

from ssl3d_tf.evaluation import neighbours, places, ridge


def test_votes_are_shares_of_the_nearest():
    known, labels = np.array([[1.0, 0], [0.9, 0.1], [0, 1]]), np.array([0, 1, 1])
    found = neighbours.class_probabilities(known, labels, np.array([[1.0, 0.0], [0.0, 2.0]]), classes=3, number=2)
    near = np.exp((0.9 / np.hypot(0.9, 0.1) - 1) / 0.07)
    np.testing.assert_allclose(found[0], [1 / (1 + near), near / (1 + near), 0])
    assert found[1, 1] > 0.99
    shares = neighbours.shares(known, np.array([[0.5, 1.0], [0.5, 0.0], [0.5, 0.0]]), known[:1], number=2)
    np.testing.assert_allclose(shares, [[0.5, 1 / (1 + near)]])


@pytest.mark.parametrize("shape", [(40, 3), (5, 30)])
def test_the_ridge_is_the_least_of_its_own_penalised_squares(shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 3, shape), rng.normal(1, 1, (shape[0], 2))
    found = ridge.scores(x, y, x)
    z, t = (x - x.mean(0)) / x.std(0), y - y.mean(0)
    weights = np.linalg.lstsq(
        np.vstack([z, np.sqrt(shape[0]) * np.eye(shape[1])]), np.vstack([t, np.zeros((shape[1], 2))]), rcond=None
    )[0]
    np.testing.assert_allclose(found, z @ weights + y.mean(0), atol=1e-9)
    assert np.isfinite(ridge.scores(np.ones(shape), y, np.ones(shape))).all()  # a collapsed encoder


def test_a_class_is_in_the_places_that_its_voxels_are_in():
    mask = np.zeros((1, 6, 7), int)
    mask[0, 0, 0], mask[0, 5, 6], mask[0, 2, 3] = 1, 2, 9
    found, known = places.presence(mask, (3, 2), np.array([1, 2]), ignore=9)
    assert found.shape == (1, 3, 2, 2)
    assert np.argwhere(found).tolist() == [[0, 0, 0, 0], [0, 2, 1, 1]]
    assert np.argwhere(~known).tolist() == [[0, 1, 1]]  # columns 3 to 6 are the second place
    assert places.presence(mask, (3, 2), np.array([1]), ignore=None)[1].all()
    whole, _ = places.presence(mask[..., None], (1, 1, 1), np.array([1, 2, 3]), ignore=None)
    assert whole.ravel().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("filled", "count", "of_filled"), [(50, 40, 20), (10, 40, 10), (98, 40, 38), (50, 200, 50), (0, 40, 0)]
)
def test_half_of_the_places_that_are_looked_at_hold_a_class(filled, count, of_filled):
    present = np.zeros((100, 3), bool)
    present[np.random.default_rng(1).permutation(100)[:filled], 1] = True
    chosen = places.some(present, count, seed=3)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, 100)
    assert present[chosen].any(axis=1).sum() == of_filled
    assert np.array_equal(chosen, places.some(present, count, seed=3))
