"""DICOM-SEG and RTSTRUCT: the mask of the series they refer to, on its grid, or one line that says why not."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tests.tools import dicom_files, dicom_mask_files
from tests.tools.converting import convert, examples, run
from tests.tools.dicom_mask_files import FRAME, write_seg, write_structures
from tests.tools.test_dicom import AXIAL, oblique, sagittal
from tools.readers import dicom, grids, items, layouts, segmentation
from tools.readers.contract import UnusableFileError
from tools.readers.dicom_masks import Choice
from tools.voxels import contours

SHAPE = (11, 9, 8)


def voxels(shape=SHAPE):
    return np.random.default_rng(0).integers(0, 900, shape).astype(np.int16)


def blobs(shape=SHAPE):
    """Two regions that do not touch, in some slices only."""
    liver, spleen = np.zeros(shape, bool), np.zeros(shape, bool)
    liver[1:5, 2:8, 2:6], spleen[7:10, 1:4, 3:5] = True, True
    return {"Liver": liver, "spleen": spleen}


def study(folder, affine=AXIAL, **changes):
    dicom_files.write_series(folder / "ct", voxels(), affine, FrameOfReferenceUID=FRAME, **changes)
    return folder


def load(root, **choice):
    """Volume and mask of the one example of `root`, and the listing."""
    listing = layouts.find(layouts.Request(str(root), dicom_masks=Choice(**choice)))
    (item,) = listing.items
    return *items.load(root, item), listing


def reason(root, **choice):
    with pytest.raises(UnusableFileError) as caught:
        load(root, **choice)
    return str(caught.value)


def expected(regions, affine, order=None):
    """The mask as NIfTI of the same study would have it: names in alphabetical order."""
    labels = sum(np.where(regions[name], number, 0) for number, name in enumerate(order or sorted(regions), 1))
    return nibabel.as_closest_canonical(nibabel.Nifti1Image(labels.astype(np.uint8), affine)).get_fdata()


@pytest.mark.parametrize("affine", [AXIAL, oblique(), sagittal()], ids=["axial", "oblique", "sagittal"])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_a_segmentation_is_the_mask_of_its_series(tmp_path, affine, kind):
    study(tmp_path, affine)
    write_seg(tmp_path / "seg.dcm", blobs(), affine, kind=kind, order=np.random.default_rng(1).permutation)
    volume, mask, listing = load(tmp_path)
    np.testing.assert_array_equal(mask.voxels[..., 0], expected(blobs(), affine))
    assert grids.difference(volume, mask) is None
    assert listing.classes == {"0": "background", "1": "Liver", "2": "spleen"}
    assert not listing.faults


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_real_frames_of_bits_are_read_as_pydicom_reads_them(name):
    with dicom.opened(Path(pydicom.data.get_testdata_file(name, download=False))) as data:
        (frame,) = segmentation._frames(data)
        np.testing.assert_array_equal(frame, data.pixel_array)
        assert segmentation.names(data) == ("Liver",)


def test_half_of_the_largest_fraction_is_within(tmp_path):
    shares = np.zeros(SHAPE)
    shares[2, 2, 2], shares[3, 2, 2] = 0.5, 0.495
    write_seg(study(tmp_path) / "seg.dcm", {"a": shares}, AXIAL, kind="FRACTIONAL")
    assert load(tmp_path)[1].voxels.sum() == 1


def test_names_have_one_number_over_all_studies_and_odd_spellings_are_told(tmp_path):
    for number, names in enumerate((("tumour", "Kidney"), ("kidney", "Ureter"))):
        changes = {"series": f"1.2.{number}", "patient": f"P{number}"}
        study(tmp_path / "raw" / f"p{number}", **changes)
        regions = dict(zip(names, blobs().values(), strict=True))
        write_seg(tmp_path / "raw" / f"p{number}" / "seg", regions, AXIAL, series=f"1.2.{number}")
    convert(tmp_path / "raw", tmp_path / "out")
    classes = manifest.read(tmp_path / "out").classes
    assert classes == {"0": "background", "1": "Kidney", "2": "Ureter", "3": "kidney", "4": "tumour"}
    assert {tuple(np.unique(one.mask)) for one in examples(tmp_path / "out").values()} == {(0, 1, 4), (0, 2, 3)}
    notes = layouts.find(layouts.Request(str(tmp_path / "raw"))).notes
    assert any("'Kidney', 'kidney'" in note and "--relabel" in note for note in notes)


def test_overlapping_segments_are_refused_until_their_order_is_given(tmp_path):
    regions = {"body": np.ones(SHAPE, bool), **blobs()}
    write_seg(study(tmp_path) / "seg.dcm", regions, AXIAL)
    assert "'body' and 'Liver' overlap in 24 voxels of slice 3; --segments='body,Liver'" in reason(tmp_path)
    _, mask, listing = load(tmp_path, segments=("body", "Liver", "spleen"))
    on_top = {**regions, "body": regions["body"] & ~regions["Liver"] & ~regions["spleen"]}
    np.testing.assert_array_equal(mask.voxels[..., 0], expected(on_top, AXIAL, ("body", "Liver", "spleen")))
    assert [listing.classes[str(number)] for number in (1, 2, 3)] == ["body", "Liver", "spleen"]
    _, mask, listing = load(tmp_path, segments=("spleen",))
    np.testing.assert_array_equal(mask.voxels[..., 0], expected({"spleen": regions["spleen"]}, AXIAL))
    assert any("leaves out Liver, body" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("shape", "change", "said"),
    [
        ((13, 9, 8), np.eye(4), "9 × 13 pixels, the image has 9 × 11"),
        (SHAPE, np.diag([1.5, 1, 1, 1]), "pixels of 0.7 × 1.05 mm, the image's are 0.7 × 0.7"),
        (SHAPE, np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "begins 0.5 columns and"),
        (SHAPE, np.diag([-1.0, 1, 1, 1]), "turned by 180°"),
        (SHAPE, np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1.0]]), "frame 1 lies between slices"),
        (SHAPE, np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 9], [0, 0, 0, 1.0]]), "outside of the image's slices"),
    ],
)
def test_a_segmentation_on_another_grid_is_refused_with_the_difference(tmp_path, shape, change, said):
    write_seg(study(tmp_path) / "seg.dcm", blobs(shape), AXIAL @ change)
    assert said in reason(tmp_path)


def test_several_masks_of_a_series_are_named_with_the_flag_that_chooses(tmp_path):
    study(tmp_path / "raw")
    write_seg(tmp_path / "raw" / "ai.dcm", blobs(), AXIAL, ContentLabel="ROBOT")
    write_seg(tmp_path / "raw" / "dr.dcm", {"Liver": blobs()["Liver"]}, AXIAL, SeriesDescription="by Dr. X")
    found = layouts.find(layouts.Request(str(tmp_path / "raw")))
    assert not found.items
    assert found.faults[0].reason == "it has 2 masks: ai.dcm 'ROBOT', dr.dcm 'by Dr. X'"
    assert "--dicom_masks" in found.faults[0].remedy
    for pattern in ("by dr*", "dr.dcm"):
        assert load(tmp_path / "raw", files=pattern)[1].voxels.max() == 1
    with pytest.raises(InputError, match="--dicom_masks=prof matches none of 2"):
        load(tmp_path / "raw", files="prof")
    done = run(f"--input={tmp_path / 'raw'}", f"--output={tmp_path / 'out'}", "--dicom_masks=dr*", "--segments=Liver")
    assert (done.returncode, "1 with masks" in done.stdout) == (0, True), done.stderr


def test_flags_of_dicom_are_refused_where_nothing_reads_them(tmp_path):
    np.save(tmp_path / "a.npy", voxels())
    with pytest.raises(InputError, match="--segments are of layout dicom, and this is folder"):
        layouts.find(layouts.Request(str(tmp_path), dicom_masks=Choice(segments=("a",))))
    study(tmp_path / "dicom")
    with pytest.raises(InputError, match="matches none of 0"):
        load(tmp_path / "dicom", segments=("a",))


def test_a_mask_finds_its_series_by_instance_by_series_or_by_frame_of_reference(tmp_path):
    for number in range(2):
        study(tmp_path / f"s{number}", series=f"1.2.{number}")
    uids = dicom_mask_files.instances(tmp_path / "s1" / "ct")
    for path, refers in {
        "instance": {"series": "1.9.9", "images": uids},
        "series": {"series": "1.2.1"},
    }.items():
        write_seg(tmp_path / path, blobs(), AXIAL, **refers)
        found = layouts.find(layouts.Request(str(tmp_path))).items
        assert [item.mask for item in found if item.series[0].startswith("s1")] == [path]
        assert sum(item.mask is not None for item in found) == 1
        (tmp_path / path).unlink()
    write_seg(tmp_path / "frame", blobs(), AXIAL, series=None)
    (fault,) = layouts.find(layouts.Request(str(tmp_path))).faults
    assert fault.reason == "it names no series, and 2 have its frame of reference"
    for path in (tmp_path / "s0" / "ct").iterdir():
        path.unlink()
    assert load(tmp_path)[1].voxels.max() == 2


@pytest.mark.parametrize(
    ("refers", "said"),
    [
        ({"series": "1.2.4444444"}, "it refers to ….4444444"),
        ({"frame": "1.2.10"}, "its frame of reference is not that"),
    ],
)
def test_a_mask_of_no_image_here_is_named(tmp_path, refers, said):
    write_seg(study(tmp_path) / "seg.dcm", blobs(), AXIAL, **refers)
    _, mask, listing = load(tmp_path)
    assert mask is None
    assert listing.faults[0].path == "seg.dcm"
    assert listing.faults[0].reason.startswith(said)


def test_a_second_copy_of_a_mask_is_no_second_mask(tmp_path):
    write_seg(study(tmp_path) / "seg.dcm", blobs(), AXIAL)
    (tmp_path / "seg (1).dcm").write_bytes((tmp_path / "seg.dcm").read_bytes())
    assert load(tmp_path)[1].voxels.max() == 2


# RTSTRUCT

SIDE, MM = 48, np.diag([-1.0, -1, 1, 1]) + np.array([[0, 0, 0, 20.0], [0, 0, 0, 30], [0, 0, 0, -9], [0, 0, 0, 0]])


def ring(radius, centre, z, count=90, affine=MM):
    """A circle in slice `z`, in mm; radius and centre in voxels."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.c_[centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), np.full(count, float(z))]
    return points @ affine[:3, :3].T + affine[:3, 3]


