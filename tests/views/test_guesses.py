"""Answers without learning: a mean of what is shown, and histograms."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.views import guesses


@pytest.mark.parametrize("rank", [2, 3])
def test_hidden_voxels_are_the_mean_of_their_shown_neighbours(rank):
    values = np.random.default_rng(0).uniform(1, 2, (2, *(12,) * rank, 1)).astype(np.float32)
    hidden = (slice(None), *(slice(4, 8),) * rank)
    values[hidden] = 0
    found = guesses.from_neighbours(tf.constant(values), reach=(4,) * rank).numpy()
    place = np.stack(np.meshgrid(*[np.arange(12)] * rank, indexing="ij"), -1).reshape(-1, rank)
    near = np.exp(-0.5 * (((place - 5) / 2) ** 2).sum(1)) * (np.abs(place - 5) <= 8).all(1)
    flat = values.reshape(2, -1)
    expected = (flat * near).sum(1) / (near * (flat > 0)).sum(1)
    np.testing.assert_allclose(found[(slice(None), *(5,) * rank, 0)], expected, rtol=1e-4)


def test_a_constant_is_told_from_any_neighbour_and_nothing_from_none():
    shown = np.zeros((1, 40, 40, 1), np.float32)
    shown[:, :8] = 3.0
    found = guesses.from_neighbours(tf.constant(shown), reach=(4, 4)).numpy()
    np.testing.assert_allclose(found[:, :14], np.full((1, 14, 40, 1), 3.0), rtol=1e-4)
    assert not np.any(found[:, 20:])


def test_histograms_are_alike_whatever_the_order_and_unlike_where_intensities_are():
    values = np.random.default_rng(0).uniform(0, 1, (6, 6, 2))
    shuffled = np.random.default_rng(1).permutation(values.reshape(36, 2)).reshape(6, 6, 2)
    views = np.stack([values, shuffled, values**3]).astype(np.float32)[None]
    found = guesses.histogram(tf.constant(views), axes=2).numpy()
    assert found.shape == (1, 3, 64)
    np.testing.assert_array_equal(found[0, 0], found[0, 1])
    likeness = (found[0] @ found[0].T) / 72
    np.testing.assert_allclose(np.diag(likeness), np.ones(3), rtol=1e-5)
    assert likeness[0, 2] < 0.9
