"""tools/readers/patients: who is one patient by names, what is left alone, and what is doubted."""

from pathlib import Path

import pytest

from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, make_scans
from tools.readers import patients
from tools.readers.contract import Item, Listing


def listed(*names, layout="folder", **changes):
    return Listing(layout, Path("raw"), "raw", tuple(Item(name, f"{name}.nii", name, **changes) for name in names))


def grouped(*names, how="names", **changes):
    return patients.grouped(listed(*names, **changes), how)


def of(*names, **changes):
    return [item.patient for item in grouped(*names, **changes).items]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sub-A01_ses-1_T1w", "sub-A01_ses-2_T1w"), ["sub-A01"] * 2),
        (("ses-1/sub-4/t1", "ses-2/sub-4/t1"), ["sub-4"] * 2),
        (("Subject_7/pre", "Subject_7/post", "Subject_8/pre"), ["Subject_7", "Subject_7", "Subject_8"]),
        (("mri/patient012_visit2", "mri/patient012_b"), ["mri/patient012"] * 2),
        (("A12-V1", "A12-V2", "B3-V1"), ["A12", "A12", "B3"]),
        (("0031_L", "0031_R", "0032_left", "0032_right"), ["0031", "0031", "0032", "0032"]),
        (("X1_20190203", "X1_20200101_b", "X2_2019-02-03"), ["X1", "X1", "X2"]),
        (("7_OD_v1", "7_OS_v1", "8_v1_OD", "9_OD"), ["7", "7", "8", "9"]),
        (("visit1/a", "visit2/a", "visit1/b"), ["a", "a", "b"]),
        (("k1/baseline", "k1/followup", "k2/baseline"), ["k1", "k1", "k2"]),
        (("P1", "P1_v2", "P2_v1"), ["P1", "P1", "P2"]),
        (("TCGA-3K-AB12-01A", "TCGA-3K-AB12-11B-02", "TCGA-3K-0007-01A"), ["TCGA-3K-AB12"] * 2 + ["TCGA-3K-0007"]),
        (("CT/0007", "PET/0007", "CT/0008"), ["0007", "0007", "CT/0008"]),
        (("a/k3_flair", "a/k3_adc", "b/k3_adc"), ["a/k3", "a/k3", "b/k3_adc"]),
        (("mr/sub-2_v1", "ct/sub-2_v1", "mr/sub-3"), ["sub-2", "sub-2", "mr/sub-3"]),
        (("P1/2011-04-18/T1", "P1/2012-04-18/FLAIR", "P2/2011-04-18/T1"), ["P1", "P1", "P2"]),
        (("raw/P1", "preprocessed/P1", "raw/P2"), ["p1", "p1", "raw/P2"]),
        ([f"P{one}/T{scan}/P{one}_T{scan}_FLAIR" for one in (1, 2) for scan in (1, 2, 3)], ["p1"] * 3 + ["p2"] * 3),
        (("ds1/visit1/4", "ds1/visit2/4", "ds1/visit1/5"), ["ds1/4", "ds1/4", "ds1/5"]),
    ],
)
def test_names_show_patients(names, expected):
    assert of(*names) == expected


@pytest.mark.parametrize(
    "names",
    [
        [f"hippocampus_{number:03d}" for number in range(40)],
        [f"study_v{number}" for number in range(9)],
        [f"imagesTr/case_{number:05d}" for number in range(9)],
        ["left_atrium_1", "left_atrium_2"],
        ["sub-volume_a", "sub-volume_b"],
        [f"volume-{number}" for number in range(131)],
        [f"scan_2020{month:02d}11" for month in range(1, 10)],
        [f"1.2.840.{number}.1113" for number in range(9)],
    ],
)
def test_names_that_show_no_patients_are_left_alone(names):
    found = grouped(*names)
    assert [item.patient for item in found.items] == names
    assert not found.notes
    assert not found.doubts


def test_one_modality_and_declared_splits_join_nobody():
    assert of("T1/a_1", "T1/a_2") == ["T1/a_1", "T1/a_2"]
    listing = listed("train/CT/x", "test/PET/x")
    items = tuple(one._replace(split=one.id.split("/")[0]) for one in listing.items)
    assert [one.patient for one in patients.grouped(listing._replace(items=items), "names").items] == [
        "train/CT/x",
        "test/PET/x",
    ]


