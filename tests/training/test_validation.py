"""Scores over the held-out split: of the examples that have them, however they are batched."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.training import measuring, validation

LOSS = np.array([0.5, 0.0, 2.0, 0.0, 1.5], np.float32)
ACCURACY = np.array([0.25, np.nan, 0.75, np.nan, 1.0], np.float32)  # two are asked nothing


def evaluated(loss, accuracy, batch=1):
    elements = tf.data.Dataset.from_tensor_slices((np.arange(len(loss)), np.stack([loss, accuracy], 1))).batch(batch)
    built = SimpleNamespace(
        names=("loss", "accuracy"),
        settings=SimpleNamespace(keeps=()),
        held_out=SimpleNamespace(dataset=lambda: elements),
        measure=lambda scores, embed: measuring.Seen(scores, None, scores),
    )
    return validation.evaluate(built).scores


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_metric_is_of_the_examples_that_are_asked_and_the_loss_of_all(batch):
    scores = evaluated(LOSS, ACCURACY, batch)
    assert scores["val_accuracy"] == pytest.approx(2 / 3)
    assert scores["val_loss"] == pytest.approx(0.8)


def test_where_nothing_is_asked_there_is_no_loss_to_be_the_best():
    scores = evaluated(0 * LOSS, np.full_like(ACCURACY, np.nan))
    assert np.isnan([scores["val_loss"], scores["val_accuracy"]]).all()


def test_a_picture_says_which_side_was_left_and_is_in_millimetres():
    drawn, grid = [], {"spacing_mm": (1, 2, 1), "low_mm": (1, 2, 1), "high_mm": (1, 2, 1), "orientation": "RAS"}
    built = SimpleNamespace(encoder=SimpleNamespace(input_shape=(None,) * 5))
    log = SimpleNamespace(picture=lambda *picture: drawn.append(picture))
    views = np.random.default_rng(0).random((1, 16, 8, 4, 1)).astype(np.float32)
    for contract in ({"grid": grid}, {}):
        validation._draw(built, 3, log, contract, views)
    (_, name, known), (_, plain, unknown) = drawn
    assert (name, plain) == ("views (axial: R on the left, before turns)", "views")
    assert (known.shape[0], unknown.shape[0]) == (16, 8)  # 8 voxels of 2 mm from front to back, or 8 of the second axis


def test_a_loss_that_is_no_number_shows():
    assert np.isnan(evaluated(np.where(LOSS == 2, np.nan, LOSS), ACCURACY)["val_loss"])
