"""tools/readers/layouts: which files are examples, which are their masks, and that none lies outside the input."""

import errno
import json
import os
import re

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from tools.readers import files, layouts, medmnist, pairing
from tools.readers.contract import UnusableFileError


def counted(shape, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_masks_pair_by_suffix_and_by_folder():
    names = ["a.b.nii", "a.b_seg.nii.gz", "images/x.png", "masks/x.png", "t/n.npy", "t_labels/n_label.npy", "u.npy"]
    images, masks, strays, unchosen, further, by_grid = pairing.pair(names)
    assert further == by_grid == {}
    assert images == ("a.b.nii", "images/x.png", "t/n.npy", "u.npy")
    assert masks == {"a.b.nii": "a.b_seg.nii.gz", "images/x.png": "masks/x.png", "t/n.npy": "t_labels/n_label.npy"}
    assert not strays
    assert not unchosen


def test_split_folders_keep_their_split_and_dots_stay_in_ids(tmp_path):
    for name in ("train/a.1.npy", "val/b.npy", "other/c.npy", "other/c.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = layouts.find(layouts.Request(str(tmp_path), "folder"))
    assert {item.id: item.split for item in found.items} == {
        "train/a.1": "train",
        "val/b": "val",
        "other/c.npy": None,
        "other/c.npz": None,
    }


def test_links_out_of_the_input_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "secret.npy", counted((3, 4)))
    (tmp_path / "in" / "a.npy").symlink_to(tmp_path / "secret.npy")
    (tmp_path / "in" / "b").symlink_to(tmp_path)
    found = layouts.find(layouts.Request(str(tmp_path / "in")))
    assert not found.items
    assert [fault.path for fault in found.faults] == ["a.npy", "b"]


@pytest.mark.parametrize("asked", ["in", "in/*.npy"])
def test_links_to_nowhere_and_out_of_the_input_are_told_of(asked, tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", counted((3, 4)))
    (tmp_path / "in" / "b.npy").symlink_to("nothing.npy")
    (tmp_path / "in" / "c.npy").symlink_to(tmp_path / "nothing.npy")
    found = layouts.find(layouts.Request(str(tmp_path / asked)))
    assert [item.path for item in found.items] == ["a.npy", "b.npy"]
    assert [fault.path for fault in found.faults] == ["c.npy"]
    with pytest.raises(UnusableFileError, match=r"b\.npy is a link to a file that does not exist"):
        files.probe(tmp_path / "in" / "b.npy")


def test_a_folder_that_cannot_be_listed_is_told_of(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    np.save(tmp_path / "a.npy", counted((3, 4)))
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "shut":  # root may list any
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (fault,) = layouts.find(layouts.Request(str(tmp_path))).faults
    assert (fault.path, fault.reason) == ("shut", "the folder cannot be listed: Permission denied")


def test_a_mask_folder_may_lie_elsewhere(tmp_path):
    for name in ("in/s/a.npy", "gold/s/a_mask.npz"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    found = layouts.find(layouts.Request(str(tmp_path / "in"), mask_folder=str(tmp_path / "gold")))
    assert [item.mask for item in found.items] == ["../gold/s/a_mask.npz"]


def test_a_glob_selects_files(tmp_path):
    for name in ("a1.npy", "a2.npy", "b.npy"):
        (tmp_path / name).touch()
    found = layouts.find(layouts.Request(str(tmp_path / "a*.npy")))
    assert ([item.id for item in found.items], found.root) == (["a1", "a2"], tmp_path)


def test_a_folder_called_like_a_glob_is_that_folder(tmp_path):
    for name in ("raw[1]/a1.npy", "raw[1]/deep/b*.npy", "raw1/c.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    for asked, ids in (
        ("", ["a1", "deep/b*"]),
        ("a?.npy", ["a1"]),
        ("**/b[*].npy", ["deep/b*"]),
        ("deep/b*.npy", ["b*"]),
    ):
        found = layouts.find(layouts.Request(str(tmp_path / "raw[1]" / asked)))
        assert [item.id for item in found.items] == ids


def write_msd(root, **changes):
    cases = [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]
    value = {"name": "T", "training": cases, "test": ["./imagesTs/z.nii.gz"]}
    value |= {"modality": {"1": "T2", "0": "T1"}, "labels": {"0": "background", "1": "tumour"}, **changes}
    (root / "dataset.json").write_text(json.dumps(value))


def test_msd_gives_masks_channels_and_classes(tmp_path):
    write_msd(tmp_path)
    found = layouts.find(layouts.Request(str(tmp_path)))
    assert found.layout == "msd"
    assert [(item.id, item.mask) for item in found.items] == [("a", "labelsTr/a.nii.gz")]
    assert (found.channels, dict(found.classes)["1"], found.name) == (("T1", "T2"), "tumour", "T")


@pytest.mark.parametrize("path", ["../a.nii", "/etc/a.nii", "x/../../a.nii"])
def test_no_list_leads_out_of_the_input(tmp_path, path):
    write_msd(tmp_path, training=[{"image": path}])
    (tmp_path / "t.csv").write_text(f"path\n{path}\n")
    for name in (tmp_path, tmp_path / "t.csv"):
        with pytest.raises(InputError, match="not inside"):
            layouts.find(layouts.Request(str(name)))


def write_table(root, text):
    (root / "t.csv").write_text(text)
    return layouts.find(layouts.Request(str(root)))


def test_table_rows_become_items(tmp_path):
    found = write_table(tmp_path, "path,label,patient,split\nb.png,2,p,\na.png,,,val\n")
    first, second = found.items
    assert (first.id, first.label, first.patient, first.split) == ("a", None, "a", "val")
    assert (second.label, second.patient, second.split) == ((2.0,), "p", None)
    assert (found.layout, dict(found.label_classes)) == ("csv", {"2": "class 2"})


def test_table_labels_may_be_names_several_or_measurements(tmp_path):
    assert write_table(tmp_path, "path,label\na.png,well\nb.png,ill\n").label_classes == {"0": "ill", "1": "well"}
    assert write_table(tmp_path, "path,label\na.png,0;1\nb.png,1;1\n").items[0].label == (0.0, 1.0)
    assert write_table(tmp_path, "path,label\na.png,0.25\n").label_classes == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.png\n", "no column 'path'"),
        ("path\na.png\na.png\n", "more than once"),
        ("path\na.doc\n", "known"),
        ("path,split\na.png,fold1\n", "split 'fold1'"),
        ("path,label\na.png,inf\n", "finite"),
        ("path,label\na.png,1\nb.png,1;2\n", "equally many"),
    ],
)
def test_faulty_tables_are_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        layouts.find(layouts.Request(str(tmp_path / "t.csv")))


@pytest.mark.parametrize(
    ("shape", "name", "kind"),
    [
        ((9, 28, 28), "a", (2, 1)),
        ((9, 28, 28, 3), "a", (2, 3)),
        ((9, 28, 28, 28), "a", (3, 1)),
        ((9, 28, 28, 3), "thin3d", (3, 1)),
        ((9, 8, 28, 28, 2), "a", (3, 2)),
    ],
)
def test_medmnist_kinds(shape, name, kind):
    assert medmnist.kind(shape, name) == kind


def test_medmnist_rows_are_read_in_any_order(tmp_path):
    images = counted((5, 6, 7, 3), np.uint8)
    np.savez_compressed(tmp_path / "m.npz", val_images=images, val_labels=np.arange(5)[:, None])
    found = layouts.find(layouts.Request(str(tmp_path / "m.npz")))
    assert [(item.split, item.label) for item in found.items[:2]] == [("val", (0.0,)), ("val", (1.0,))]
    for row in (1, 4, 0):
        np.testing.assert_array_equal(medmnist.read(tmp_path / "m.npz", "val_images", row).voxels, images[row])


def test_a_truncated_npz_is_one_clear_fault(tmp_path):
    np.savez(tmp_path / "m.npz", train_images=counted((5, 6, 7)))
    (tmp_path / "m.npz").write_bytes((tmp_path / "m.npz").read_bytes()[:-50])
    with pytest.raises(InputError, match="damaged or cut short"):
        layouts.find(layouts.Request(str(tmp_path / "m.npz")))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("train_0.npy", "train_1.npy", "val_0.npy", "test_0.npy"), "names such as .* begin as a split does"),
        (("train_1/a.npy", "valid_1/b.npy"), "names such as .* begin as a split does"),
        (
            ("train/a.npy", "test/b.npy", "holdout/c.npy"),
            "1 scans lie in no folder that names a split",
        ),
        (("01_train/a.npy", "02_val/b.npy", "03_test/c.npy"), None),
        (("train_0.npy", "train_1.npy"), None),
        (("a.npy", "b.npy"), None),
    ],
)
def test_what_names_say_of_splits_without_declaring_them_is_told(tmp_path, names, told):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, np.zeros((4, 4, 4)))
    notes = layouts.find(layouts.Request(str(tmp_path))).notes
    found = [note for note in notes if "begin as a split" in note or "in no folder that names" in note]
    assert [bool(re.search(told or "", note)) for note in found] == ([True] if told else [])
