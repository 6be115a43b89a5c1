"""Linear maps of images that go along one axis at a time.

Each axis is compiled by itself: all at once, XLA would compute an axis anew for everything that reads it.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def resize(patches: tf.Tensor, sides: Sequence[int]) -> tf.Tensor:
    """Stretches [batch, patches, *spatial, channels] to `sides` voxels, linearly; borders are aligned."""
    for axis, side in enumerate(sides, start=2):
        patches = patches if patches.shape[axis] == side else _stretched(patches, axis, side)
    return patches


@tf.function(jit_compile=True, autograph=False)
def between(images: tf.Tensor, axis: int, lower: tf.Tensor, upper: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Along `axis` the voxels `lower` × (1 − share) + the voxels `upper` × share; each [images, size of the result]."""
    below, above = (tf.gather(images, index, axis=axis, batch_dims=1) for index in (lower, upper))
    share = _along(share, axis, images)
    return below * (1.0 - share) + above * share


def mean_around(images: tf.Tensor, axis: int, weights: tf.Tensor) -> tf.Tensor:
    """The mean of each voxel and those beside it along `axis`, weighted by their distance; none lie beyond the border.

    Args:
        images: float32 [images, *spatial, channels].
        weights: float32 [images, n + 1], of the voxel itself and of those 1 to n away.
    """
    reach = weights.shape[1] - 1
    room = [[0, 0]] * len(images.shape)
    room[axis] = [reach, reach]
    # Padded outside of what is compiled, as XLA would pad anew for each of the neighbours.
    return _weighted_mean(tf.pad(images, room), axis, weights)


@tf.function(jit_compile=True, autograph=False)
def _weighted_mean(padded: tf.Tensor, axis: int, weights: tf.Tensor) -> tf.Tensor:
    reach = weights.shape[1] - 1
    size = padded.shape[axis] - 2 * reach
    inside = np.pad(np.ones(size, np.float32), reach)
    total, weight = tf.constant(0.0), tf.constant(0.0)
    for first in range(2 * reach + 1):
        one = weights[:, abs(first - reach), None]
        total += _along(one, axis, padded) * padded[(slice(None),) * axis + (slice(first, first + size),)]
        weight += one * inside[first : first + size]
    return total * _along(1.0 / weight, axis, padded)


@tf.function(jit_compile=True, autograph=False)
def _stretched(images: tf.Tensor, axis: int, size: int) -> tf.Tensor:
    last = images.shape[axis] - 1
    position = np.clip((np.arange(size) + 0.5) * (last + 1) / size - 0.5, 0, last)
    lower = np.floor(position).astype(np.int32)
    share = (position - lower).astype(np.float32).reshape(-1, *(1,) * (len(images.shape) - axis - 1))
    upper = np.minimum(lower + 1, last)
    return tf.gather(images, lower, axis=axis) * (1.0 - share) + tf.gather(images, upper, axis=axis) * share


def _along(values: tf.Tensor, axis: int, images: tf.Tensor) -> tf.Tensor:
    """[images, n] -> [images, 1, ..., n, ..., 1], n on `axis`."""
    ones = len(images.shape) - axis - 1
    return tf.reshape(values, (-1, *(1,) * (axis - 1), values.shape[1], *(1,) * ones))
