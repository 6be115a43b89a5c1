"""DICOM as it comes from archives, disks and anonymisers: no preamble, copies, localizers, padding, rounded sizes."""

import json
import struct

import numpy as np
import pydicom
import pytest

from ssl3d_tf.data.records import reading
from tests.tools import dicom_files
from tests.tools.converting import convert, examples, settings
from tests.tools.test_dicom import AXIAL, voxels
from tools.readers import dicom, layouts, series

SHAPE = (13, 10, 9)


def written(folder, **changes):
    dicom_files.write_series(folder, voxels(SHAPE), AXIAL, **changes)
    return sorted(folder.iterdir())


def rewritten(path, **changes):
    data = pydicom.dcmread(path)
    for name, value in changes.items():
        setattr(data, name, value)
    return dicom_files.save(data, path)


def listed(root):
    return layouts.find(layouts.Request(str(root)))


def read(root):
    (item,) = listed(root).items
    return series.read([root / name for name in item.series])


ENCODINGS = {
    "implicit": {"implicit_vr": True, "little_endian": True},
    "explicit": {"implicit_vr": False, "little_endian": True},
    "big endian": {"implicit_vr": False, "little_endian": False},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["IM{:06d}", "1.2.840.113619.2.55.{}", "{}"])
def test_data_sets_without_preamble_and_ending_are_found_by_content(tmp_path, encoding, name):
    raw = tmp_path / "raw" / "DICOM"
    for number, path in enumerate(written(tmp_path / "made"), 1):
        data, bare = pydicom.dcmread(path), pydicom.Dataset()
        bare.update({element.tag: element for element in data})
        if encoding == "big endian":
            bare.PixelData = data.pixel_array.astype(">i2").tobytes()
        raw.mkdir(parents=True, exist_ok=True)
        bare.save_as(raw / name.format(number), enforce_file_format=False, **ENCODINGS[encoding])
    (tmp_path / "raw" / "LIESMICH").write_text("about these scans")
    found = listed(tmp_path / "raw")
    assert (found.layout, len(found.items), found.faults) == ("dicom", 1, ())
    np.testing.assert_array_equal(read(tmp_path / "raw").voxels[..., 0], voxels(SHAPE)[::-1, ::-1])


def test_a_file_header_without_preamble_is_found_and_a_deflated_one_is_not_unpacked(tmp_path):
    for path in written(tmp_path / "raw"):
        path.write_bytes(path.read_bytes()[132:])
    assert read(tmp_path / "raw").voxels.shape == (*SHAPE, 1)
    one = tmp_path / "raw" / "IM004"
    one.write_bytes(one.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")[:400])
    assert any("deflated" in fault.reason for fault in listed(tmp_path / "raw").faults)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x08",
        b"some text, longer than what is looked at",
        b"\x1f\x8b\x08\0" * 40,
        struct.pack("<i", 348) + bytes(344),
        struct.pack("<HHI", 8, 5, 1 << 20) + bytes(200),
        struct.pack("<HHI", 16, 16, 8) + bytes(200),
        bytes(200),
    ],
)
def test_other_files_are_not_taken_for_dicom(tmp_path, head):
    (tmp_path / "IM000001").write_bytes(head)
    assert not dicom.is_dicom(tmp_path / "IM000001")


def test_copies_are_dropped_and_counted(tmp_path):
    paths = written(tmp_path)
    for path in paths[2:5]:
        path.with_name(f"{path.name}(1)").write_bytes(path.read_bytes())
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "IM003").write_bytes(paths[2].read_bytes())
    (tmp_path / "again" / "x").write_bytes(paths[5].read_bytes())
    rewritten(paths[5], StationName="x")
    found = listed(tmp_path)
    assert [sorted(item.series) for item in found.items] == [[path.name for path in paths]]
    assert any(note.startswith("5 files are copies of others") for note in found.notes)
    np.testing.assert_array_equal(read(tmp_path).voxels[..., 0], voxels(SHAPE)[::-1, ::-1])


def test_a_copy_packed_otherwise_is_a_copy(tmp_path):
    paths = written(tmp_path)
    data = pydicom.dcmread(paths[3])
    data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    data.save_as(tmp_path / "IM004 (2)")
    assert [len(item.series) for item in listed(tmp_path).items] == [9]


