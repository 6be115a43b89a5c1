"""Losses of labels and numbers: (targets, outputs) -> float32 [batch], in float32 whatever the model's precision.

Labels of voxels may be `labels.Partial`: what is to be ignored is in no mean, and has no gradient.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses.batches import per_example
from ssl3d_tf.losses.labels import Masks, known

Loss: TypeAlias = Callable[[Any, Any], tf.Tensor]


def softmax_cross_entropy(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """−log softmax(logits)[label].

    Args:
        labels: int [batch, ...] in 0..classes−1.
        logits: [batch, ..., classes].

    Returns:
        float32 [batch]: the mean over all axes but the first.
    """
    labels, counts = known(labels)
    return per_example(_of_each(labels, logits), counts)


def weighted_categorical_crossentropy(weights: Sequence[float]) -> Loss:
    """Builds −weight[label] · log softmax(logits)[label]; arguments and result as `softmax_cross_entropy`.

    The mean is over voxels, not over weights. The published program clips probabilities at 1e-7, here the gradient of
    a confident mistake stays.

    Args:
        weights: one per class; published for three classes: 1, 5, 10.

    Raises:
        InputError: from the loss, if there are not as many weights as classes.
    """

    def loss(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
        labels, counts = known(labels)
        if logits.shape[-1] != len(weights):
            raise InputError(f"{len(weights)} class weights for {logits.shape[-1]} classes; give one per class.")
        weight = tf.gather(tf.constant(weights, tf.float32), tf.cast(labels, tf.int32))
        return per_example(weight * _of_each(labels, logits), counts)

    return loss


def binary_crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy of independent yes-or-no labels: labels in [0, 1] and logits, both [batch, ...].

    Returns:
        float32 [batch]: the mean over all axes but the first.
    """
    logits = tf.cast(logits, tf.float32)
    return per_example(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits))


def ordinal_crossentropy(grades: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross entropy of the K − 1 questions 'is the grade above 0, above 1, …?'.

    Cheng et al., 2008, arXiv:0704.1028. Of three grades, 0 is (0, 0), 1 is (1, 0), 2 is (1, 1).

    Args:
        grades: int [batch] in 0..K−1.
        logits: [batch, K − 1].

    Returns:
        float32 [batch]: the mean over the questions.
    """
    above = grades[..., None] > tf.range(logits.shape[-1], dtype=grades.dtype)
    return binary_crossentropy(above, logits)


def weighted_ordinal_crossentropy(weights: Sequence[float]) -> Loss:
    """Builds weight[grade] · `ordinal_crossentropy`; arguments and result as there.

    Args:
        weights: one per grade, K of them.
    """

    def loss(grades: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.constant(weights, tf.float32), grades) * ordinal_crossentropy(grades, logits)

    return loss


def class_weights(
    weights: str | Sequence[float], *, classes: Sequence[int], counts: Sequence[int] | None
) -> tuple[float, ...] | None:
    """The weight of each class, or None of 'none'.

    'balanced' weighs a class by n / (K · its count), so that all classes weigh the same in sum, and an average case 1
    (King & Zeng, 2001, doi:10.1093/oxfordjournals.pan.a004868).

    Args:
        weights: 'none', 'balanced' or a number per class. classes: their values. counts: training cases of each.

    Raises:
        InputError: none of these, not as many as classes, or a class that has no training case to be balanced by.
    """
    if weights == "none":
        return None
    if isinstance(weights, str):
        if weights != "balanced" or counts is None:
            known = "'none', 'balanced' (where the data have labels) or a number per class"
            raise InputError(f"CLASS_WEIGHTS is '{weights}'; it must be {known}.")
        if absent := [str(value) for value, count in zip(classes, counts, strict=True) if not count]:
            found = f"CLASS_WEIGHTS is 'balanced', but no training case is of class {', '.join(absent)}"
            raise InputError(f"{found}; give a number per class, or CLASSES without it.")
        return tuple(sum(counts) / (len(counts) * count) for count in counts)
    are_numbers = isinstance(weights, Sequence) and all(type(weight) in (int, float) for weight in weights)
    given = tuple(map(float, weights)) if are_numbers else ()
    if len(given) != len(classes) or min(given) < 0 or not 0 < sum(given) < math.inf:
        rule = f"{len(classes)} numbers, as there are that many classes, none below 0 and not all of them 0"
        raise InputError(f"CLASS_WEIGHTS is {weights!r}; it must be 'none', 'balanced' or {rule}.")
    return given


def mse(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean squared difference: both [batch, ...] of one shape, to float32 [batch]."""
    return per_example(tf.math.squared_difference(tf.cast(targets, tf.float32), tf.cast(outputs, tf.float32)))


def _of_each(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy at every voxel: [batch, ...] of masks in whatever integers they are stored."""
    labels = tf.cast(labels, tf.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
