"""One interpolation for a chain of affine maps: exact where nothing lies between voxels, else against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import affine, augment, resampling

DRAWERS = {
    "flips": affine.flips,
    "quarter_turns": affine.quarter_turns,
    "turns_in_planes": affine.turns_in_planes,
    "rotations": affine.rotations,
    "zoom": affine.zoom,
}


def _volumes(*spatial, channels=1):
    return np.random.default_rng(0).random((2, *spatial, channels), np.float32)


def _seeds(number):
    return [tf.constant([7, i]) for i in range(number)]


def _apply(op, volumes, seeds):
    return op.apply(volumes, tf.stack([op.sample(seed) for seed in seeds])).numpy()


def _matrix(linear, shift=None):
    rank = len(linear)
    matrix = np.eye(rank + 1, dtype=np.float32)
    matrix[:rank, :rank] = linear
    matrix[:rank, rank] = 0 if shift is None else shift
    return matrix


def _resampled(volumes, matrix, *, fill=0.0):
    places = affine.places(tf.tile(matrix[None], (len(volumes), 1, 1)))
    return resampling.resample(volumes, places, tf.fill((len(volumes), volumes.shape[-1]), fill)).numpy()


def _by_scipy(volume, matrix, *, fill):
    """The same map, one voxel at a time, by SciPy's interpolation."""
    sides, rank = np.array(volume.shape[:-1]), volume.ndim - 1
    places = np.indices(sides).reshape(rank, -1) - ((sides - 1) / 2)[:, None]
    found = matrix[:rank, :rank] @ places + (matrix[:rank, rank] * max(sides) + (sides - 1) / 2)[:, None]
    values = [
        ndimage.map_coordinates(v, found, order=1, mode="grid-constant", cval=fill) for v in np.moveaxis(volume, -1, 0)
    ]
    return np.stack([v.reshape(sides) for v in values], -1)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("name", ["flips", "quarter_turns"])
def test_flips_and_quarter_turns_are_those_of_the_exact_ops(name, rank):
    op = augment.affine(transforms=[DRAWERS[name](rank=rank)])
    volumes = _volumes(*(6,) * rank, channels=2)
    for seed in _seeds(6):
        moved = _apply(op, volumes[:1], [seed])
        turns = [np.rot90(v, k, axes) for v in _signed(volumes[0]) for axes in _planes(rank) for k in range(4)]
        assert any((moved[0] == turned).all() for turned in turns)


def _planes(rank):
    return [(0, 1)] if rank == 2 else [(0, 1), (1, 2), (0, 2)]


def _signed(volume):
    """Every reflection and every turn that brings another axis up front."""
    rank = volume.ndim - 1
    for number in range(2**rank):
        flipped = np.flip(volume, [axis for axis in range(rank) if number >> axis & 1])
        yield from [flipped] if rank == 2 else [np.rot90(flipped, k, (0, 1)) for k in range(4)]
        if rank == 3:
            yield from (np.rot90(flipped, k, (0, 2)) for k in range(4))


def test_a_quarter_in_a_plane_is_rot90():
    volume = _volumes(5, 5, 5)
    for plane in _planes(3):
        matrix = np.eye(4, dtype=np.float32)
        matrix[:3, :3] = affine._plane_turn(tf.constant(np.pi / 2, tf.float32), plane, 3)
        np.testing.assert_array_equal(_resampled(volume, matrix), np.rot90(volume, 1, (plane[0] + 1, plane[1] + 1)))


@pytest.mark.parametrize("spatial", [(7, 9), (6, 8, 7)])
def test_interpolation_is_scipys(spatial):
    rng, rank = np.random.default_rng(1), len(spatial)
    volumes = _volumes(*spatial, channels=2)
    matrix = _matrix(np.eye(rank) + rng.normal(0, 0.3, (rank, rank)), rng.uniform(-0.2, 0.2, rank)).astype(np.float32)
    expected = np.stack([_by_scipy(volume, matrix, fill=0.3) for volume in volumes])
    np.testing.assert_allclose(_resampled(volumes, matrix, fill=0.3), expected, atol=2e-4)


