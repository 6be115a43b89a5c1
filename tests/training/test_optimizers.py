"""The update of AdamW in one pass: Keras' numbers, names and devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.training import optimizers
from tests.conftest import two_replicas


def after(optimizer, gradients):
    """Weights and state behind three updates."""
    variables = [keras.Variable(tf.random.stateless_normal(grad.shape, (0, 1))) for grad in gradients]
    optimizer.build(variables)
    update = tf.function(lambda: optimizer.apply(list(gradients), variables))
    for _ in range(3):
        update()
    return [variable.numpy() for variable in (*variables, *optimizer.variables)]


GRADIENTS = [tf.random.stateless_normal((5, 3), (1, 2)) * scale for scale in (1e-4, 1.0, 100.0)]


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.0}, {"weight_decay": 0.1, "beta_1": 0.5, "epsilon": 1e-3}])
def test_weights_and_moments_are_those_of_keras(options):
    own, known = (after(kind(0.1, **options), GRADIENTS) for kind in (optimizers.AdamW, keras.optimizers.AdamW))
    for one, other in zip(own, known, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_what_the_fused_update_lacks_is_done_by_keras():
    indices = tf.IndexedSlices(tf.ones((2, 3)), tf.constant([0, 4]), tf.constant([5, 3]))
    variables = [[keras.Variable(np.ones((5, 3), np.float32))] for _ in range(2)]
    for kind, own in zip((optimizers.AdamW, keras.optimizers.AdamW), variables, strict=True):
        optimizer = kind(0.1, amsgrad=True)
        optimizer.apply([indices], own)
        optimizer.apply([tf.ones((5, 3))], own)
    np.testing.assert_array_equal(variables[0][0].numpy(), variables[1][0].numpy())


def test_states_have_the_names_of_keras_so_that_checkpoints_stay_readable():
    names = []
    for kind in (optimizers.AdamW, keras.optimizers.AdamW):
        optimizer = kind()
        optimizer.build([keras.Variable(np.ones(3, np.float32), name="weight")])
        assert optimizer.name.startswith("adam")  # and "w" or "_w", by Keras' version
        names.append([variable.path.partition("/")[2] for variable in optimizer.variables])
    assert names[0] == names[1]


def test_replicas_update_alike():
    gradients = [tf.constant([1.0, -1.0, 2.0])]
    strategy = two_replicas()
    with strategy.scope():
        variable = keras.Variable(np.ones(3, np.float32))
        optimizer = optimizers.AdamW(0.1, weight_decay=0.0)
        optimizer.build([variable])
    strategy.run(tf.function(lambda: optimizer.apply(gradients, [variable])))
    first, second = (value.numpy() for value in strategy.experimental_local_results(variable.value))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, [0.9, 1.1, 0.9], atol=1e-5)
