"""How well voxels are reconstructed: (targets, outputs) -> float32 [batch], over the voxels that count."""

from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.losses.batches import per_example


class Whole(NamedTuple):
    """What is to be reconstructed. views: float32 [batch, *spatial, channels]. counts: [batch, *spatial, 1], 0 or 1."""

    views: tf.Tensor
    counts: tf.Tensor


def squared_error(targets: Whole, outputs: tf.Tensor) -> tf.Tensor:
    """Σ (output − view)² / n over the n numbers that count; 0 where there is none."""
    return _mean(targets, tf.square(tf.cast(outputs, tf.float32) - targets.views))


def explained(targets: Whole, outputs: tf.Tensor) -> tf.Tensor:
    """Share of the variance about 0, the mean of a standardised view, that is explained: 1 is all, 0 that of the mean.

    Below 0 it is worse than the mean. 1 where nothing counts or varies.
    """
    return 1.0 - tf.math.divide_no_nan(squared_error(targets, outputs), _mean(targets, tf.square(targets.views)))


def nothing(targets: Whole, outputs: tf.Tensor) -> tf.Tensor:
    """`explained` by the mean alone, 0: the floor to read it against."""
    return tf.zeros_like(squared_error(targets, outputs))


def _mean(targets: Whole, values: tf.Tensor) -> tf.Tensor:
    return per_example(values, tf.broadcast_to(targets.counts, tf.shape(values)))
