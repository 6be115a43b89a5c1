"""Training metrics: golden values by hand."""

import numpy as np
import pytest

from ssl3d_tf.losses import metrics, overlap

MASKS = np.array([[[0, 1, 2, 3]], [[0, 0, 1, 1]]], np.int32)


def certain(predictions, classes=4):
    return (100.0 * np.eye(classes)[predictions]).astype(np.float32)


def test_always_naming_a_class_is_right_where_it_is_the_label():
    assert metrics.always(2)(np.array([2, 0, 2, 1]), np.zeros((4, 3))).numpy().tolist() == [1, 0, 1, 0]


def test_accuracy_and_chance_are_per_example():
    logits = certain(np.array([[[0, 1, 2, 0]], [[1, 1, 0, 0]]]))
    assert np.array_equal(metrics.accuracy(MASKS, logits), [0.75, 0.0])
    assert np.array_equal(metrics.chance(MASKS, logits), [0.25, 0.25])


def test_ordinal_accuracy_counts_leading_answers_only():
    logits = np.array([[-1, -1, 5], [1, -1, 5], [1, 1, 1], [-1, 2, 2]], np.float32)  # grades 0, 1, 3, 0
    assert np.array_equal(metrics.ordinal_accuracy(np.array([0, 1, 3, 2]), logits), [1, 1, 1, 0])


def test_binary_accuracy_is_the_share_of_right_answers():
    labels, logits = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[3.0, -1.0], [-2.0, 0.5]], np.float32)
    assert np.array_equal(metrics.binary_accuracy(labels, logits), [1.0, 0.5])


def test_mse_of_outputs():
    assert np.array_equal(metrics.mse(np.array([[1.0], [2.0]]), np.array([[3.0], [2.0]])), [4.0, 0.0])


def test_dice_coefficient_is_the_negative_loss_and_the_mean_of_its_classes():
    logits = np.random.default_rng(0).normal(size=(*MASKS.shape, 4)).astype(np.float32)
    value = metrics.weighted_dice_coefficient(MASKS, logits)
    assert np.allclose(value, -overlap.weighted_dice_loss(MASKS, logits))
    per_class = metrics.weighted_dice_coefficient_per_class(4)
    assert list(per_class) == [f"dice_class_{c}" for c in range(4)]
    assert np.allclose(value, np.mean([metric(MASKS, logits) for metric in per_class.values()], axis=0))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.brats_wt, 2 * 3 / (5 + 4)),  # truth 1 2 3 | 1 1, predicted 1 3 1 | 2, shared 1 3 1 of the first
        (metrics.brats_tc, 2 * 2 / (4 + 3)),  # truth 1 3 | 1 1, predicted 1 3 1, shared 2
        (metrics.brats_et, 0.0),  # truth the fourth voxel, predicted the third
    ],
)
def test_brats_regions_are_dice_over_the_batch(metric, expected):
    predictions = np.array([[[0, 1, 3, 1]], [[2, 0, 0, 0]]])
    assert np.allclose(metric(MASKS, certain(predictions)), [expected] * 2, atol=1e-5)


def test_a_region_that_is_nowhere_and_not_predicted_is_one():
    nothing = np.zeros_like(MASKS)
    assert np.allclose(metrics.brats_et(nothing, certain(nothing)), 1)
