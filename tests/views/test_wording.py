"""Places and turns in words."""

import numpy as np
import pytest

from ssl3d_tf.data.records import upright
from ssl3d_tf.tasks import rotation
from ssl3d_tf.views import patches, volumes, wording

PATIENT, ARRAY, IMAGE = upright.directions("RAS", 3), upright.directions("", 3), upright.directions("", 2)


@pytest.mark.parametrize(
    ("number", "directions", "words"),
    [
        (26, PATIENT, "right-front-above"),
        (0, PATIENT, "left-back-below"),
        (22, PATIENT, "right"),
        (14, PATIENT, "above"),
        (13, PATIENT, "middle"),
        (26, ARRAY, "deeper-below-right"),
    ],
)
def test_a_patch_lies_where_it_is_said_to(number, directions, words):
    assert wording.from_middle(patches.grid(27, 3, rank=3), number, directions) == words


def test_of_larger_grids_steps_are_counted_and_of_images_there_are_two_axes():
    assert wording.from_middle(patches.grid(25, 5, rank=2), 3, IMAGE) == "above 2-right 1"


@pytest.mark.parametrize(
    ("turn", "directions", "words"),
    [
        (volumes.quarter_turn(3, 0, (0, 1)), PATIENT, "not rotated"),
        (volumes.quarter_turn(3, 2, (0, 1)), PATIENT, "rotated 180° about z"),
        (volumes.quarter_turn(3, 1, (0, 1)), PATIENT, "rotated 90° about z: right → front"),
        (volumes.quarter_turn(3, 3, (1, 2)), ARRAY, "rotated 90° about depth: below → left"),
        (volumes.quarter_turn(2, 1, (0, 1)), IMAGE, "rotated 90°: below → right"),
        (volumes.quarter_turn(2, 2, (0, 1)), IMAGE, "rotated 180°"),
    ],
)
def test_a_turn_is_told_by_its_angle_and_axis(turn, directions, words):
    assert wording.of_turn(turn, directions) == words


@pytest.mark.parametrize("turn", rotation.cube24()[1:])
def test_what_was_at_the_end_of_an_axis_is_where_the_words_say(turn):
    """Of every turn with an arrow: a volume that is bright at that end is then bright at the place that is named."""
    for arrow in wording.of_turn(turn, PATIENT).partition(": ")[2].split(", "):
        if not arrow:
            continue
        old, new = arrow.split(" → ")
        volume = side(old)
        turned = volumes.rotate_cube(volume[None, ..., None], np.array([0]), [turn]).numpy()[0, ..., 0]
        np.testing.assert_array_equal(turned, side(new))


def side(word):
    """A cube that is bright on the side of that name."""
    axis, end = next((axis, words.index(word) - 1) for axis, words in enumerate(PATIENT) if word in words[1:])
    cube = np.zeros((4, 4, 4), np.float32)
    cube[(slice(None),) * axis + (-end,)] = 1
    return cube


def test_the_24_turns_are_told_apart():
    said = {wording.of_turn(turn, PATIENT) for turn in rotation.cube24()}
    assert len(said) == 24
