"""One linear map per axis against NumPy."""

import numpy as np
import pytest

from ssl3d_tf import separable


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
    np.testing.assert_allclose(separable.resize(images, 8), expected, atol=1e-5)


def test_resampling_changes_every_axis_by_its_own_matrix():
    image, rng = _volumes(3, 4), np.random.default_rng(0)
    matrices = [rng.normal(size=(3, 2 + axis, 4)).astype(np.float32) for axis in range(3)]
    expected = np.einsum("nia,njb,nkc,nabcx->nijkx", *matrices, image)
    np.testing.assert_allclose(separable.resample(image, matrices), expected, atol=1e-4)
