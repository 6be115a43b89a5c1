"""Accuracy and chance where some questions are not asked, as there is nothing to ask about (`labels.Partial`).

What is not asked is in no mean: neither within an example nor, of an example of which nothing is asked, over others:
its scores are NaN, which training and evaluation leave out (`batches.tallied`). Where all is asked the numbers are
those of `metrics`, to the bit.
"""

import tensorflow as tf

from ssl3d_tf.losses import metrics
from ssl3d_tf.losses.batches import per_example
from ssl3d_tf.losses.labels import Masks, known


def over_asked(values: tf.Tensor, counts: tf.Tensor | None) -> tf.Tensor:
    """values, float32 [batch], NaN of examples that are asked nothing.

    Args:
        counts: [batch, ...], 1 for what is asked, else 0; None is all.
    """
    if counts is None:
        return values
    return tf.where(tf.reduce_max(counts, axis=range(1, len(counts.shape))) > 0, values, float("nan"))


def accuracy(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """`metrics.accuracy` over what is asked: labels int [batch, ...], logits [batch, ..., classes], to [batch]."""
    return over_asked(metrics.accuracy(labels, logits), known(labels)[1])


def chance(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """`metrics.chance` where every class is as likely among what is asked: float32 [batch]."""
    values, counts = known(labels)
    return over_asked(metrics.chance(values, logits), counts)


def chance_of_those(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """Chance where a class is asked for only if there is something of it, as of places with body: float32 [batch].

    Guessing is among those then, and not among all: of c classes about c · share, told by the share of an example's
    questions that is asked.
    """
    values, counts = known(labels)
    among_all = metrics.chance(values, logits)
    return among_all if counts is None else over_asked(tf.math.divide_no_nan(among_all, per_example(counts)), counts)
