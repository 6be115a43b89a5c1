"""Stored values as classes of the network, and voxels to ignore: in no loss, no metric and no gradient."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification, labels, metrics, overlap
from ssl3d_tf.losses.labels import Partial

LOSSES = {
    "cross entropy": classification.softmax_cross_entropy,
    "weighted": classification.weighted_categorical_crossentropy((1, 5, 10, 2)),
    "dice": overlap.weighted_dice_loss,
    "jaccard": overlap.jaccard_distance,
    "sum": overlap.weighted_sum_loss((1, 5, 10, 2)),
    "dice and cross entropy": overlap.dice_cross_entropy,
}
METRICS = {
    "accuracy": metrics.accuracy,
    "dice": metrics.weighted_dice_coefficient,
    **metrics.weighted_dice_coefficient_per_class((0, 3, 7, 9)),
    "wt": metrics.brats_wt,
    "tc": metrics.brats_tc,
    "et": metrics.brats_et,
}
RNG = np.random.default_rng(0)
KNOWN = np.stack([np.arange(20).reshape(4, 5) % 3 > 0, np.arange(20).reshape(4, 5) % 3 > 0])  # as many in each
MASKS = RNG.integers(0, 4, KNOWN.shape)
LOGITS = RNG.normal(size=(*KNOWN.shape, 4)).astype(np.float32)
GIVEN = Partial(tf.constant(np.where(KNOWN, MASKS, -1), tf.int32))


def elsewhere(logits):
    """Other logits wherever the class is not known."""
    other = RNG.normal(scale=30, size=logits.shape).astype(np.float32)
    return np.where(KNOWN[..., None], logits, other)


@pytest.mark.parametrize("scored", [*LOSSES.values(), *METRICS.values()], ids=[*LOSSES, *METRICS])
def test_what_is_ignored_counts_nowhere(scored):
    kept = MASKS[KNOWN].reshape(2, -1).astype(np.int32), LOGITS[KNOWN].reshape(2, -1, 4)
    expected = scored(tf.constant(kept[0]), kept[1]).numpy()  # as if those voxels were not there
    assert scored(GIVEN, LOGITS).numpy() == pytest.approx(expected, rel=1e-5)
    assert np.array_equal(scored(GIVEN, LOGITS), scored(GIVEN, elsewhere(LOGITS)))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_what_is_ignored_has_no_gradient(loss):
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(loss(GIVEN, logits))
    gradient = tape.gradient(value, logits).numpy()
    assert not gradient[~KNOWN].any()
    assert (gradient[KNOWN] != 0).any(axis=-1).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_mask_that_is_ignored_altogether_teaches_nothing(loss):
    nothing, logits = Partial(tf.fill(KNOWN.shape, -1)), tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(nothing, logits)
    assert np.isfinite(value).all()
    assert not tape.gradient(value, logits).numpy().any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_without_a_value_to_ignore_the_graph_has_no_trace_of_it(loss):
    def traced(masks):
        graph = tf.function(lambda logits: loss(masks, logits)).get_concrete_function(tf.constant(LOGITS)).graph
        return {op.type for op in graph.get_operations()}

    assert not traced(tf.constant(MASKS)) & {"Maximum", "NotEqual", "DivNoNan"}
    assert traced(GIVEN) & {"Maximum", "NotEqual", "DivNoNan"}


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 4), (0, 2, 35, 2035), (0, 7, 614454277), (-1, 0, 3)])
def test_values_become_their_places_also_under_xla(values):
    stored = RNG.choice(values, (3, 4, 5)).astype(np.int32)
    made = tf.function(lambda given: labels.places(given, values), jit_compile=True)(stored)
    assert made.dtype == tf.int32
    assert np.array_equal(np.take(values, made), stored)
    assert np.array_equal(labels.places(stored.astype(np.float64), values), made)


def test_what_is_no_class_is_none_of_the_network_s():
    assert labels.places(tf.constant([0, 1, 4, 9, -3]), (0, 4)).numpy().tolist() == [0, 2, 1, 2, 2]


def test_the_value_to_ignore_is_told_apart():
    made = labels.places(tf.constant([[0, 17, 99]]), (0, 17), ignore=99)
    assert made.labels.numpy().tolist() == [[0, 1, -1]]
    found, counts = labels.known(made)
    assert (found.numpy().tolist(), counts.numpy().tolist()) == ([[0, 1, 0]], [[1, 1, 0]])


def test_values_that_do_not_rise_are_refused():
    assert labels.values(3) == (0, 1, 2)
    with pytest.raises(InputError, match=r"classes are \(0, 4, 2\); they must be a number, or values"):
        labels.values((0, 4, 2))
