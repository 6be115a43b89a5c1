"""POOL: which axes are pooled, in the encoder and back again in the decoder; None is all of them."""

import json

import keras
import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import decoders, geometry, pooling, portable, resnet, unet
from ssl3d_tf.training import weights

THICK = ((2, 2, 1), (2, 2, 2))
ALL = ((2, 2, 2),) * 2


def encoder(pool=None, **options):
    return unet.encoder(1, rank=3, filters=2, levels=2, norm="group", dropout=0.0, pool=pool, **options)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_axes_are_pooled_at_the_levels_that_say_so_and_at_the_end_as_at_the_last():
    assert encoder(THICK).compute_output_shape((None, 16, 24, 4, 1)) == (None, 2, 3, 1, 8)
    assert encoder(((2, 2, 2), (2, 2, 1))).compute_output_shape((None, 16, 24, 4, 1)) == (None, 2, 3, 2, 8)
    model = encoder(THICK)
    shapes = [skip.shape for skip in keras.Model(model.input, unet.skips(model))(noise(1, 8, 8, 4, 1))]
    assert shapes == [(1, 4, 4, 4, 4), (1, 8, 8, 4, 2)]


@pytest.mark.parametrize("start", ["bottleneck", "pooled"])
@pytest.mark.parametrize("size", [(8, 8, 2), (16, 12, 6), (5, 7, 3)])
def test_a_decoder_goes_back_the_way_that_its_encoder_came(size, start):
    model = decoders.unet_3d_upconv(norm="group", dropout=0.0, start=start)(encoder(THICK), 3)
    assert model(noise(2, *size, 1)).shape == (2, *size, 3)
    assert model.get_layer("decoder_level0_up").kernel.shape[:3] == (2, 2, 1)
    assert model.get_layer("pad").multiple == ([8, 8, 4] if start == "pooled" else [4, 4, 2])
    assert portable.multiples(model) == ([8, 8, 4] if start == "pooled" else [4, 4, 2])
    assert portable.multiples(portable.for_keras(model)) == [1, 1, 1]


def test_an_axis_that_is_never_pooled_never_mixes_its_far_slices():
    """Convolutions of 3 alone see 2 slices up and down per block: six of three blocks, whatever the levels."""
    model = unet.encoder(
        1, rank=3, filters=2, levels=2, norm="none", dropout=0.0, pool=((2, 2, 1),) * 2, pooling="none"
    )
    before = noise(1, 8, 8, 20, 1)
    after = before.copy()
    after[..., 0, :] += 1.0
    changed = np.any(np.asarray(model(before) != model(after)), axis=(0, 1, 2, 4))
    assert changed[:6].any()
    assert not changed[7:].any()


def test_none_is_all_axes_to_the_letter():
    assert encoder(None).to_json() == encoder(ALL).to_json()
    build = decoders.unet_3d_upconv(norm="group", dropout=0.0)
    assert build(encoder(None), 3).to_json() == build(encoder(ALL), 3).to_json()
    assert build(encoder(None), 3).get_layer("pad").get_config()["multiple"] == 4
    plain, told = (resnet.encoder(1, rank=3, filters=2, pool=pool) for pool in (None, ((2, 2, 2),) * 5))
    assert plain.to_json() == told.to_json()


def test_a_resnet_strides_along_the_axes_that_it_is_told_to():
    pool = ((2, 2, 1), (2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))
    model = resnet.encoder(1, rank=3, filters=2, pool=pool, pooling="none")
    assert model.compute_output_shape((None, 64, 64, 8, 1)) == (None, 2, 2, 2, 16)
    small = resnet.encoder(1, rank=3, filters=2, pool=pool[2:], pooling="none", stem="small")
    assert small.compute_output_shape((None, 16, 16, 8, 1)) == (None, 2, 2, 2, 16)
    with pytest.raises(
        InputError, match="POOL has 2 levels, a ResNet of the standard stem has 5 strides: give as many"
    ):
        resnet.encoder(1, rank=3, pool=THICK)


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (
            "221",
            r"POOL is '221'; for every level it has 3 numbers, 2 for .*, as \(\(2, 2, 1\), \(2, 2, 2\), …\); or None",
        ),
        (2, "POOL is 2; for every level"),
        ((2, 2, 1), r"POOL is \(2, 2, 1\); for every level"),
        (((2, 2), (2, 2)), "for every level it has 3 numbers"),
        (((2, 2, 0), (2, 2, 2)), "for every level it has 3 numbers"),
        (((2, 2, 3), (2, 2, 2)), "for every level it has 3 numbers"),
        (((1, 1, 1), (2, 2, 2)), "one at least"),
        (((2, 2, True), (2, 2, 2)), "for every level"),
        ((*THICK, (2, 2, 2)), "POOL has 3 levels, LEVELS is 2: give as many"),
    ],
)
def test_what_is_no_pool_is_one_line(pool, said):
    with pytest.raises(InputError, match=said) as caught:
        encoder(pool)
    assert "\n" not in str(caught.value)


def test_whole_views_must_be_multiples_of_what_their_axes_are_pooled_by():
    geometry.check_view(encoder(THICK), (16, 8, 6))
    geometry.check_view(encoder(), (10, 10, 10))  # of a cube with all axes pooled a border was always left out
    said = (
        r"VIEW_SIZE 16×16×7: the encoder pools by 4×4×2, and 7 is no multiple of 2: take 6 or 8, or pool that axis less"
    )
    with pytest.raises(InputError, match=said):
        geometry.check_view(encoder(THICK), (16, 16, 7))
    with pytest.raises(InputError, match=r"VIEW_SIZE 16×16×10: the encoder pools by 4×4×4, and 10 is no .* 8 or 12"):
        geometry.check_view(encoder(), (16, 16, 10))
    with pytest.raises(InputError, match="input 16×16×2 is smaller than 8×8×4, the least that encoder 'unet_3d'"):
        geometry.check_view(encoder(THICK), (16, 16, 2))
    geometry.check_view(resnet.encoder(1, rank=3, filters=2), (30, 30, 7))  # strides round up: nothing is left out


def test_weights_of_another_pool_are_told_from_ones_own():
    """They have the same shapes, so that they would load."""
    contract = {"architecture": json.loads(encoder().to_json())}
    assert weights.architecture_differences(contract, encoder()) == []
    (found,) = weights.architecture_differences(contract, encoder(THICK))[:1]
    assert found == "pool_size of level0_pool [2, 2, 2] there, [2, 2, 1] here"


def test_factors_are_of_all_levels_together():
    assert pooling.factors(THICK, 3) == (4, 4, 2)
    assert unet.factors(encoder(THICK)) == (4, 4, 2)
    assert unet.factors(resnet.encoder(1, rank=2, filters=2)) == (1, 1)
