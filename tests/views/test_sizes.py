"""One number for all axes or one per axis, and whole numbers drawn up to one per axis."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import draws, sizes


@pytest.mark.parametrize("size", [6, (6, 6, 6), [6, 6, 6], np.int64(6)])
def test_one_number_is_that_number_on_every_axis(size):
    assert sizes.sides(size, 3) == (6, 6, 6)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((128, 32), r"VIEW_SIZE is \(128, 32\), 2 numbers for 3 axes; give one for all, or one per axis\.$"),
        ((128, 0, 32), r"VIEW_SIZE is \(128, 0, 32\); it must be a whole number of at least 1, or one per axis"),
        ((128, 32.0, 32), "must be a whole number"),
        ("128", "VIEW_SIZE is '128'; it must be a whole number of at least 1, or one per axis"),
        (True, "must be a whole number"),
    ],
)
def test_what_is_no_size_is_one_line(size, said):
    with pytest.raises(InputError, match=said) as caught:
        sizes.sides(size, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("most", [0, 1, 4, 100])
def test_one_range_for_all_axes_draws_what_tensorflow_draws(most):
    """So that cubes are cut where they were cut before there were other views."""
    for number in range(4):
        expected = tf.random.stateless_uniform((27, 3), (7, number), 0, most + 1, tf.int32)
        np.testing.assert_array_equal(draws.up_to((most,) * 3, (7, number), 27), expected)


def test_every_axis_is_drawn_up_to_its_own_end_and_no_further():
    drawn = draws.starts((12, 5, 9), (4, 5, 6), (1, 2), 200).numpy()
    assert drawn.min(axis=0).tolist() == [0, 0, 0]
    assert drawn.max(axis=0).tolist() == [8, 0, 3]
    assert np.bincount(drawn[:, 2], minlength=4).min() > 25
