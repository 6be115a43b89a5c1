"""Sliding windows: stitching changes nothing, whatever the sizes; tiles cover everything; flips are undone."""

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation.sliding_window import gaussian, predict_volume, tile_starts, windows


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def voxelwise(tiles):
    """Two classes from two channels, each voxel by itself."""
    return np.stack([np.sin(tiles[..., 0]), tiles[..., 0] * tiles[..., 1]], axis=-1)


def along_first_axis(tiles):
    """What depends on the place in the tile, and on the direction."""
    return np.cumsum(tiles, axis=1)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(8, 8, 8), (13, 8, 17), (5, 20, 3), (9, 4), (21, 30)])
def test_a_function_of_single_voxels_is_stitched_exactly(shape, overlap):
    volume = noise(*shape, 2)
    stitched = predict_volume(volume, voxelwise, size=(8,) * len(shape), overlap=overlap, batch_size=3)
    assert stitched.shape == (*shape, 2)
    assert stitched.dtype == np.float32
    np.testing.assert_allclose(stitched, voxelwise(volume), rtol=1e-5, atol=1e-6)


def test_tiles_are_blended_by_their_gaussians():
    volume = noise(12, 1)
    stitched = predict_volume(volume, along_first_axis, size=(8,), overlap=0.5)
    total, weight = np.zeros((12, 1)), np.zeros((12, 1))
    for at in (0, 4):
        total[at : at + 8] += gaussian(8)[:, None] * np.cumsum(volume[at : at + 8], axis=0)
        weight[at : at + 8] += gaussian(8)[:, None]
    np.testing.assert_allclose(stitched, total / weight, rtol=1e-5)


def test_batch_size_does_not_change_the_result():
    volume = noise(11, 9, 10, 1)
    one, many = (predict_volume(volume, along_first_axis, size=(4, 5, 6), batch_size=number) for number in (1, 7))
    np.testing.assert_allclose(one, many, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("sides", "numbers"),
    [((20, 11), [4, 4, 4]), ((20, 6), [4]), ((24, 6), [4, 1]), ((8, 6), [1]), ((12, 6), [2]), ((16, 6), [4])],
)
def test_a_batch_is_filled_up_to_a_power_of_two_at_most(sides, numbers):
    shapes = []

    def watch(tiles):
        shapes.append(tiles.shape)
        return tiles

    volume = noise(*sides, 2)
    found = predict_volume(volume, watch, size=(8, 6), batch_size=4)
    assert shapes == [(number, 8, 6, 2) for number in numbers]
    np.testing.assert_allclose(found, volume, rtol=1e-5)


def test_one_tile_over_the_whole_volume_is_its_prediction():
    volume = noise(6, 7, 5, 1)
    stitched = predict_volume(volume, along_first_axis, size=(6, 7, 5))
    np.testing.assert_allclose(stitched, np.cumsum(volume, axis=0), rtol=1e-5, atol=1e-6)


def test_small_volumes_are_padded_with_their_minimum_in_the_middle_of_the_tile():
    volume, seen = noise(3, 4, 2), []
    predict_volume(volume, lambda tiles: seen.append(tiles.copy()) or tiles, size=(6, 4))
    [tile] = seen
    assert np.array_equal(tile[0, 1:4], volume)
    assert np.array_equal(tile[0, [0, 4, 5]], np.broadcast_to(volume.min(axis=(0, 1)), (3, 4, 2)))


def test_flips_are_undone_and_averaged():
    volume = noise(6, 5, 1)
    stitched = predict_volume(volume, along_first_axis, size=(6, 5), flip_axes=(0, 1))
    forth, back = np.cumsum(volume, axis=0), np.cumsum(volume[::-1], axis=0)[::-1]
    np.testing.assert_allclose(stitched, (forth + back) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "tile", "overlap", "starts"),
    [(8, 8, 0.5, [0]), (9, 8, 0.5, [0, 1]), (16, 8, 0.5, [0, 4, 8]), (16, 8, 0.0, [0, 8]), (17, 8, 0.0, [0, 4, 9])],
)
def test_tiles_run_from_border_to_border(side, tile, overlap, starts):
    assert tile_starts(side, tile, overlap) == starts


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.75, 0.99])
def test_neighbours_overlap_at_least_as_asked_without_a_gap(overlap):
    for side in range(7, 60):
        starts = tile_starts(side, 7, overlap)
        assert (starts[0], starts[-1]) == (0, side - 7)
        assert max(np.diff(starts), default=0) <= np.ceil(max(1, 7 * (1 - overlap)))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"size": (4,)}, "for each"),
        ({"overlap": 1.0}, "< 1"),
        ({"batch_size": 0}, "≥ 1"),
        ({"flip_axes": (2,)}, "0..1"),
    ],
)
def test_wrong_options_are_named(wrong, rule):
    with pytest.raises(InputError, match=rule):
        predict_volume(noise(8, 8, 1), along_first_axis, **{"size": (4, 4), **wrong})


@pytest.mark.parametrize("shape", [(8, 8, 8), (13, 8, 17), (5, 20, 3), (9, 4)])
def test_windows_cover_a_volume_and_hold_nothing_else(shape):
    volume = np.arange(1, 1 + np.prod(shape)).reshape(*shape, 1)
    found = list(windows(volume, size=(8,) * len(shape)))
    assert {window.shape for window in found} == {(*(8,) * len(shape), 1)}
    assert set(np.concatenate([window.ravel() for window in found])) == set(volume.ravel())
    assert len(found) == np.prod([max(1, -(-side // 8)) for side in shape])
