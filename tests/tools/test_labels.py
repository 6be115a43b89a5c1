"""tools/readers/labels, class_folders: what a cell or a folder says of a whole image, and what is doubted of it."""

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, settings
from tools.conversion import conversion
from tools.readers import labels, layouts

WORDS = ("NA", "N/A", "n/a", "nan", "NaN", "-nan", "None", "null", "NULL", "?", "<NA>", "#N/A", "", "NAN", "1.#QNAN")


def pictures(root, names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / name, np.random.default_rng(number).integers(0, 99, (6, 7)).astype(np.uint8))


def table(root, rows, header="path,label"):
    """Pictures and the table t.csv that lists them; rows: what follows each path."""
    pictures(root, [f"i{number:02d}.npy" for number in range(len(rows))])
    lines = [f"i{number:02d}.npy,{row}" for number, row in enumerate(rows)]
    (root / "t.csv").write_text("\n".join([header, *lines]))
    return root


def find(root, **changes):
    return layouts.find(layouts.Request(str(root), **changes))


@pytest.mark.parametrize("word", WORDS)
def test_words_for_a_missing_value_are_no_label(tmp_path, word):
    found = find(table(tmp_path, ["3", word, "1", word]))
    assert [item.label for item in found.items] == [(3.0,), None, (1.0,), None]
    assert found.label_classes == {"1": "class 1", "3": "class 3"}
    assert any(f"'{word}' (2)" in note for note in found.notes) == bool(word)


def test_words_for_a_missing_value_count_in_every_optional_column(tmp_path):
    found = find(table(tmp_path, ["NA,None,n/a", "q,,TRAIN"], "path,patient,mask,split"))
    assert [(item.patient, item.mask, item.split) for item in found.items] == [
        ("i00", None, None),
        ("q", None, "train"),
    ]


def test_unknown_and_none_are_classes(tmp_path):
    assert find(table(tmp_path, ["none", "mild", "unknown"])).label_classes == {
        "0": "mild",
        "1": "none",
        "2": "unknown",
    }


def test_numbers_among_names_are_in_numeric_order():
    assert list(labels.named(["10", "9", "-1", "grade 10", "grade 9", "x"]).classes.values()) == [
        *("-1", "9", "10", "grade 9", "grade 10", "x")
    ]


def test_numbers_keep_their_values_and_minus_one_is_named(tmp_path):
    found = find(table(tmp_path, ["7", "-1", "12.0", "12"]))
    assert [item.label for item in found.items] == [(7.0,), (-1.0,), (12.0,), (12.0,)]
    assert found.label_classes == {"-1": "class -1", "7": "class 7", "12": "class 12"}


def test_several_numbers_of_which_one_is_missing_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'1;NA;0', which lacks a number"):
        find(table(tmp_path, ["1;0;0", "1;NA;0"]))


def doubts(classes, values):
    return [what for _, what in labels.doubts(classes, [(float(value),) for value in values])]


def test_classes_are_doubted():
    assert doubts({"0": "A", "1": "B"}, [0, 1]) == []
    assert doubts({"0": "Ill", "1": "ill", "2": "well"}, [0, 1, 1, 2]) == [
        "'Ill' (1) and 'ill' (2) differ in case only, and are 2 classes"
    ]
    assert doubts({"0": "1", "1": "2", "2": "other"}, [0, 1, 2]) == ["'other' among numbers is a class of its own"]
    assert doubts({"-1": "class -1", "0": "class 0"}, [0, -1, -1]) == ["-1 (2) is a class of its own"]
    assert doubts({"2": "class 2", "5": "class 5"}, [2, 5]) == ["no example has 0, 1, 3, 4"]
    assert doubts({"0": "A", "1": "B"}, [0, 0]) == ["no example has 1 'B'"]
    sparse = {str(value): f"class {value}" for value in (0, 1, 3, 999)}
    assert doubts(sparse, [0, 1, 3, 999]) == ["no example has 2, 4 to 998"]
    assert doubts({"2019": "class 2019", "2020": "class 2020"}, [2019, 2020]) == []


