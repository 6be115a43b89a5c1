"""Training metrics: (targets, outputs) -> float32 [batch]; the loop averages them over all examples."""

import tensorflow as tf

from ssl3d_tf.losses import per_example


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Share of right arg-max predictions per example: labels int [batch, ...], logits [batch, ..., classes]."""
    predictions = tf.argmax(logits, axis=-1, output_type=labels.dtype)
    return per_example(predictions == labels)


def chance(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Accuracy of guessing uniformly, 1 / classes, as float32 [batch]: the floor to read `accuracy` against."""
    return tf.fill(tf.shape(labels)[:1], 1.0 / logits.shape[-1])
