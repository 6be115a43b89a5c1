"""The patch grid against naive slicing, and what happens to single patches against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import patches
from ssl3d_tf.views.volumes import to_intensity


def _volumes(rank, side, *, channels=2):
    shape = (3, *(side,) * rank, channels)
    return np.random.default_rng(rank).normal(size=shape).astype(np.float32)


def _offsets(grid):
    return tf.stack([patches.sample_offsets(grid, seed) for seed in ((0, 1), (0, 2), (0, 3))])


def _sliced(volumes, grid, offsets):
    """Patch by patch, as written in the module's first lines."""
    cells = np.ndindex((grid.patches_per_side,) * grid.rank)
    starts = np.array(list(cells)) * grid.step + offsets
    cut = [
        [volume[tuple(slice(s, s + side) for s, side in zip(start, grid.patch_size, strict=True))] for start in example]
        for volume, example in zip(volumes, starts, strict=True)
    ]
    return np.array(cut)


@pytest.mark.parametrize(
    ("view_size", "n", "jitter", "patch_size"),
    [(224, 3, 8, 66), (224, 3, 0, 74), (128, 3, 4, 38), (128, 3, 3, 39), (128, 3, 0, 42), (128, 3, None, 32)],
)
def test_patch_size_follows_from_view_and_jitter(view_size, n, jitter, patch_size):
    assert patches.grid(view_size, n, rank=3, jitter=jitter).patch_size == (patch_size,) * 3


