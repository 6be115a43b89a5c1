"""What every loss needs: one number per example, and the examples of all replicas."""

import tensorflow as tf


def per_example(values: tf.Tensor, counts: tf.Tensor | None = None) -> tf.Tensor:
    """The mean over all axes but the first: [batch, ...] -> float32 [batch].

    Args:
        counts: of the same shape, 1 for what counts and 0 for what does not; None is all. Of nothing the mean is 0.
    """
    values = tf.cast(values, tf.float32)
    axes = tuple(range(1, values.shape.rank))
    if counts is None:
        return tf.reduce_mean(values, axis=axes)
    return tf.math.divide_no_nan(tf.reduce_sum(values * counts, axes), tf.reduce_sum(counts, axes))


def tallied(scores: tf.Tensor) -> tf.Tensor:
    """[batch, 1 + metrics], the loss and the metrics -> [2, 1 + metrics], which can be averaged, and `means` reads.

    A metric that is NaN of an example is not of it (`losses/questions.py`); a loss that is NaN is one.
    """
    is_score = tf.logical_not(tf.math.is_nan(scores)) | (tf.range(scores.shape[1]) == 0)
    summands = tf.stack([tf.where(is_score, scores, 0.0), tf.cast(is_score, scores.dtype)])
    return tf.reduce_mean(summands, axis=1)


def means(tally: tf.Tensor) -> tf.Tensor:
    """[1 + metrics]: the mean loss, and every metric's mean over the examples that have it, NaN of none."""
    return tally[0] / tally[1]


def across_replicas(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | int]:
    """Joins [batch, ...] of all replicas that compute this step: ([global batch, ...], number of the own first row).

    Gradients flow back to every replica. On one replica it is the identity. Every replica must hold equally many rows.
    """
    context = tf.distribute.get_replica_context()
    if replicas() == 1:
        return values, 0
    return context.all_gather(values, axis=0), context.replica_id_in_sync_group * tf.shape(values)[0]


def replicas() -> int:
    """How many replicas compute this step; 1 outside of a distribution strategy's step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync
