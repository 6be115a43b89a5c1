import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import affine, augment, volumes

SEEDS = [tf.constant([11, number], tf.int32) for number in range(6)]
OPS = {
    "identity": augment.identity(),
    "flips": augment.flips(rank=3),
    "quarter_turns": augment.quarter_turns(rank=3),
    "crop": augment.crop(size=5, rank=3),
    "intensity": augment.intensity(),
    "gamma": augment.gamma(p=0.5),
    "noise": augment.noise(p=0.5),
    "affine": augment.affine(transforms=[affine.flips(rank=3), affine.rotations(rank=3), affine.zoom(rank=3)]),
    "blur": augment.blur(p=0.5),
    "low_resolution": augment.low_resolution(p=0.5),
    "bias_field": augment.bias_field(rank=3, p=0.5),
    "channel_drop": augment.channel_drop(p=0.5),
    "chain": augment.chain([augment.crop(size=6, rank=3), augment.flips(rank=3), augment.intensity(p=1.0)]),
}


def _batch(size=8, rank=3):
    return np.random.default_rng(0).random((len(SEEDS), *(size,) * rank, 1), np.float32)


def _params(op, seeds=SEEDS):
    return tf.nest.map_structure(lambda *values: tf.stack(values), *[op.sample(seed) for seed in seeds])


def _draw(op, number):
    sample = tf.function(op.sample)
    return [tf.nest.map_structure(np.asarray, sample(tf.constant([3, i]))) for i in range(number)]


@pytest.mark.parametrize("name", OPS)
def test_ops_give_the_same_eagerly_in_graphs_and_under_xla(name):
    op, batch = OPS[name], _batch()
    params = _params(op)
    eager = op.apply(batch, params)
    for jit_compile in (False, True):
        np.testing.assert_allclose(
            tf.function(op.apply, jit_compile=jit_compile)(batch, params), eager, rtol=2e-6, atol=2e-6
        )


@pytest.mark.parametrize("name", OPS)
def test_an_example_is_changed_alike_in_any_batch(name):
    op, batch = OPS[name], _batch()
    together = op.apply(batch, _params(op))
    for i, seed in enumerate(SEEDS):
        np.testing.assert_allclose(op.apply(batch[i : i + 1], _params(op, [seed]))[0], together[i], atol=2e-6)


@pytest.mark.parametrize("name", sorted(OPS.keys() - {"identity"}))
def test_draws_are_equal_for_equal_seeds_only(name):
    first, again = _draw(OPS[name], 8), _draw(OPS[name], 8)
    assert str(first) == str(again)
    assert len({str(params) for params in first}) > 1


@pytest.mark.parametrize("name", sorted(OPS.keys() - {"identity"}))
def test_draws_do_not_depend_on_the_way_they_are_made(name):
    eager = _params(OPS[name])
    mapped = tf.data.Dataset.from_tensor_slices(tf.stack(SEEDS)).map(OPS[name].sample, tf.data.AUTOTUNE)
    tf.nest.map_structure(np.testing.assert_array_equal, eager, next(iter(mapped.batch(len(SEEDS)))))


def test_flips_have_their_probability_per_axis():
    drawn = np.array(_draw(augment.flips(rank=3, p=0.25), 2000))
    np.testing.assert_allclose(drawn.mean(0), 0.25, atol=0.04)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1


def test_crop_reaches_every_place_and_stays_inside():
    volume = tf.reshape(tf.range(16.0), [1, 16, 1])
    op = augment.crop(size=13, rank=1)
    starts = [int(op.apply(volume, place[None])[0, 0, 0]) for place in _draw(op, 200)]
    assert set(starts) == {0, 1, 2, 3}
    last = op.apply(volume, tf.constant([[1 - 2.0**-24]]))
    np.testing.assert_array_equal(last[0, :, 0], np.arange(3, 16))


def test_crop_refuses_what_does_not_fit():
    op = augment.crop(size=9, rank=3)
    with pytest.raises(InputError, match="CROP_SIZE 9 exceeds the volume, 8×8×8"):
        op.apply(_batch(), _params(op))


def test_intensity_draws_within_its_limits_and_with_its_probability():
    drawn = _draw(augment.intensity(brightness=0.2, contrast=(0.8, 1.1), p=0.7), 1000)
    brightness, contrast = (np.array([d[key] for d in drawn]) for key in ("brightness", "contrast"))
    assert np.mean([d["on"] for d in drawn]) == pytest.approx(0.7, abs=0.05)
    assert -0.2 <= brightness.min() < -0.19 < 0.19 < brightness.max() <= 0.2
    assert 0.8 <= contrast.min() < 0.81 < 1.09 < contrast.max() <= 1.1


def test_intensity_that_is_off_changes_nothing():
    op, batch = augment.intensity(p=0.0), _batch()
    np.testing.assert_array_equal(op.apply(batch, _params(op)), batch)


def test_quarter_turns_reach_every_rotation():
    assert {int(index) for index in _draw(augment.quarter_turns(rank=3), 400)} == set(range(24))


def test_a_mask_goes_with_its_volume():
    op = augment.chain([augment.flips(rank=3), augment.quarter_turns(rank=3), augment.crop(size=5, rank=3)])
    batch, params = _batch(), _params(op)
    mask = (batch > 0.5).astype(np.uint8)
    moved = op.apply(mask, params)
    np.testing.assert_array_equal(moved, tf.cast(op.apply(batch, params) > 0.5, tf.uint8))


def test_chain_applies_in_order_with_numbers_of_their_own():
    op, batch = augment.chain([augment.flips(rank=3), augment.flips(rank=3), augment.identity()]), _batch()
    first, second, _ = params = _params(op)
    np.testing.assert_array_equal(op.apply(batch, params), volumes.flip(volumes.flip(batch, first), second))
    assert (first != second).numpy().any()
