"""Linear maps along each axis on its own: cut and resize, cut and pad, blur; one matrix per axis and image."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

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


class Taps(NamedTuple):
    """Linear maps of a line of which every value is made of two neighbours at most.

    place: int32 [maps, new size], the first of them. weights: float32 [maps, new size, 1 or 2], of it and the next one.
    """

    place: np.ndarray
    weights: np.ndarray


def taps(matrices: np.ndarray) -> Taps:
    """The matrices [maps, new size, size] as taps; their rows hold two numbers side by side, one or none."""
    size, used = matrices.shape[-1], matrices != 0
    place = np.minimum(np.argmax(used, axis=-1), size - 2)
    pairs = np.take_along_axis(matrices, place[..., None] + np.arange(2), axis=-1)
    # A lone number in the last column would count as the second of two.
    late = (pairs[..., 0] == 0) & (pairs[..., 1] != 0)
    place, pairs = place + late, np.where(late[..., None], pairs[..., ::-1], pairs)
    return Taps(place.astype(np.int32), pairs if pairs[..., 1].any() else pairs[..., :1])


def interpolate(images: tf.Tensor, taps: Taps, numbers: tf.Tensor) -> tf.Tensor:
    """Each image through the taps with these numbers along its axes, as `resample` through their matrices.

    One gather per corner: under XLA as fast as matrix products in a graph, which XLA makes three times slower.

    Args:
        images: [images, *spatial, channels]. numbers: int32 [images, rank].

    Returns:
        [images, *new sizes, channels].
    """
    *spatial, channels = images.shape[1:]
    rank = len(spatial)
    places, weights = tf.gather(taps.place, numbers), tf.gather(taps.weights, numbers)  # [images, rank, new size, taps]
    result = tf.zeros(())
    for corner in itertools.product(range(taps.weights.shape[-1]), repeat=rank):
        index = tf.reshape(tf.range(tf.shape(images)[0]), (-1, *(1,) * rank))
        weight = tf.ones(())
        for axis, (step, side) in enumerate(zip(corner, spatial, strict=True)):
            along = (-1, *(1,) * axis, places.shape[-1], *(1,) * (rank - 1 - axis))
            index = index * side + tf.reshape(tf.minimum(places[:, axis] + step, side - 1), along)
            weight = weight * tf.reshape(weights[:, axis, :, step], along)
        result += tf.gather(tf.reshape(images, (-1, channels)), index) * weight[..., None]
    return result


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
