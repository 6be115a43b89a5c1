"""What `auto` makes of an input: tables and folders that name splits, DICOM beside others, and what is left out."""

import numpy as np
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tests.tools import dicom_files
from tests.tools.converting import convert, run
from tools.readers import layouts, split_words


def arrays(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / name, np.random.default_rng(number).integers(0, 99, (6, 7)).astype(np.uint8))


def find(root, **changes):
    return layouts.find(layouts.Request(str(root), **changes))


def a_slice(root, name="s/IM1"):
    data = dicom_files.set_pixels(dicom_files.header(), np.zeros((8, 8), np.int16))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    data.save_as(root / name, enforce_file_format=True)


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (
            ("Train", "TRAINING", "imagesTr", "train_set", "Training Data", "images_train", "train2017", "labelsTr"),
            "train",
        ),
        (("Valid", "validation", "VAL", "dev", "imagesVal", "val_images", "ValidationSet"), "val"),
        (("Testing", "TEST", "imagesTs", "test-set"), "test"),
        (("Tr", "ts", "trains", "retrain", "attest", "device", "valve", "test_retest", "trainer", "images", ""), None),
    ],
)
def test_words_name_splits_in_any_case_and_spelling(words, split):
    assert {split_words.split_of(word) for word in words} == {split}


def test_folders_that_name_splits_keep_them(tmp_path):
    arrays(tmp_path, "Training/a.npy", "Testing/b.npy", "Dev/x/c.npy")
    assert {item.id: item.split for item in find(tmp_path).items} == {
        "Training/a": "train",
        "Testing/b": "test",
        "Dev/x/c": "val",
    }


def test_folders_that_name_two_splits_are_refused(tmp_path):
    arrays(tmp_path, "train/test/a.npy")
    with pytest.raises(InputError, match=r"'train/test/a\.npy' name two splits, test and train"):
        find(tmp_path)


def test_tables_named_as_splits_are_one_data_set(tmp_path):
    arrays(tmp_path, *(f"{name}.npy" for name in "abcde"))
    (tmp_path / "Training_set.csv").write_text("path,label\na.npy,ill\nb.npy,well\n")
    (tmp_path / "valid.csv").write_text("path,label\nc.npy,odd\n")
    (tmp_path / "TEST.csv").write_text("path,split\nd.npy,\ne.npy,dev\n")
    found = find(tmp_path)
    assert {item.id: item.split for item in found.items} == {
        "a": "train",
        "b": "train",
        "c": "val",
        "d": "test",
        "e": "val",
    }
    assert [item.label for item in found.items] == [(0.0,), (2.0,), (1.0,), None, None]
    assert found.label_classes == {"0": "ill", "1": "odd", "2": "well"}
    assert not found.left_out


def test_tables_in_split_folders_are_one_data_set(tmp_path):
    arrays(tmp_path, "train/x/a.npy", "test/b.npy")
    (tmp_path / "train" / "labels.csv").write_text("path,label\nx/a.npy,1\n")
    (tmp_path / "test" / "labels.csv").write_text("path,label\nb.npy,0\n")
    found = find(tmp_path)
    assert [(item.path, item.split, item.label) for item in found.items] == [
        ("test/b.npy", "test", (0.0,)),
        ("train/x/a.npy", "train", (1.0,)),
    ]


@pytest.mark.parametrize("names", [("a.csv", "b.csv"), ("train.csv", "other.csv"), ("train.csv", "training.csv")])
def test_tables_that_do_not_each_name_a_split_are_refused(tmp_path, names):
    arrays(tmp_path, "a.npy", "b.npy")
    for name, row in zip(names, "ab", strict=True):
        (tmp_path / name).write_text(f"path,label\n{row}.npy,1\n")
    done = run("--input", tmp_path, "--output", tmp_path.parent / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"2 tables ({', '.join(sorted(names))}), not one per split" in done.stderr


def test_an_image_in_two_tables_is_refused(tmp_path):
    arrays(tmp_path, "a.npy")
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("path\na.npy\n")
    with pytest.raises(InputError, match=r"lists 'a' more than once"):
        find(tmp_path)


def test_dicom_beside_other_images_is_refused_by_auto_alone(tmp_path):
    arrays(tmp_path, "a.npy", "b.npy", "c.npy")
    a_slice(tmp_path)
    with pytest.raises(InputError, match=r"holds 3 NPY, 1 DICOM files; a data set is of either: say --layout=dicom"):
        find(tmp_path)
    assert (len(find(tmp_path, layout="folder").items), find(tmp_path, layout="folder").left_out) == (
        3,
        {"DICOM files": 1},
    )
    assert (len(find(tmp_path, layout="dicom").items), find(tmp_path, layout="dicom").left_out) == (1, {"NPY": 3})


def test_what_is_left_out_is_said_by_kind(tmp_path, capsys):
    raw = tmp_path / "raw"
    arrays(raw, "a.npy", "b.npy", "c.npy", "unused/d.npy")
    for name in ("one.pdf", "two.PDF", "README", ".hidden", "sub/notes.txt"):
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_text("text")
    (raw / "t.csv").write_text("path\na.npy\nb.npy\nc.npy\n")
    convert(raw, tmp_path / "out")
    told = "2 PDF, 1 NPY, 1 TXT, 1 without ending"
    assert f"left out of {raw}: {told}." in capsys.readouterr().out
    assert f"- left out: {told}." in (tmp_path / "out" / "summary.md").read_text()


def test_a_table_without_a_column_of_paths_is_named(tmp_path):
    arrays(tmp_path, "a.npy")
    (tmp_path / "grades.csv").write_text("image,level\na,1\n")
    assert find(tmp_path).notes == (
        "grades.csv is not read: it has no column 'path' but image, level; name the column of files so.",
    )


def test_nothing_left_out_is_not_said(tmp_path):
    arrays(tmp_path, "a.npy", "a_mask.npy")
    assert not find(tmp_path).left_out


def test_the_flags_reach_the_records_and_their_recipe(tmp_path):
    arrays(
        tmp_path / "raw", *(f"{kind}/{eye}{side}.npy" for kind in ("ill", "well") for eye in "0123" for side in "ab")
    )
    flags = ("--labels_from=folder", r"--patients_from=(\d)[ab]$", "--workers=1")
    done = run("--input", tmp_path / "raw", "--output", tmp_path / "out", *flags)
    assert "labels: 0 'ill' (8), 1 'well' (8)." in done.stdout
    data = manifest.read(tmp_path / "out")
    entries = [entry for split in data.splits.values() for entry in split.entries]
    assert {(entry.patient, entry.label) for entry in entries} == {(p, (c,)) for p in "0123" for c in (0.0, 1.0)}
    assert (data.recipe["labels_from"], data.recipe["patients_from"]) == ("folder", r"(\d)[ab]$")
    again = run("--input", tmp_path / "raw", "--output", tmp_path / "out", *flags[:1], "--patients_from=none")
    assert (again.returncode, r"patients_from was (\d)[ab]$, now none" in again.stderr) == (1, True)
