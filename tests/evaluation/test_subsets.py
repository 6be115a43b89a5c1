"""Label fractions and folds: nested, by patient, stratified, the same for the same seed."""

import itertools

import pytest

from ssl3d_tf.data.records.manifest import Entry, Manifest, Split
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import subsets


def entries(number=60, *, per_patient=1, classes=3):
    return [
        Entry(f"e{i}", f"p{i // per_patient}", 0, 0, 1, (4, 4, 1), (float(i // per_patient % classes),))
        for i in range(number)
    ]


def ids(chosen):
    return {entry.id for entry in chosen}


def manifest(number=12):
    rows = entries(number)
    splits = {
        "train": Split(("a", "b"), tuple(rows[:8])),
        "val": Split(("c",), tuple(rows[8:10])),
        "test": Split(("d",), tuple(rows[10:])),
    }
    return Manifest("m", 2, ("c",), "", {}, ("uint8",), (), "raw", 1, {}, splits)


def test_fractions_are_nested_and_of_the_asked_size():
    rows = entries()
    chosen = [subsets.fraction(rows, percent, seed=1, repetition=0) for percent in (5, 10, 25, 50, 100)]
    assert [len(each) for each in chosen] == [3, 6, 15, 30, 60]
    assert all(ids(small) < ids(large) for small, large in itertools.pairwise(chosen))


def test_every_fraction_has_the_mix_of_labels():
    for percent in (5, 10, 25, 50):
        labels = [entry.label[0] for entry in subsets.fraction(entries(), percent, seed=2, repetition=1)]
        counts = [labels.count(value) for value in (0, 1, 2)]
        assert max(counts) - min(counts) <= 1


def test_a_patient_is_in_or_out_as_a_whole():
    chosen = subsets.fraction(entries(60, per_patient=4), 20, seed=0, repetition=0)
    assert len(chosen) == 12
    assert len({entry.patient for entry in chosen}) == 3


def test_repetitions_and_seeds_choose_differently_and_each_the_same_again():
    draw = [ids(subsets.fraction(entries(), 25, seed=s, repetition=r)) for s, r in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert draw[0] == draw[1]
    assert draw[0] != draw[2]
    assert draw[0] != draw[3]


def test_adding_patients_moves_few_others():
    before, after = (ids(subsets.fraction(entries(n, classes=1), 50, seed=0, repetition=0)) for n in (100, 104))
    assert len(before - after) <= 4


@pytest.mark.parametrize(
    ("percent", "message"), [(0.5, "is none; FRACTIONS must be 0.833 or more"), (0, "above 0"), (101, "at most 100")]
)
def test_a_fraction_of_nothing_is_refused(percent, message):
    with pytest.raises(InputError, match=message):
        subsets.fraction(entries(), percent, seed=0, repetition=0)


def test_folds_test_every_case_once_and_never_on_what_they_learn_from():
    made = subsets.folds(manifest(), 4, seed=0)
    assert sorted(e.id for m in made for e in m.split("test").entries) == sorted(f"e{i}" for i in range(12))
    for each in made:
        parts = [ids(each.split(name).entries) for name in ("train", "val", "test")]
        assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts)) == 12
        assert all(parts)


def test_folds_keep_every_record_where_it_lies():
    original = {e.id: s.shards[e.shard] for s in manifest().splits.values() for e in s.entries}
    for each in subsets.folds(manifest(), 3, seed=0):
        for split in each.splits.values():
            assert all(split.shards[entry.shard] == original[entry.id] for entry in split.entries)


@pytest.mark.parametrize("number", [2, 13])
def test_impossible_folds_are_refused(number):
    with pytest.raises(InputError, match=f"FOLDS is {number}"):
        subsets.folds(manifest(), number, seed=0)
