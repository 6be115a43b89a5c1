import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import volumes

BATCH = 5


def _batch(*spatial, channels=2, dtype=np.float32):
    return np.random.default_rng(0).uniform(0, 100, (BATCH, *spatial, channels)).astype(dtype)


def _bools(rank):
    return np.random.default_rng(1).random((BATCH, rank)) < 0.5


def _ways(function):
    """The function eagerly, as a graph, under XLA and inside a dataset."""

    def in_dataset(*inputs):
        return next(iter(tf.data.Dataset.from_tensor_slices(inputs).batch(BATCH).map(function)))

    return [function, tf.function(function), tf.function(function, jit_compile=True), in_dataset]


@pytest.mark.parametrize("spatial", [(4, 6), (4, 5, 3)])
def test_flip_reverses_the_chosen_axes(spatial):
    batch, flipped = _batch(*spatial), _bools(len(spatial))
    expected = np.stack([np.flip(v, np.flatnonzero(f)) for v, f in zip(batch, flipped, strict=True)])
    for flip in _ways(volumes.flip):
        np.testing.assert_array_equal(flip(batch, flipped), expected)


def test_flip_is_its_own_inverse():
    batch, flipped = _batch(3, 4, 5), _bools(3)
    np.testing.assert_array_equal(volumes.flip(volumes.flip(batch, flipped), flipped), batch)


@pytest.mark.parametrize("plane", [(0, 1), (1, 2), (0, 2), (2, 0)])
@pytest.mark.parametrize("k", range(-1, 5))
def test_quarter_turn_is_rot90(k, plane):
    batch = _batch(4, 4, 4)
    turned = volumes.rotate_cube(batch, tf.zeros(BATCH, tf.int32), [volumes.quarter_turn(3, k, plane)])
    np.testing.assert_array_equal(turned, np.rot90(batch, k, (plane[0] + 1, plane[1] + 1)))


@pytest.mark.parametrize("rank", [2, 3])
def test_rotate_cube_is_the_same_everywhere(rank):
    batch, table = _batch(*(6,) * rank), volumes.all_turns(rank)
    index = np.arange(BATCH, dtype=np.int32) * 5 % len(table)
    eager, *others = [way(batch, index) for way in _ways(lambda v, i: volumes.rotate_cube(v, i, table))]
    for other in others:
        np.testing.assert_array_equal(other, eager)


@pytest.mark.parametrize(("rank", "number"), [(2, 4), (3, 24)])
def test_all_turns_are_the_distinct_proper_rotations(rank, number):
    table = volumes.all_turns(rank)
    matrices = [np.eye(rank)[list(turn.axes)] * np.where(turn.flipped, -1, 1)[:, None] for turn in table]
    assert len({matrix.tobytes() for matrix in matrices}) == len(table) == number
    np.testing.assert_allclose([np.linalg.det(matrix) for matrix in matrices], 1)
    np.testing.assert_array_equal(matrices[0], np.eye(rank))


def test_rotate_cube_refuses_unequal_sides():
    with pytest.raises(InputError, match="equal sides, the views are 4×4×5"):
        volumes.rotate_cube(_batch(4, 4, 5), tf.zeros(BATCH, tf.int32), volumes.all_turns(3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_crop_cuts_each_example_at_its_start(dtype):
    batch, size = _batch(6, 7, 8, dtype=dtype), (3, 4, 8)
    start = np.array([[0, 0, 0], [3, 3, 0], [1, 2, 0], [2, 0, 0], [0, 3, 0]])
    expected = np.stack([v[a : a + 3, b : b + 4] for v, (a, b, _) in zip(batch, start, strict=True)])
    for crop in _ways(lambda v, s: volumes.crop(v, s, size)):
        cut = crop(batch, start)
        np.testing.assert_array_equal(cut, expected)
        assert cut.dtype == dtype


def test_geometry_keeps_static_shapes():
    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 8, 1)), tf.TensorSpec((None, 3), tf.bool)])
    def flip(batch, flipped):
        assert volumes.flip(batch, flipped).shape == (None, 8, 8, 8, 1)
        assert volumes.flip(tf.ones((2, 8, 8, 8, 1)), flipped[:2]).shape == (2, 8, 8, 8, 1)
        return volumes.flip(batch, flipped)

    assert flip(tf.zeros((2, 8, 8, 8, 1)), tf.zeros((2, 3), tf.bool)).shape == (2, 8, 8, 8, 1)


