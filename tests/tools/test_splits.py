"""Splits that a data set declares in part, or whose examples cannot be used: filled, or said; never silently empty."""

import numpy as np
import pytest

from tests.tools.converting import contents, convert, run, settings
from tools.checks import findings
from tools.conversion import plan, shards, splits, workers
from tools.readers.contract import Item

EIGHTY = (0.8, 0.1, 0.1)


def items(count, first=0, **changes):
    return [Item(f"q{n}", f"q{n}.npy", f"q{n}", **changes) for n in range(first, first + count)]


def test_a_split_left_open_is_taken_from_train_and_stays_when_data_are_added():
    declared = [*items(300, split="train"), *items(40, 300, split="test")]
    chosen = splits.assign(declared, EIGHTY)
    assert {chosen[f"q{n}"] for n in range(300, 340)} == {"test"}
    assert 20 < list(chosen.values()).count("val") < 50
    more = splits.assign([*declared, *items(200, 400, split="train")], EIGHTY)
    assert chosen.items() <= more.items()
    (note,) = splits.taken(declared, chosen)
    assert f"declares no val: by --splits, {list(chosen.values()).count('val')} examples of its train are taken" in note


def test_a_declared_train_alone_is_split_as_if_nothing_were_declared():
    assert splits.assign(items(90, split="train"), EIGHTY) == splits.assign(items(90), EIGHTY)


@pytest.mark.parametrize("fractions", [(1.0, 0, 0), (0, 0.5, 0.5)])
def test_nothing_is_taken_that_is_not_asked_for(fractions):
    declared = [*items(9, split="train"), *items(3, 9, split="test")]
    assert splits.assign(declared, fractions) == {item.patient: item.split for item in declared}


def test_a_declared_test_grows_by_nobody():
    chosen = splits.assign([*items(5, split="test"), *items(200, 5)], EIGHTY)
    assert list(chosen.values()).count("test") == 5
    assert 5 < list(chosen.values()).count("val") < 50


def test_who_is_in_no_split_goes_to_train_where_all_are_declared():
    declared = [*items(2, split="train"), *items(2, 2, split="val"), *items(2, 4, split="test"), *items(9, 6)]
    assert {splits.assign(declared, EIGHTY)[f"q{n}"] for n in range(6, 15)} == {"train"}


def test_a_declared_split_of_which_no_file_is_left_is_not_taken_from_train():
    left = items(60, split="train")
    assert "test" in splits.assign(left, EIGHTY).values()
    chosen = splits.assign(left, EIGHTY, declared=("test",))
    assert set(chosen.values()) == {"train", "val"}
    usable = {f"q{n}" for n in range(60) if chosen[f"q{n}"] == "train"}
    assert set(splits.moved(left, usable, chosen, EIGHTY, declared=("test",)).values()) == {"val"}
    assert set(splits.assign(items(60), EIGHTY, declared=("test",)).values()) == {"train", "val"}


def volumes(root, count=12, bad=()):
    root.mkdir(parents=True)
    for number in range(count):
        values = np.random.default_rng(number).normal(0, 1, (5, 6, 7)).astype(np.float32)
        values[0, 0, 0] = np.nan if number in bad else 0
        np.save(root / f"q{number}.npy", values)
    return root


def planned_as(split, count=12):
    return [int(item[1:]) for item, found in splits.assign(items(count), EIGHTY).items() if found == split]


def split_of(summary):
    return {entry.id: name for name, split in summary.data.splits.items() for entry in split.entries}


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_whose_examples_cannot_be_used_is_filled(tmp_path, split, capsys):
    bad = planned_as(split)
    made = split_of(convert(volumes(tmp_path / "raw", bad=bad), tmp_path / "out"))
    assert f"note: no example of {split} can be used: patient '" in capsys.readouterr().out
    assert "is moved there from train." in (tmp_path / "out" / "summary.md").read_text()
    assert set(made.values()) == {"train", "val", "test"}
    assert len(made) == 12 - len(bad)
    without = splits.assign([item for item in items(12) if int(item.id[1:]) not in bad], EIGHTY)
    assert made == without  # as if the bad files were not there


def killed(work, jobs):
    """Makes what is asked for, unless it is asked again: the machine goes down then."""
    if "refilled" in work.recipe:
        for job in jobs[:1]:
            shards.finish(work, shards.make(work, job, lambda size: None))
        raise workers.WorkerKilledError("down")
    yield from workers.run(work, jobs, workers=1)


