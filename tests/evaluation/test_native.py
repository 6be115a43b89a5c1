"""Outputs on the stored grid come back to the input's own: the exact inverse of what preparation did."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from ssl3d_tf.data.records import placement
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native
from tools.prepare import packing
from tools.readers.contract import Volume, plain_volume
from tools.readers.orientation import ras_volume

SPACING = (0.8, 0.8, 2.5)


def scan(shape=(23, 30, 12), codes="RAS"):
    """A bright box off the centre, in a file of that orientation; `shape` and the box are those of RAS+."""
    random = np.random.default_rng(0)
    voxels = np.zeros((*shape, 1), np.float32)
    voxels[3:18, 8:25, 2:11] = 50 + random.random((15, 17, 9, 1))
    turn = [("LR", "PA", "IS").index(next(pair for pair in ("LR", "PA", "IS") if letter in pair)) for letter in codes]
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (row, letter) in enumerate(zip(turn, codes, strict=True)):
        affine[row, axis] = SPACING[row] * (1 if letter in "RAS" else -1)
    stored = voxels.transpose(*turn, 3)[tuple(slice(None, None, 1 if letter in "RAS" else -1) for letter in codes)]
    return voxels, ras_volume(stored, affine, stored.shape[:3])


def placed(volume, **options):
    """(what is stored of the volume, its source)."""
    stored, _, steps = packing._place(volume, None, packing.Options(**options))
    return stored, {**volume.origin, **steps}


def indices(volume):
    """A volume whose channels are each voxel's index, so that linear resampling shows where a voxel lies."""
    grid = np.stack(np.meshgrid(*map(np.arange, volume.voxels.shape[:-1]), indexing="ij"), axis=-1)
    return volume._replace(voxels=grid.astype(np.float32))


STEPS = [
    {},
    {"crop_foreground": True},
    {"square": True},
    {"spacing_mm": (2.0,)},
    {"shape": (31, 9, 14)},
    {"crop_foreground": True, "square": True, "spacing_mm": (2.0,)},
    {"crop_foreground": True, "square": True, "shape": (12, 20, 16)},
]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ILA"])
@pytest.mark.parametrize("options", STEPS, ids=lambda options: "-".join(options) or "as it is")
def test_every_voxel_comes_back_to_where_it_was_read(options, codes):
    _, volume = scan(codes=codes)
    stored, source = placed(volume, **options)
    found = placement.of(source, stored.voxels.shape[:-1])
    assert found.shape == volume.voxels.shape[:-1]
    assert found.is_same == (not options)
    assert np.allclose(placement.spacing_mm(found, stored.spacing_mm), SPACING)
    to_input = (
        np.linalg.inv(volume.affine) @ stored.affine
    )  # what records.md says; what is beyond the border is clipped
    for number, axis in enumerate(found.axes):
        back = to_input[number, number] * axis.positions + to_input[number, 3]
        inner = (axis.positions > 0) & (axis.positions < found.stored[number] - 1)
        assert inner.sum() > 4
        assert np.allclose(back[inner], (axis.first + np.arange(len(back)))[inner])


def test_pictures_come_back_too():
    random = np.random.default_rng(0)
    voxels = np.zeros((40, 25, 3), np.float32)
    voxels[6:30, 2:20] = 50 + random.random((24, 18, 3))
    stored, source = placed(plain_volume(voxels), crop_foreground=True, square=True, shape=(12, 12))
    found = placement.of(source, (12, 12))
    assert (found.shape, found.box) == ((40, 25), (slice(6, 30), slice(2, 20)))
    to_input = stored.affine  # of identity
    for number, axis in enumerate(found.axes):
        back = to_input[number, number] * axis.positions + to_input[number, 3]
        inner = (axis.positions > 0) & (axis.positions < 11)
        assert np.allclose(back[inner], (axis.first + np.arange(len(back)))[inner])


def test_where_nothing_was_resampled_it_is_the_argmax_to_the_bit():
    _, volume = scan()
    logits = np.round(np.random.default_rng(1).random((*volume.voxels.shape[:-1], 3)), 1).astype(
        np.float32
    )  # with ties
    values = np.array([0, 4, 1002])
    for options in ({}, {"spacing_mm": SPACING}, {"shape": volume.voxels.shape[:-1]}):
        _, source = placed(volume, **options)
        found = native.labels(logits, source, values=values)
        assert found.dtype == np.uint16
        assert np.array_equal(found, values[np.argmax(logits, axis=-1)])
        assert np.array_equal(native.probabilities(logits, source), logits)


def test_what_was_cropped_away_is_background_and_the_rest_the_argmax():
    _, volume = scan()
    stored, source = placed(volume, crop_foreground=True)
    logits = np.random.default_rng(1).random((*stored.voxels.shape[:-1], 3)).astype(np.float32)
    box = tuple(slice(first, stop) for first, stop in source["crop_box"])
    expected = np.full(volume.voxels.shape[:-1], 2)
    expected[box] = np.array([2, 5, 9])[np.argmax(logits, axis=-1)]
    assert np.array_equal(native.labels(logits, source, values=[2, 5, 9]), expected)
    shares = native.probabilities(native.softmax(logits), source)
    assert np.allclose(shares.sum(axis=-1), 1)
    assert (shares[0, 0, 0] == (1, 0, 0)).all()