def test_whole_voxels_of_shift_copy_and_fill():
    volumes = _volumes(8, 8)
    moved = _resampled(volumes, _matrix(np.eye(2), [0.25, 0]), fill=-1.0)
    np.testing.assert_array_equal(moved[:, :6], volumes[:, 2:])
    assert (moved[:, 6:] == -1).all()


@pytest.mark.parametrize("rank", [2, 3])
def test_an_example_gets_the_same_bits_alone_and_beside_one_that_is_interpolated(rank):
    volumes = _volumes(*(6,) * rank)
    flipped = _matrix(np.diag([-1] + [1] * (rank - 1)), [0.5] + [0] * (rank - 1))
    turned = affine.rotations(rank=rank, p=1.0)(tf.constant([7, 0])).numpy()
    alone = np.concatenate([_resampled(volumes[i : i + 1], m, fill=0.5) for i, m in enumerate((flipped, turned))])
    both = resampling.resample(volumes, affine.places(tf.stack([flipped, turned])), tf.fill((2, 1), 0.5)).numpy()
    np.testing.assert_array_equal(both, alone)
    np.testing.assert_array_equal(alone[0, 3:], volumes[0, :2:-1])
    assert (alone[0, :3] == 0.5).all()


@pytest.mark.parametrize("spatial", [(5, 6), (6, 5), (4, 4, 7)])
def test_a_quarter_turn_that_ends_between_voxels_is_interpolated(spatial):
    rank, volumes = len(spatial), _volumes(*spatial)
    matrix = np.eye(rank + 1, dtype=np.float32)
    matrix[[rank - 2, rank - 1], [rank - 2, rank - 1]] = 0
    matrix[rank - 2, rank - 1], matrix[rank - 1, rank - 2] = 1, -1
    expected = np.stack([_by_scipy(volume, matrix, fill=0.0) for volume in volumes])
    np.testing.assert_allclose(_resampled(volumes, matrix), expected, atol=1e-6)


def test_outside_is_the_background_to_the_bit():
    shrunk = _resampled(_volumes(9, 9, 9), _matrix(np.diag([3.3] * 3)), fill=0.1)
    assert (shrunk[:, [0, 1, 7, 8]] == np.float32(0.1)).all()


@pytest.mark.parametrize("name", DRAWERS)
@pytest.mark.parametrize("rank", [2, 3])
def test_the_same_eagerly_in_a_graph_and_under_xla(name, rank):
    op, volumes = augment.affine(transforms=[DRAWERS[name](rank=rank)]), _volumes(*(9,) * rank)
    places = tf.stack([op.sample(seed) for seed in _seeds(2)])
    eager = op.apply(volumes, places)
    for jit_compile in (False, True):
        np.testing.assert_allclose(tf.function(op.apply, jit_compile=jit_compile)(volumes, places), eager, atol=1e-6)


def test_composition_is_one_map_after_the_other():
    first, second = affine.flips(rank=3), affine.quarter_turns(rank=3)
    volumes, seed = _volumes(5, 5, 5), tf.constant([1, 2])
    both = _apply(augment.affine(transforms=[first, second]), volumes[:1], [seed])
    turned = volumes[:1]
    for number, drawer in enumerate((first, second)):
        matrix = drawer(tf.random.experimental.stateless_fold_in(seed, number))
        turned = _resampled(turned, matrix)
    np.testing.assert_array_equal(both, turned)


@pytest.mark.parametrize("rank", [2, 3])
def test_rotations_are_proper_and_keep_lengths(rank):
    for drawer in (affine.rotations(rank=rank, p=1.0), affine.turns_in_planes(rank=rank, p=1.0)):
        for seed in _seeds(5):
            linear = drawer(seed).numpy()[:rank, :rank]
            np.testing.assert_allclose(linear @ linear.T, np.eye(rank), atol=1e-5)
            assert np.linalg.det(linear) == pytest.approx(1, abs=1e-5)


