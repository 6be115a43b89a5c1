"""tools/readers/claims: of several modalities that a mask may be of by its name, the one on whose grid it lies."""

import nibabel
import numpy as np
import pytest

from tests.tools.converting import convert, examples
from tools.readers import files, grids, layouts

SMALL, LARGE = (8, 9, 10), (12, 13, 14)
FINE = np.diag([0.5, 0.5, 3, 1])


def save(path, shape=SMALL, affine=None, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    image = nibabel.Nifti1Image(values if seed else (values > 450).astype(np.uint8), np.eye(4))
    image.set_sform(np.eye(4) if affine is None else affine, 1)
    nibabel.save(image, path)


def masks(root):
    """Image -> mask, the reasons of strays, and the notes of grids."""
    found = layouts.find(layouts.Request(str(root)))
    pairs = {item.path: item.mask for item in found.items if item.mask}
    return pairs, [fault.reason for fault in found.faults], [note for note in found.notes if "on whose grid" in note]


def test_the_modality_on_its_grid_is_the_scan_of_a_mask(tmp_path):
    root = tmp_path / "raw"
    for case in ("10_1", "11_2"):  # as PI-CAI has them
        save(root / f"images/{case[:2]}/{case}_t2w.nii.gz", LARGE, FINE, seed=int(case[:2]))
        for number, kind in enumerate(("adc", "hbv")):
            save(root / f"images/{case[:2]}/{case}_{kind}.nii.gz", seed=5 + number)
        save(root / f"labels/{case}.nii.gz", LARGE, FINE)
    assert masks(root)[0] == {f"images/{c[:2]}/{c}_t2w.nii.gz": f"labels/{c}.nii.gz" for c in ("10_1", "11_2")}
    (note,) = masks(root)[2]
    assert note == (
        "2 masks that by their names are of several scans go to the one on whose grid they lie, such as "
        "labels/10_1.nii.gz of images/10/10_1_t2w.nii.gz."
    )
    convert(root, tmp_path / "out")
    made = {name for name, one in examples(tmp_path / "out").items() if one.mask is not None}
    assert made == {"images/10/10_1_t2w", "images/11/11_2_t2w"}


@pytest.mark.parametrize("affine", [np.diag([1, 1, 2, 1]), np.array(FINE) + np.eye(4, k=3)])
def test_one_shape_elsewhere_is_another_grid(tmp_path, affine):
    save(tmp_path / "p/CT.nii", affine=affine, seed=1)
    save(tmp_path / "p/SUV.nii", seed=2)
    save(tmp_path / "p/SEG.nii")
    assert masks(tmp_path)[0] == {"p/SUV.nii": "p/SEG.nii"}


def test_axes_may_lie_otherwise_in_the_file(tmp_path):
    turned = np.array([[-1.0, 0, 0, 7], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    save(tmp_path / "p/CT.nii", LARGE, seed=1)
    save(tmp_path / "p/SUV.nii", seed=2)
    save(tmp_path / "p/SEG.nii", (8, 10, 9), turned)
    assert masks(tmp_path)[0] == {"p/SUV.nii": "p/SEG.nii"}


def test_two_on_one_grid_or_none_leave_it_open(tmp_path):
    for number, kind in enumerate(("flair", "dwi", "adc")):
        save(tmp_path / f"a/s_{kind}.nii", LARGE if kind == "flair" else SMALL, seed=1 + number)
        save(tmp_path / f"b/s_{kind}.nii", LARGE, seed=1 + number)
    for case in "ab":
        save(tmp_path / f"{case}/s_seg.nii")
    pairs, reasons, notes = masks(tmp_path)
    assert (pairs, notes) == ({}, [])
    assert all("fits no scan alone" in reason for reason in reasons)
    (first, _) = (fault for fault in layouts.find(layouts.Request(str(tmp_path))).faults)
    assert "name it as a/s_adc.nii or a/s_dwi.nii is" in first.remedy  # those on its grid


def test_visits_are_not_told_by_grids_and_headers_that_say_nothing_leave_it_open(tmp_path):
    for visit, shape in ((1, LARGE), (2, SMALL)):
        save(tmp_path / f"v/raw/7/visit{visit}/img.nii", shape, seed=visit)
    save(tmp_path / "v/seg/7/mask.nii")
    save(tmp_path / "w/CT.nii", LARGE, seed=1)
    save(tmp_path / "w/SUV.nii", seed=2)
    save(tmp_path / "w/SEG.nii")
    assert masks(tmp_path / "v")[0] == {}
    (tmp_path / "w/CT.nii").write_bytes(b"broken")
    assert masks(tmp_path / "w")[0] == {}


def test_a_grid_is_that_of_the_volume_as_it_is_read(tmp_path):
    turned = np.array([[0, 0, -2.0, 7], [0.5, 0, 0, -1], [0, 1, 0, 0], [0, 0, 0, 1]])
    save(tmp_path / "a.nii.gz", affine=turned, seed=1)
    (grid, volume) = (files.grid(tmp_path / "a.nii.gz"), files.read(tmp_path / "a.nii.gz"))
    assert grid.shape == volume.voxels.shape[:3]
    np.testing.assert_allclose(grid.affine, volume.affine)
    assert grids.are_one(grid, grid._replace(affine=grid.affine + 0.01 * np.eye(4, k=3)))
    assert not grids.are_one(grid, grid._replace(affine=grid.affine + np.eye(4, k=3)))
