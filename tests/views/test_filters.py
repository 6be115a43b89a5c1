"""Blur, low resolution and bias field against SciPy and by hand."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from ssl3d_tf.views import filters


def _volumes(*spatial, channels=2):
    return np.random.default_rng(0).random((2, *spatial, channels), np.float32)


@pytest.mark.parametrize("spatial", [(24, 20), (16, 18, 14)])
def test_blur_is_a_gaussian_away_from_the_border(spatial):
    volumes, middle = _volumes(*spatial), (slice(None), *(slice(5, -5),) * len(spatial))
    blurred = filters.blur(volumes, tf.constant([1.0, 0.6]), widest=1.0)
    for volume, got, deviation in zip(volumes, blurred.numpy(), (1.0, 0.6), strict=True):
        expected = ndimage.gaussian_filter(volume, (*(deviation,) * len(spatial), 0), truncate=4)
        np.testing.assert_allclose(got[middle[1:]], expected[middle[1:]], atol=1e-5)


def test_blur_of_zero_and_of_a_constant_changes_nothing():
    volumes = _volumes(6, 7, 5)
    np.testing.assert_allclose(filters.blur(volumes, tf.zeros(2), widest=1.0), volumes, atol=1e-6)
    np.testing.assert_allclose(filters.blur(tf.ones((2, 6, 6, 1)), tf.constant([2.0, 9.0]), widest=9.0), 1, atol=1e-5)


def test_blur_at_the_border_is_the_mean_of_what_is_inside():
    line, weights = np.array([3, 0, 0, 6, 0], np.float32), np.exp(-0.5 * (np.arange(5) / 0.7) ** 2)
    weights[4] = 0  # beyond four deviations
    rows = np.array([[weights[abs(i - j)] for j in range(5)] for i in range(5)])
    blurred = filters.blur(line.reshape(1, 5, 1), tf.constant([0.7]), widest=0.7)
    np.testing.assert_allclose(blurred[0, :, 0], rows @ line / rows.sum(1), atol=1e-6)


def test_low_resolution_of_factor_one_changes_nothing():
    volumes = _volumes(6, 7, 5)
    np.testing.assert_allclose(filters.lower_resolution(volumes, tf.ones(2)), volumes, atol=1e-6)


def test_low_resolution_keeps_one_voxel_in_two():
    line = np.zeros((1, 8, 1), np.float32)
    line[0, :, 0] = [0, 9, 2, 9, 4, 9, 6, 9]  # places .5, 2.5, ... round to the even voxels
    kept = filters.lower_resolution(line, tf.constant([2.0]))[0, :, 0]
    np.testing.assert_allclose(kept, [0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.75], atol=1e-5)  # beyond the end: 9


def test_low_resolution_stays_within_the_volumes_range():
    volumes = _volumes(9, 11, 8)
    coarse = filters.lower_resolution(volumes, tf.constant([1.7, 3.3])).numpy()
    assert volumes.min() <= coarse.min()
    assert coarse.max() <= volumes.max()


def test_a_field_of_no_coefficients_changes_nothing():
    volumes = _volumes(4, 5, 6)
    found = filters.multiply_field(volumes, tf.zeros((2, filters.field_terms(3))))
    np.testing.assert_allclose(found, volumes, rtol=1e-6)


@pytest.mark.parametrize(("rank", "terms"), [(2, 9), (3, 19)])
def test_a_field_is_smooth_and_multiplies_all_channels_alike(rank, terms):
    assert filters.field_terms(rank) == terms
    volumes = np.ones((2, *(8,) * rank, 2), np.float32)
    coefficients = np.zeros((2, terms), np.float32)
    coefficients[1, 0] = 0.5  # the last axis, to the first power
    field = filters.multiply_field(volumes, coefficients).numpy()
    np.testing.assert_allclose(field[0], 1, rtol=1e-6)
    np.testing.assert_allclose(
        np.log(field[1, ..., 0]), np.broadcast_to(np.linspace(-0.5, 0.5, 8), (8,) * rank), atol=1e-6
    )
    np.testing.assert_allclose(field[..., 0], field[..., 1], rtol=1e-6)


@pytest.mark.parametrize("spatial", [(5, 7), (4, 6, 3)])
def test_a_field_is_a_polynomial_of_places(spatial):
    rank, order = len(spatial), filters.FIELD_ORDER
    places = np.meshgrid(*(np.linspace(-1, 1, size) for size in spatial), indexing="ij")
    powers = [p for p in itertools.product(range(order + 1), repeat=rank) if 0 < sum(p) <= order]
    coefficients = np.random.default_rng(0).normal(0, 0.2, (2, len(powers))).astype(np.float32)
    monomials = [np.prod([place**power for place, power in zip(places, p, strict=True)], axis=0) for p in powers]
    expected = np.exp(np.tensordot(coefficients, monomials, 1))[..., None]
    found = filters.multiply_field(np.ones((2, *spatial, 1), np.float32), coefficients)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
