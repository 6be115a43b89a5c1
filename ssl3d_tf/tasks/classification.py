"""Classification, grading and regression: what is the label of this volume? The downstream tasks without masks."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification
from ssl3d_tf.losses import labels as stored
from ssl3d_tf.losses import metrics as scores
from ssl3d_tf.models import geometry
from ssl3d_tf.models.heads import Head
from ssl3d_tf.task import Batch, Op, Params, Task, Volumes
from ssl3d_tf.views import affine, augment, sizes, volumes
from ssl3d_tf.views.sizes import Size

Scorer = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Labels(NamedTuple):
    """What a label means: how many outputs it needs, how it is read, and how outputs are scored.

    kind: 'nominal', 'ordinal', 'multilabel' or 'regression'. read: float [batch, labels] -> targets. values: of nominal
    and ordinal labels, those of the data that are classes, in the network's order.
    """

    kind: str
    units: int
    read: Callable[[tf.Tensor], tf.Tensor]
    loss_fn: Scorer
    metrics: Mapping[str, Scorer]
    values: tuple[int, ...] = ()


def nominal(
    *, classes: int | Sequence[int], counts: Sequence[int] | None = None, weights: str | Sequence[float] = "none"
) -> Labels:
    """One of K classes, as a number in 0..K−1, or as one of the numbers that `classes` lists: softmax cross entropy.

    Args:
        counts: training cases of each class: chance is then to name the most frequent one for every case, else 1 / K.
        weights: of each class in the loss, as `losses.classification.class_weights`.
    """
    values = _classes(classes, "nominal")
    metrics = {"accuracy": scores.accuracy, "chance": _chance(counts, values) or scores.chance}
    weighted = classification.class_weights(weights, classes=values, counts=counts)
    loss = (
        classification.weighted_categorical_crossentropy(weighted) if weighted else classification.softmax_cross_entropy
    )
    return Labels("nominal", len(values), _first_of(values), loss, metrics, values)


def ordinal(
    *, classes: int | Sequence[int], counts: Sequence[int] | None = None, weights: str | Sequence[float] = "none"
) -> Labels:
    """A grade in 0..K−1, or one of those that `classes` lists, rising, as K − 1 questions 'is it above the first, …?'.

    Grade 2 of 0..4 is yes yes no no. counts, weights: as of `nominal`.
    """
    values = _classes(classes, "ordinal")
    chance = _chance(counts, values)
    metrics = {"accuracy": scores.ordinal_accuracy} | ({"chance": chance} if chance else {})
    weighted = classification.class_weights(weights, classes=values, counts=counts)
    loss = classification.weighted_ordinal_crossentropy(weighted) if weighted else classification.ordinal_crossentropy
    return Labels("ordinal", len(values) - 1, _first_of(values), loss, metrics, values)


def multilabel(*, labels: int) -> Labels:
    """Any of L findings, each 0 or 1: binary cross entropy."""
    _at_least(labels, 1, "labels")
    metrics = {"accuracy": scores.binary_accuracy}
    return Labels("multilabel", labels, lambda values: values, classification.binary_crossentropy, metrics)


def regression(*, values: int = 1) -> Labels:
    """One or several numbers: mean squared error."""
    _at_least(values, 1, "values")
    return Labels("regression", values, lambda given: given, classification.mse, {"mse": scores.mse})


def task(
    *,
    rank: int,
    view_size: Size,
    labels: Labels,
    top: Head,
    transforms: Sequence[affine.Drawer] = (),
    intensity: Op | None = None,
) -> Task:
    """Classification as a Task. Inputs: float32 [batch, *view_size, channels]; targets as `labels` has them.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the crop, per axis or of all axes: random in training, the middle else; smaller scans are
            padded.
        labels: what they mean, from this module.
        top: (features of the encoder, units) -> logits.
        transforms: from `affine`, in training only. intensity: then.
    """
    moves = augment.affine(transforms=transforms, view_size=view_size) if transforms else augment.identity()
    augmentation = augment.chain([moves, intensity or augment.identity()])
    size = sizes.sides(view_size, rank)

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, tf.Tensor]:
        scans = volumes.intensities(batch)
        return augmentation.apply(scans, params) if params else scans, labels.read(batch["label"])

    def build_model(encoder: keras.Model) -> keras.Model:
        geometry.check_view(encoder, size)
        inputs = keras.Input((*size, encoder.input_shape[-1]), name="volumes")
        return keras.Model(inputs, top(encoder(inputs), labels.units), name="classification")

    return Task(
        sample=augmentation.sample,
        sample_eval=lambda seed: (),
        make_views=make_views,
        build_model=build_model,
        loss_fn=labels.loss_fn,
        metrics=labels.metrics,
    )


def _chance(counts: Sequence[int] | None, values: Sequence[int]) -> Scorer | None:
    if counts is None:
        return None
    if len(counts) != len(values):
        raise InputError(f"CLASS_COUNTS has {len(counts)} numbers, there are {len(values)} classes; leave it None.")
    return scores.always(max(range(len(counts)), key=counts.__getitem__))


def _first_of(values: Sequence[int]) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda given: stored.places(given[:, 0], values)


def _classes(classes: int | Sequence[int], kind: str) -> tuple[int, ...]:
    values = stored.values(classes)
    if len(values) < 2:
        found = f"the labels hold {len(values) or 'no'} class{'es' * (not values)}, and {kind}() tells 2 or more apart"
        measured = "LABELS=@classification.regression() with SCORES=('mae',) learns measurements, such as 0.5"
        raise InputError(f"{found}; {measured}, @classification.multilabel() several answers of 0 or 1.")
    return values


def _at_least(number: int, least: int, name: str) -> None:
    if number < least:
        raise InputError(f"{name} is {number}; it must be at least {least}.")
