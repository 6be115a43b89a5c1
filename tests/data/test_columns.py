"""records/columns.py, rows.py: what a manifest of many examples says is what it says of few, read by need."""

import json
import math
import shutil

import numpy as np
import pytest

from ssl3d_tf.data import classes, folders, mixing, pipeline
from ssl3d_tf.data.folders import open_folder
from ssl3d_tf.data.records import columns, grids, manifest, rows, schema, writer
from ssl3d_tf.data.records.entry import Body, Brick, Entry
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import contracts
from tests.conftest import make_folder
from tests.data.test_pipeline import identity_task

STORED = schema.Stored("int16", 64, 24, (0.5,), (-1.0,), "uint8", 100, 24)
PLAIN = Entry("a", "p", 0, 0, 100, (2, 3, 4, 1), stored=STORED)
ENTRIES = (
    PLAIN,
    PLAIN._replace(id="größer/ä", patient="", label=(1.0, 0.25), content="c" * 64, spacing_mm=(0.1, 0.2, 1 / 3)),
    PLAIN._replace(label=(math.nan, 1.0), counts={"0": 3, "10": 1 << 40}, brick=Brick("ä", (0, 0, 1), (9, 9, 9))),
    PLAIN._replace(counts={}, label=(), offset=116, stored=STORED._replace(dtype="float32", mask_dtype=None)),
    PLAIN._replace(shape=(9, 9, 9, 1), content="d", label=(3.0, 4.0), body=Body((0.25,), "0123456f")),
)
KEEP = np.array([False, True, True, False, True])


@pytest.fixture
def many(monkeypatch):
    """From here on a single example is many."""
    monkeypatch.setattr(manifest, "MANY", 0)


def written(folder, entries=ENTRIES):
    shard, _ = writer.write_shard(folder / "train-00000.tfrecord", [bytes(100)] * 2)
    splits = {"train": manifest.Split((shard,), entries), "val": manifest.Split((), ())}
    made = manifest.Manifest("toy", 3, ("CT",), "CT", {}, ("int16",), ("uint8",), "raw", 2, {"shape": None}, splits)
    manifest.write(folder, made)
    return made


def in_columns(folder, target, monkeypatch):
    """A copy of a data folder, its manifest as of many examples."""
    shutil.copytree(folder, target)
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "MANY", 0)
        manifest.write(target, manifest.read(target))
    assert (target / manifest.COLUMNS).is_file()
    return target


def test_entries_are_what_they_were(tmp_path, many):
    made = written(tmp_path)
    read = manifest.read(tmp_path)
    found = read.splits["train"].entries
    assert repr([*found]) == repr([*ENTRIES])  # NaN is no NaN's equal
    assert (found[-1], found[1:3:2], len(found)) == (ENTRIES[-1], ENTRIES[1:3:2], 5)
    assert type(found[0].offset) is int
    assert type(found[1].label[0]) is float
    assert len(read.splits["val"].entries) == 0
    assert manifest.fingerprint(read) == manifest.fingerprint(made)
    with pytest.raises(IndexError):
        found[5]


def test_a_file_of_before_bodies_were_noted_says_that_none_is_known(tmp_path, monkeypatch, many):
    monkeypatch.setattr(rows, "RAGGED", {name: kind for name, kind in rows.RAGGED.items() if name not in rows.LATER})
    written(tmp_path)
    monkeypatch.undo()
    found = manifest.read(tmp_path).splits["train"].entries
    assert repr([*found]) == repr([entry._replace(body=None) for entry in ENTRIES])
    assert len(columns.of(columns.kept(found, KEEP)).texts("cells")) == 3


def test_text_without_bodies_is_that_of_before(tmp_path):
    written(tmp_path)
    listed = json.loads((tmp_path / manifest.FILE).read_text())["splits"]["train"]["examples"]
    assert [len(fields) for fields in listed] == [12, 12, 12, 12, 13]
    assert repr([*manifest.read(tmp_path).splits["train"].entries]) == repr([*ENTRIES])


def test_few_examples_are_text_and_many_are_counted(tmp_path, monkeypatch):
    for limit, schema_version, listed in ((5, 2, list), (4, 3, int)):
        folder = tmp_path / str(limit)
        folder.mkdir()
        monkeypatch.setattr(manifest, "MANY", limit)
        written(folder)
        value = json.loads((folder / manifest.FILE).read_text())
        assert value["schema_version"] == schema_version
        assert type(value["splits"]["train"]["examples"]) is listed
        assert (folder / manifest.COLUMNS).is_file() == (listed is int)


def test_equal_entries_are_equal_bytes(tmp_path, many):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    for name in (manifest.FILE, manifest.COLUMNS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def recount(path):
    table = path.parent / manifest.FILE
    value = json.loads(table.read_text())
    value["splits"]["train"]["examples"] = 4
    table.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, r"entries.npz has \d+ bytes, manifest.json says \d+ bytes: put it back, or convert"),
        (flip, r"entries.npz does not agree with its checksum"),
        (lambda path: path.unlink(), r"entries.npz cannot be read \(No such file or directory\)"),
        (recount, r"entries.npz has 5 of 4 examples of train"),
    ],
)
def test_a_damaged_file_of_columns_is_named(tmp_path, many, damage, said):
    written(tmp_path)
    damage(tmp_path / manifest.COLUMNS)
    with pytest.raises(InputError, match=said) as caught:
        manifest.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"shard": 1}, {"shard": -1}, {"offset": 117}, {"offset": -1}, {"length": 1 << 62}])