def test_of_several_answers_a_negative_one_is_doubted():
    assert list(labels.doubts({}, [(0.0, 1.0), (1.0, -1.0), (0.0, -1.0), None])) == [
        ("labels", "-1 (2) among several numbers of 0 and 1 is neither no nor yes, and none to learn from")
    ]
    assert not list(labels.doubts({}, [(0.5, 1.0), (0.0, -1.0)]))  # measurements
    assert not list(labels.doubts({}, [(0.0, 1.0), (1.0, 1.0)]))


def test_numbers_that_keep_the_others_from_being_classes_are_said():
    found = labels.in_words({}, [(1.0,), (3.5,), (2.0,), None])
    assert found == "3 have one, no classes, as some are not whole: 3.5; 1 without a label"
    assert labels.in_words({}, [(1.0, 0.5)]) == "1 have one"


@pytest.mark.parametrize("values", [(0, 1, 1000000), (1234567, 1234568)])
def test_large_numbers_keep_every_digit(tmp_path, capsys, values):
    rows = [values[number % len(values)] for number in range(12)]
    data = convert(table(tmp_path / "raw", rows), tmp_path / "out").data
    assert data.label_classes == {str(value): f"class {value}" for value in values}
    said = capsys.readouterr().out
    assert f"labels: {', '.join(f'{value} ({rows.count(value)})' for value in values)}." in said
    assert sorted(int(one.label[0]) for one in examples(tmp_path / "out").values()) == sorted(rows)
    page = (tmp_path / "out" / "summary.md").read_text()
    assert all(f"| {value} | class {value} |" in page for value in values)


def test_classes_that_float32_does_not_tell_apart_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv holds 16777217 as a class, .* number the classes from 0"):
        find(table(tmp_path, ["16777216", "16777217"]))


