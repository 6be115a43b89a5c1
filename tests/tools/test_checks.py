"""Checks at conversion: what looks wrong is found, said in summary.md and framed; what others have stays out."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.checks import exclusion, facts, findings
from tools.checks.findings import Case, Finding
from tools.conversion import conversion, publication
from tools.conversion.settings import Settings
from tools.overview import draw
from tools.readers import files
from tools.readers.contract import plain_volume
from tools.readers.layouts import Request
from tools.voxels import ranges


def fact(name, **changes):
    base = facts.Facts(name, f"hash of {name}", (8, 8, 8), (1.0, 1.0, 1.0), "RAS", 0.0, 9.0, (), 0.5)
    return base._replace(**changes)


def found(*measured, splits=None):
    cases = [Case(split, one) for split, one in zip(splits or ["train"] * len(measured), measured, strict=True)]
    assert findings.find(cases) == findings.find(cases[::-1])
    return [(finding.id, finding.word, finding.what) for finding in findings.find(cases)]


def usual(count):
    return [fact(f"u{number}") for number in range(count)]


def noise(seed, shape=(8, 9, 10)):
    return np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)


def scans(root, count=6):
    """Noise with masks of the classes 0, 1 and 2; returns the folder."""
    for number in range(count):
        for folder, voxels in (("images", noise(number)), ("masks", (noise(number) % 3).astype(np.uint8))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1, 2, 1])), root / folder / f"c{number}.nii.gz")
    return root


def convert(root, out, **changes):
    return conversion.convert(Request(str(root)), out, Settings(records_per_shard=2, **changes))


def test_ordinary_volumes_have_no_findings():
    assert found(*usual(4)) == []


def test_the_same_voxels_are_a_duplicate_and_across_splits_a_leak():
    assert found(fact("a", content="x"), fact("b", content="x"), *usual(2))[0] == (
        "a",
        "duplicate",
        "train, with the voxels of 'b' in train",
    )
    three = [fact(name, content="x") for name in "abc"]
    assert found(*three, splits=["train", "train", "test"]) == [
        ("a", "leak", "train, with the voxels of 'c' in test"),
        ("b", "leak", "train, with the voxels of 'c' in test"),
        ("c", "leak", "test, with the voxels of 'a' in train"),
    ]


def test_constant_channels_and_near_empty_volumes_are_named():
    assert found(fact("a", constant=(0, 2)), fact("b", occupied=0.0004)) == [
        ("a", "constant", "one value in channel 0, 2"),
        ("b", "near-empty", "0.04% of it stands out"),
    ]


def test_a_window_that_loses_most_of_a_scan_is_named():
    assert found(fact("a", lost="most of it"), *usual(3)) == [("a", "clipped", "most of it")]


def test_odd_voxel_sizes_are_measured_against_the_median():
    odd = [fact("cm", spacing_mm=(0.1, 0.1, 0.1)), fact("thick", spacing_mm=(1.0, 1.0, 3.5))]
    assert found(*usual(5), *odd, fact("npy", spacing_mm=None), fact("fine", spacing_mm=(2.0, 2.0, 3.0))) == [
        ("cm", "spacing", "0.1 × 0.1 × 0.1 mm, the median is 1 × 1 × 1"),
        ("thick", "spacing", "1 × 1 × 3.5 mm, the median is 1 × 1 × 1"),
    ]


def test_a_rare_orientation_is_odd_and_a_frequent_one_is_not():
    odd = [fact(f"o{number}", orientation="LPS") for number in range(3)]
    assert found(*usual(9), odd[0], fact("npy", orientation=None)) == [("o0", "orientation", "LPS, most are RAS")]
    assert found(*usual(9), *odd) == []


def test_empty_masks_and_specks_are_found():
    counts = [{"0": 500, "1": 12}, {"0": 512}, {"0": 490, "1": 3, "2": 19}]
    assert found(*(fact(f"m{number}", counts=one) for number, one in enumerate(counts))) == [
        ("m1", "empty mask", "no voxel is labelled"),
        ("m2", "tiny class", "voxels: 3 of class 1"),
    ]


def test_content_is_the_same_whatever_format_orientation_and_dtype(tmp_path):
    voxels = noise(0)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(voxels[::-1].astype(np.float64), np.diag([-1.0, 1, 1, 1])), tmp_path / "b.nii")
    np.save(tmp_path / "c.npy", np.asfortranarray(voxels.astype(">f4")))
    hashes = {facts.content_hash(files.read(tmp_path / name).voxels) for name in ("a.nii.gz", "b.nii", "c.npy")}
    assert len(hashes) == 1
    assert facts.content_hash(voxels.reshape(9, 8, 10, 1)) not in hashes


@pytest.mark.parametrize(
    ("values", "dtypes"),
    [
        ((0, -3, 32767), "i2 i4 f4 f8"),
        ((0, 3, 40000), "u2 i4 f4 f8"),
        ((0, -1, 2**24), "i4 f4 f8"),
        ((0.5, -0.0, 9.0), "f2 f4 f8"),
        ((-0.0, 7.0, 8.0), "f2 f4 f8 >f4"),
    ],
)
def test_content_is_that_of_the_values_as_float32(values, dtypes):
    hashes = {facts.content_hash(np.array(values, dtype).reshape(1, 3, 1)) for dtype in dtypes.split()}
    assert len(hashes) == 1
    assert facts.content_hash(np.array(values[::-1], np.float32).reshape(1, 3, 1)) not in hashes


def test_facts_survive_json_and_measure_what_stands_out():
    voxels = np.zeros((10, 10, 10, 2), np.float32)
    voxels[2:4, 2:4, 2:4, 0] = 5
    one = facts.measure("a", plain_volume(voxels), ranges.of(voxels))
    assert (one.constant, one.low, one.high, one.occupied, one.spacing_mm) == ((1,), 0, 5, 0.008, None)
    assert facts.from_json(json.loads(json.dumps(one))) == one


def test_volumes_of_another_data_set_are_left_out(tmp_path):
    convert(scans(tmp_path / "few", 2), tmp_path / "test")
    settings = {"excluded": exclusion.contents([str(tmp_path / "test")])}
    done = convert(scans(tmp_path / "raw"), tmp_path / "out", **settings)
    entries = [entry for split in done.data.splits.values() for entry in split.entries]
    assert sorted(entry.id for entry in entries) == [f"images/c{number}" for number in (2, 3, 4, 5)]
    assert [fault.path for fault in done.dropped] == ["images/c0.nii.gz", "images/c1.nii.gz"]
    assert done.faults == ()
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "| images/c1.nii.gz | it has the voxels of 'images/c1' in train of few |" in page
    assert "left out by --exclude_overlap: 2." in publication.report(done, tmp_path / "out")
    with pytest.raises(InputError, match="exclude_overlap was"):
        convert(tmp_path / "raw", tmp_path / "out")


def test_nothing_but_overlap_is_one_line(tmp_path):
    convert(scans(tmp_path / "raw", 3), tmp_path / "test")
    with pytest.raises(InputError, match=r"none of 3 files can be used; .* has the voxels of"):
        convert(tmp_path / "raw", tmp_path / "out", excluded=exclusion.contents([str(tmp_path / "test")]))


def test_data_without_content_hashes_cannot_be_excluded(volumes_3d, tmp_path):
    with pytest.raises(InputError, match="holds no content hashes; convert it again"):
        exclusion.contents([str(volumes_3d[0])])
    with pytest.raises(InputError, match="is no data folder"):
        exclusion.contents([str(tmp_path)])


def test_masks_outside_the_declared_classes_are_set_aside(tmp_path):
    root = scans(tmp_path / "raw")
    mask = nibabel.load(root / "masks" / "c1.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(mask.dataobj) * 4, mask.affine), root / "masks" / "c1.nii.gz")
    cases = [{"image": f"images/c{number}.nii.gz", "label": f"masks/c{number}.nii.gz"} for number in range(6)]
    declared = {"0": "background", "1": "liver", "2": "tumour"}
    (root / "dataset.json").write_text(json.dumps({"training": cases, "labels": declared}))
    (fault,) = convert(root, tmp_path / "out").faults
    assert fault[:2] == ("images/c1.nii.gz", "its mask holds 4, 8; declared are 0, 1, 2")


def test_the_summary_lists_warnings_and_the_sheet_frames_them(tmp_path):
    root = scans(tmp_path / "raw")
    flat = nibabel.Nifti1Image(np.full((8, 9, 10), 7, np.int16), np.diag([1.0, 1, 2, 1]))
    nibabel.save(flat, root / "images" / "a|b.nii.gz")
    done = convert(root, tmp_path / "out")
    assert done.found == (Finding("images/a|b", "constant", "one value in channel 0"),)
    assert "| constant | images/a\\|b | one value in channel 0 | remove it" in (tmp_path / "out/summary.md").read_text()
    assert "warnings: 1, see summary.md:\n  1 × constant" in publication.report(done, tmp_path / "out")
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        corners = [sheet.getpixel((x, 127)) for x in range(0, sheet.width, 128)]
    assert corners.count(draw.MARK) == 1


def test_the_summary_of_sound_data_says_so(tmp_path):
    convert(scans(tmp_path / "raw"), tmp_path / "out")
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "## Warnings\n\nNone." in page
    assert "| shape | 8 × 9 × 10 | 8 × 9 × 10 | 8 × 9 × 10 |" in page
    assert "| spacing (mm) | 1 × 1 × 2 |" in page
    assert all(len(entry.content) == 64 for entry in manifest.read(tmp_path / "out").splits["train"].entries)