@pytest.mark.parametrize("options", [{"spacing_mm": (2.0,)}, {"shape": (31, 9, 14)}], ids=["finer", "shape"])
def test_probabilities_are_those_of_scipy(options):
    _, volume = scan()
    stored, source = placed(volume, **options)
    shares = native.softmax(5 * np.random.default_rng(2).normal(size=(*stored.voxels.shape[:-1], 3)))
    to_stored = np.linalg.inv(stored.affine) @ volume.affine
    expected = np.stack(
        [
            ndimage.affine_transform(
                shares[..., number].astype(np.float64),
                to_stored[:3, :3],
                to_stored[:3, 3],
                output_shape=volume.voxels.shape[:-1],
                order=1,
                mode="nearest",
            )
            for number in range(3)
        ],
        axis=-1,
    )
    assert np.abs(native.probabilities(shares, source) - expected).max() < 1e-5
    sure = np.ptp(np.sort(expected, axis=-1)[..., -2:], axis=-1)
    for outputs, are_logits in ((np.log(shares), True), (shares, False)):
        found = native.labels(outputs, source, values=range(3), are_logits=are_logits)
        assert np.array_equal(found[sure > 1e-4], np.argmax(expected, axis=-1)[sure > 1e-4])


def test_slabs_are_the_whole(monkeypatch):
    _, volume = scan()
    stored, source = placed(volume, crop_foreground=True, spacing_mm=(1.3, 2.0, 1.0))
    logits = np.random.default_rng(3).normal(size=(*stored.voxels.shape[:-1], 3)).astype(np.float32)
    whole, shares = native.labels(logits, source, values=range(3)), native.probabilities(logits, source)
    monkeypatch.setattr(native, "SLAB", 1)
    assert np.array_equal(native.labels(logits, source, values=range(3)), whole)
    assert np.array_equal(native.probabilities(logits, source), shares)


def test_memory_stays_flat():
    source = {"shape": [256, 256, 160], "orientation": "RAS", "crop_box": None}
    source["resampled"] = {"from": [256, 256, 160], "to": [128, 128, 160], "factors": [2.0, 2.0, 1.0]}
    logits = np.random.default_rng(0).random((128, 128, 160, 3), np.float32)
    tracemalloc.start()
    found = native.labels(logits, source, values=range(3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (256, 256, 160)
    assert peak < found.nbytes + 64e6  # all at once, probabilities on that grid alone are 126 MB


def slice_source(**steps):
    return {"shape": [8, 9, 10], "orientation": "LPS", "slice": {"of": "a", "plane": "coronal", "number": 2}, **steps}


def test_slices_have_a_grid_where_they_are_those_of_the_input():
    box = [(1, 7), (3, 8), (0, 10)]
    found = placement.of(slice_source(crop_box=box), (6, 10))
    assert (found.shape, found.box) == ((8, 10), (slice(1, 7), slice(0, 10)))
    assert placement.slice_number(slice_source(crop_box=box), 2, "coronal") == 5
    resampled = {"from": [8, 9, 10], "to": [4, 9, 5], "factors": [2.0, 1.0, 2.0]}
    assert placement.of(slice_source(resampled=resampled), (4, 5)).shape == (8, 10)
    across = {"from": [8, 9, 10], "to": [4, 3, 5], "factors": [2.0, 3.0, 2.0]}
    assert placement.of(slice_source(resampled=across), (4, 5)) is None
    assert placement.of(slice_source(square=True), (10, 10)) is None


def test_what_cannot_be_had_is_said():
    resampled = {"from": [8, 8], "to": [4, 4], "factors": [2.0, 2.0]}
    assert placement.of({"resampled": resampled}, (4, 4)) is None  # no shape
    with pytest.raises(InputError, match="cannot be had: its record does not say how"):
        native.labels(np.zeros((4, 4, 2)), {"resampled": resampled}, values=[0, 1])
    with pytest.raises(InputError, match="cannot be had: slices across"):
        native.labels(np.zeros((10, 10, 2)), slice_source(square=True), values=[0, 1])
    with pytest.raises(InputError, match=r"outputs have \(4, 4\) voxels, the volume \(8, 4\); put its bricks together"):
        native.labels(np.zeros((4, 4, 2)), {"brick": {"shape": [8, 4]}}, values=[0, 1])
    assert placement.of({"shape": [8, 8], "resampled": resampled}, (4, 4)).shape == (8, 8)
    assert placement.of({"shape": [8, 8], "resampled": resampled}, (5, 4)) is None
    assert placement.of({"shape": [9, 8], "resampled": resampled}, (4, 4)) is None
    assert placement.of({"shape": [8, 8, 8], "resampled": resampled}, (4, 4)) is None
    assert placement.of({"shape": [9], "crop_box": [[0, 4], [0, 4]]}, (4, 4)) is None
    assert placement.of({"square": True}, (4, 4)) is None
    with pytest.raises(InputError, match="3 classes, values are 2"):
        native.labels(np.zeros((4, 4, 3)), {}, values=[0, 1])


def test_every_orientation_says_the_shape_that_is_read():
    for axes in itertools.permutations(("R", "A", "S")):
        for letters in itertools.product(*({"R": "RL", "A": "AP", "S": "SI"}[letter] for letter in axes)):
            _, volume = scan(codes="".join(letters))
            assert placement.input_shape(volume.origin) == volume.voxels.shape[:-1]
    single = ras_volume(np.zeros((7, 1, 5, 1)), np.diag([1.0, 1, 1, 1]), (7, 1, 5))
    assert placement.input_shape(single.origin) == (7, 5)
    picture = Volume(np.zeros((7, 5, 1)), np.eye(4), False, {"shape": [7, 5], "affine": None, "orientation": None})
    assert placement.input_shape(picture.origin) == (7, 5)
