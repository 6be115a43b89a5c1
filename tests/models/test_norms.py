"""Group norm: Keras' numbers, any rank and size, and statistics in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import norms


def _volumes(shape=(2, 5, 6, 7, 8), *, mean=0.0, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(mean, 1.0, shape), tf.float32)


def _with_weights(layer, *, rank=3):
    layer.build((None,) * (rank + 1) + (8,))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 2, 8), rng.normal(size=8)])
    return layer


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(2, 5, 6, 8), (2, 5, 6, 7, 8)])
def test_group_norm_equals_keras(groups, shape):
    layers = norms.GroupNorm(groups), keras.layers.GroupNormalization(groups)
    ours, theirs = (_with_weights(layer, rank=len(shape) - 2) for layer in layers)
    np.testing.assert_allclose(ours(_volumes(shape)), theirs(_volumes(shape)), atol=2e-5)


def test_gradients_equal_those_of_keras():
    volumes, weights, results = _volumes(), _volumes(seed=2), []
    for layer in (_with_weights(norms.GroupNorm(4)), _with_weights(keras.layers.GroupNormalization(4))):
        with tf.GradientTape() as tape:
            tape.watch(volumes)
            loss = tf.reduce_sum(weights * layer(volumes) ** 2)
        results.append(tape.gradient(loss, [volumes, layer.gamma.value, layer.beta.value]))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_a_large_mean_leaves_the_variance_right():
    normalised = norms.GroupNorm(8)(_volumes((1, 16, 16, 16, 8), mean=30.0))
    np.testing.assert_allclose(np.std(normalised, (1, 2, 3)), 1.0, atol=3e-3)


def test_constant_input_becomes_zero():
    assert np.abs(norms.GroupNorm(2)(tf.fill((2, 4, 4, 4), 1e4))).max() < 1e-2


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_of_unknown_size_equals_eager(jit_compile):
    layer = _with_weights(norms.GroupNorm(4))
    signature = tf.TensorSpec((None, None, None, None, 8))
    compiled = tf.function(layer, jit_compile=jit_compile, input_signature=[signature])
    np.testing.assert_allclose(compiled(_volumes()), layer(_volumes()), atol=1e-5)


def test_reduced_precision_is_normalised_in_float32():
    layer = norms.GroupNorm(4, dtype="mixed_float16")
    result = layer(300.0 * _volumes())  # squares beyond the largest float16
    assert result.dtype == tf.float16
    np.testing.assert_allclose(result, norms.GroupNorm(4)(300.0 * _volumes()), atol=5e-3)


def test_layer_survives_serialising():
    saved = keras.saving.serialize_keras_object(norms.GroupNorm(4, epsilon=1e-4, name="norm"))
    loaded = keras.saving.deserialize_keras_object(saved)
    assert (loaded.groups, loaded.epsilon, loaded.name) == (4, 1e-4, "norm")


@pytest.mark.parametrize(("kind", "groups"), [("group", 8), ("instance", 24), ("layer", 1)])
def test_names_choose_the_number_of_groups(kind, groups):
    assert norms.norm(kind)(24, "norm").groups == groups


def test_group_norm_takes_as_many_groups_as_divide_the_channels():
    assert norms.norm("group")(12, "norm").groups == 4


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="groups 3 does not divide the 8 channels"):
        norms.GroupNorm(3)(_volumes())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="batch, group, instance, layer, none"):
        norms.norm("spectral")
