"""Planes as people look at scans: which voxel is drawn where."""

import numpy as np
import pytest

from ssl3d_tf.data.records import placement, upright


def scan(*, right=0, front=0, head=0):
    """[right, front, head] of which one voxel is bright."""
    volume = np.zeros((4, 5, 6))
    volume[3 * right, 4 * front, 5 * head] = 1
    return volume


def found(plane, volume):
    """(row, column) of the bright voxel in the plane that it lies in."""
    (place,) = np.argwhere(volume)
    ((row, column),) = np.argwhere(upright.cut(plane, volume, place[plane.across]))
    return int(row), int(column)


def test_right_is_left_front_and_head_are_up():
    axial, coronal, sagittal = upright.planes("RAS", 3)
    assert (axial.name, coronal.name, sagittal.name) == ("axial", "coronal", "sagittal")
    assert found(axial, scan(right=1, front=1)) == (0, 0)
    assert found(axial, scan()) == (4, 3)
    assert found(coronal, scan(right=1, head=1)) == (0, 0)
    assert found(sagittal, scan(front=1, head=1)) == (0, 0)
    assert [plane.sides for plane in (axial, coronal, sagittal)] == [("R", "L"), ("R", "L"), ("A", "P")]


def test_the_neurological_convention_is_the_mirror_image():
    ours, theirs = (upright.planes("RAS", 3, neurological=which) for which in (False, True))
    volume = np.random.default_rng(0).random((4, 5, 6))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(upright.cut(one, volume)[:, ::-1], upright.cut(other, volume))
        assert one.sides == other.sides[::-1]


@pytest.mark.parametrize(("kept", "across"), [("RA", 2), ("RS", 1), ("AS", 0)])
def test_a_slice_is_drawn_as_in_its_volume(kept, across):
    volume = np.random.default_rng(0).random((4, 5, 6))
    (whole,) = (plane for plane in upright.planes("RAS", 3) if plane.across == across)
    (alone,) = upright.planes(kept, 2)
    assert (alone.name, alone.sides) == (whole.name, whole.sides)
    np.testing.assert_array_equal(upright.cut(alone, volume.take(1, across)), upright.cut(whole, volume, 1))


def test_what_nobody_knows_is_shown_as_it_lies():
    image, volume = np.arange(6).reshape(2, 3), np.arange(24).reshape(2, 3, 4)
    (plane,) = upright.planes("", 2)
    np.testing.assert_array_equal(upright.cut(plane, image), image)
    np.testing.assert_array_equal(upright.cut(upright.planes("", 3)[0], volume), volume[1])


@pytest.mark.parametrize("axes", ["RAS", ""])
def test_a_box_is_where_its_voxels_are(axes):
    start, size, shape = np.array([1, 0, 2]), np.array([2, 3, 1]), np.array([4, 5, 6])
    volume = np.zeros(shape)
    volume[tuple(slice(at, at + side) for at, side in zip(start, size, strict=True))] = 1
    for plane in upright.planes(axes, 3):
        (row, column), (rows, columns) = upright.box(plane, start, size, shape)
        expected = np.zeros(upright.cut(plane, volume).shape)
        expected[row : row + rows, column : column + columns] = 1
        np.testing.assert_array_equal(upright.cut(plane, volume, start[plane.across]), expected)


def test_thick_slices_are_drawn_in_millimetres():
    volume = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    axial, coronal, sagittal = upright.planes("RAS", 3)
    thick = (1.0, 0.5, 2.5)
    found = upright.to_scale(coronal, volume, thick)
    assert found.shape == (round(3 * 2.5), 4)  # 7.5 mm high, 4 mm wide
    np.testing.assert_array_equal(found[[0, 3, -1]], upright.cut(coronal, volume))
    np.testing.assert_array_equal(upright.to_scale(axial, volume, thick), upright.cut(axial, volume).repeat(2, axis=1))
    assert upright.to_scale(sagittal, volume, thick).shape == (15, 6)
    for isotropic in ((0.7, 0.7, 0.7), (1.0, 1.0, 1.0000001), None):
        np.testing.assert_array_equal(upright.to_scale(sagittal, volume, isotropic), upright.cut(sagittal, volume))
    assert upright.to_scale(axial, volume[..., None], thick, 1)[0, 0, 0] == volume[3, 5, 1]


def test_a_plane_says_which_side_is_left():
    assert list(map(str, upright.planes("RAS", 3))) == [
        "axial: R on the left",
        "coronal: R on the left",
        "sagittal: A on the left",
    ]
    assert str(upright.planes("RS", 2, neurological=True)[0]) == "coronal: L on the left"
    assert str(upright.planes("", 3)[0]) == ""


@pytest.mark.parametrize(
    ("source", "rank", "axes"),
    [
        ({"orientation": "LAS"}, 3, "RAS"),
        ({"orientation": "LAS", "slice": {"plane": "coronal"}}, 2, "RS"),
        ({"orientation": "LPS", "shape": [30, 40]}, 2, "RA"),
        ({"orientation": "PSR", "shape": [30, 40, 1]}, 2, "AS"),
        ({"orientation": "PSR"}, 2, ""),
        ({"orientation": None}, 3, ""),
        ({}, 2, ""),
    ],
)
def test_the_stored_axes_are_those_of_ras_as_far_as_the_file_said_so(source, rank, axes):
    assert placement.stored_axes(source, rank) == axes


def test_an_orientation_that_was_guessed_has_no_letters():
    said, guessed = ({"orientation": "LAS", **more} for more in ({}, {"form": "none"}))
    assert [plane.sides for plane in upright.of_record(said, 3)] == [("R", "L"), ("R", "L"), ("A", "P")]
    assert [plane._replace(sides=()) for plane in upright.of_record(said, 3)] == [*upright.of_record(guessed, 3)]
