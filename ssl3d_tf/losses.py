"""Loss functions: (targets, outputs) -> float32 [batch], computed in float32 whatever the model's precision."""

import tensorflow as tf


def softmax_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """−log softmax(logits)[label].

    Args:
        labels: int [batch, ...] in 0..classes−1.
        logits: [batch, ..., classes].

    Returns:
        float32 [batch]: the mean over all axes but the first.
    """
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
    return per_example(loss)


def per_example(values: tf.Tensor) -> tf.Tensor:
    """The mean over all axes but the first: [batch, ...] -> float32 [batch]."""
    values = tf.cast(values, tf.float32)
    return tf.reduce_mean(values, axis=tuple(range(1, values.shape.rank)))