@pytest.mark.parametrize("change", [{"PixelData": bytes(260)}, {"RescaleIntercept": 7}])
def test_another_slice_of_the_same_uid_is_no_copy(tmp_path, change):
    paths = written(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(paths[3].read_bytes())
    rewritten(other, **change)
    assert listed(tmp_path).faults[0].reason.startswith("two slices lie at one place")


def test_slices_that_share_one_uid_are_all_kept(tmp_path):
    for path in written(tmp_path):
        rewritten(path, SOPInstanceUID="1.2.3.4")  # by a careless anonymiser
    np.testing.assert_array_equal(read(tmp_path).voxels[..., 0], voxels(SHAPE)[::-1, ::-1])


def test_empty_slices_that_share_one_uid_are_told_apart_by_their_places(tmp_path):
    dicom_files.write_series(tmp_path, np.zeros(SHAPE, np.int16), AXIAL, SOPInstanceUID="1.2.3.4")
    assert read(tmp_path).voxels.shape == (*SHAPE, 1)


@pytest.mark.parametrize("word", ["LOCALIZER", "SCOUT"])
def test_a_localizer_within_a_series_is_left_out_by_name(tmp_path, word):
    paths = written(tmp_path / "raw" / "CT")
    scout = dicom_files.set_pixels(
        dicom_files.header(ImageType=["ORIGINAL", "PRIMARY", word]), np.zeros((40, 30), np.int16)
    )
    scout.ImagePositionPatient, scout.ImageOrientationPatient, scout.PixelSpacing = [0] * 3, [0, 1, 0, 0, 0, -1], [1, 1]
    dicom_files.save(scout, tmp_path / "raw" / "CT" / "A0")
    summary = convert(tmp_path / "raw", tmp_path / "out")
    (example,) = examples(tmp_path / "out").values()
    assert example.volume.shape == (*SHAPE, 1)
    assert summary.faults[0][:2] == (
        "CT/A0",
        f"it is a localizer within a series of 10 files, the other {len(paths)} of which are read",
    )
    assert any(note.endswith("left out: CT/A0.") for note in listed(tmp_path / "raw").notes)


def test_a_gap_that_a_localizer_leaves_is_explained(tmp_path):
    rewritten(written(tmp_path)[4], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert (
        listed(tmp_path).faults[0].reason.endswith("apart, most 2.5 mm, without 1 of its files, which are localizers")
    )


@pytest.mark.parametrize(("size", "is_one"), [("0.7000001", True), ("0.705", True), ("0.71", False), ("0.65", False)])
def test_pixel_sizes_may_differ_by_a_tenth_of_a_pixel_over_the_slice(tmp_path, size, is_one):
    rewritten(written(tmp_path)[2], PixelSpacing=["0.7", size])
    found = listed(tmp_path)
    assert len(found.items) == is_one
    assert is_one or f"differ in pixel size: 0.7 × {size}" in found.faults[0].reason.replace("0.7 × 0.7 mm and ", "")


@pytest.mark.parametrize(("off", "is_one"), [(0.0000001, True), (0.2, True), (0.3, False)])
def test_slices_may_lie_a_tenth_of_their_distance_off(tmp_path, off, is_one):
    path = written(tmp_path)[3]
    place = [float(value) for value in pydicom.dcmread(path).ImagePositionPatient]
    rewritten(path, ImagePositionPatient=[*place[:2], place[2] + off])
    assert len(listed(tmp_path).items) == is_one


OUTSIDE = np.hypot(*np.meshgrid(np.arange(13) - 6, np.arange(10) - 4.5, indexing="ij")) > 5

RANGE = np.resize(np.arange(-2006, -1999), (OUTSIDE.sum(), SHAPE[2]))


def padded(dtype, padding, values=(-900, 300)):
    stored = np.random.default_rng(1).integers(*values, SHAPE).astype(dtype)
    stored[OUTSIDE] = padding
    return stored


@pytest.mark.parametrize(
    ("dtype", "padding", "values", "declared"),
    [
        (np.int16, -2000, (-900, 300), {"PixelPaddingValue": -2000}),
        (np.int16, 3000, (-900, 300), {"PixelPaddingValue": 3000}),
        (np.uint16, 63000, (100, 3000), {"PixelPaddingValue": 63000}),
        (np.int16, RANGE, (-900, 300), {"PixelPaddingValue": -2006, "PixelPaddingRangeLimit": -2000}),
        (np.int16, RANGE, (-900, 300), {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -2006}),
    ],
)
def test_padding_becomes_the_smallest_real_value(tmp_path, dtype, padding, values, declared):
    stored = padded(dtype, padding, values)
    dicom_files.write_series(tmp_path, stored, AXIAL, RescaleIntercept=-24, RescaleSlope=2, **declared)
    found = read(tmp_path)
    real = stored[~OUTSIDE].astype(int) * 2 - 24
    expected = np.where(OUTSIDE[..., None], real.min(), stored.astype(int) * 2 - 24)[::-1, ::-1]
    np.testing.assert_array_equal(found.voxels[..., 0], expected)
    assert found.origin["padded"] == OUTSIDE.sum() * SHAPE[2]


def test_padding_written_without_its_sign_is_understood(tmp_path):
    stored = padded(np.int16, -2000)
    for path in _explicit(tmp_path, stored):
        path.write_bytes(path.read_bytes().replace(b"\x28\0\x20\x01SS", b"\x28\0\x20\x01US"))
    assert pydicom.dcmread(tmp_path / "IM001").PixelPaddingValue == 63536
    assert read(tmp_path).voxels.min() == stored[~OUTSIDE].min()


def _explicit(folder, stored):
    dicom_files.write_series(folder, stored, AXIAL, PixelPaddingValue=-2000)
    return sorted(folder.iterdir())


def test_padding_stays_out_of_window_and_facts_and_is_stated(tmp_path):
    stored = padded(np.int16, -2000)
    dicom_files.write_series(tmp_path / "raw" / "with", stored, AXIAL, PixelPaddingValue=-2000)
    convert(tmp_path / "raw", tmp_path / "out", settings(how="minmax"))
    (example,) = examples(tmp_path / "out").values()
    assert example.source["padded"] == OUTSIDE.sum() * SHAPE[2]
    text = (tmp_path / "out" / "summary.md").read_text()
    assert f"lowest value | {stored[~OUTSIDE].min()}" in text
    assert any("1 series declare padding" in note for note in listed(tmp_path / "raw").notes)
    real = stored[~OUTSIDE].astype(float)
    found = reading.intensities(example.volume, example)[::-1, ::-1, :, 0][~OUTSIDE]
    np.testing.assert_allclose(found, (real - real.min()) / np.ptp(real), atol=1e-4)


@pytest.mark.parametrize(("modality", "rule"), [("CT", "percentile"), ("MR", "percentile:body")])
def test_values_that_are_calibrated_keep_percentiles_of_all_voxels(tmp_path, modality, rule):
    written(tmp_path / "raw", Modality=modality)
    assert convert(tmp_path / "raw", tmp_path / "out").data.recipe["intensity"] == rule


def test_padding_that_lossy_compression_smeared_is_left_as_it_is(tmp_path):
    stored = padded(np.int16, -2000)
    dicom_files.write_series(tmp_path, stored, AXIAL, PixelPaddingValue=-2000, LossyImageCompression="01")
    assert read(tmp_path).voxels.min() == -2000


def test_a_volume_of_padding_alone_stays_constant(tmp_path):
    dicom_files.write_series(tmp_path, np.full(SHAPE, -5, np.int16), AXIAL, PixelPaddingValue=-5)
    assert np.unique(read(tmp_path).voxels).tolist() == [-5]


def test_padding_of_monochrome1_is_what_is_stored(tmp_path):
    stored = padded(np.uint8, 0, (20, 200))
    dicom_files.write_series(tmp_path, stored, AXIAL, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1")
    assert read(tmp_path).voxels.max() == 255 - 20


def test_what_is_left_out_is_in_quarantine(tmp_path):
    rewritten(written(tmp_path / "raw")[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    convert(tmp_path / "raw", tmp_path / "out")
    (line,) = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == "IM001"


def test_series_of_one_study_without_a_patient_id_are_one_patient(tmp_path):
    for number, (study, patient) in enumerate([("1.7", ""), ("1.7", " "), ("1.8", ""), ("1.8", "K")]):
        series_of = {"StudyInstanceUID": study, "SeriesInstanceUID": f"1.9.{number}", "PatientID": patient}
        dicom_files.write_series(tmp_path / f"{number}", voxels(SHAPE), AXIAL, **series_of)
    of = {item.path.split("/")[0]: item.patient for item in listed(tmp_path).items}
    assert of["0"] == of["1"]
    assert len(set(of.values())) == 3
