"""DICOM: the same record as from the NIfTI of a study, or one line that says why not."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tests.tools import dicom_files as made
from tests.tools.converting import convert, examples, settings
from tools.conversion import publication
from tools.readers import dicom, layouts, series
from tools.readers.contract import UnusableFileError

AXIAL = np.diag([-0.7, -0.7, 2.5, 1.0]) + np.array([[0, 0, 0, 30.0], [0, 0, 0, 40], [0, 0, 0, -50], [0, 0, 0, 0]])


def oblique():
    a, b = 0.3, -0.2
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([-0.8, -1.1, 3.0]), (12.5, -7.25, 3.5)
    return matrix


def sagittal():
    return np.array([[0, 0, 1.5, -20], [-0.9, 0, 0, 30], [0, -0.9, 0, 40], [0, 0, 0, 1.0]])


def tilted():
    """A gantry leant by 20°: slices follow one another along the table, not along their normal."""
    lean = np.deg2rad(20)
    return np.array([[-0.7, 0, 0, 9], [0, -0.7 * np.cos(lean), 0, 8], [0, -0.7 * np.sin(lean), 3, 7], [0, 0, 0, 1]])


def voxels(shape=(7, 6, 8), low=-1000, high=2000):
    return np.random.default_rng(0).integers(low, high, shape).astype(np.int16)


def listed(root):
    return layouts.find(layouts.Request(str(root)))


def refused(root):
    found = listed(root)
    assert not found.items
    return found.faults[0].reason


def read(root):
    (item,) = listed(root).items
    return series.read([root / name for name in item.series])


@pytest.mark.parametrize(
    "affine", [AXIAL, oblique(), sagittal(), tilted()], ids=["axial", "oblique", "sagittal", "tilted"]
)
@pytest.mark.parametrize("is_enhanced", [False, True])
@pytest.mark.parametrize("how", ["none", "percentile", "ct_window:-100,400"])
def test_dicom_and_nifti_of_a_study_give_one_record(tmp_path, affine, is_enhanced, how):
    (tmp_path / "nifti").mkdir()
    nibabel.save(nibabel.Nifti1Image(voxels(), affine), tmp_path / "nifti" / "a.nii.gz")
    if is_enhanced:
        made.write_enhanced(tmp_path / "dicom" / "a.dcm", voxels(), affine)
    else:
        made.write_series(tmp_path / "dicom", voxels(), affine)
    for name in ("nifti", "dicom"):
        convert(tmp_path / name, tmp_path / f"{name}_out", settings(how=how))
    (one,), (other,) = (examples(tmp_path / f"{name}_out").values() for name in ("nifti", "dicom"))
    assert (one.volume.dtype, one.volume.tobytes()) == (other.volume.dtype, other.volume.tobytes())
    assert (one.scale, one.offset) == (other.scale, other.offset)
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)
    np.testing.assert_allclose(one.spacing_mm, other.spacing_mm, atol=1e-4)
    assert one.source["orientation"] == other.source["orientation"]


def test_slope_and_intercept_are_those_of_each_slice(tmp_path):
    made.write_series(tmp_path / "a", voxels(low=0), AXIAL, skip=range(4, 8), RescaleSlope=2, RescaleIntercept=-1024)
    made.write_series(tmp_path / "b", voxels(low=0), AXIAL, skip=range(4), RescaleSlope=3, RescaleIntercept=-10)
    found, stored = read(tmp_path), voxels(low=0)[::-1, ::-1, :, None].astype(int)
    assert found.voxels.dtype == np.int32
    np.testing.assert_array_equal(found.voxels[:, :, :4], stored[:, :, :4] * 2 - 1024)
    np.testing.assert_array_equal(found.voxels[:, :, 4:], stored[:, :, 4:] * 3 - 10)


def test_a_fractional_slope_gives_floats(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL, RescaleSlope=0.5, RescaleIntercept=1)
    found = read(tmp_path).voxels
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., 0], voxels()[::-1, ::-1] * 0.5 + 1)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.int16, -1)])
def test_monochrome1_is_inverted(tmp_path, dtype, top):
    stored = np.arange(7 * 6 * 8).reshape(7, 6, 8).astype(dtype)
    made.write_series(tmp_path, stored, AXIAL, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(tmp_path).voxels[..., 0], top - stored[::-1, ::-1].astype(int))


def test_each_series_is_an_example_and_patients_stay_together(tmp_path):
    for number, patient in enumerate(("P1", "P1", "P2")):
        made.write_series(tmp_path / f"s{number}", voxels(), AXIAL, series=f"1.2.{number}", patient=patient)
    items = listed(tmp_path).items
    assert (len({item.id for item in items}), len({item.patient for item in items})) == (3, 2)


def test_series_that_share_a_folder_are_told_apart(tmp_path):
    made.write_series(tmp_path / "a", voxels(), AXIAL)
    made.write_series(tmp_path / "b", voxels(high=5), AXIAL, series="1.2.4")
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / "a" / f"other{path.name}")
    assert [len(item.series) for item in listed(tmp_path).items] == [8, 8]


def test_a_missing_slice_is_refused_with_its_gap(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL, skip=(3,))
    assert refused(tmp_path) == "slices 3 and 4 of 7 are 5 mm apart, most 2.5 mm"


def test_slices_at_one_place_are_refused(tmp_path):
    made.write_series(tmp_path / "a", voxels(), AXIAL)
    made.write_series(tmp_path / "b", voxels(), AXIAL, skip=range(1, 8))
    assert refused(tmp_path).startswith("two slices lie at one place (IM008")


@pytest.mark.parametrize(
    ("shape", "affine", "reason"),
    [
        ((9, 6, 8), AXIAL, "different shapes: 6 × 7, 6 × 9"),
        ((7, 6, 8), sagittal(), "different orientations"),
        ((7, 6, 8), AXIAL @ np.diag([2, 1, 1, 1]), "differ in pixel size"),
    ],
)
def test_a_series_of_two_stacks_is_refused(tmp_path, shape, affine, reason):
    made.write_series(tmp_path / "a", voxels(), AXIAL, skip=range(4, 8))
    made.write_series(tmp_path / "b", voxels(shape), affine, skip=range(4))
    assert reason in refused(tmp_path)


def test_frames_without_places_of_their_own_are_refused(tmp_path):
    data = made.set_pixels(made.header(), np.ascontiguousarray(voxels().T))
    data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing = made.place(AXIAL, 0)
    made.save(data, tmp_path / "a.dcm")
    assert refused(tmp_path) == "its slices do not say where they lie"


@pytest.mark.filterwarnings("ignore")  # nibabel calls its own reader experimental
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "693_J2KI.dcm"])
def test_real_slices_are_read_as_nibabel_reads_them(name):
    from nibabel.nicom import dicomwrappers  # warns when it is imported

    path = dicom.pydicom.data.get_testdata_file(name, download=False)
    expected = dicomwrappers.wrapper_from_file(path)
    found = series.read([Path(path)])
    rows_first = np.array(found.origin["affine"])[:, [1, 0, 3]]
    np.testing.assert_allclose(rows_first, (np.diag([-1, -1, 1, 1]) @ expected.affine)[:, [0, 1, 3]], atol=1e-6)
    np.testing.assert_array_equal(found.voxels[..., 0], expected.get_data().T[::-1, ::-1])


def test_slices_off_one_line_are_refused(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    data = dicom.pydicom.dcmread(tmp_path / "IM004")
    data.ImagePositionPatient = [data.ImagePositionPatient[0] + 3, *data.ImagePositionPatient[1:]]
    made.save(data, tmp_path / "IM004")
    assert "one line" in refused(tmp_path)


@pytest.mark.parametrize("changes", [{"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, {}])
def test_scouts_are_left_out_with_a_reason(tmp_path, changes):
    made.write_series(tmp_path, voxels((7, 6, 8 if changes else 3)), AXIAL, **changes)
    assert refused(tmp_path) in ("it is a localizer, of 8 files", "its series has 3 slices, fewer than 5")


def test_colours_reports_and_lookup_tables_are_left_out(tmp_path):
    made.write_series(tmp_path / "rgb", voxels(), AXIAL, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    made.save(made.header(Modality="RTSTRUCT"), tmp_path / "plan")
    reasons = {fault.reason for fault in listed(tmp_path).faults}
    assert "its pixels are RGB, not grey" in reasons
    assert "plan holds no image of 8, 16 or 32 bits (RTSTRUCT)" in reasons


def test_a_radiograph_is_2d_with_its_pixel_size(tmp_path):
    data = made.set_pixels(made.header(ImagerPixelSpacing=[0.2, 0.1]), np.arange(30, dtype=np.uint16).reshape(5, 6))
    made.save(data, tmp_path / "a.dcm")
    found = read(tmp_path)
    np.testing.assert_array_equal(found.voxels[..., 0], np.arange(30).reshape(5, 6))
    assert (found.rank, found.spacing_mm, found.origin["orientation"]) == (2, (0.2, 0.1), None)


def test_files_without_a_preamble_are_read_by_their_name(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    for path in sorted(tmp_path.iterdir()):
        data = dicom.pydicom.dcmread(path)
        path.unlink()
        del data.file_meta
        data.save_as(path.with_suffix(".dcm"), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read(tmp_path).voxels[..., 0], voxels()[::-1, ::-1])


def test_run_length_encoding_is_read(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    for path in tmp_path.iterdir():
        data = dicom.pydicom.dcmread(path)
        data.compress(dicom.pydicom.uid.RLELossless)
        data.save_as(path)
    np.testing.assert_array_equal(read(tmp_path).voxels[..., 0], voxels()[::-1, ::-1])


def test_compression_that_nothing_here_reads_is_named(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    for path in tmp_path.iterdir():
        data = dicom.pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = dicom.pydicom.uid.JPEGLSLossless
        data.PixelData = dicom.pydicom.encaps.encapsulate([bytes(84)])
        data["PixelData"].VR = "OB"
        data.save_as(path)
    assert refused(tmp_path) == "it is compressed as JPEG-LS Lossless Image Compression"


def test_headers_that_promise_more_than_the_file_holds_are_refused(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    for path in tmp_path.iterdir():
        data = dicom.pydicom.dcmread(path)
        data.Rows = data.Columns = 65535
        data.save_as(path)
    assert "its header promises 8589672450 bytes" in refused(tmp_path)


def test_the_size_limit_counts_all_slices(tmp_path):
    made.write_series(tmp_path, voxels(), AXIAL)
    paths = sorted(tmp_path.iterdir())
    assert series.probe(paths).voxel_bytes == 7 * 6 * 8 * 2
    with pytest.raises(UnusableFileError, match="more than --max_gb"):
        series.read(paths, max_bytes=600)


def test_damaged_files_are_quarantined_and_the_rest_converts(tmp_path):
    made.write_series(tmp_path / "raw" / "a", voxels(), AXIAL)
    made.write_series(tmp_path / "raw" / "b", voxels(), AXIAL, series="1.2.4")
    cut = tmp_path / "raw" / "b" / "IM004"
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "raw" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    summary = convert(tmp_path / "raw", tmp_path / "out")
    assert len(examples(tmp_path / "out")) == 1
    assert {fault.path for fault in summary.faults} >= {"b/IM004"}


def test_records_hold_no_names_dates_or_ids_of_patients(tmp_path):
    made.write_series(tmp_path / "raw" / "Doe_John", voxels(), AXIAL, patient="SECRET-7")
    convert(tmp_path / "raw", tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert not any(word in path.read_bytes() for word in (b"Doe", b"SECRET", b"19700101")), path
    (entry,) = (e for split in manifest.read(tmp_path / "out").splits.values() for e in split.entries)
    assert len(entry.patient) == 16


def test_conversion_is_complete_when_run_again(tmp_path):
    made.write_series(tmp_path / "raw", voxels(), AXIAL)
    convert(tmp_path / "raw", tmp_path / "out")
    again = convert(tmp_path / "raw", tmp_path / "out")
    assert "already complete" in publication.report(again, tmp_path / "out")
    json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_a_folder_without_dicom_is_refused_by_name(tmp_path):
    (tmp_path / "notes").write_text("none")
    with pytest.raises(InputError, match="holds no DICOM file"):
        layouts.find(layouts.Request(str(tmp_path), "dicom"))
