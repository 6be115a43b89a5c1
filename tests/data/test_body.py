"""FOREGROUND: views are cut where there is body, as a pure function of seed and example; without it nothing changes."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import body, folders, mixing
from ssl3d_tf.data.records import columns, manifest, occupancy
from ssl3d_tf.errors import InputError
from tests import airy
from tests.conftest import make_folder
from tests.data.test_columns import in_columns
from tests.data.test_pipeline import identity_task, read, same, take

SIZE = 16
COUNTS = {"train": 9, "val": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A tenth of each scan is body."""
    return airy.make_airy(tmp_path_factory.mktemp("airy"), counts=COUNTS)


def seen(folder, *, split="train", epochs=1, **options):
    """The views of all examples, and of each the share that is body."""
    options = {"split": split, "training": split == "train", "view_size": SIZE, "batch_size": COUNTS[split], **options}
    views = np.concatenate([made for _, made in take(read(folder, **options), epochs)])
    return views, (views > 0.3).mean(axis=(1, 2, 3, 4))


def plain_task():
    """Inputs are the intensities."""
    task = identity_task()
    return task._replace(
        sample=lambda seed: {"number": tf.zeros([])}, sample_eval=lambda seed: {"number": tf.zeros([])}
    )


@pytest.fixture(autouse=True)
def _without_numbers(monkeypatch):
    monkeypatch.setattr("tests.data.test_pipeline.identity_task", plain_task)


@pytest.mark.parametrize("split", ["train", "val"])
def test_views_hold_the_share_that_is_asked_for(data, split):
    _, anywhere = seen(data, split=split)
    _, there = seen(data, split=split, foreground=0.5, epochs=3 if split == "train" else 1)
    assert anywhere.min() < 0.3
    assert there.min() > 0.4  # as told by cells, of 8 voxels here


def test_a_share_that_no_view_holds_takes_the_best_place(data):
    _, shares = seen(data, foreground=1.0, epochs=2)
    assert shares.min() > 0.7  # the body is little larger than a view; which is the fullest is told by cells
    _, shares = seen(data, foreground=0.9, view_size=32)
    assert shares == pytest.approx((airy.BODY / 32) ** 3, rel=0.1)  # all of the body in every view


def test_views_still_differ_from_epoch_to_epoch_and_not_from_run_to_run(data):
    first, _ = seen(data, foreground=0.5, epochs=2)
    again, _ = seen(data, foreground=0.5, epochs=2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[:9], first[9:])


@pytest.mark.parametrize("options", [{"threads": 1}, {"views_on": "host"}, {"cache_gb": 1e-4}])
def test_threads_place_and_cache_change_nothing(data, options):
    chosen = {"view_size": SIZE, "foreground": 0.5}
    assert same(take(read(data, **chosen), 5), take(read(data, **chosen, **options), 5))


def test_restart_continues_the_same_views(data):
    chosen = {"view_size": SIZE, "foreground": 0.5}
    whole = take(read(data, **chosen), 6)
    assert same(whole[4:], take(read(data, **chosen), 2, first_step=4))


def test_text_and_columns_draw_the_same(data, tmp_path, monkeypatch):
    folder, chosen = in_columns(data, tmp_path / "columns", monkeypatch), {"view_size": SIZE, "foreground": 0.5}
    assert same(take(read(data, **chosen), 4), take(read(folder, **chosen), 4))


