"""One linear map per axis against NumPy."""

import numpy as np
import pytest

from ssl3d_tf import separable


def _volumes(rank, side, *, channels=2):
    shape = (3, *(side,) * rank, channels)
    return np.random.default_rng(rank).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", [2, 3])
def test_padding_crops_and_centres_in_zeros(rank):
    image, offsets = _volumes(rank, 8)[:1], (3, 0, 1)[:rank]
    matrices = [separable.padding(8, 5)[None, offset] for offset in offsets]
    crop = image[(0, *(slice(offset, offset + 5) for offset in offsets))]
    expected = np.pad(crop, [(1, 2)] * rank + [(0, 0)])
    np.testing.assert_array_equal(separable.resample(image, matrices)[0], expected)


def test_resizing_interpolates_between_the_crops_voxels():
    ramp = np.arange(8, dtype=np.float32)
    position = np.clip((np.arange(8) + 0.5) * 6 / 8 - 0.5, 0, 5)
    for offset, matrix in enumerate(separable.resizing(8, 6)):
        np.testing.assert_allclose(matrix @ ramp, offset + position, atol=1e-5)


def test_resampling_changes_every_axis_by_its_own_matrix():
    image, rng = _volumes(3, 4), np.random.default_rng(0)
    matrices = [rng.normal(size=(3, 2 + axis, 4)).astype(np.float32) for axis in range(3)]
    expected = np.einsum("nia,njb,nkc,nabcx->nijkx", *matrices, image)
    np.testing.assert_allclose(separable.resample(image, matrices), expected, atol=1e-4)