def scanned(root, contour, affine=MM, **changes):
    """The mask of `contour` on a cube of SIDE, as [columns, rows, slices] of the file."""
    stored = voxels((SIDE, SIDE, SIDE))
    dicom_files.write_series(root / "ct", stored, affine, FrameOfReferenceUID=FRAME)
    write_structures(root / "rs.dcm", contour, **changes)
    volume, mask, _ = load(root)
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(stored, affine))
    np.testing.assert_array_equal(volume.voxels[..., 0], turned.get_fdata())
    back = nibabel.orientations.io_orientation(np.linalg.inv(affine) @ turned.affine)
    return nibabel.orientations.apply_orientation(mask.voxels[..., 0], back)


def dice(one, other):
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


@pytest.mark.parametrize("affine", [MM, oblique() @ np.diag([1 / 0.8, 1 / 1.1, 1 / 3, 1])], ids=["axial", "oblique"])
def test_a_sphere_has_its_volume_and_place(tmp_path, affine):
    centre, radius = np.array([22.3, 25.6, 23.2]), 15.4
    places = [z for z in range(SIDE) if abs(z - centre[2]) < radius]
    rings = [("ball", ring(np.sqrt(radius**2 - (z - centre[2]) ** 2), centre, z, affine=affine)) for z in places]
    mask = scanned(tmp_path, rings, affine) > 0
    truth = sum(np.square(axis - c) for axis, c in zip(np.mgrid[:SIDE, :SIDE, :SIDE], centre, strict=True)) < radius**2
    assert mask.sum() == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    assert dice(mask, truth) > 0.99


