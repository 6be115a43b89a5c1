"""U-Net decoders: fixed sizes, any input size, patches put back in place, frozen encoders that do not move."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import overlap
from ssl3d_tf.models import decoders, fitting, unet
from ssl3d_tf.training import weights

BUILDERS = {2: decoders.unet_2d_upconv, 3: decoders.unet_3d_upconv}


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def small(rank=2, *, classes=3, pooling="max", norm="group", dropout=0.0, **options):
    """An encoder of two levels and the model on it."""
    encoder = unet.encoder(1, rank=rank, filters=4, levels=2, norm=norm, dropout=dropout, pooling=pooling)
    return encoder, BUILDERS[rank](norm=norm, dropout=dropout, **options)(encoder, classes)


def gradients(model, volumes):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(volumes, training=True)))
    return tape.gradient(loss, [variable.value for variable in model.trainable_variables])


@pytest.mark.parametrize(("rank", "classes", "parameters"), [(3, 3, 2_113_411), (3, 4, 2_113_428), (2, 3, 764_291)])
@pytest.mark.parametrize("start", ["bottleneck", "pooled"])
def test_parameters_with_batch_norm_are_those_of_the_published_decoder(rank, classes, parameters, start):
    encoder = unet.encoder(1, rank=rank)
    model = BUILDERS[rank](start=start)(encoder, classes)
    assert model.count_params() - encoder.count_params() == parameters


@pytest.mark.parametrize("start", ["bottleneck", "pooled"])
@pytest.mark.parametrize(("rank", "size"), [(3, (8, 8, 16)), (3, (5, 7, 9)), (3, (1, 2, 3)), (2, (20, 31))])
def test_logits_have_the_size_of_the_volume_whatever_it_is(rank, size, start):
    _, model = small(rank, start=start)
    assert model(noise(2, *size, 1)).shape == (2, *size, 3)


def test_size_may_be_unknown_when_the_graph_is_built():
    _, model = small(3)
    graph = tf.function(model, input_signature=[tf.TensorSpec([None, None, None, None, 1])], autograph=False)
    for size in ((8, 8, 8), (5, 6, 7)):
        volumes = noise(1, *size, 1)
        assert np.allclose(graph(volumes), model(volumes), atol=1e-5)


def test_compiled_gives_the_same():
    _, model = small(2)
    volumes = noise(2, 9, 14, 1)
    assert np.allclose(tf.function(model, jit_compile=True)(volumes), model(volumes), atol=1e-4)


def test_a_volume_that_fits_is_not_touched_by_padding():
    volumes = noise(1, 8, 12, 2)
    padded = fitting.PadToMultiple(4)(volumes)
    assert np.array_equal(padded, volumes)


def test_padding_repeats_the_last_slice_at_the_far_end():
    volumes = noise(1, 5, 8, 2)
    expected = np.pad(volumes, ((0, 0), (0, 3), (0, 0), (0, 0)), mode="edge")
    assert np.array_equal(fitting.PadToMultiple(4)(volumes), expected)


@pytest.mark.parametrize("size", [(6, 9), (6, 9, 3)])
def test_patches_are_row_major_and_come_back_in_place(size):
    volumes, n = noise(2, *size, 2), 3
    patches = fitting.ToPatches(n)(volumes)
    below = patches[n ** (len(size) - 1)]  # one step along the first axis
    corner = tuple(slice(0, side // n) for side in size)
    assert np.array_equal(below, volumes[0, size[0] // n :][corner])
    assert np.array_equal(fitting.FromPatches(n)(patches), volumes)


def test_with_pooling_or_without_the_bottleneck_is_the_same():
    encoder, model = small(2, pooling="max")
    other, plain = small(2, pooling="none")
    other.set_weights(encoder.get_weights())
    plain.set_weights(model.get_weights())
    volumes = noise(1, 16, 16, 1)
    assert np.allclose(model(volumes), plain(volumes), atol=1e-5)


def test_published_start_enlarges_the_pooled_features():
    encoder, model = small(2, start="pooled")
    volumes = noise(1, 16, 16, 1)
    enlarge = keras.Model(model.input, model.get_layer("unpool").output)
    assert np.allclose(enlarge(volumes), np.repeat(np.repeat(encoder(volumes), 2, 1), 2, 2), atol=1e-6)


def test_patch_decoder_encodes_every_patch_on_its_own():
    encoder = unet.encoder(1, rank=3, filters=2, levels=1, norm="group", dropout=0.0)
    model = decoders.unet_3d_upconv_patches(patches_per_side=2, norm="group")(encoder, 3)
    volumes = noise(1, 8, 8, 8, 1)
    skip = keras.Model(model.input, model.get_layer("from_patches1").output)(volumes)
    [alone] = keras.Model(encoder.input, unet.skips(encoder))(volumes[:, 4:, :4, 4:])
    assert np.allclose(skip[:, 4:, :4, 4:], alone, atol=1e-5)


def test_patch_decoder_with_one_patch_is_the_plain_one():
    encoder = unet.encoder(1, rank=3, filters=2, levels=1, norm="group", dropout=0.0)
    plain = decoders.unet_3d_upconv(norm="group")(encoder, 3)
    patches = decoders.unet_3d_upconv_patches(patches_per_side=1, norm="group")(encoder, 3)
    patches.set_weights(plain.get_weights())
    assert np.allclose(plain(noise(1, 4, 6, 8, 1)), patches(noise(1, 4, 6, 8, 1)), atol=1e-5)


def test_patch_decoder_takes_sizes_that_do_not_divide():
    encoder = unet.encoder(2, rank=3, filters=2, levels=1, norm="group")
    model = decoders.unet_3d_upconv_patches(patches_per_side=3)(encoder, 4)
    assert model(noise(1, 8, 10, 7, 2)).shape == (1, 8, 10, 7, 4)


def test_a_pretrained_encoder_loads_completely_and_is_the_one_inside(tmp_path):
    pretrained = unet.encoder(1, rank=2, filters=4, levels=2, norm="group")
    weights.save(tmp_path, pretrained, step=1, contract={})
    encoder, model = small(2)
    volumes = noise(1, 8, 8, 1)
    before = model(volumes)
    assert weights.load_encoder(tmp_path, encoder) == len(encoder.weights)
    assert not np.allclose(before, model(volumes))
    assert [w.path for w in model.get_layer(encoder.name).weights] == [w.path for w in encoder.weights]


@pytest.mark.parametrize("frozen_first", [True, False])
def test_a_frozen_encoder_leaves_only_the_decoder_trainable(frozen_first):
    encoder = unet.encoder(1, rank=2, filters=4, levels=2)
    encoder.trainable = not frozen_first
    model = decoders.unet_2d_upconv()(encoder, 3)
    encoder.trainable = False
    assert model.trainable_variables
    assert all(variable.path.startswith(("decoder", "logits")) for variable in model.trainable_variables)


def test_the_nested_model_freezes_as_well():
    encoder, model = small(2, norm="batch")
    model.get_layer(encoder.name).trainable = False
    assert not encoder.trainable_variables


def test_dropout_and_batch_statistics_of_a_frozen_encoder_are_off():
    encoder, _ = small(2, norm="batch", dropout=0.5)
    volumes = noise(2, 8, 8, 1)
    encoder.trainable = False
    weights = encoder.get_weights()
    assert np.allclose(encoder(volumes, training=True), encoder(volumes, training=False), atol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(weights, encoder.get_weights(), strict=True))


def test_unfrozen_again_a_new_graph_trains_everything():
    encoder, model = small(2, norm="batch", dropout=0.5)
    volumes = noise(2, 8, 8, 1)
    encoder.trainable = False
    frozen = tf.function(lambda: encoder(volumes, training=True), autograph=False)
    assert np.allclose(frozen(), frozen(), atol=1e-5)
    encoder.trainable = True
    warm = tf.function(lambda: encoder(volumes, training=True), autograph=False)
    assert not np.allclose(warm(), warm(), atol=1e-5)
    assert len(gradients(model, volumes)) == len(model.trainable_variables) > len(encoder.trainable_variables)


@pytest.mark.parametrize("start", ["bottleneck", "pooled"])
def test_gradient_reaches_every_variable(start):
    _, model = small(3, start=start)
    for variable, gradient in zip(model.trainable_variables, gradients(model, noise(1, 8, 8, 8, 1)), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path


@pytest.mark.parametrize("frozen", [True, False])
def test_one_batch_is_learned_and_a_frozen_encoder_stays_as_it_was(frozen):
    keras.utils.set_random_seed(0)
    encoder, model = small(2, norm="batch", dropout=0.1)
    encoder.trainable = not frozen
    volumes, weights = noise(4, 16, 16, 1), encoder.get_weights()
    masks = (np.cumsum(volumes[..., 0], axis=1) > 0).astype(np.int32)
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function(autograph=False)
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(overlap.dice_cross_entropy(masks, model(volumes, training=True)))
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss

    optimizer.build(model.trainable_variables)
    curve = [float(update()) for _ in range(60)]
    assert curve[-1] < 0.6 * curve[0]
    assert frozen == all(np.array_equal(a, b) for a, b in zip(weights, encoder.get_weights(), strict=True))


def test_logits_are_float32_in_mixed_precision():
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        _, model = small(2)  # not called: no CPU need compute in bfloat16
    finally:
        keras.mixed_precision.set_global_policy(policy)
    assert (model.get_layer("decoder_level0_conv1").compute_dtype, model.output.dtype) == ("bfloat16", "float32")


def test_an_encoder_without_skips_is_refused_with_those_that_can():
    inputs = keras.Input((None, None, 1))
    encoder = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2)(inputs), name="resnet18")
    with pytest.raises(InputError, match=r"'resnet18' has none; take unet\.encoder"):
        decoders.unet_2d_upconv()(encoder, 3)


def test_an_encoder_of_another_rank_is_refused_with_its_decoder():
    with pytest.raises(InputError, match="take unet_2d_upconv"):
        decoders.unet_3d_upconv()(unet.encoder(1, rank=2, filters=2), 3)


def test_wrong_options_are_named():
    with pytest.raises(InputError, match="bottleneck, pooled"):
        decoders.unet_2d_upconv(start="top")
    with pytest.raises(InputError, match="at least 1"):
        decoders.unet_3d_upconv_patches(patches_per_side=0)


def test_a_decoder_is_found_in_a_model_that_holds_it_and_missed_in_one_that_does_not():
    network = unet.encoder(1, rank=2, filters=2, levels=1, norm="group", dropout=0.0)
    alone = decoders.unet_2d_upconv(norm="group", dropout=0.0)(network, 3)
    both = decoders.with_features(alone, network)
    inputs = keras.Input((2, 8, 8, 1))
    features, logits = both(keras.ops.reshape(inputs, (-1, 8, 8, 1)))
    holding = keras.Model(inputs, {"a": keras.ops.mean(features, (1, 2)), "b": logits})
    assert decoders.within(alone) is alone
    assert decoders.within(holding) is both
    assert {variable.path for variable in both.weights} == {variable.path for variable in alone.weights}
    with pytest.raises(InputError, match=r"no decoder to keep; set run.Settings.keeps"):
        decoders.within(network)