@pytest.mark.parametrize("spatial", [(4, 6), (4, 5, 3)])
def test_to_intensity_scales_every_channel(spatial):
    stored, rng = _batch(*spatial, dtype=np.uint16), np.random.default_rng(2)
    scale, offset = rng.normal(size=(2, BATCH, 2)).astype(np.float32)
    inner = (slice(None), *(None,) * len(spatial))
    expected = stored.astype(np.float64) * scale[inner] + offset[inner]
    for way in _ways(volumes.to_intensity):
        np.testing.assert_allclose(way(stored, (scale, offset)), expected, rtol=1e-5, atol=1e-4)


def test_adjust_scales_about_the_mean_and_shifts_it():
    batch = _batch(4, 4, 4)
    brightness, contrast = np.linspace(-1, 1, BATCH, dtype=np.float32), np.linspace(0.5, 1.5, BATCH, dtype=np.float32)
    mean = batch.mean((1, 2, 3, 4), keepdims=True)
    column = (slice(None), None, None, None, None)
    expected = (batch - mean) * contrast[column] + mean + brightness[column]
    for way in _ways(volumes.adjust):
        np.testing.assert_allclose(way(batch, brightness, contrast), expected, rtol=1e-5, atol=1e-4)


def test_neutral_adjustment_changes_nothing():
    batch = _batch(4, 4, 4)
    np.testing.assert_allclose(volumes.adjust(batch, tf.zeros(BATCH), tf.ones(BATCH)), batch, rtol=1e-5, atol=1e-5)


def test_gamma_keeps_range_and_order():
    batch = _batch(4, 4)
    changed = volumes.adjust_gamma(batch, tf.fill([BATCH], 2.0)).numpy()
    axes = (1, 2, 3)
    np.testing.assert_allclose(changed.min(axes), batch.min(axes), rtol=1e-5)
    np.testing.assert_allclose(changed.max(axes), batch.max(axes), rtol=1e-5)
    np.testing.assert_array_equal(changed[0].ravel().argsort(), batch[0].ravel().argsort())


def test_gamma_of_a_constant_volume_is_itself():
    constant = np.full((1, 3, 3, 1), 7, np.float32)
    np.testing.assert_allclose(volumes.adjust_gamma(constant, tf.constant([0.5])), constant, rtol=1e-6)


def test_noise_is_normal_and_the_same_everywhere():
    batch, seed = np.zeros((BATCH, 20, 20, 20, 1), np.float32), tf.reshape(tf.range(2 * BATCH), [BATCH, 2])
    deviation = np.linspace(0, 2, BATCH, dtype=np.float32)
    eager, *others = [way(batch, seed, deviation).numpy() for way in _ways(volumes.add_noise)]
    for other in others:
        np.testing.assert_allclose(other, eager, atol=1e-5)
    np.testing.assert_allclose(eager.std((1, 2, 3, 4)), deviation, atol=0.05)
    np.testing.assert_allclose(eager.mean((1, 2, 3, 4)), 0, atol=0.1)
    assert (np.abs(eager[-1]) > 2 * deviation[-1]).mean() == pytest.approx(0.0455, abs=0.01)


def test_noise_of_an_example_does_not_depend_on_its_batch():
    batch, seed = np.zeros((BATCH, 3, 3, 1), np.float32), tf.reshape(tf.range(2 * BATCH), [BATCH, 2])
    together = volumes.add_noise(batch, seed, tf.ones(BATCH))
    alone = volumes.add_noise(batch[3:4], seed[3:4], tf.ones(1))
    np.testing.assert_allclose(together[3], alone[0], rtol=1e-5, atol=1e-6)
    assert len(np.unique(together)) == together.numpy().size


def test_where_changes_only_what_is_on():
    batch, on = _batch(3, 3), np.array([True, False, False, True, False])
    for way in _ways(lambda v, chosen: volumes.where(chosen, lambda some: some + 1, v)):
        np.testing.assert_array_equal(way(batch, on), batch + on[:, None, None, None])
        np.testing.assert_array_equal(way(batch, np.zeros(BATCH, bool)), batch)