def test_what_was_grouped_is_said_with_counts():
    (note,) = grouped("P7_v1", "P7_v2", "P8_v1", "other").notes
    assert "patients from names: 2, of 3 of 4 examples, as 'P7' of 'P7_v1'; --patients_from=none" in note


def test_names_that_join_nobody_are_not_said():
    assert not grouped("P7_v1", "P8_v1").notes


def test_visits_apart_are_a_doubt_though_others_are_found():
    names = [f"P{n}/{kind}/2011-04-18/I{n}{scan}" for n in range(6) for kind in ("one", "two") for scan in (7, 8)]
    found = grouped(*names)
    assert len({item.patient for item in found.items}) == 12
    assert found.notes[0].startswith("patients from names: 12, of 24")
    ((_, what),) = found.doubts
    assert what.startswith("24 examples share 6 names, as 'P0/one/2011-04-18/I07' and")


def test_patients_that_the_data_set_gives_are_kept():
    listing = listed("P1_v1", "P1_v2")
    given = listing._replace(items=tuple(item._replace(patient="q") for item in listing.items))
    assert {item.patient for item in patients.grouped(given, "names").items} == {"q"}
    assert of("train_v1", "train_v2", "val_v1", "val_v2", key="train_images", row=0)[0] == "train_v1"


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([f"{n:03d}_{k}" for n in range(6) for k in (1, 2)], "(.+)_"),
        ([f"K{n}{side}" for n in range(6) for side in "ab"], "(.*[0-9])"),
        ([f"site/{n:04d}/{kind}" for n in range(6) for kind in ("t1", "flair")], "(.+)/"),
    ],
)
def test_a_shared_prefix_is_a_doubt_whose_pattern_works(names, pattern):
    found = grouped(*names)
    ((word, what),) = found.doubts
    assert word == "visits"
    assert f"found by '{pattern}'" in what
    assert len({item.patient for item in found.items}) == 12
    assert len(set(of(*names, how=pattern))) == 6
    assert not grouped(*names, how="none").doubts


def test_a_pattern_overrules_and_dicom_folders_become_hashes():
    assert of("ward/x7-1", "ward/x7-2", "y", how=r"x(\d)") == ["7", "7", "y"]
    found = of("doe_john/a", "doe_john/b", layout="dicom", how="^[^/]+")
    assert found[0] == found[1]
    assert "doe" not in found[0]


def test_none_parts_everyone():
    assert of("P1_v1", "P1_v2", how="none") == ["P1_v1", "P1_v2"]


@pytest.mark.parametrize(("how", "message"), [("(", "neither names, none nor a pattern"), ("zz", "matches no path")])
def test_patterns_that_find_nobody_are_refused(how, message):
    with pytest.raises(InputError, match=message):
        of("P1_v1", how=how)


def test_a_patient_in_two_declared_splits_is_a_doubt_and_no_refusal():
    listing = listed("train/sub-1_a", "test/sub-1_b", "train/P7_v1", "train/P7_v2", "k_L")
    splits = ("train", "test", "train", "train", None)
    items = tuple(item._replace(split=split) for item, split in zip(listing.items, splits, strict=True))
    found = patients.grouped(listing._replace(items=items), "names")
    assert [item.patient for item in found.items] == ["train/sub-1", "test/sub-1", "train/P7", "train/P7", "k"]
    assert [(word, what[:10]) for word, what in found.doubts] == [("parted", "2 examples")]


def test_one_patient_who_has_most_is_a_warning(tmp_path):
    root = make_scans(tmp_path / "raw", 5)
    for number, path in enumerate(sorted((root / "images").iterdir())):
        for folder in ("images", "masks"):
            (root / folder / path.name).rename(root / folder / f"patient{number // 4}_frame{number}.nii.gz")
    whole = [(one.word, one.what) for one in convert(root, tmp_path / "out").found if one.id == "(all)"]
    assert ("one patient", "one patient has most: 'images/patient0' has 4 of 5 examples") in whole
    assert ("empty split", "val has no example: 2 patients for 3 splits") in whole
