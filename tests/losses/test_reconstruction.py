"""Reconstruction: only what counts counts; 0 is worth nothing, the truth everything."""

import numpy as np
import tensorflow as tf

from ssl3d_tf.losses import reconstruction
from ssl3d_tf.losses.reconstruction import Whole

RNG = np.random.default_rng(0)
VIEWS = tf.constant(RNG.normal(size=(3, 4, 4, 2)), tf.float32)
COUNTS = tf.constant(RNG.random((3, 4, 4, 1)) < 0.5, tf.float32)


def test_the_error_is_over_what_counts():
    outputs = tf.constant(RNG.normal(size=VIEWS.shape), tf.float32)
    found = reconstruction.squared_error(Whole(VIEWS, COUNTS), outputs)
    inside = np.broadcast_to(COUNTS, VIEWS.shape) > 0
    expected = [((outputs - VIEWS).numpy()[i][inside[i]] ** 2).mean() for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    elsewhere = tf.where(tf.constant(inside), outputs, 1e3)
    np.testing.assert_array_equal(reconstruction.squared_error(Whole(VIEWS, COUNTS), elsewhere), found)


def test_the_mean_explains_nothing_the_truth_all_and_its_opposite_less_than_nothing():
    targets = Whole(VIEWS, COUNTS)
    for factor, share in ((0.0, 0.0), (1.0, 1.0), (0.5, 0.75), (-1.0, -3.0)):
        np.testing.assert_allclose(reconstruction.explained(targets, factor * VIEWS), [share] * 3, atol=1e-5)
    np.testing.assert_array_equal(reconstruction.nothing(targets, VIEWS), [0, 0, 0])


def test_where_nothing_counts_the_loss_is_0_with_a_gradient_of_0():
    outputs = tf.Variable(tf.ones_like(VIEWS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(reconstruction.squared_error(Whole(VIEWS, tf.zeros_like(COUNTS)), outputs))
    assert loss == 0
    assert not np.any(tape.gradient(loss, outputs))
