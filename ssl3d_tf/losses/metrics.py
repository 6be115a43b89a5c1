"""Training metrics: (targets, outputs) -> float32 [batch]; the loop averages them over all examples.

Those of segmentation sum over the voxels of the whole batch, as published, and so are one number for every example;
voxels to ignore, of `labels.Partial`, are in none of them.
Scores of whole cases are in `evaluation.scores`.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from ssl3d_tf.losses import classification, overlap, regions
from ssl3d_tf.losses.batches import per_example
from ssl3d_tf.losses.labels import Masks, known, values

Metric: TypeAlias = Callable[[Any, Any], tf.Tensor]


def accuracy(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """Share of right arg-max predictions per example: labels int [batch, ...], logits [batch, ..., classes]."""
    labels, counts = known(labels)
    predictions = tf.argmax(logits, axis=-1, output_type=labels.dtype)
    return per_example(predictions == labels, counts)


def chance(labels: Masks, logits: tf.Tensor) -> tf.Tensor:
    """Accuracy of guessing uniformly, 1 / classes, as float32 [batch]: the floor to read `accuracy` against."""
    return overlap.fill(1.0 / logits.shape[-1], labels)


def always(place: int) -> Metric:
    """Whether the label, int [batch], is that class: over all examples the accuracy of naming it for every one."""
    return lambda labels, logits: tf.cast(labels == place, tf.float32)


def binary_accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Share of right answers to yes-or-no labels, yes where the logit is above 0: both [batch, ...]."""
    return per_example((tf.cast(labels, tf.float32) > 0.5) == (logits > 0))


def ordinal_accuracy(grades: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the number of leading logits above 0 is the grade: grades int [batch], logits [batch, grades − 1]."""
    leading = tf.math.cumprod(tf.cast(logits > 0, tf.int32), axis=-1)
    return per_example(tf.reduce_sum(leading, axis=-1) == tf.cast(grades, tf.int32))


def mse(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean squared difference per example: both [batch, ...] of one shape."""
    return classification.mse(targets, outputs)


def weighted_dice_coefficient(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """−`overlap.weighted_dice_loss`: soft Dice over the batch, background included, in 0..1."""
    return -overlap.weighted_dice_loss(masks, logits)


def weighted_dice_coefficient_per_class(classes: int | Sequence[int]) -> dict[str, Metric]:
    """Soft Dice over the batch of one class each, as 'dice_class_0', 'dice_class_1', … by the values of the masks."""

    def of_class(index: int) -> Metric:
        def metric(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
            each = overlap.dice(overlap.of_batch(overlap.soft(masks, logits)))
            return overlap.fill(each[0, index], masks)

        return metric

    return {f"dice_class_{value}": of_class(index) for index, value in enumerate(values(classes))}


def brats_wt(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """Dice of the whole tumour, labels 1, 2, 3, over the batch, of the arg-max prediction; 1 if there is none."""
    return _region_dice(masks, logits, regions.BRATS["brats_wt"])


def brats_tc(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """As `brats_wt` for the tumour core, labels 1 and 3."""
    return _region_dice(masks, logits, regions.BRATS["brats_tc"])


def brats_et(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """As `brats_wt` for the enhancing tumour, label 3."""
    return _region_dice(masks, logits, regions.BRATS["brats_et"])


def _region_dice(masks: Masks, logits: tf.Tensor, labels: Sequence[int]) -> tf.Tensor:
    truth, counts = known(masks)
    predictions = tf.argmax(logits, axis=-1, output_type=tf.int32)
    inside, found = (_is_any(each, labels)[..., None] for each in (tf.cast(truth, tf.int32), predictions))
    return overlap.fill(overlap.dice(overlap.of_batch(overlap.sums(inside, found, counts)))[0, 0], masks)


def _is_any(values: tf.Tensor, labels: Sequence[int]) -> tf.Tensor:
    return tf.reduce_any(values[..., None] == tf.constant(labels, values.dtype), axis=-1)
