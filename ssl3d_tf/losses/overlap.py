"""Overlap of a mask with predicted probabilities, Dice and Jaccard, as losses: (masks, logits) -> float32 [batch].

masks: int [batch, *spatial] in 0..classes−1, or `labels.Partial` of such, whose voxels to ignore are in neither truth
nor prediction; logits: [batch, *spatial, classes]. What a class shares and has is summed
over the voxels of the whole batch, on all replicas, where it says so: a class that is in few of the examples then still
has a gradient. Such a loss is one number, the same for every example.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.losses.batches import across_replicas
from ssl3d_tf.losses.classification import Loss, softmax_cross_entropy, weighted_categorical_crossentropy
from ssl3d_tf.losses.labels import Masks, known

_SMOOTH = 1e-5  # voxels


class Sums(NamedTuple):
    """Sums over voxels, float32 [batch, classes]: of truth · prediction, of the truth, of the prediction."""

    shared: tf.Tensor
    truth: tf.Tensor
    predicted: tf.Tensor


def sums(truth: tf.Tensor, predicted: tf.Tensor, counts: tf.Tensor | None = None) -> Sums:
    """Sums over voxels of two maps [batch, *spatial, classes] in [0, 1]; over those where `counts` is 1."""
    truth, predicted = tf.cast(truth, tf.float32), tf.cast(predicted, tf.float32)
    if counts is not None:
        truth, predicted = truth * counts[..., None], predicted * counts[..., None]
    voxels = tuple(range(1, truth.shape.rank - 1))
    return Sums(*(tf.reduce_sum(values, voxels) for values in (truth * predicted, truth, predicted)))


def of_batch(each: Sums) -> Sums:
    """[batch, classes] of each example -> [1, classes] of the batch over all replicas."""
    joined, _ = across_replicas(tf.stack(each, axis=1))  # [global batch, 3, classes]
    return Sums(*tf.unstack(tf.reduce_sum(joined, axis=0, keepdims=True), num=len(each), axis=1))


def dice(each: Sums) -> tf.Tensor:
    """(2 Σ tp + ε) / (Σ t + Σ p + ε), ε = 1e-5: 1 where a class is neither there nor predicted."""
    return (2.0 * each.shared + _SMOOTH) / (each.truth + each.predicted + _SMOOTH)


def jaccard(each: Sums) -> tf.Tensor:
    """(Σ tp + ε) / (Σ t + Σ p − Σ tp + ε), ε = 1e-5."""
    return (each.shared + _SMOOTH) / (each.truth + each.predicted - each.shared + _SMOOTH)


def soft(masks: Masks, logits: tf.Tensor) -> Sums:
    """Sums of the mask and the softmax of the logits, per example and class."""
    masks, counts = known(masks)
    probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
    return sums(tf.one_hot(tf.cast(masks, tf.int32), logits.shape[-1]), probabilities, counts)


def fill(value: tf.Tensor, like: Masks) -> tf.Tensor:
    """One number for every example: [] and [batch, ...] -> [batch]."""
    return tf.fill(tf.shape(tf.nest.flatten(like)[0])[:1], value)


def weighted_dice_loss(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """−mean over classes of soft Dice over the batch, background included: −1 is perfect, 0 is worst.

    The published loss; there are no weights in it but that small classes count as much as large ones.
    Milletari et al., 2016, arXiv:1606.04797.
    """
    return fill(-tf.reduce_mean(dice(of_batch(soft(masks, logits)))), masks)


def jaccard_distance(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """1 − mean over classes of soft Jaccard over the batch, background included: 0 is perfect, 1 is worst.

    The published program multiplies it by 1e-5, which leaves nothing to learn from.
    """
    return fill(1.0 - tf.reduce_mean(jaccard(of_batch(soft(masks, logits)))), masks)


def weighted_sum_loss(weights: Sequence[float]) -> Loss:
    """Builds ½ `jaccard_distance` + ½ `weighted_categorical_crossentropy(weights)`."""
    cross_entropy = weighted_categorical_crossentropy(weights)

    def loss(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
        return 0.5 * jaccard_distance(masks, logits) + 0.5 * cross_entropy(masks, logits)

    return loss


def dice_cross_entropy(masks: Masks, logits: tf.Tensor) -> tf.Tensor:
    """1 − soft Dice, mean over classes without background, of each example by itself, + softmax cross entropy.

    As nnU-Net for 3D (Isensee et al., 2021, arXiv:1904.08128). A class that an example lacks adds up to 1 / classes
    to its loss, whose gradient vanishes; that it is not predicted there is learned from the cross entropy.
    """
    foreground = dice(soft(masks, logits))[:, 1:]
    return 1.0 - tf.reduce_mean(foreground, axis=1) + softmax_cross_entropy(masks, logits)