def keyhole(outer, inner):
    """One contour: around the outer, in through a channel without area, around the inner the other way, and out."""
    return np.concatenate([outer, outer[:1], inner[:1], inner[::-1], outer[:1]])


@pytest.mark.parametrize("how", ["two contours", "keyhole", "CLOSEDPLANAR_XOR"])
def test_a_hole_is_not_filled(tmp_path, how):
    centre = (23.4, 24.2)
    rings = []
    for z in range(10, 20):
        outer, inner = ring(16, centre, z), ring(7, centre, z)
        rings += [("tube", keyhole(outer, inner))] if how == "keyhole" else [("tube", outer), ("tube", inner)]
    mask = scanned(tmp_path, rings, kind=how if how.startswith("CLOSED") else "CLOSED_PLANAR") > 0
    assert mask.sum() == pytest.approx(10 * np.pi * (16**2 - 7**2), rel=0.02)
    assert not mask[20:27, 21:28].any()
    assert not mask[..., :10].any()


def test_islands_in_one_slice_are_one_region_and_regions_have_names(tmp_path):
    rings = [(name, ring(4, centre, 30)) for name, centre in (("b", (9, 9)), ("a", (24, 24)), ("b", (38, 12)))]
    mask = scanned(tmp_path, [*rings, rings[0]])  # a contour that is there twice is no hole
    assert [mask[x, y, 30] for x, y in ((9, 9), (24, 24), (38, 12), (1, 1))] == [2, 1, 2, 0]


