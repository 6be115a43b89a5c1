"""Pictures of examples: which side of the patient is which, where the file says so."""

import nibabel
import numpy as np
import pytest
from nibabel import orientations
from PIL import Image

from ssl3d_tf.data import phantoms as data_phantoms
from ssl3d_tf.data.records import manifest
from ssl3d_tf.evaluation import overlays
from tests.tools.converting import convert, examples, settings
from tools import phantoms
from tools.overview import contact_sheet, draw


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


def stored_as(codes):
    """One scan, its left half bright and a spot in front, above; as a file of these axes has it."""
    voxels = np.zeros((12, 14, 16), np.int16)
    voxels[:6] = 100  # of RAS: the left half
    voxels[3:9, 11:, 12:] = 200
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(codes))
    affine = np.diag([1.5, 2.0, 1.0, 1.0]) @ orientations.inv_ornt_aff(turn, voxels.shape)
    return nibabel.Nifti1Image(orientations.apply_orientation(voxels, turn), affine)


def halves(picture):
    """Mean brightness of the left and the right half."""
    middle = picture.shape[1] // 2
    return picture[:, :middle].mean(), picture[:, -middle:].mean()


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "SRP", "IPL"])
def test_left_stays_left_however_the_file_stores_it(codes, tmp_path):
    (planes,) = drawn(tmp_path, stored_as(codes))
    axial, coronal, sagittal = (plane.pixels.mean(axis=-1) for plane in planes)
    for picture in (axial, coronal):
        left, right = halves(picture)
        assert right > 2 * left  # the patient's left, which is bright, is on the right
    assert sagittal[:4, :3].mean() > sagittal[-4:, -3:].mean()  # front and head are left and up
    (example,) = examples(tmp_path / "out").values()
    mirrored = draw.planes(example, (), neurological=True)
    for one, other in zip(planes, mirrored, strict=True):
        np.testing.assert_array_equal(one.pixels[:, ::-1], other.pixels)
        assert one.sides == other.sides[::-1]


@pytest.mark.parametrize("codes", ["RAS", "LAS"])
def test_contact_sheet_and_overlay_agree_on_left(codes, tmp_path):
    drawn(tmp_path, stored_as(codes))
    data = manifest.read(tmp_path / "out")
    contact_sheet.write(tmp_path / "sheet.png", tmp_path / "out", data)
    (example,) = examples(tmp_path / "out").values()
    about = {"spacing_mm": example.spacing_mm, "source": example.source, "classes": {1: "a"}, "title": ""}
    volume = example.volume[..., 0].astype(np.float32)
    overlays.draw(tmp_path / "o.png", volume=volume, truth=None, predicted=np.zeros(volume.shape, int), **about)
    sheet, overlay = (np.asarray(Image.open(tmp_path / name).convert("L"), float) for name in ("sheet.png", "o.png"))
    for picture in (sheet[: draw.CAPTION_PX * 9, :128], overlay[40:200, 20:190]):  # the axial plane of each
        left, right = halves(picture)
        assert right > left + 40


def test_phantoms_stand_upright_with_the_liver_on_the_patient_s_right(tmp_path):
    volume, mask = data_phantoms.phantom(0, seed=0, shape=(32, 32, 32))
    (tmp_path / "raw").mkdir()
    phantoms._write(tmp_path / "raw" / "a.nii.gz", volume)
    phantoms._write(tmp_path / "raw" / "a_mask.nii.gz", mask)
    convert(tmp_path / "raw", tmp_path / "out")
    (example,) = examples(tmp_path / "out").values()
    values = (data_phantoms.CLASSES.index(name) for name in ("soft tissue", "spine", "heart", "liver"))
    body, spine, heart, liver = (np.argwhere(example.mask == value).mean(axis=0) for value in values)
    right, _, above = liver - body
    assert right > 0 > above
    assert spine[1] < heart[1]  # behind it


def test_classes_of_more_than_one_have_a_legend_and_whole_labels_none():
    names = {1: "liver", 7: "spleen\n"}
    assert draw.legend(names, 300).height == draw.CAPTION_PX
    assert draw.legend(names, 40).height == 2 * draw.CAPTION_PX
    assert draw.legend({1: "liver"}, 300).height == 0
    assert len(np.unique(np.asarray(draw.legend(names, 300)).reshape(-1, 3), axis=0)) > 4
    many = {value: f"class {value}" for value in range(1, 200)}
    assert draw.legend(many, 300).height < 60 * draw.CAPTION_PX


def test_letters_are_drawn_at_both_edges():
    black = np.zeros((40, 40, 3), np.uint8)
    lettered, bare = (np.asarray(draw.tile(draw.Plane(black, sides), "", 128)) for sides in (("L", "R"), ()))
    columns = np.flatnonzero((lettered != bare).any(axis=(0, 2)))
    assert columns.min() < 20
    assert columns.max() > 108
    assert not ((columns > 20) & (columns < 108)).any()
    assert lettered[50:78].max() > 200