def test_rotations_stay_within_their_angle():
    matrices = np.stack([affine.rotations(rank=3, degrees=30, p=1.0)(seed) for seed in _seeds(200)])
    angles = np.degrees(np.arccos(np.clip((np.trace(matrices[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert 25 < angles.max() <= 30.01
    assert angles.mean() == pytest.approx(15, abs=1.5)


def test_zoom_shows_a_part_of_what_is_magnified_and_the_middle_of_what_is_reduced():
    for seed in _seeds(50):
        matrix = affine.zoom(rank=2, factor=(0.5, 2.0), p=1.0)(seed).numpy()
        size, shift = 1 / np.diag(matrix)[:2], matrix[:2, 2]
        assert ((size >= 0.5) & (size <= 2)).all()
        assert (np.abs(shift) <= np.maximum(0, 0.5 - 0.5 / size) + 1e-6).all()


def test_thin_axes_stay_where_they_are_and_others_turn_among_themselves():
    """Of thick slices a turn out of the plane would leave little."""
    for drawer in (affine.rotations(rank=3, p=1.0), affine.turns_in_planes(rank=3, p=1.0)):
        matrices = np.stack([drawer(seed, (64, 48, 16)) for seed in _seeds(20)])
        assert (matrices[:, 2, :3] == [0, 0, 1]).all()
        assert (matrices[:, :3, 2] == [0, 0, 1]).all()
        assert np.abs(matrices[:, 0, 1]).max() > 0.5
        np.testing.assert_array_equal(drawer(tf.constant([7, 1]), (16, 16, 16)), drawer(tf.constant([7, 1])))
        assert np.abs(np.stack([drawer(seed, (48, 48, 16)) for seed in _seeds(20)])[:, 2, :2]).max() > 0.5
    np.testing.assert_array_equal(affine.rotations(rank=3, p=1.0)(tf.constant([7, 1]), (64, 16, 16)), np.eye(4))


def test_zoom_never_shows_what_lies_beyond_a_short_axis():
    """Its shift is a share of the largest side, and of what is magnified a part is shown, to a quarter of a voxel."""
    op = augment.affine(transforms=[affine.zoom(rank=2, factor=(1.0, 2.0), p=1.0)], fill=-1.0, view_size=(40, 8))
    volumes = _volumes(40, 8)[:1]
    for seed in _seeds(20):
        assert _apply(op, volumes, [seed]).min() > -0.5


def test_what_is_no_cube_must_be_said_before_it_is_turned():
    op, volumes = augment.affine(transforms=[affine.flips(rank=2)]), _volumes(8, 4)
    with pytest.raises(InputError, match=r"volumes of 8×4 voxels; of such it must know: set augment.affine.view_size"):
        _apply(op, volumes, _seeds(2))
    with pytest.raises(InputError, match=r"turns a square or cube, views have \(8, 4\) voxels: give VIEW_SIZE one"):
        augment.affine(transforms=[affine.quarter_turns(rank=2)], view_size=(8, 4)).sample(tf.constant([7, 1]))


def test_labels_take_the_nearest_voxel_and_go_with_their_volume():
    transforms = [affine.flips(rank=3), affine.rotations(rank=3), affine.zoom(rank=3)]
    image, labels = augment.affine(transforms=transforms, fill=0), augment.affine_labels(transforms=transforms)
    mask = ndimage.zoom(np.random.default_rng(3).integers(0, 4, (2, 4, 4, 4)), (1, 4, 4, 4), order=0).astype(np.uint8)
    moved = _apply(labels, mask, _seeds(2))
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) <= set(range(4))
    for value in range(1, 4):  # where interpolation is sure of a value, the nearest label is that value
        share = _apply(image, (mask[..., None] == value).astype(np.float32), _seeds(2))[..., 0]
        assert (moved[share > 0.99] == value).all()
        assert (moved[share < 0.01] != value).all()


def test_outside_is_the_minimum_of_each_channel():
    volumes = _volumes(8, 8, channels=2) + np.array([1.0, 5.0], np.float32)
    op = augment.affine(transforms=[lambda seed, sides: tf.constant(_matrix(np.eye(2) * 3))])
    moved = _apply(op, volumes, _seeds(2))
    np.testing.assert_allclose(moved[:, 0, 0], volumes.min((1, 2)), rtol=1e-6)


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match=r"zoom.factor is \(0, 1\)"):
        affine.zoom(rank=3, factor=(0, 1))
    with pytest.raises(InputError, match="too large to rotate; lower VIEW_SIZE"):
        _resampled(np.zeros((1, 2049, 2, 1), np.float32), _matrix(np.eye(2)))
