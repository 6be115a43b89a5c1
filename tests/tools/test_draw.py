"""Pictures of examples: which side of the patient is which, where the file says so."""

import nibabel
import numpy as np
import pytest

from tests.tools.converting import convert, examples, settings
from tools.overview import draw


def half_bright(axis, code):
    """A volume whose half towards the patient's side `code` is bright, as a file of turned axes has it."""
    affine = np.array([[0, 0, -2.0, 40], [-1.5, 0, 0, 30], [0, 1.0, 0, -10], [0, 0, 0, 1]])  # axes P, S, L
    voxels = np.zeros((12, 14, 16), np.int16)
    codes = nibabel.aff2axcodes(affine)
    place = next(number for number, found in enumerate(codes) if found in axis)
    half = voxels.shape[place] // 2
    where = [slice(None)] * 3
    where[place] = slice(half, None) if codes[place] == code else slice(half)
    voxels[tuple(where)] = 100
    return nibabel.Nifti1Image(voxels, affine)


def drawn(tmp_path, image, **options):
    (tmp_path / "raw").mkdir()
    nibabel.save(image, tmp_path / "raw" / "a.nii")
    convert(tmp_path / "raw", tmp_path / "out", settings(how="minmax", **options))
    return [draw.planes(one, ()) for one in examples(tmp_path / "out").values()]


@pytest.mark.parametrize(("axis", "code", "shown"), [("LR", "L", (0, 1)), ("LR", "R", (0, 1)), ("PA", "A", (2,))])
def test_the_letter_stands_on_the_side_it_names(tmp_path, axis, code, shown):
    (planes,) = drawn(tmp_path, half_bright(axis, code))
    assert [plane.sides for plane in planes] == [("R", "L"), ("R", "L"), ("A", "P")]
    for plane in (planes[number] for number in shown):
        ends = plane.pixels[:, 0].mean(), plane.pixels[:, -1].mean()
        assert plane.sides[int(np.argmax(ends))] == code


@pytest.mark.parametrize(("plane", "sides"), [("axial", "RL"), ("coronal", "RL"), ("sagittal", "AP")])
def test_single_slices_are_lettered_too(tmp_path, plane, sides):
    pictures = drawn(tmp_path, half_bright(sides, sides[1]), slices=plane)
    assert {one.sides for (one,) in pictures} == {tuple(sides)}
    assert all(one.pixels[:, -1].min() > one.pixels[:, 0].max() for (one,) in pictures)


def test_arrays_whose_sides_nobody_knows_have_no_letters(tmp_path):
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "a.npy", np.arange(12 * 14 * 16, dtype=np.int16).reshape(12, 14, 16))
    convert(tmp_path / "raw", tmp_path / "out")
    (example,) = examples(tmp_path / "out").values()
    assert [plane.sides for plane in draw.planes(example, ())] == [()] * 3


def test_letters_are_drawn_at_both_edges():
    black = np.zeros((40, 40, 3), np.uint8)
    lettered, bare = (np.asarray(draw.tile(draw.Plane(black, sides), "", 128)) for sides in (("L", "R"), ()))
    columns = np.flatnonzero((lettered != bare).any(axis=(0, 2)))
    assert columns.min() < 20
    assert columns.max() > 108
    assert not ((columns > 20) & (columns < 108)).any()
    assert lettered[50:78].max() > 200
