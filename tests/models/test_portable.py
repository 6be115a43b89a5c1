"""models/portable: the same network without what only this package knows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.models import applications, decoders, heads, portable, resnet, unet
from ssl3d_tf.models.dropout import Dropout
from ssl3d_tf.models.norms import GroupNorm

CLASSES = 3


def u_net(rank, norm="group"):
    encoder = unet.encoder(1, rank=rank, filters=4, levels=1, norm=norm, dropout=0.3)
    build = {2: decoders.unet_2d_upconv, 3: decoders.unet_3d_upconv}[rank]
    return build(norm=norm)(encoder, CLASSES)


def of_patches():
    encoder = unet.encoder(1, rank=3, filters=4, levels=1, norm="instance")
    return decoders.unet_3d_upconv_patches(patches_per_side=2, norm="batch")(encoder, CLASSES)


def classifier():
    encoder = resnet.encoder(1, rank=2, filters=4, norm="group", stem="small")
    inputs = keras.Input((16, 16, 1))
    return keras.Model(inputs, heads.simple_multiclass(pooling="avg")(encoder(inputs), CLASSES))


NETWORKS = {
    "u_net_2d": lambda: u_net(2, "layer"),
    "u_net_3d": lambda: u_net(3),
    "u_net_3d_batch": lambda: u_net(3, "batch"),
    "patches": of_patches,
    "classifier": classifier,
}


def trained(build):
    """With weights that are not those of a new layer."""
    model, random = build(), np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(np.abs(random.normal(1, 0.3, variable.shape)) * (0.3 if "kernel" in variable.path else 1))
    return model


def volumes(model, side):
    return np.random.default_rng(1).random((2, *(side,) * (len(model.input_shape) - 2), 1), np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_in_graphs_it_is_the_same_to_the_bit_for_any_size(name):
    model = trained(NETWORKS[name])
    found = portable.for_graphs(model)
    for side in (16,) if name == "classifier" else (16, 13):
        np.testing.assert_array_equal(found(volumes(model, side)), model(volumes(model, side)))
    assert [v.path for v in found.weights] == [v.path for v in model.weights]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "patches"])
def test_in_keras_it_is_the_same_to_rounding_and_all_of_it_is_keras(name):
    model = trained(NETWORKS[name])
    found = portable.for_keras(model)
    expected = np.asarray(model(volumes(model, 16)))
    np.testing.assert_allclose(found(volumes(model, 16)), expected, atol=1e-5 * np.abs(expected).max())
    assert portable.foreign(found) == []
    assert portable.foreign(model) != []


def test_what_keras_cannot_hold_is_told():
    model = trained(of_patches)
    assert portable.foreign(portable.for_keras(model)) == ["ssl3d_tf.models.fitting"]
    assert portable.multiples(model) == [4] * 3
    assert portable.multiples(portable.for_keras(model)) == [1] * 3


def test_gradients_are_the_same_without_the_norm_s_own():
    model = trained(lambda: u_net(2))
    gradients = []
    for network in (model, portable.for_graphs(model)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(volumes(model, 16))))
        gradients.append(tape.gradient(loss, [variable.value for variable in network.trainable_variables]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max() + 1e-6)


def test_the_model_itself_stays_as_it_is():
    model = trained(lambda: u_net(2))
    kinds = [type(layer) for layer in model.layers]
    portable.for_keras(model), portable.for_graphs(model)
    assert [type(layer) for layer in model.layers] == kinds
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert {GroupNorm, Dropout} <= {type(layer) for each in (model, *nested) for layer in each.layers}


def test_an_application_has_nothing_of_its_own():
    assert portable.foreign(portable.for_keras(applications.encoder(1, name="ResNet50"))) == []
