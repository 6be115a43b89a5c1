"""Several folders as one: shares, scans that two have, what must agree, and what is recorded."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest

from ssl3d_tf.data import mixing, pipeline, shares
from ssl3d_tf.data.folders import Part
from ssl3d_tf.data.places import Remote
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from tests.conftest import make_folder
from tests.data.test_pipeline import identity_task

SIDE = 8


def make(folder, *, train=6, val=2, test=0, contents=None, recipe=None, **options):
    """A folder whose scans hash to FOLDER-SPLIT-NUMBER, or to what `contents` says of (split, number)."""
    counts = {name: count for name, count in (("train", train), ("val", val), ("test", test)) if count}
    make_folder(folder, counts=counts, shapes=[(SIDE, SIDE)], **options)
    made, known = manifests.read(folder), contents or {}
    splits = {
        name: split._replace(
            entries=tuple(
                entry._replace(content=known.get((name, number), f"{folder.name}-{name}-{number}"))
                for number, entry in enumerate(split.entries)
            )
        )
        for name, split in made.splits.items()
    }
    manifests.write(folder, made._replace(splits=splits, recipe={"made": folder.name, **(recipe or {})}))
    return folder


def ids(data, split):
    return [entry.id for entry in data.manifest.split(split).entries]


def read(data, **options):
    task = identity_task()._replace(make_views=lambda batch, params: (batch["volume"], params["number"]))
    defaults = {"split": "train", "training": True, "rank": 2, "view_size": SIDE, "batch_size": 4, "seed": 7}
    return pipeline.read(data, task, **{**defaults, **options})


def drawn(data, steps, first_step=0):
    """[(id, voxels, random number)] of every example of some steps."""
    batches = itertools.islice(read(data).dataset(first_step), steps)
    found = read(data)
    rows = []
    for index, element in batches:
        voxels, numbers = found.to_views(element)
        rows += list(zip((found.ids[i] for i in index), voxels.numpy(), numbers.numpy(), strict=True))
    return rows


def test_without_shares_every_scan_of_all_comes_once_per_epoch(tmp_path):
    a, b = make(tmp_path / "A"), make(tmp_path / "B", train=10)
    rows = drawn(mixing.open_folders([a, b]), 8)
    for epoch in (rows[:16], rows[16:]):
        assert sorted(name for name, *_ in epoch) == sorted(
            [*(f"A/train{i}" for i in range(6)), *(f"B/train{i}" for i in range(10))]
        )


def test_voxels_are_those_of_the_folder_that_the_id_names(tmp_path):
    made = {
        name: make_folder(tmp_path / name, counts={"train": count, "val": 1}, shapes=[(SIDE, SIDE)], dtype=dtype)
        for name, count, dtype in (("A", 3, "uint8"), ("B", 5, "int16"))
    }
    data = mixing.open_folders([f"{tmp_path / 'A'}:1/4", tmp_path / "B"])
    of = {f"{name}/{one.id}": one.volume for name, splits in made.items() for one in splits["train"]}
    rows = drawn(data, 6)
    assert {name for name, *_ in rows} == of.keys()
    for name, voxels, _ in rows:
        np.testing.assert_array_equal(voxels, of[name].astype("float32"))


def test_a_share_is_exact_in_every_block_and_the_rest_goes_by_size(tmp_path):
    a, b, c = make(tmp_path / "A"), make(tmp_path / "B", train=10), make(tmp_path / "C", train=4)
    rows = drawn(mixing.open_folders([a, f"{c}:0.2", b]), 60)
    blocks = np.array([name[0] for name, *_ in rows]).reshape(-1, 5)
    assert all((block == "C").sum() == 1 for block in blocks)
    rest = [name for name, *_ in rows if name[0] != "C"]
    assert all(len(set(rest[at : at + 16])) == 16 for at in range(0, len(rest) - 15, 16))
    assert len({(name, float(number)) for name, _, number in rows}) == len(rows)  # random choices never come again


@pytest.mark.parametrize("share", ["", ":0.3"])
def test_it_goes_on_from_any_step(tmp_path, share):
    data = mixing.open_folders([make(tmp_path / "A"), f"{make(tmp_path / 'B')}{share}"])
    whole, rest = drawn(data, 30), drawn(data, 10, first_step=20)
    for before, after in zip(whole[80:], rest, strict=True):
        assert before[0] == after[0]
        assert before[2] == after[2]


def test_a_scan_of_two_folders_is_taken_once_and_never_trained_on_where_one_tests_it(tmp_path):
    a = make(tmp_path / "A", test=1, contents={("train", 0): "x", ("val", 0): "y", ("test", 0): "z"})
    b = make(tmp_path / "B", contents={("train", 1): "x", ("train", 2): "y", ("train", 3): "z", ("train", 4): "w"})
    data = mixing.open_folders([a, b])
    assert ids(data, "train") == [*(f"A/train{i}" for i in range(6)), "B/train0", "B/train4", "B/train5"]
    assert ids(data, "val") == ["A/val0", "A/val1", "B/val0", "B/val1"]
    assert data.sources[1].left_out == 3
    assert "3 more are of scans that another folder has too, and are left out" in mixing.told(data)
    assert ids(mixing.open_folders([b, a]), "train")[:2] == ["B/train0", "B/train1"]  # the folder named first


def test_what_differs_is_said_in_one_line(tmp_path):
    a = make(tmp_path / "A", recipe={"intensity": "auto", "shape": None})
    b = make(tmp_path / "B", recipe={"intensity": "window", "shape": None})
    make_folder(tmp_path / "C", counts={"train": 4}, shapes=[(SIDE, SIDE)])
    line = mixing.told(mixing.open_folders([a, b, f"{tmp_path / 'C'}:0.25"]))
    assert line == (
        "3 folders, validation over all: A has 6 training and 2 validation examples; B has 6 training and 2 validation "
        "examples; C has 4 training and 0 validation examples, 0.25 of the draws; no content hashes in C, so that "
        'scans in two folders cannot be told; intensity "auto" in A, "window" in B, null in C.'
    )


def test_two_folders_of_one_name_are_told_apart_by_where_they_lie(tmp_path):
    data = mixing.open_folders([make(tmp_path / "a" / "data"), make(tmp_path / "b" / "data", contents={})])
    assert [source.label for source in data.sources] == ["a/data", "b/data"]


def test_what_is_recorded_opens_the_same_again(tmp_path):
    data = mixing.open_folders([make(tmp_path / "A"), f"{make(tmp_path / 'B')}:0.30"])
    recorded = json.loads(json.dumps(mixing.about(data)))
    again = mixing.open_folders(mixing.texts(recorded))
    assert mixing.about(again)["sha256"] == recorded["sha256"]
    assert [one["share"] for one in recorded["folders"]] == ["", "3/10"]
    others = [tmp_path / "A", tmp_path / "B"], [f"{tmp_path / 'A'}:0.6", f"{tmp_path / 'B'}:0.4"]
    assert all(mixing.about(mixing.open_folders(each))["sha256"] != recorded["sha256"] for each in others)


def test_one_folder_is_what_it_was(tmp_path):
    data = mixing.open_folders([make(tmp_path / "A")])
    assert mixing.about(data).keys() == {"path", "name", "sha256"}
    assert ids(data, "val") == ["val0", "val1"]


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        ("", {"channels": 2}, r"channels 1 in .*A, channel0/channel1 in .*B; they must agree: convert one again"),
        ("", {"codec": "zlib"}, r"codec raw in .*A, zlib in .*B; they must agree"),
        (":1.5", {}, r"B:1.5: a share is above 0 and at most 1, such as .*B:0.3"),
        (":o.3", {}, r"B:o.3: a share is above 0"),
        (":0", {}, r"B:0: a share is above 0"),
        (":1", {}, r"--data=.*A --data=.*B:1: the shares add up to 1; they must add up to less than 1"),
        (":0.12345", {}, r"only a block of 20000 draws has these shares; 10000 at most: round them"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path, other, options, message):
    a, b = (
        make(tmp_path / "A"),
        make_folder(tmp_path / "B", counts={"train": 2, "val": 1}, shapes=[(SIDE, SIDE)], **options),
    )
    assert b
    with pytest.raises(InputError, match=message):
        mixing.open_folders([a, f"{tmp_path / 'B'}{other}"])


def test_another_rank_a_folder_twice_and_shares_of_all_are_one_line(tmp_path):
    a = make(tmp_path / "A")
    make_folder(tmp_path / "B", counts={"train": 2}, shapes=[(SIDE,) * 3])
    with pytest.raises(InputError, match=r"axes 2 in .*A, 3 in .*B; they must agree"):
        mixing.open_folders([a, tmp_path / "B"])
    with pytest.raises(InputError, match=r"--data names .*A 2 times: name it once, with a share"):
        mixing.open_folders([a, f"{a}:0.5"])
    with pytest.raises(InputError, match=r"shares add up to 4/5; they must add up to 1, unless one folder has none"):
        mixing.open_folders([f"{a}:0.3", f"{tmp_path / 'B'}:0.5"])


def test_a_batch_never_has_a_share_of_more_scans_than_there_are(tmp_path):
    data = mixing.open_folders([make(tmp_path / "A"), f"{make(tmp_path / 'B', train=2)}:0.9"])
    with pytest.raises(InputError, match=r"of a batch of 4 a share of 9/10, 4 examples, is to come from 2 examples"):
        read(data)


def test_shares_stand_behind_paths_and_urls():
    assert shares.wanted(["a:b/c"])[0].share is None
    assert shares.wanted(["data:1/3", "d2:2/3"])[0][1:] == (Fraction(1, 3),)
    first, second = shares.wanted(["gs://bucket/data:0.5", "gs://bucket/other"])
    assert (first.path, first.share) == (Remote("gs://bucket/data"), Fraction(1, 2))
    assert (second.path, second.share) == (Remote("gs://bucket/other"), None)
    assert shares.parts([5, 7, 9], [None, Fraction(1, 4), None]) == (Part(14, 3), Part(7, 1))


def test_a_whole_address_behind_a_url_is_that_address(tmp_path):
    assert Remote("gs://a + /b") / f"file://{tmp_path}" == tmp_path
    assert Remote("gs://a + gs://b") / "gs://b/train-0" == Remote("gs://b/train-0")


@pytest.mark.parametrize(("other", "said"), [("RA", "RA"), ("RS", ""), ("", "")])
def test_how_scans_lie_is_said_only_where_all_agree(other, said, tmp_path):
    folders = [make(tmp_path / name) for name in "AB"]
    for folder, axes in zip(folders, ("RA", other), strict=True):
        manifests.write(folder, manifests.read(folder)._replace(orientation=axes))
    assert mixing.open_folders(folders).manifest.orientation == said