def test_the_mapping_is_printed_with_counts_and_stands_in_the_summary(tmp_path, capsys):
    root = table(tmp_path / "raw", ["sick", "well", "sick", "NA", "well", "sick"])
    convert(root, tmp_path / "out", settings()._replace(fractions=(0.5, 0.0, 0.5)))
    assert "labels: 0 'sick' (3), 1 'well' (2); 1 without a label." in capsys.readouterr().out
    page = (tmp_path / "out" / "summary.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if " | sick | " in line or " | well | " in line]
    assert [sum(int(cell.strip(" |")) for cell in row[2:]) for row in rows] == [3, 2]
    assert "'NA' (1) taken as not known" in page


def test_masks_and_labels_have_names_of_their_own(tmp_path):
    root = table(tmp_path / "raw", [f"{'no' if n % 2 else 'yes'},m/{n}.npy" for n in range(6)], "path,label,mask")
    for number in range(6):
        (root / "m").mkdir(exist_ok=True)
        np.save(root / "m" / f"{number}.npy", np.full((6, 7), 4 * (number % 2)))
    data = convert(root, tmp_path / "out").data
    assert data.classes == {"0": "background", "4": "class 4"}
    assert data.label_classes == {"0": "no", "1": "yes"}


def classes_of(tmp_path, names, **changes):
    pictures(tmp_path / "raw", names)
    found = find(tmp_path / "raw", labels_from="folder", **changes)
    return found, {item.path: found.label_classes[labels.key(item.label[0])] for item in found.items if item.label}


def test_folders_are_labels_on_request(tmp_path):
    names = ["Train/grade 10/a.npy", "Train/grade 9/sub/b.npy", "Test/grade 9/c.npy", "Test/images/grade 10/d.npy"]
    found, named = classes_of(tmp_path, [*names, "e.npy"])
    assert found.label_classes == {"0": "grade 9", "1": "grade 10"}
    assert named == {name: "grade 10" if "10" in name else "grade 9" for name in names}
    assert [item.split for item in found.items] == ["test", "test", "train", "train", None]


def test_a_folder_around_all_is_no_class(tmp_path):
    _, named = classes_of(tmp_path, ["set/ill/a.npy", "set/well/b.npy"])
    assert set(named.values()) == {"ill", "well"}


def test_eyes_of_two_classes_are_one_patient(tmp_path):
    found, _ = classes_of(tmp_path, ["ill/07_L.npy", "well/07_R.npy", "ill/08_L.npy", "well/09_OS.npy"])
    assert [item.patient for item in found.items] == ["07", "08", "07", "09"]


def test_labels_from_folders_need_two_classes_and_no_other_labels(tmp_path):
    with pytest.raises(InputError, match=r"finds no two class folders .*but none"):
        classes_of(tmp_path, ["ill/a.npy", "ill/b.npy"])
    with pytest.raises(InputError, match="gives labels itself"):
        find(table(tmp_path / "t", ["1", "2"]), labels_from="folder")


@pytest.mark.parametrize(
    ("names", "is_hinted"),
    [
        ([f"{kind}/{number}.npy" for kind in ("cyst", "stone", "normal") for number in range(5)], True),
        ([f"train/{kind}/{number}.npy" for kind in "01" for number in range(6)], True),
        ([f"patient{kind}/{number}.npy" for kind in range(3) for number in range(5)], False),
        ([f"images/{number}.npy" for number in range(9)], False),
        ([f"{kind}/{number}.npy" for kind in ("T1", "FLAIR") for number in range(9)], False),
        ([f"{kind}/{number}.npy" for kind in "ab" for number in range(2)], False),
        ([f"grade_{kind}/{number}.npy" for kind in (1, 2, 4) for number in range(5)], True),
        ([f"{kind}/{number}.npy" for kind in (1, 2, 5, 6, 8, 10) for number in range(5)], False),
        ([f"P{kind}/{number}.npy" for kind in (1, 2, 3) for number in range(5)], False),
        ([f"PETCT_{kind}a1b2c3d/{number}.npy" for kind in "0a2" for number in range(5)], False),
        ([f"{kind}/{number}.npy" for kind in (10000, 10001) for number in range(5)], False),
        ([f"training_{kind}/{number}.npy" for kind in ("source", "target") for number in range(5)], False),
        ([f"{kind}/{number}.npy" for kind in ("siteA", "siteB") for number in range(5)], False),
    ],
)
def test_folders_that_look_like_classes_are_hinted_at(tmp_path, names, is_hinted):
    pictures(tmp_path, names)
    found = find(tmp_path)
    assert any("--labels_from=folder" in note for note in found.notes) == is_hinted
    assert all(item.label is None for item in found.items)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0", "1"] * 3 + ["0"], ["no label of val is 1"]),
        (["0;1;0", "1;0;1"] * 3 + ["0;0;0"], ["no label of val is 1 in place 0, 1 in place 1, 1 in place 2"]),
        (["cat", "dog"] * 3 + ["?"], ["no example of val has a label"]),
        (["0.5", "1.25"] * 3 + ["1.0"], []),
        (["0.5", "1.25"] * 3 + [""], ["no example of val has a label"]),
    ],
)
def test_a_class_that_a_split_lacks_is_a_warning(tmp_path, cells, expected):
    rows = [f"{cell},{'train' if n < 6 else 'val'}" for n, cell in enumerate(cells)]
    root = table(tmp_path / "raw", rows, "path,label,split")
    made = conversion.convert(
        layouts.Request(str(root)), tmp_path / "out", settings()._replace(fractions=(0.8, 0.2, 0))
    )
    assert [one.what for one in made.found if one.word == "missing class"] == expected
    assert len(examples(tmp_path / "out")) == 7


@pytest.mark.parametrize(
    ("cells", "values"),
    [(["1,5", "2", "-0,25"], [1.5, 2.0, -0.25]), (["7,125;0", "1,5;2"], [(7.125, 0.0), (1.5, 2.0)])],
)
def test_decimal_commas_are_numbers(cells, values):
    found = labels.read(cells, "t.csv")
    assert [found.numbers[cell] for cell in cells] == [v if isinstance(v, tuple) else (v,) for v in values]
    assert not found.classes


def test_a_comma_that_may_be_of_thousands_is_refused_and_one_in_a_name_is_none():
    with pytest.raises(InputError, match=r"t\.csv holds '1,250', which is 1\.250 or 1250"):
        labels.read(["1,250", "12,000", "3"], "t.csv")
    assert list(labels.read(["1,5", "mild, left"], "t.csv").classes.values()) == ["1,5", "mild, left"]
