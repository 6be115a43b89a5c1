"""tasks/classification: what counts and weights of classes change in training."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.tasks import classification

STORED = tf.constant([[3.0], [5.0], [3.0], [9.0]])  # of classes 3, 5, 9
KINDS = [(classification.nominal, 3), (classification.ordinal, 2)]


@pytest.mark.parametrize(("kind", "units"), KINDS)
def test_chance_is_the_share_of_the_class_that_training_has_most_of(kind, units):
    labels = kind(classes=(3, 5, 9), counts=(6, 2, 1))
    chance = labels.metrics["chance"](labels.read(STORED), tf.zeros((4, units)))
    assert np.mean(chance) == 0.5


def test_chance_is_that_of_guessing_where_nothing_is_known_of_the_shares():
    labels = classification.nominal(classes=4)
    assert np.allclose(labels.metrics["chance"](tf.constant([0, 3]), tf.zeros((2, 4))), 0.25)


@pytest.mark.parametrize(("kind", "units"), KINDS)
def test_weights_are_of_the_classes_from_low_to_high(kind, units):
    plain, weighted = (kind(classes=(3, 5, 9), weights=weights) for weights in ("none", (1.0, 2.0, 4.0)))
    outputs = tf.random.stateless_normal((4, units), [1, 2])
    losses = [labels.loss_fn(labels.read(STORED), outputs).numpy() for labels in (plain, weighted)]
    assert np.allclose(losses[1], np.array([1, 2, 1, 4]) * losses[0])


def test_counts_of_other_classes_are_refused():
    with pytest.raises(InputError, match="CLASS_COUNTS has 2 numbers, there are 3 classes; leave it None"):
        classification.nominal(classes=3, counts=(1, 2))