@pytest.mark.parametrize("limit", [0, 100])
def test_a_place_outside_its_shard_is_named(tmp_path, monkeypatch, limit, change):
    monkeypatch.setattr(manifest, "MANY", limit)
    written(tmp_path, (*ENTRIES, PLAIN._replace(id="lost", **change)))
    with pytest.raises(InputError, match="places example 'lost' outside its shard"):
        manifest.read(tmp_path)


def test_a_file_that_was_replaced_meanwhile_is_named(tmp_path, many):
    written(tmp_path)
    opened = manifest.read(tmp_path).splits["train"].entries
    written(tmp_path, tuple(reversed(ENTRIES)))
    with pytest.raises(InputError, match=r"entries.npz has changed since it was opened"):
        opened[4]


@pytest.mark.parametrize("held", [lambda entries: entries, columns.of])
def test_those_that_are_kept_and_put_together_are_as_one_by_one(held):
    few = columns.kept(held(ENTRIES), KEEP)
    expected = [entry for entry, keep in zip(ENTRIES, KEEP, strict=True) if keep]
    assert repr([*few]) == repr(expected)
    assert isinstance(few, columns.Columns) == (held is columns.of)
    both = columns.joined([columns.of(few), columns.moved(held(ENTRIES), "B/", 2), columns.of(())])
    moved = [e._replace(id=f"B/{e.id}", patient=f"B/{e.patient}", shard=e.shard + 2) for e in ENTRIES]
    assert repr([*both]) == repr([*expected, *moved])
    assert [*both.texts("id")] == [entry.id for entry in [*expected, *moved]]
    assert both.texts("content")[0] == "c" * 64
    assert both.texts("content")[1] == ""


def test_labels_and_masks_of_all():
    assert np.array_equal(
        columns.labels(ENTRIES, 2), [[np.nan] * 2, [1, 0.25], [np.nan, 1], [np.nan] * 2, [3, 4]], equal_nan=True
    )
    assert columns.has_label(ENTRIES).tolist() == [False, True, False, False, True]
    assert columns.has_mask((*ENTRIES[:3], ENTRIES[3]._replace(counts=None))).tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="labels of"):
        columns.labels(ENTRIES, 3)


@pytest.mark.parametrize("fields", [("volume",), ("volume", "mask", "label")])
def test_training_draws_the_same(volumes_3d, tmp_path, monkeypatch, fields):
    there = in_columns(volumes_3d[0], tmp_path / "many", monkeypatch)

    def drawn(folder, training):
        found = pipeline.read(
            open_folder(folder),
            identity_task(),
            split="train" if training else "val",
            training=training,
            rank=3,
            view_size=12,
            batch_size=5,
            seed=3,
            fields=fields,
        )
        index = [number.numpy() for number, _ in found.dataset(2).take(3)]
        parts = [element for _, element in found.dataset(2).take(3)]
        return [*found.ids], index, parts

    for training in (True, False):
        one, other = drawn(volumes_3d[0], training), drawn(there, training)
        assert one[0] == other[0]
        assert np.array_equal(np.concatenate(one[1]), np.concatenate(other[1]))
        for here, now in zip(one[2], other[2], strict=True):
            assert all(np.array_equal(here[0][name], now[0][name]) for name in here[0])


def test_what_is_said_of_the_data_is_the_same(volumes_3d, tmp_path, monkeypatch, capsys):
    one, other = (open_folder(path) for path in (volumes_3d[0], in_columns(volumes_3d[0], tmp_path / "m", monkeypatch)))
    for data in (one, other):
        folders.note_padding(data, 13)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    for told in (grids.of_manifest, classes.of_masks, classes.of_labels, manifest.fingerprint):
        assert told(one.manifest) == told(other.manifest)
    assert contracts.contents(one.manifest, "train") == contracts.contents(other.manifest, "train")


def test_examples_without_a_label_are_left_out(tmp_path, many):
    written(tmp_path)
    left = folders.labelled(open_folder(tmp_path), ("volume", "label")).manifest.splits["train"].entries
    assert [*left] == [ENTRIES[1], ENTRIES[4]]
    with pytest.raises(InputError, match=r"example 'a' of .* has no label"):
        folders.check_entries(open_folder(tmp_path), manifest.read(tmp_path).split("train").entries, ("label",))


def test_folders_of_both_kinds_are_one(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_folder(tmp_path / name, counts={"train": 4, "val": 2}, shapes=[(6, 6, 6)])
    small = mixing.open_folders([tmp_path / "a", tmp_path / "b"])
    in_columns(tmp_path / "b", tmp_path / "c", monkeypatch)
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "c").rename(tmp_path / "b")
    large = mixing.open_folders([tmp_path / "a", tmp_path / "b"])
    assert {name: [*split.entries] for name, split in small.manifest.splits.items()} == {
        name: [*split.entries] for name, split in large.manifest.splits.items()
    }
    assert mixing.about(small) == mixing.about(large)
    assert mixing.told(small) == mixing.told(large)
