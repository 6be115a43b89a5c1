"""Contact sheets of views: the plane that is asked for, each in its own range, white between them."""

import functools

import numpy as np

from ssl3d_tf.data.records import upright
from ssl3d_tf.views import pictures


def test_volumes_are_drawn_as_people_look_at_scans():
    views = np.zeros((3, 16, 16, 16, 1), np.float32)
    views[:, 8:, 8:] = 5  # right, front
    axial, *_ = upright.planes("RAS", 3)
    sheet = pictures.contact_sheet({"a": views}, 3, look=functools.partial(upright.cut, axial), columns=2)
    assert sheet.shape == (33, 33, 1)
    tile = sheet[:16, :16, 0]
    assert tile[:8, :8].min() == 1  # on the left, up
    assert tile[8:].max() == tile[:, 8:].max() == 0
    assert sheet[16].min() == sheet[:, 16].min() == 1  # between the tiles
    assert sheet[17:, 17:].min() == 1  # where there is no fourth
    np.testing.assert_array_equal(tile, sheet[17:, :16, 0])


def test_photographs_keep_rows_and_colours():
    views = np.random.default_rng(0).random((1, 8, 6, 3)).astype(np.float32)
    (plane,) = upright.planes("", 2)
    sheet = pictures.contact_sheet(views, 2, look=functools.partial(upright.cut, plane), columns=1)
    expected = (views[0] - views[0].min()) / np.ptp(views[0])
    np.testing.assert_allclose(sheet, expected, atol=1e-6)


def test_only_the_first_views_are_drawn_and_of_patches_each():
    views = np.random.default_rng(0).random((9, 5, 4, 4, 4, 2)).astype(np.float32)
    sheet = pictures.contact_sheet(views, 3, look=lambda view: view[0], columns=3, rows=2)
    assert sheet.shape == (9, 14, 1)
