"""Linear maps along one axis against NumPy."""

import numpy as np
import pytest

from ssl3d_tf.views import separable


def _volumes(rank, side, *, channels=2):
    shape = (3, *(side,) * rank, channels)
    return np.random.default_rng(rank).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", [2, 3])
def test_resizing_interpolates_linearly_on_every_axis(rank):
    weights = np.maximum(0, 1 - np.abs(np.clip((np.arange(8) + 0.5) * 6 / 8 - 0.5, 0, 5)[:, None] - np.arange(6)))
    images = _volumes(rank, 6)[:, None]
    expected = images
    for axis in range(2, 2 + rank):
        expected = np.moveaxis(np.moveaxis(expected, axis, -1) @ weights.T, -1, axis)
    np.testing.assert_allclose(separable.resize(images, (8,) * rank), expected, atol=1e-5)


def test_voxels_between_others_are_each_images_own():
    images, rng = _volumes(2, 5), np.random.default_rng(0)
    lower, upper = rng.integers(0, 5, (2, 3, 7)).astype(np.int32)
    share = rng.random((3, 7), np.float32)
    for axis in (1, 2):
        found = np.moveaxis(separable.between(images, axis, lower, upper, share), axis, 1)
        for image, got, low, up, part in zip(np.moveaxis(images, axis, 1), found, lower, upper, share, strict=True):
            expected = image[low] * (1 - part)[:, None, None] + image[up] * part[:, None, None]
            np.testing.assert_allclose(got, expected, atol=1e-6)
