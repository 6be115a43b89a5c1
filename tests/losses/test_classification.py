"""Losses: golden values, naive loops, finite gradients; those over the batch are the same on one device and on two."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification, overlap

OVERLAPS = [overlap.weighted_dice_loss, overlap.jaccard_distance, overlap.dice_cross_entropy]
SEGMENTATION = [*OVERLAPS, classification.softmax_cross_entropy, overlap.weighted_sum_loss((1, 5, 10))]
RNG = np.random.default_rng(0)
MASKS = RNG.integers(0, 3, (2, 4, 5)).astype(np.int32)
LOGITS = RNG.normal(size=(2, 4, 5, 3)).astype(np.float32)


def softmax(logits):
    values = np.exp(logits.astype(np.float64))
    return values / values.sum(-1, keepdims=True)


def perfect(masks, classes=3, *, height=200.0):
    return (height * np.eye(classes)[masks]).astype(np.float32)


def naive_overlap(masks, logits, kind):
    """Dice or Jaccard of every class over all voxels of all examples, one voxel at a time."""
    probabilities, scores = softmax(logits), []
    for c in range(logits.shape[-1]):
        shared = truth = predicted = 0.0
        for voxel in np.ndindex(masks.shape):
            shared += (masks[voxel] == c) * probabilities[voxel][c]
            truth += masks[voxel] == c
            predicted += probabilities[voxel][c]
        union = truth + predicted if kind == "dice" else truth + predicted - shared
        scores.append(((2 if kind == "dice" else 1) * shared + 1e-5) / (union + 1e-5))
    return np.array(scores)


def gradient(loss, targets, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(loss(targets, logits))
    return tape.gradient(value, logits).numpy()


def test_perfect_prediction_has_the_published_values():
    logits = perfect(MASKS)
    assert np.allclose(overlap.weighted_dice_loss(MASKS, logits), -1, atol=1e-6)
    assert np.allclose(overlap.jaccard_distance(MASKS, logits), 0, atol=1e-6)
    assert np.allclose(overlap.dice_cross_entropy(MASKS, logits), 0, atol=1e-6)
    assert np.allclose(overlap.weighted_sum_loss((1, 5, 10))(MASKS, logits), 0, atol=1e-6)


def test_a_wholly_wrong_prediction_is_the_other_end():
    logits = perfect((MASKS + 1) % 3)
    assert np.allclose(overlap.weighted_dice_loss(MASKS, logits), 0, atol=1e-5)
    assert np.allclose(overlap.jaccard_distance(MASKS, logits), 1, atol=1e-5)


def test_dice_and_jaccard_equal_loops_over_the_batch():
    assert np.allclose(overlap.weighted_dice_loss(MASKS, LOGITS), -naive_overlap(MASKS, LOGITS, "dice").mean())
    assert np.allclose(overlap.jaccard_distance(MASKS, LOGITS), 1 - naive_overlap(MASKS, LOGITS, "jaccard").mean())


def test_dice_cross_entropy_looks_at_each_example_and_leaves_the_background_out():
    losses_of = overlap.dice_cross_entropy(MASKS, LOGITS)
    for k in range(2):
        dice = naive_overlap(MASKS[k : k + 1], LOGITS[k : k + 1], "dice")[1:].mean()
        cross_entropy = -np.log(np.take_along_axis(softmax(LOGITS[k]), MASKS[k][..., None], -1)).mean()
        assert float(losses_of[k]) == pytest.approx(1 - dice + cross_entropy, rel=1e-5)


def test_weighted_cross_entropy_equals_its_formula():
    weights = np.array([1.0, 5.0, 10.0])
    chosen = np.take_along_axis(softmax(LOGITS), MASKS[..., None], -1)[..., 0]
    expected = (-weights[MASKS] * np.log(chosen)).mean(axis=(1, 2))
    assert np.allclose(classification.weighted_categorical_crossentropy((1, 5, 10))(MASKS, LOGITS), expected)


def test_weighted_sum_is_half_of_each():
    halves = overlap.jaccard_distance(MASKS, LOGITS) + classification.weighted_categorical_crossentropy((1, 2, 3))(
        MASKS, LOGITS
    )
    assert np.allclose(overlap.weighted_sum_loss((1, 2, 3))(MASKS, LOGITS), halves / 2)


def test_a_class_without_a_weight_is_refused():
    with pytest.raises(InputError, match="2 class weights for 3 classes"):
        classification.weighted_categorical_crossentropy((1, 5))(MASKS, LOGITS)


def test_binary_crossentropy_equals_its_formula():
    labels, logits = np.array([[1, 0, 1], [0, 0, 1]]), LOGITS[0, 0, :2]
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(axis=1)
    assert np.allclose(classification.binary_crossentropy(labels, logits), expected)


def test_grades_are_cumulative_targets():
    grades, logits = np.array([0, 1, 2]), RNG.normal(size=(3, 2)).astype(np.float32)
    cumulative = np.array([[0, 0], [1, 0], [1, 1]])
    expected = classification.binary_crossentropy(cumulative, logits)
    assert np.allclose(classification.ordinal_crossentropy(grades, logits), expected)


def test_mse_is_the_mean_over_all_but_the_first_axis():
    assert np.array_equal(classification.mse(np.array([[1, 2], [3, 3]]), np.array([[1.0, 4.0], [3.0, 3.0]])), [2, 0])


@pytest.mark.parametrize("loss", SEGMENTATION)
@pytest.mark.parametrize("height", [0.0, 1e4, -1e4])
def test_gradients_are_finite_at_saturated_logits_and_for_absent_classes(loss, height):
    masks = np.zeros_like(MASKS)  # classes 1 and 2 are absent
    assert np.isfinite(gradient(loss, masks, perfect(MASKS, height=height))).all()


@pytest.mark.parametrize("height", [1e4, -1e4])
def test_gradients_of_yes_or_no_losses_are_finite_at_saturated_logits(height):
    logits = np.full((3, 2), height, np.float32)
    assert np.isfinite(gradient(classification.ordinal_crossentropy, np.array([0, 1, 2]), logits)).all()
    assert np.isfinite(gradient(classification.binary_crossentropy, np.array([[0, 1]] * 3), logits)).all()


@pytest.mark.parametrize("loss", OVERLAPS)
def test_a_step_along_the_gradient_lowers_the_loss(loss):
    step = gradient(loss, MASKS, LOGITS)
    assert tf.reduce_sum(loss(MASKS, LOGITS - 0.1 * step)) < tf.reduce_sum(loss(MASKS, LOGITS))


@pytest.mark.parametrize("loss", SEGMENTATION)
def test_losses_are_float32_per_example_for_any_mask_and_logits(loss):
    values = loss(MASKS.astype(np.uint8), tf.cast(LOGITS, tf.bfloat16))
    assert values.dtype == tf.float32
    assert values.shape == (2,)


@pytest.mark.parametrize("loss", SEGMENTATION)
def test_compiled_equals_eager(loss):
    assert np.allclose(tf.function(loss, jit_compile=True)(MASKS, LOGITS), loss(MASKS, LOGITS), rtol=1e-5)


def test_dice_over_two_devices_is_that_of_the_whole_batch():
    # By copies: collective operations of two strategies in one process mistake each other's messages.
    copies = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=copies)
    parts = (
        strategy.experimental_distribute_values_from_function(
            lambda context, whole=whole: tf.split(whole, 2)[context.replica_id_in_sync_group]
        )
        for whole in (MASKS, LOGITS)
    )
    apart = tf.function(lambda *given: strategy.run(overlap.weighted_dice_loss, args=given))(*parts)
    joined = tf.concat(strategy.experimental_local_results(apart), axis=0)
    assert np.allclose(joined, overlap.weighted_dice_loss(MASKS, LOGITS))


def test_a_weight_multiplies_the_loss_of_its_grade():
    grades, logits = np.array([0, 2, 1]), RNG.normal(size=(3, 2)).astype(np.float32)
    expected = np.array([1.0, 5.0, 2.0]) * classification.ordinal_crossentropy(grades, logits)
    assert np.allclose(classification.weighted_ordinal_crossentropy((1, 2, 5))(grades, logits), expected)


def test_balanced_classes_weigh_the_same_in_sum_and_an_average_case_one():
    weights = classification.class_weights("balanced", classes=(0, 1, 2), counts=(70, 20, 10))
    assert np.allclose(np.array(weights) * (70, 20, 10), 100 / 3)
    assert np.dot(weights, (70, 20, 10)) == pytest.approx(100)


def test_other_weights_are_as_they_are_given():
    assert classification.class_weights("none", classes=(0, 1), counts=(3, 1)) is None
    assert classification.class_weights((1, 2), classes=(0, 1), counts=None) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("weights", "counts", "message"),
    [
        ("balance", (1, 1), "CLASS_WEIGHTS is 'balance'; it must be 'none', 'balanced'"),
        ("balanced", (4, 0), "no training case is of class 7; give a number per class, or CLASSES without it"),
        ((1, 2, 3), (1, 1), r"CLASS_WEIGHTS is \(1, 2, 3\); it must be 'none', 'balanced' or 2 numbers"),
        ((1, -2), (1, 1), "none below 0"),
        ((0, 0), (1, 1), "not all of them 0"),
        (1, (1, 1), "CLASS_WEIGHTS is 1; it must be 'none', 'balanced' or 2 numbers"),
        (None, (1, 1), "CLASS_WEIGHTS is None; it must be"),
        (("a", "b"), (1, 1), r"CLASS_WEIGHTS is \('a', 'b'\); it must be"),
    ],
)
def test_weights_that_fit_no_classes_are_refused(weights, counts, message):
    with pytest.raises(InputError, match=message):
        classification.class_weights(weights, classes=(3, 7), counts=counts)