def test_a_conversion_killed_while_it_fills_a_split_goes_on_to_the_same_bytes(tmp_path):
    root = volumes(tmp_path / "raw", bad=planned_as("val"))
    convert(root, tmp_path / "whole")
    with pytest.raises(workers.WorkerKilledError):
        convert(root, tmp_path / "out", make=killed)
    convert(root, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_shards_without_a_moved_patient_are_kept(tmp_path):
    made = []

    def counting(work, jobs):
        made.extend(job.file for job in jobs)
        yield from workers.run(work, jobs, workers=1)

    convert(volumes(tmp_path / "raw", 30, bad=planned_as("val", 30)), tmp_path / "out", make=counting)
    again = [file for file in made if made.count(file) > 1]
    assert len(made) - len(set(made)) == 2
    assert "val-00000.tfrecord" in again


def test_a_declared_split_is_not_filled_from_another_but_said(tmp_path):
    root = volumes(tmp_path / "raw", 9, bad=(8,))
    rows = [f"q{n}.npy,{'val' if n == 8 else 'train' if n < 6 else 'test'}" for n in range(9)]
    (root / "t.csv").write_text("\n".join(["path,split", *rows]))
    done = run("--input", root, "--output", tmp_path / "out", "--workers=1")
    assert "warning: val has no example: its 1 examples cannot be used; mend what quarantine.jsonl names" in done.stdout
    assert "{'train': 6, 'val': 0, 'test': 2}" in done.stdout


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("bad", ["missing", "broken"])
def test_a_declared_split_of_files_that_cannot_be_opened_is_said_and_its_remedies_work(tmp_path, split, bad):
    root = volumes(tmp_path / "raw", 9)
    for number in (7, 8):
        (root / f"q{number}.npy").unlink() if bad == "missing" else (root / f"q{number}.npy").write_bytes(b"broken")
    other = {"val": "test", "test": "val"}[split]
    rows = [(f"q{n}.npy", split if n > 6 else "train" if n < 5 else other) for n in range(9)]
    (root / "t.csv").write_text("\n".join(["path,split", *map(",".join, rows)]))
    for fractions in (EIGHTY, (0.4, 0.3, 0.3)):
        made = convert(root, tmp_path / "out", settings()._replace(fractions=fractions), overwrite=True)
        assert [len(made.data.splits[name].entries) for name in ("train", split, other)] == [5, 0, 2]
        (empty,) = [one for one in made.found if one.word == "unusable split"]
        assert empty.what == f"{split} has no example: its 2 examples cannot be used"
        assert "--splits changes no split that the data set declares" in findings.REMEDIES[empty.word]
    (root / "t.csv").write_text(
        "\n".join(["path,split", *(f"{name},{word.replace(split, '')}" for name, word in rows)])
    )
    again = convert(root, tmp_path / "out", overwrite=True)
    assert again.data.splits[split].entries


def test_few_patients_leave_splits_empty_but_not_silently(tmp_path):
    found = convert(volumes(tmp_path / "raw", 2), tmp_path / "out").found
    assert [one.what for one in found] == [
        f"{name} has no example: 2 patients for 3 splits" for name in ("val", "test")
    ]


def test_only_test_declared_is_said(tmp_path):
    volumes(tmp_path / "raw" / "Test", 6)
    found = convert(tmp_path / "raw", tmp_path / "out").found
    why = "the data set declares other splits for all its patients"
    assert [one.what for one in found] == [f"{name} has no example: {why}" for name in ("train", "val")]
    assert {one.word for one in found} == {"declared split"}


def test_a_split_without_masks_or_without_one_of_their_classes_is_said(tmp_path):
    for split, classes in {"imagesTr": (0, 1, 5), "imagesVal": (0, 1), "imagesTs": ()}.items():
        for number in range(2):
            volumes(tmp_path / "raw" / split / str(number), 1)
            if classes:
                mask = np.resize(np.repeat(classes, 20), (5, 6, 7))
                np.save(tmp_path / "raw" / split / str(number) / "q0_mask.npy", mask)
    found = convert(tmp_path / "raw", tmp_path / "out").found
    told = [one.what for one in found if one.word == "missing class"]
    assert told == ["no mask of val is 5", "no example of test has a mask"]


def test_splits_that_are_not_asked_for_may_be_empty(tmp_path):
    all_train = settings()._replace(fractions=(1.0, 0.0, 0.0))
    assert not convert(volumes(tmp_path / "raw", 2), tmp_path / "out", all_train).found


def test_a_plan_that_loses_nothing_stays_the_same():
    kept = plan.Plan("", (3, 1), settings()._replace(fractions=EIGHTY), (), (), {})
    assert plan.refilled(kept, set()) == kept
