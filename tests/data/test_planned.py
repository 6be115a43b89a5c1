"""What the converter proposes: views that volumes fill, pooled until voxels are about cubes."""

import numpy as np
import pytest

from ssl3d_tf.data.folders import note_padding, open_folder
from ssl3d_tf.data.records import planned
from tests.conftest import make_folder

SLICE, BOTH, DEPTH = (2, 2, 1), (2, 2, 2), (1, 1, 2)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "view", "pool"),
    [
        ((240, 240, 155), (1, 1, 1), (128, 128, 128), (BOTH,) * 4),
        ((512, 512, 100), (0.7, 0.7, 5), (240, 240, 32), (SLICE, SLICE, BOTH, BOTH)),
        ((216, 256, 10), (1.4, 1.4, 8), (208, 256, 10), (SLICE, SLICE, BOTH, SLICE)),
        ((216, 256, 10), (1, 1, 1), (208, 256, 10), (BOTH, SLICE, SLICE, SLICE)),
        ((44, 44, 6), (0.7, 0.7, 1.25), (40, 40, 6), (SLICE,) * 3),
        ((35, 50, 35), (1, 1, 1), (32, 48, 32), (BOTH,) * 3),
        ((200, 200, 200), (1, 1, 0.25), None, (DEPTH, DEPTH, BOTH, BOTH)),
        ((5, 5, 5), (1, 1, 1), (5, 5, 5), ()),
    ],
)
def test_views_fill_volumes_and_are_pooled_until_voxels_are_about_cubes(shape, spacing_mm, view, pool):
    found, steps = planned.plan(shape, spacing_mm)
    assert steps == pool
    assert view is None or found == view
    assert np.prod(found) <= planned.CUBE**3
    assert all(side <= whole for side, whole in zip(found, shape, strict=True))
    factors = np.prod(steps, axis=0) if steps else 1
    assert not np.any(np.array(found) % factors)


def test_a_coarse_axis_is_resampled_to_one_of_its_finer_spacings():
    each = np.array([[1.0, 1.1, 5.0]] * 8 + [[1.2, 1.1, 3.0]] * 2)
    assert planned.target_spacing(each) == (1.0, 1.1, 3.0)
    assert planned.target_spacing(each[:, :2]) == (1.0, 1.1)


def test_only_what_is_not_taken_anyway_is_among_the_lines():
    def lines(view, pool):
        return planned.Planned((1, 1, 1), None, False, view, pool, False).params()

    assert lines((64, 64, 64), (BOTH,) * 4) == ["VIEW_SIZE=64"]
    assert lines((32, 48, 32), (BOTH,) * 3) == ["VIEW_SIZE=(32, 48, 32)", "LEVELS=3"]
    assert lines((64, 64, 8), (SLICE,) * 4) == [
        "VIEW_SIZE=(64, 64, 8)",
        "POOL=((2, 2, 1), (2, 2, 1), (2, 2, 1), (2, 2, 1))",
    ]


def test_padding_is_said_with_a_view_per_axis_where_volumes_are_no_cubes(tmp_path, capsys):
    make_folder(tmp_path, counts={"train": 2, "val": 2}, shapes=[(40, 48, 9)])
    note_padding(open_folder(tmp_path), (40, 48, 9))
    assert capsys.readouterr().out == ""
    note_padding(open_folder(tmp_path), 48)
    said = "; VIEW_SIZE=(40, 48, 8) LEVELS=3 POOL=((2, 2, 2), (2, 2, 1), (2, 2, 1)), say, saves that time.\n"
    assert capsys.readouterr().out.endswith(said)