def without_bodies(folder, target):
    """The data as an older version wrote them."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    value = json.loads((folder / manifest.FILE).read_text())
    for split in value["splits"].values():
        split["examples"] = [fields[:-1] for fields in split["examples"]]
    (target / manifest.FILE).write_text(json.dumps(value))
    return target


def test_older_data_read_on_and_say_what_to_do(data, tmp_path):
    older = without_bodies(data, tmp_path / "older")
    assert same(take(read(older, view_size=SIZE), 4), take(read(data, view_size=SIZE), 4))
    opened = [folders.open_folder(folder).manifest for folder in (older, data)]
    assert opened[0].recipe == opened[1].recipe
    assert manifest.fingerprint(opened[0]) != manifest.fingerprint(opened[1])  # other questions: another run
    said = r"FOREGROUND is 0.5, but the data in .*older do not say where example 'train/s0' has body, .*--overwrite"
    with pytest.raises(InputError, match=said) as caught:
        read(older, view_size=SIZE, foreground=0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_what_is_no_share_is_refused(data, share):
    with pytest.raises(InputError, match=f"FOREGROUND is {share}; it must be a share"):
        read(data, view_size=SIZE, foreground=share)


def test_of_folders_read_as_one_each_example_has_its_own_air(data, tmp_path):
    make_folder(tmp_path / "plain", counts={"train": 3, "val": 2}, shapes=[(20, 20, 20)], dtype="uint16", masks=False)
    mixed = mixing.open_folders([data, tmp_path / "plain"])
    entries = columns.of(mixed.manifest.split("train").entries)
    air = np.array([body.by_index(mixed, entries, foreground=0.0)(tf.constant(i, tf.int64))["air"] for i in range(12)])
    assert (air[:9] > 0).all()
    assert (air[9:] == -np.inf).all()
    with pytest.raises(InputError, match="example 'plain/train0' has body"):
        body.check(mixed, entries, 0.5)


def cells(shape, box):
    """Those of a volume with a body in that box."""
    volume = np.zeros((*shape, 1), np.uint8)
    volume[tuple(slice(*ends) for ends in box)] = 9
    return padded(occupancy.shares(occupancy.text(volume, (4.5,)), shape))


def padded(shares):
    """As they are in a graph: as many for every example."""
    return tf.constant(np.pad(shares, [(0, occupancy.MOST - number) for number in shares.shape]), tf.float64)


@pytest.mark.parametrize(
    ("shape", "box", "size", "foreground", "expected"),
    [
        ((96, 96), ((0, 96), (0, 96)), 32, 0.9, [32, 32]),  # all body: the centre, as without
        ((96, 80), ((0, 16), (0, 80)), 32, 0.5, [0, 24]),  # along the axis that does not matter it stays there
        ((96, 96), ((64, 96), (64, 96)), 32, 1.0, [64, 64]),
        ((20, 96), ((0, 20), (80, 96)), 32, 0.3, [0, 64]),  # padded along the first: 20 · 16 of 32 · 32 is the most
        ((16, 16), ((0, 16), (0, 16)), 16, 1.0, [0, 0]),
        ((96, 96), ((0, 0), (0, 0)), 32, 0.5, [32, 32]),  # nothing anywhere
    ],
)
def test_without_a_seed_it_is_the_place_nearest_to_the_centre(shape, box, size, foreground, expected):
    found = body.start(cells(shape, box), tf.constant(shape), (size,) * 2, foreground=foreground, seed=None)
    assert found.numpy().tolist() == expected


def test_sides_of_views_may_differ():
    wide = body.start(cells((64, 64), ((0, 64), (48, 64))), tf.constant((64, 64)), (48, 16), foreground=1.0, seed=None)
    assert wide.numpy().tolist() == [8, 48]


def test_places_that_hold_enough_are_drawn_alike():
    found = cells((64, 64), ((0, 64), (0, 64)))
    draw = tf.function(
        lambda seed: body.start(found, tf.constant((64, 64)), (32, 32), foreground=0.5, seed=seed), autograph=False
    )
    drawn = np.array([draw(tf.constant([1, number])).numpy() for number in range(1500)])
    counts = np.bincount(drawn.ravel(), minlength=33)
    assert len(counts) == 33  # 0 .. 32, both ends too
    assert (np.abs(counts / (3000 / 33) - 1) < 0.45).all()


def test_draws_stay_what_they_are():
    """A run that is gone on with on another machine, or with another version, sees the same views."""
    found = cells((70, 64, 50), ((30, 70), (0, 40), (10, 50)))
    drawn = [
        body.start(found, tf.constant((70, 64, 50)), (24,) * 3, foreground=0.6, seed=tf.constant([7, n]))
        .numpy()
        .tolist()
        for n in range(3)
    ]
    assert drawn == [[33, 20, 12], [35, 9, 3], [26, 20, 10]]


def test_volumes_without_such_a_view_are_counted(data, capsys):
    opened = folders.open_folder(data)
    body.note(opened, SIZE, foreground=0.5)
    body.note(opened, 40, foreground=0.0)
    assert capsys.readouterr().out == ""
    body.note(opened, 40, foreground=0.5)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "9 of 9 training volumes have no view of 40×40×40 voxels that is FOREGROUND 0.5 body; their fullest, 0.09"
    )


def test_every_slice_of_a_lattice_counts_as_numpy_does():
    rng = np.random.default_rng(0)
    volume = (rng.random((37, 50, 1)) < 0.3).astype(np.uint8)
    shares, places = occupancy.shares(occupancy.text(volume, (0.5,)), (37, 50)), np.array([[0, 5, 9], [0, 11, 21]])
    found = body._held(padded(shares), tf.constant((37, 50)), (28, 29), tf.constant(places, tf.int32))
    borders = [occupancy.edges(side, number) for side, number in zip((37, 50), shares.shape, strict=True)]
    full = np.zeros((37, 50))
    for at in np.ndindex(shares.shape):
        full[tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(borders, at, strict=True))] = shares[at]
    for i, j in itertools.product(range(3), repeat=2):
        a, b = places[0, i], places[1, j]
        assert found[i, j] == full[a : a + 28, b : b + 29].sum()
