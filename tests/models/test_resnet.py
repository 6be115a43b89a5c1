"""ResNet encoders: the published numbers of weights, stable names, any input size."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import geometry, resnet
from ssl3d_tf.training import weights

BASIC = [(64, 64), (64, 128), (128, 256), (256, 512)]  # width in and out of each stage


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("depth", "weights"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_weights_in_2d_are_those_of_the_published_networks_without_classifier(depth, weights):
    assert trainable(resnet.encoder(3, rank=2, depth=depth, norm="batch")) == weights


@pytest.mark.parametrize(("depth", "blocks"), [(18, (2, 2, 2, 2)), (34, (3, 4, 6, 3))])
def test_weights_of_basic_blocks_in_3d(depth, blocks):
    count = 7**3 * 3 * 64 + 2 * 64
    for (before, width), number in zip(BASIC, blocks, strict=True):
        shortcut = before * width + 2 * width if before != width else 0
        count += 27 * before * width + (2 * number - 1) * 27 * width**2 + 2 * number * 2 * width + shortcut
    assert trainable(resnet.encoder(3, rank=3, depth=depth, norm="batch")) == count


def test_weights_of_bottleneck_blocks_in_3d():
    count, before = 7**3 * 3 * 64 + 2 * 64, 64
    for width, number in ((64, 3), (128, 4), (256, 6), (512, 3)):
        inner = 27 * width**2 + 4 * width**2 + (2 + 2 + 8) * width  # conv 3, last conv 1, norms
        count += number * inner + (before + (number - 1) * 4 * width) * width  # first conv 1
        count += before * 4 * width + 2 * 4 * width  # shortcut
        before = 4 * width
    assert trainable(resnet.encoder(3, rank=3, depth=50, norm="batch")) == count


@pytest.mark.parametrize(("depth", "features"), [(18, 16), (50, 64)])
@pytest.mark.parametrize("rank", [2, 3])
def test_odd_sizes_round_up(rank, depth, features):
    model = resnet.encoder(2, rank=rank, depth=depth, filters=2, pooling="none")
    shape = (33, 64, 31)[:rank]
    assert geometry.feature_shape(model, shape, remedy="-") == (*(2, 2, 1)[:rank], features)
    assert model(image(1, *shape, 2)).shape[1:] == (*(2, 2, 1)[:rank], features)


def test_any_size_fits():
    model = resnet.encoder(1, rank=3, filters=2)
    assert set(geometry.smallest_input(model)) == {1}
    assert np.all(np.isfinite(model(image(1, 1, 1, 1, 1))))


@pytest.mark.parametrize(("stem", "side"), [("standard", 1), ("small", 4)])
def test_the_small_stem_keeps_small_inputs_apart(stem, side):
    model = resnet.encoder(1, rank=2, filters=2, stem=stem, pooling="none")
    assert geometry.feature_shape(model, (28, 28), remedy="-") == (side, side, 16)


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_is_over_all_voxels(pooling, reduce):
    pooled, plain = (resnet.encoder(1, rank=2, filters=2, pooling=name) for name in (pooling, "none"))
    plain.set_weights(pooled.get_weights())
    picture = image(2, 40, 40, 1)
    np.testing.assert_allclose(pooled(picture), reduce(plain(picture), axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_biases_only_where_no_norm_takes_them_away():
    names = [{w.name for w in resnet.encoder(1, rank=2, filters=2, norm=norm).weights} for norm in ("none", "group")]
    assert names == [{"kernel", "bias"}, {"kernel", "gamma", "beta"}]


def test_a_block_without_residual_is_its_shortcut():
    model = resnet.encoder(1, rank=2, filters=8, norm="group")
    for layer in model.layers:
        if layer.name.startswith("stage1") and layer.name.endswith("_2_norm"):
            layer.set_weights([np.zeros(8), np.zeros(8)])
    inner = tf.keras.Model(
        model.input, [model.get_layer(f"{name}").output for name in ("stem_pool", "stage1_block2_relu")]
    )
    before, after = inner(image(1, 32, 32, 1))
    np.testing.assert_array_equal(before, after)


def test_gradients_reach_every_weight():
    model = resnet.encoder(1, rank=3, filters=8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(image(2, 40, 40, 40, 1), training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None and np.any(gradient != 0) for gradient in gradients)


def test_a_stored_encoder_gives_the_same_features_in_the_next_build(tmp_path):
    first, second = (resnet.encoder(2, rank=3, filters=4) for _ in range(2))
    weights.save(tmp_path, first, step=1, contract={})
    assert weights.load_encoder(tmp_path, second) == len(first.weights)
    volume = image(1, 20, 20, 20, 2)
    np.testing.assert_allclose(first(volume), second(volume), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"depth": 20}, {"norm": "spectral"}, {"pooling": "min"}, {"rank": 4}, {"stem": "big"}]
)
def test_a_wrong_option_is_named_with_its_alternatives(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong.values()))}.*must be one of"):
        resnet.encoder(1, **{"rank": 3, **wrong})
