"""The yardstick of the views' benchmark against facts known of the published program, and against our views."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import equality, original
from ssl3d_tf.command import configuration
from ssl3d_tf.models import heads
from ssl3d_tf.tasks import cpc, jigsaw, relative_location, rotation
from ssl3d_tf.views import patches
from ssl3d_tf.views.permutations import uniform

SIZE = {"rank": 3, "view_size": 32}
JITTER = {"patch_jitter": 3, "top": heads.big_fully()}
PUBLISHED = "published, one thread", "published, a process per core"
WAYS = "graph", "XLA", "tf.data"
RELEASED = {
    "rotation": lambda **looks: rotation.task(**SIZE, top=heads.big_fully()),
    "relative_location": lambda **looks: relative_location.task(**SIZE, **JITTER, queries_per_volume=1, **looks),
    "jigsaw": lambda **looks: jigsaw.task(**SIZE, **JITTER, permutations=uniform(), puzzles_per_volume=1, **looks),
    "cpc": lambda **looks: cpc.task(**SIZE, patches_per_side=4, framing=patches.padding(), view_crop=0.95, **looks),
}


def _volumes(side, *, batch=3, channels=1):
    return np.random.default_rng(0).random((batch, side, side, side, channels), np.float32)


def _rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("side", "n", "jitter", "facts"),
    [
        *[(224, 3, 8, (74, 74, 66)), (224, 3, 0, (74, 74, 74)), (128, 3, 4, (42, 42, 38)), (128, 3, 3, (42, 42, 39))],
        *[(128, 3, 0, (42, 42, 42)), (224, 5, -37, (37, 74, 74)), (128, 4, -25, (25, 50, 50)), (128, 4, 0, (32,) * 3)],
    ],
)
def test_grid_has_the_published_sizes(side, n, jitter, facts):
    assert original.grid(side, n, jitter=jitter) == facts


@pytest.mark.parametrize("rank", [2, 3])
def test_patches_lie_row_major_in_the_middle_of_their_cells(rank):
    image = np.arange(11**rank).reshape(*(11,) * rank, 1)
    cut = original.patches(image, 3, jitter=1)
    assert len(cut) == 3**rank
    np.testing.assert_array_equal(cut[1], image[(slice(0, 2),) * (rank - 1) + (slice(3, 5),)])


def test_overlapping_patches_share_voxels():
    cut = original.patches(np.arange(10).reshape(10, 1), 3, jitter=-4)
    assert [list(patch.ravel()) for patch in cut] == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 8, 9]]


def test_rotation_labels_are_ten_different_turns():
    volume = _volumes(4)[0]
    assert original.TURNS[0] == (0, (0, 1))
    assert original.TURNS[4:] == ((3, (1, 2)), (2, (1, 2)), (1, (1, 2)), (3, (0, 2)), (2, (0, 2)), (1, (0, 2)))
    assert len({original.turned(volume, label).tobytes() for label in range(10)}) == 10


@pytest.mark.parametrize(("label", "inverse"), [(1, 3), (4, 6), (7, 9), (2, 2), (5, 5), (8, 8)])
def test_inverse_labels_undo_each_other(label, inverse):
    volume = _volumes(4)[0]
    np.testing.assert_array_equal(original.turned(original.turned(volume, label), inverse), volume)


@pytest.mark.parametrize(("label", "neighbour"), [(0, 0), (12, 12), (13, 14), (25, 26)])
def test_classes_of_relative_location_leave_the_middle_out(label, neighbour):
    assert original.pair(range(27), label) == [13, neighbour]


def test_jigsaw_lays_out_the_patches_of_its_permutation():
    volumes = _volumes(9)
    puzzles, labels = original.jigsaw(volumes, _rng(), jitter=0)
    assert (puzzles.shape, labels.shape) == ((3, 27, 3, 3, 3, 1), (3, 100))
    order = original.permutations(27)[labels[1].argmax()]
    np.testing.assert_array_equal(puzzles[1], [original.patches(volumes[1], 3, jitter=0)[k] for k in order])


def test_cpc_reads_and_predicts_the_published_patches():
    assert original.context(4, (0, 0)) == [5, 4, 5, 1, 0, 1, 5, 4, 5, 16]
    assert original.targets(4, (0, 0)) == [32, 48]


@pytest.mark.parametrize(("n", "terms", "steps"), [(4, 10, 2), (5, 10, 3), (6, 35, 3)])
def test_cpc_pyramids_have_the_published_sizes(n, terms, steps):
    for column in np.ndindex(n, n):
        assert (len(original.context(n, column)), len(original.targets(n, column))) == (terms, steps)


def test_cpc_makes_32_samples_of_a_volume_and_every_second_is_wrong():
    context, targets, labels = original.cpc(_volumes(32, batch=1), _rng())
    assert (context.shape, targets.shape) == ((32, 10, 8, 8, 8, 1), (32, 2, 8, 8, 8, 1))
    np.testing.assert_array_equal(labels, [1, 0] * 16)
    np.testing.assert_array_equal(context[::2], context[1::2])
    assert not any(np.array_equal(*pair) for pair in zip(targets[::2], targets[1::2], strict=True))


def test_cpc_patches_are_seven_eighths_in_a_frame():
    context, _, _ = original.cpc(np.ones((1, 128, 128, 128, 1), np.float32), _rng())
    inner = context[:, -1].sum(axis=(1, 2, 3, 4))  # row 1 of the grid: no frame of the view along the first axis
    assert context.dtype == np.float32
    assert context.shape[2:] == (32, 32, 32, 1)
    assert inner.max() == 28**3


def test_framed_crop_lies_in_the_middle():
    line = np.arange(1, 8)[:, None]
    assert list(original.framed(line, 4, [2]).ravel()) == [0, 3, 4, 5, 6, 0, 0]


def test_exemplar_is_anchor_positive_and_another_volume_in_float64():
    volumes = _volumes(8)
    triplets = original.exemplar(volumes, _rng())
    assert (triplets.shape, triplets.dtype) == ((3, 3, 8, 8, 8, 1), np.float64)
    np.testing.assert_array_equal(triplets[:, 1], volumes)
    others = [[np.array_equal(triplet[2], volume) for volume in volumes] for triplet in triplets]
    assert np.sum(others, axis=1).tolist() == [1, 1, 1]
    assert not np.trace(others)


def test_anchor_keeps_the_shape_whatever_is_drawn():
    rng, volume = _rng(), _volumes(12, channels=2)[0]
    anchors = [original.anchor(volume, rng) for _ in range(40)]
    assert {image.shape for image in anchors} == {volume.shape}
    assert {image.dtype for image in anchors} == {volume.dtype}


@pytest.mark.parametrize("number", [2, 3, 7])
def test_cyclic_permutation_comes_back_after_all(number):
    order, place, steps = original.cyclic(number, _rng()), 0, 0
    while steps == 0 or place != 0:
        place, steps = order[place], steps + 1
    assert steps == number


@pytest.mark.parametrize("name", RELEASED)
def test_our_released_views_are_the_published_ones(name):
    task = RELEASED[name](standardise_patches=False)
    assert getattr(equality, name)(task, _volumes(32))


@pytest.mark.parametrize("name", ["relative_location", "jigsaw", "cpc"])
def test_other_views_are_told_apart(name):
    assert not getattr(equality, name)(RELEASED[name](standardise_patches=True), _volumes(32))


def test_turns_in_another_order_are_told_apart():
    task = rotation.task(**SIZE, top=heads.big_fully(), rotations=rotation.about_axes()[::-1])
    assert not equality.rotation(task, _volumes(32))


def test_every_way_of_making_views_is_measured(tmp_path):
    out = tmp_path / "figures.json"
    script = str(configuration.ROOT / "benchmarks" / "views.py")
    options = ["--view_size=16", "--rounds=1", "--seconds=0.01", "--task=jigsaw", "--task=exemplar", f"--json={out}"]
    done = subprocess.run([sys.executable, script, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tasks = json.loads(out.read_text())["tasks"]
    ways = {f"{setting}, {way}" for setting in ("released", "default") for way in WAYS}
    assert set(tasks["jigsaw"]["stages"]) == {*PUBLISHED, *ways}
    assert all(stage["rate"] > 0 for task in tasks.values() for stage in task["stages"].values())
    assert all(f"  {name}" in done.stdout for name in tasks["jigsaw"]["stages"])
