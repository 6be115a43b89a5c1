"""Tables as people's programs write them."""

import re

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from tools.readers import layouts


def listed(folder, text, name="cases.csv", *, encoding="utf-8"):
    """The listing of a table with that text, beside scans 0 to 5, in train/ and test/ too."""
    for path in (*map(str, range(6)), *(f"{split}/{n}" for split in ("train", "test") for n in range(6))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{path}.npy", np.zeros((4, 4, 4)))
    (folder / name).write_text(text, encoding=encoding)
    return layouts.find(layouts.Request(str(folder / name), "csv"))


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_any_separator_and_capitals_of_the_header_are_read(tmp_path, separator, encoding):
    rows = [["Path", "Label ", "Patient", "site"], ["0.npy", "1", "a", "x"], ["1.npy", " 2", "b", "y"]]
    found = listed(tmp_path, "\n".join(separator.join(row) for row in rows), encoding=encoding)
    assert [(item.id, item.label, item.patient) for item in found.items] == [("0", (1.0,), "a"), ("1", (2.0,), "b")]
    assert "columns not used: site." in found.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n0.npy,1,5\n", r"row 2 of .* has 3 cells, its header 2; put quotes around"),
        ("path,label,label\n0.npy,1,2\n", "has column 'label' twice"),
        ("path,label,Label\n0.npy,1,2\n", "has column 'label' twice"),
        ("file;label\n0.npy;1\n", "has no column 'path'"),
    ],
)
def test_a_table_that_can_be_read_in_two_ways_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        listed(tmp_path, text)


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train.CSV", "Test.CSV"), ("train.tsv", "test.tsv"), ("train.csv", "test.TSV"), ("Train/x.TSV", "Test/y.Csv")],
)
def test_tables_are_read_in_any_case_and_by_tab(tmp_path, train, test):
    folder = tmp_path / "raw"
    rows = {train: [(0, 1), (1, 0)], test: [(2, 1)]}
    for name, cells in rows.items():
        table_of(folder / name, [(f"{n}.npy", label) for n, label in cells])
        for number, _ in cells:
            np.save((folder / name).parent / f"{number}.npy", np.zeros((4, 4, 4)))
    (folder / "._train.csv").write_bytes(b"\xff\xfe of a Mac")
    found = layouts.find(layouts.Request(str(folder)))
    read = [(item.id.rpartition("/")[2], item.label, item.split) for item in found.items]
    assert sorted(read) == [("0", (1.0,), "train"), ("1", (0.0,), "train"), ("2", (1.0,), "test")]
    one = layouts.find(layouts.Request(str(folder / train)))
    assert [(item.id, item.label) for item in one.items] == [("0", (1.0,)), ("1", (0.0,))]


def test_a_comma_in_a_tsv_separates_nothing(tmp_path):
    found = listed(tmp_path, "path\n0.npy\n", "all.tsv")
    assert [item.path for item in found.items] == ["0.npy"]
    (tmp_path / "a, b.npy").touch()
    assert [item.path for item in listed(tmp_path, "path\na, b.npy\n", "all.tsv").items] == ["a, b.npy"]


def table_of(path, rows):
    """Writes paths and labels, separated as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    path.write_text("".join(f"{one}{separator}{other}\n" for one, other in [("path", "label"), *rows]))


@pytest.mark.parametrize(("up", "said"), [("../", r"--input=(\S+) --allow_outside"), ("", r"move it into \S+raw,")])
def test_tables_in_folders_stop_until_it_is_said_whether_they_are_read(tmp_path, up, said):
    root = tmp_path / "raw"
    for name, number in (("train", 0), ("test", 1)):
        table_of(root / f"meta/{name}.csv", [(f"{up}{number}.npy", number)])
        np.save(root / f"{number}.npy", np.zeros((4, 4, 4)))
    with pytest.raises(InputError, match=r"meta/test\.csv and 1 more name files in a column 'path'") as error:
        layouts.find(layouts.Request(str(root)))
    found = re.search(said, str(error.value))
    assert found
    left = layouts.find(layouts.Request(str(root), "folder"))
    assert "2 tables in folders are not read, the first is meta/test.csv: those in --input itself are." in left.notes
    if up:
        given = layouts.find(layouts.Request(found[1], allow_outside=True))
    else:
        for path in (root / "meta").iterdir():
            path.rename(root / path.name)
        given = layouts.find(layouts.Request(str(root)))
    read = [(item.id, item.label, item.split) for item in given.items]
    assert read == [("0", (0.0,), "train"), ("1", (1.0,), "test")]


def test_tables_that_are_not_read_are_named(tmp_path):
    root = tmp_path / "raw"
    (root / "deep").mkdir(parents=True)
    np.save(root / "a.npy", np.zeros((4, 4, 4)))
    (root / "Clinical.TSV").write_text("id\tage\n1\t2\n")
    (root / "deep/notes.csv").write_bytes("Größe\n".encode("latin-1"))
    (root / "grades.xlsx").touch()
    found = layouts.find(layouts.Request(str(root)))
    shown = "Clinical.TSV is not read: it has no column 'path' but id, age"
    assert f"{shown}; name the column of files so." in found.notes
    assert "1 tables in folders are not read, the first is deep/notes.csv: those in --input itself are." in found.notes
    assert "grades.xlsx is not read; save it as csv, with a column 'path'." in found.notes
    table_of(root / "labels.csv", [("a.npy", 1)])
    read = layouts.find(layouts.Request(str(root)))
    assert read.layout == "csv"
    assert f"{shown}." in read.notes


def test_folders_of_paths_say_the_split_where_nothing_else_does(tmp_path):
    rows = "".join(f"{split}/{n}.npy,{n % 2}\n" for split in ("train", "test") for n in range(6))
    found = listed(tmp_path, "path,label\n" + rows)
    assert {item.id.partition("/")[0] == item.split for item in found.items} == {True}
    column = listed(tmp_path, "path,split\ntrain/0.npy,test\ntrain/1.npy,\n")
    assert [item.split for item in column.items] == ["test", None]


def test_a_cell_that_contradicts_the_name_of_its_table_is_told(tmp_path):
    listed(tmp_path, "path,split\n0.npy,train\n", "train.csv")
    (tmp_path / "test.csv").write_text("path,split\n1.npy,train\n2.npy,\n")
    found = layouts.find(layouts.Request(str(tmp_path), "csv"))
    assert [item.split for item in found.items] == ["train", "train", "test"]
    assert "1 rows of test.csv, test by its name, say split 'train': so it is." in found.notes


def test_masks_of_several_scans_and_patients_of_two_cases_are_told(tmp_path):
    found = listed(tmp_path, "path,mask,patient\n0.npy,5.npy,P7\n1.npy,5.npy,p7\n2.npy,4.npy,q\n")
    assert "1 masks are those of several scans, the first is 5.npy." in found.notes
    assert "patients 'P7' and 'p7' differ in case only, and are two." in found.notes


def test_paths_of_windows_are_read_and_a_backslash_in_a_name_is_kept(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("deep/a.npy", "deep/m.npy", "odd\\b.npy"):
        (tmp_path / name).touch()
    found = listed(tmp_path, "path,mask\ndeep\\a.npy,.\\deep\\m.npy\nodd\\b.npy,\n")
    assert [(item.path, item.mask) for item in found.items] == [("deep/a.npy", "deep/m.npy"), ("odd\\b.npy", None)]
