"""Linear maps along each axis on its own: cut and resize, cut and pad, blur; one matrix per axis and image."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def resizing(side: int, crop: int) -> np.ndarray:
    """Matrices [side − crop + 1, side, side] that cut a line at every offset and stretch it back, linearly."""
    position = np.clip((np.arange(side) + 0.5) * crop / side - 0.5, 0, crop - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(crop)))  # [side, crop]
    return _at_every_offset(weights, side)


def padding(side: int, crop: int) -> np.ndarray:
    """Matrices [side − crop + 1, side, side] that cut a line at every offset and pad it with zeros, centred."""
    weights = np.eye(side, crop, k=-((side - crop) // 2))
    return _at_every_offset(weights, side)


def _at_every_offset(weights: np.ndarray, side: int) -> np.ndarray:
    room = side - weights.shape[1]
    shifted = [np.pad(weights, ((0, 0), (offset, room - offset))) for offset in range(room + 1)]
    return np.stack(shifted).astype(np.float32)


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