@pytest.mark.parametrize(
    ("contour", "said"),
    [
        ([("a", ring(5, (9, 9), 3.5))], "contour 1 of 'a' lies between slices 4 and 5 of the image, 1 mm apart"),
        ([("a", ring(5, (9, 9), -4))], "lies 4 mm outside of the image's slices"),
        ([("a", ring(5, (9, 9), 3) + np.linspace(0, 2, 90)[:, None])], "runs across slices"),
        ([("a", ring(5, (2, 9), 3))], "reaches 2.5 pixels beyond the image"),
        ([("a", ring(5, (20, 20), 3)), ("a", ring(5, (24, 20), 3))], "two contours cross one another in slice 4"),
        ([("a", ring(5, (20, 20), 3)), ("b", ring(5, (24, 20), 3))], "'a' and 'b' overlap"),
        ([("a", ring(5, (20, 20), z)) for z in (3, 6, 9)], "the contours of 'a' are 3 slices apart and more"),
    ],
)
def test_contours_that_do_not_say_what_is_within_are_refused(tmp_path, contour, said):
    with pytest.raises(UnusableFileError, match=said):
        scanned(tmp_path, contour)


def test_points_and_lines_are_no_regions(tmp_path):
    study(tmp_path)
    write_structures(tmp_path / "rs.dcm", [("isocentre", ring(3, (9, 9), 1)[:1])], kind="POINT")
    _, mask, listing = load(tmp_path)
    assert mask is None
    assert listing.faults[0].reason == "it has no segment, and no closed contour"


def test_neighbours_share_no_pixel_and_leave_none_out():
    left = contours.filled(np.array([[-0.5, -0.5], [3.0, -0.5], [3.0, 5.5], [-0.5, 5.5]]), (6, 8))
    right = contours.filled(np.array([[3.0, -0.5], [7.5, -0.5], [7.5, 5.5], [3.0, 5.5]]), (6, 8))
    np.testing.assert_array_equal(left ^ right, True)
    assert not (left & right).any()


def test_a_triangle_has_the_pixels_within_it():
    mask = contours.filled(np.array([[0.5, 0.5], [6.5, 0.5], [0.5, 6.5]]), (8, 8))
    rows, columns = np.mgrid[:8, :8]
    np.testing.assert_array_equal(mask, (rows >= 1) & (columns >= 1) & (rows + columns < 7))
