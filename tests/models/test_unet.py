"""The U-Net encoder: fixed sizes, stable names, any input size."""

import keras
import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import geometry, unet


@pytest.mark.parametrize(
    ("rank", "filters", "channels", "parameters"),
    [
        (3, 16, 1, 3_537_424),
        (3, 16, 2, 3_537_856),
        (3, 16, 4, 3_538_720),
        (3, 8, 1, 885_704),
        (2, 16, 1, 1_182_448),
        (2, 16, 3, 1_182_736),
    ],
)
def test_parameters_with_batch_norm_are_those_of_the_published_encoder(rank, filters, channels, parameters):
    model = unet.encoder(channels, rank=rank, filters=filters)
    assert model.count_params() == parameters


def test_non_trainable_parameters_are_the_moving_statistics():
    model = unet.encoder(1, rank=3)
    assert sum(np.prod(weight.shape) for weight in model.non_trainable_weights) == 1_984


def test_layer_names_are_unique_and_the_same_in_every_build():
    first, second = (unet.encoder(1, rank=2, norm="group") for _ in range(2))
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in second.layers]
    assert len(set(names)) == len(names)


def test_one_model_takes_any_size():
    model = unet.encoder(2, rank=3, filters=2, levels=1, norm="group")
    shapes = [model(np.zeros((1, *size, 2), np.float32)).shape for size in ((8, 8, 8), (4, 12, 9))]
    assert shapes == [(1, 2, 2, 2, 4), (1, 1, 3, 2, 4)]


@pytest.mark.parametrize(("pooling", "side"), [("max", 2), ("avg", 2), ("none", 4)])
def test_final_pooling_halves_once_more(pooling, side):
    model = unet.encoder(1, rank=2, filters=2, levels=2, pooling=pooling)
    assert model.compute_output_shape((None, 16, 16, 1)) == (None, side, side, 8)


def test_skips_are_deepest_first_at_the_resolution_of_their_level():
    model = unet.encoder(1, rank=2, filters=2, levels=3, norm="none")
    decoder_inputs = keras.Model(model.input, unet.skips(model))
    shapes = [skip.shape for skip in decoder_inputs(np.zeros((1, 16, 16, 1), np.float32))]
    assert shapes == [(1, 4, 4, 8), (1, 8, 8, 4), (1, 16, 16, 2)]


def test_dropout_acts_in_training_only():
    model = unet.encoder(1, rank=2, filters=2, levels=1, norm="layer")
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype(np.float32)
    assert np.allclose(model(image, training=False), model(image, training=False), atol=1e-5)
    assert not np.allclose(model(image, training=True), model(image, training=True), atol=1e-5)


@pytest.mark.parametrize("wrong", [{"norm": "spectral"}, {"pooling": "min"}, {"rank": 4}])
def test_a_wrong_option_is_named_with_its_alternatives(wrong):
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        unet.encoder(1, **{"rank": 3, **wrong})


def test_models_without_skips_are_refused():
    with pytest.raises(InputError, match=r"needs unet\.encoder"):
        unet.skips(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))


@pytest.mark.parametrize(("levels", "pooling", "side"), [(4, "max", 32), (3, "none", 8), (1, "avg", 4)])
def test_smallest_input_is_the_down_sampling(levels, pooling, side):
    model = unet.encoder(1, rank=3, filters=2, levels=levels, pooling=pooling)
    assert geometry.smallest_input(model) == (side,) * 3
    assert geometry.feature_shape(model, (side,) * 3, remedy="-") == (1, 1, 1, 2 * 2**levels)


@pytest.mark.parametrize(
    ("spatial", "rule"),
    [((31, 64), "31×64 is smaller than 32"), ((64,) * 3, "is 3D, .*'unet_2d' is 2D, both must have one rank")],
)
def test_inputs_that_do_not_fit_are_refused_with_a_remedy(spatial, rule):
    with pytest.raises(InputError, match=rf"{rule}.*set"):
        geometry.feature_shape(unet.encoder(1, rank=2, filters=2), spatial, remedy="set VIEW_SIZE.")
