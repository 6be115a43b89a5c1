"""Which values are classes: those declared, else those held, in rising order with their names."""

import math

import pytest

from ssl3d_tf.data import classes, folders
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.places import place
from ssl3d_tf.data.records.manifest import Entry, Manifest, Split
from ssl3d_tf.data.records.schema import Stored
from ssl3d_tf.errors import InputError

STORED = Stored("uint8", 0, 1, (1.0,), (0.0,))


def entry(name, *, label=None, counts=None, mask_dtype=None):
    stored = STORED._replace(mask_dtype=mask_dtype)
    return Entry(name, name, 0, 0, 0, (4, 4, 1), label and tuple(label), counts, stored=stored)


def manifest(*entries, declared=(), masks=True, labels=0, ignore=None):
    splits = {"train": Split((), tuple(entries)), "val": Split((), ()), "test": Split((), ())}
    names = dict(declared)
    kinds = ("uint8",) if masks else ()
    return Manifest("toy", 2, ("CT",), "CT", names, ("uint8",), kinds, "raw", labels, {}, splits, ignore)


def test_masks_have_the_classes_that_are_declared_or_held():
    held = entry("a", counts={"0": 4, "10": 2, "2035": 9}), entry("b", counts={"2": 5})
    assert classes.of_masks(manifest(*held)) == {0: "background", 2: "class 2", 10: "class 10", 2035: "class 2035"}
    declared = {"10": "thalamus", "2": "white matter", "2035": "insula", "99": "nobody has it"}
    assert list(classes.of_masks(manifest(*held, declared=declared)).items()) == [
        (0, "background"), (2, "white matter"), (10, "thalamus"), (99, "nobody has it"), (2035, "insula")
    ]  # fmt: skip


def test_a_value_to_ignore_is_no_class():
    held = entry("a", counts={"0": 4, "1": 2, "7": 9})
    assert classes.of_masks(manifest(held, ignore=7)) == {0: "background", 1: "class 1"}
    assert classes.of_masks(manifest(held, declared={"1": "liver", "7": "void"}, ignore=7)) == {
        0: "background",
        1: "liver",
    }


def test_classes_of_labels_are_not_taken_for_those_of_masks():
    both = entry("a", label=[0.0], counts={"0": 4, "5": 2}), entry("b", label=[2.0], counts={"5": 2})
    made = manifest(*both, declared={"0": "benign", "2": "malignant"}, labels=1)
    assert classes.of_masks(made).keys() == {0, 5}
    assert classes.of_labels(made).keys() == {0, 2}


def test_two_classes_of_one_name_stay_two():
    made = manifest(declared={"0": "background", "3": "kidney", "9": "kidney"})
    assert classes.of_masks(made) == {0: "background", 3: "kidney (3)", 9: "kidney (9)"}


def test_labels_are_in_numeric_order_and_whole():
    held = [entry(str(value), label=[value]) for value in (10.0, 2.0, -1.0, 0.5, math.nan)]
    assert list(classes.of_labels(manifest(*held, masks=False, labels=1))) == [-1, 2, 10]
    declared = {"10": "ten", "2": "two"}
    assert classes.of_labels(manifest(*held, declared=declared, masks=False, labels=1)) == {2: "two", 10: "ten"}


def test_a_number_of_classes_may_be_more_than_the_data_hold():
    found = {0: "a", 1: "b", 3: "d"}
    assert classes.as_asked(found, None) == classes.as_asked(found, 3) == found
    assert classes.as_asked(found, 5) == {0: "a", 1: "b", 2: "class 2", 3: "d", 4: "class 4"}
    assert classes.as_asked(found, (0, 3)) == {0: "a", 3: "d"}


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"0": "background", "1": "liver"}, ""),
        ({"0": "background", "1": "liver", "2": "lesion"}, "no scan has class 2"),
        (
            {"0": "background", "1": "l", "400": "k"},
            "3 classes, 0, 1, 400, to the network 0 to 2; no scan has class 400",
        ),
    ],
)
def test_what_is_not_plain_is_told(declared, told):
    made = manifest(entry("a", counts={"0": 1, "1": 1}), declared=declared)
    assert classes.told(made, masks=True) == told


def test_only_what_has_what_a_task_reads_is_labelled():
    entries = [
        entry("mask", counts={"0": 3}, mask_dtype="uint8"),
        entry("ignored altogether", counts={}, mask_dtype="uint8"),
        entry("mask of before counts", mask_dtype="uint8", label=[1.0]),
        entry("label", label=[0.0]),
        entry("not a number", label=[math.nan]),
        entry("one of two", label=[1.0, math.nan]),
        entry("nothing"),
    ]
    data = DataFolder(place("nowhere"), manifest(*entries, labels=1))

    def kept(*fields):
        return [one.id for one in folders.labelled(data, fields).manifest.splits["train"].entries]

    assert kept("volume", "mask") == ["mask", "ignored altogether", "mask of before counts"]
    assert kept("volume", "label") == ["mask of before counts", "label"]
    assert kept("volume", "mask", "label") == ["mask of before counts"]
    assert kept("volume") == [one.id for one in entries]


@pytest.mark.parametrize(
    ("asked", "declared", "masks", "said"),
    [
        (100, 255, True, "IGNORE_LABEL=100, but the data DATA ignore 255 already, .* --relabel=100:255 to"),
        (77, 255, True, "IGNORE_LABEL=77, but the data DATA ignore 255 already"),
        (77, None, True, "IGNORE_LABEL=77, which no mask of DATA has: they hold 0, 100, 200; mend it"),
        (0, None, True, "IGNORE_LABEL=0 must be a whole number above 0"),
        ("100", None, True, "IGNORE_LABEL='100' must be a whole number"),
        (100, None, False, "IGNORE_LABEL=100 is a value of masks, and this task reads labels"),
    ],
)
def test_a_value_to_ignore_that_cannot_be_is_refused(asked, declared, masks, said):
    held = manifest(entry("a", counts={"0": 5, "100": 3}), entry("b", counts={"200": 2}), ignore=declared)
    with pytest.raises(InputError, match=said):
        classes.ignored(held, asked, "DATA", masks=masks)


def test_a_value_to_ignore_is_that_of_the_data_or_the_one_asked_for():
    held = manifest(entry("a", counts={"0": 5, "100": 3}))
    assert classes.ignored(held, 100, "DATA", masks=True) == 100
    assert classes.ignored(held._replace(ignore_label=255), 255, "DATA", masks=True) == 255
    assert classes.ignored(held._replace(ignore_label=255), None, "DATA", masks=False) == 255


@pytest.mark.parametrize("asked", [3, (0, 2)])
def test_what_is_ignored_is_no_class(asked):
    with pytest.raises(InputError, match="holds 2, the value of masks to ignore"):
        classes.as_asked({0: "background", 1: "organ"}, asked, ignore=2)
