"""Updates in float16: what is not finite is left out by the loss-scale optimizer, which must see it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.training import updates
from ssl3d_tf.training.updates import Part, Update


def stepped(update, gradients, *, losses=None):
    """The weight and the loss scale after updates by these gradients, as a step makes them."""
    variable = keras.Variable(np.zeros(3, np.float32))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=1024.0)
    parts = [Part(optimizer, [variable])]
    optimizer.build([variable])
    step = tf.function(lambda gradient, loss: updates.apply(parts, [gradient], update, loss=loss, replicas=1))
    for gradient, loss in zip(gradients, losses or [0.0] * len(gradients), strict=True):
        step(tf.constant(gradient, tf.float32), tf.constant(loss))
    return variable.numpy(), float(optimizer.scale_loss(tf.constant(1.0)))


OVERFLOW, FINE = [np.inf, 0.5, -np.inf], [1.0, 0.5, -1.0]


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
@pytest.mark.parametrize("clip", [{}, {"clip_value": 1.0}, {"clip_norm": 2.0}, {"clip_norm": 2.0, "clip_value": 1.0}])
def test_an_overflow_is_left_out_and_lowers_the_scale_however_gradients_are_clipped(on_nonfinite, clip):
    update = Update(on_nonfinite=on_nonfinite, **clip)
    weight, scale = stepped(update, [OVERFLOW])
    assert (weight.tolist(), scale) == ([0, 0, 0], 512)
    weight, scale = stepped(update, [OVERFLOW, OVERFLOW, FINE])
    np.testing.assert_allclose(weight, [-1, -0.5, 1], rtol=1e-6)
    assert scale == 256


def test_a_batch_whose_loss_alone_is_not_finite_is_left_out_where_asked_for():
    assert stepped(Update(on_nonfinite="skip"), [FINE], losses=[np.nan])[0].tolist() == [0, 0, 0]
    assert stepped(Update(on_nonfinite="stop"), [FINE], losses=[np.nan])[0].tolist() == [-1, -0.5, 1]