@pytest.mark.parametrize(("view_size", "n", "facts"), [(224, 5, (37, 74)), (128, 4, (25, 50)), (384, 7, (48, 96))])
def test_overlapping_grid_has_these_steps_and_sizes(view_size, n, facts):
    grid = patches.grid(view_size, n, rank=2, overlap=view_size // (n + 1))
    assert (grid.step, grid.patch_size) == tuple((one, one) for one in facts)


@pytest.mark.parametrize("rank", [2, 3])
def test_jittered_patches_are_cut_at_their_offsets(rank):
    grid = patches.grid(14, 3, rank=rank, jitter=2)
    volumes, offsets = _volumes(rank, 14), _offsets(grid)
    np.testing.assert_array_equal(patches.extract(volumes, grid, offsets), _sliced(volumes, grid, offsets))


def test_an_axis_may_have_a_length_and_patches_of_its_own():
    grid = patches.grid((14, 9, 6), 3, rank=3, jitter=None)
    assert (grid.patch_size, grid.jitter) == ((3, 3, 2), (1, 0, 0))
    volumes = np.random.default_rng(0).normal(size=(3, 14, 9, 6, 2)).astype(np.float32)
    offsets = _offsets(grid)
    assert offsets.numpy().max(axis=(0, 1)).tolist() == [1, 0, 0]
    np.testing.assert_array_equal(patches.extract(volumes, grid, offsets), _sliced(volumes, grid, offsets))
    overlapping = patches.grid((14, 9), 3, rank=2, overlap=(2, 3))
    assert (overlapping.step, overlapping.patch_size) == ((4, 2), (6, 5))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("room", [{}, {"jitter": 3}, {"overlap": 2}])
def test_centred_patches_are_cut_at_half_the_jitter(rank, room):
    grid = patches.grid(17, 3, rank=rank, **room)
    volumes, offsets = _volumes(rank, 17), np.full((3, 3**rank, rank), room.get("jitter", 0) // 2)
    np.testing.assert_array_equal(patches.extract(volumes, grid), _sliced(volumes, grid, offsets))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("jittered", [False, True])
def test_chosen_patches_are_those_of_all_in_the_order_given(rank, jittered):
    grid, chosen = patches.grid(14, 3, rank=rank, jitter=2), [[4, 0], [8, 8], [1, 3]]
    volumes, offsets = _volumes(rank, 14), _offsets(grid) if jittered else None
    whole = patches.extract(volumes, grid, offsets).numpy()
    expected = [whole[example, numbers] for example, numbers in enumerate(chosen)]
    np.testing.assert_array_equal(patches.extract(volumes, grid, offsets, chosen=tf.constant(chosen)), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_patches_equal_eager_ones(jit_compile):
    grid = patches.grid(14, 3, rank=3, jitter=2)
    volumes, offsets = _volumes(3, 14), _offsets(grid)
    compiled = tf.function(lambda *given: patches.extract(given[0], grid, given[1]), jit_compile=jit_compile)
    np.testing.assert_array_equal(compiled(volumes, offsets), patches.extract(volumes, grid, offsets))


def test_stored_numbers_are_scaled_as_they_are_cut():
    grid, rng = patches.grid(14, 3, rank=3, jitter=2), np.random.default_rng(0)
    stored, scaling = rng.integers(0, 999, (3, 14, 14, 14, 2), np.uint16), rng.random((2, 3, 2), np.float32)
    intensities = to_intensity(stored, tuple(scaling))
    expected = patches.extract(intensities, grid, _offsets(grid))
    np.testing.assert_allclose(
        patches.extract(stored, grid, _offsets(grid), scaling=tuple(scaling)), expected, rtol=1e-6
    )


def test_rows_before_the_volume_are_intensity_zero():
    grid = patches.grid(4, 1, rank=2)
    rows = [tf.constant([[[-1, 0, 3]]]), tf.constant([[[1, -1, 2]]])]
    cut = patches.gather(np.full((2, 4, 4, 1), 5, np.uint8), grid, rows, scaling=([[2.0], [1.0]], [[1.0], [0.0]]))
    assert cut[0, 0, ..., 0].numpy().tolist() == [[0, 0, 0], [11, 0, 11], [11, 0, 11]]
    assert cut[1, 0, ..., 0].numpy().tolist() == [[0, 0, 0], [5, 0, 5], [5, 0, 5]]


def test_offsets_reach_both_ends_and_nothing_beyond():
    offsets = patches.sample_offsets(patches.grid(128, 3, rank=3, jitter=4), (1, 2)).numpy()
    assert offsets.shape == (27, 3)
    assert set(offsets.ravel()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("wrong", [{"jitter": 3, "overlap": 3}, {"jitter": -1}, {"jitter": 40}, {"overlap": 124}])
def test_impossible_grids_are_refused(wrong):
    with pytest.raises(InputError, match="PATCH_JITTER"):
        patches.grid(120, 3, rank=3, **wrong)


def test_volumes_of_another_size_are_refused():
    with pytest.raises(InputError, match="14×14×14 voxels do not fit a grid over 16×16×16"):
        patches.extract(_volumes(3, 14), patches.grid(16, 4, rank=3))


def test_standardised_patches_have_mean_zero_and_deviation_one_per_channel():
    result = patches.standardise(5 + 3 * _volumes(3, 6)[:, None]).numpy()
    np.testing.assert_allclose(result.mean((2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std((2, 3, 4)), 1, atol=1e-4)


def test_constant_patches_become_zero():
    np.testing.assert_allclose(patches.standardise(tf.fill((1, 2, 4, 4, 1), 0.7)), 0, atol=1e-3)


def test_intensity_jitter_is_one_factor_and_one_shift_per_patch():
    cut, draws = _volumes(2, 4)[:, None], np.full((3, 1, 2), (0.5, -1.0), np.float32)
    np.testing.assert_allclose(patches.jitter_intensity(cut, draws, amount=0.2), cut * 1.1 - 0.2, rtol=1e-5)


def test_dropped_channels_leave_one():
    cut, draws = _volumes(2, 4)[:, None], np.array([[[0.2, 0.1]], [[0.2, 0.9]], [[0.7, 0.1]]], np.float32)
    kept = np.any(patches.drop_channels(cut, draws, probability=0.5), axis=(1, 2, 3))
    assert kept.tolist() == [[True, False], [False, True], [True, True]]
