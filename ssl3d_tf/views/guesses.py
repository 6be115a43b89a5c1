"""Answers without learning: what a network must beat before it can be said to know anything of anatomy."""

from collections.abc import Sequence

import tensorflow as tf

from ssl3d_tf.task import Volumes
from ssl3d_tf.views import filters

_BINS = 32


def from_neighbours(views: Volumes, *, reach: Sequence[int]) -> Volumes:
    """Each voxel as the mean of the shown ones around it, weighted by a Gaussian; of none it is 0.

    Args:
        views: [batch, *spatial, channels], 0 in all channels where hidden.
        reach: two standard deviations of the Gaussian, voxels per axis, and so half of how far it sees.
    """
    shown = tf.cast(tf.reduce_any(views != 0, axis=-1, keepdims=True), tf.float32)
    around, weight = views, shown
    for axis, far in enumerate(reach, start=1):
        deviation = tf.fill(tf.shape(views)[:1], far / 2)
        around, weight = (filters.blur_along(each, axis, deviation, widest=far / 2) for each in (around, weight))
    return tf.math.divide_no_nan(around, weight)


def histogram(views: tf.Tensor, *, axes: int) -> tf.Tensor:
    """The square roots of each view's shares of intensity, between the batch's extremes, of all channels.

    Their cosines are Bhattacharyya coefficients: how alike two histograms are.

    Args:
        views: [*leading, *spatial, channels], of `axes` leading axes.

    Returns:
        float32 [*leading, bins · channels].
    """
    channels, leading = views.shape[-1], tf.shape(views)[:axes]
    spread = tf.reshape(views, (-1, tf.reduce_prod(views.shape[axes:-1]), channels))
    low, high = (reduce(spread, axis=(0, 1)) for reduce in (tf.reduce_min, tf.reduce_max))
    places = tf.cast(tf.math.divide_no_nan(spread - low, high - low) * (_BINS - 1) + 0.5, tf.int32)
    counts = [tf.math.bincount(places[..., c], minlength=_BINS, maxlength=_BINS, axis=-1) for c in range(channels)]
    shares = tf.sqrt(tf.cast(tf.concat(counts, axis=-1), tf.float32))
    return tf.reshape(shares, tf.concat([leading, [_BINS * channels]], 0))
