"""Linear maps along each axis on its own: any, by one matrix per axis and image, and stretching."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def resize(patches: tf.Tensor, size: int) -> tf.Tensor:
    """Stretches [batch, patches, *spatial, channels] to `size` voxels per axis, linearly; sides are aligned."""
    for axis in range(2, len(patches.shape) - 1):
        patches = patches if patches.shape[axis] == size else _stretched(patches, axis, size)
    return patches


@tf.function(jit_compile=True, autograph=False)
def _stretched(images: tf.Tensor, axis: int, size: int) -> tf.Tensor:
    """Compiled axis by axis: all at once, an axis would be interpolated anew for everything that reads it."""
    last = images.shape[axis] - 1
    position = np.clip((np.arange(size) + 0.5) * (last + 1) / size - 0.5, 0, last)
    lower = np.floor(position).astype(np.int32)
    share = (position - lower).astype(np.float32).reshape(-1, *(1,) * (len(images.shape) - axis - 1))
    upper = np.minimum(lower + 1, last)
    return tf.gather(images, lower, axis=axis) * (1.0 - share) + tf.gather(images, upper, axis=axis) * share


def resample(images: tf.Tensor, matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    """Applies one linear map per spatial axis: out[i, j, k] = Σ M₀[i, a] M₁[j, b] M₂[k, c] image[a, b, c].

    Args:
        images: [images, *spatial, channels].
        matrices: per axis [images, new size, size].

    Returns:
        [images, *new sizes, channels].
    """
    sizes, channels = [matrix.shape[1] for matrix in matrices], images.shape[-1]
    for matrix in matrices:  # each product takes the foremost axis and puts its result last
        lines = tf.reshape(images, (-1, matrix.shape[2], _size(images) // matrix.shape[2]))
        images = tf.matmul(lines, matrix, transpose_a=True, transpose_b=True)  # [images, rest, new size]
    turned = tf.reshape(images, (-1, channels, int(np.prod(sizes))))
    return tf.reshape(tf.transpose(turned, (0, 2, 1)), (-1, *sizes, channels))


def _size(images: tf.Tensor) -> int:
    return int(np.prod(images.shape[1:]))
