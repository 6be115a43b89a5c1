"""Pictures of views: upright, left and right as they are, and what was done in words."""

import nibabel
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import preview
from ssl3d_tf.command import configuration
from ssl3d_tf.data.records import upright
from ssl3d_tf.experiment import mosaics, tiling, viewing
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.task import Words
from ssl3d_tf.tasks import exemplar, jigsaw, relative_location, rotation
from ssl3d_tf.views import augment, patches, permutations, wording
from tests.tools.converting import convert, settings

RAS = tiling.Look(upright.planes("RAS", 3), upright.directions("RAS", 3), 3)


def test_layers_of_patches_are_the_planes_of_the_volume_that_they_were_cut_from():
    volume = np.random.default_rng(0).random((12, 12, 12, 1)).astype(np.float32)
    cut = patches.extract(volume[None], patches.grid(12, 3, rank=3, jitter=0)).numpy()[0]
    lines = tiling.layers(cut, [str(number) for number in range(27)], 3, RAS)
    for layer in range(3):
        rows = [np.concatenate([tile.pixels for tile in line[layer]], axis=1) for line in lines]
        expected = upright.cut(RAS.planes[0], volume, 4 * layer + 2)
        found = np.concatenate(rows)
        for row in range(0, 12, 4):  # every tile is drawn in its own range
            for column in range(0, 12, 4):
                one, other = (part[row : row + 4, column : column + 4] for part in (found, expected))
                np.testing.assert_allclose(one, (other - other.min()) / np.ptp(other), atol=1e-5)
    (corner, *_), *_ = lines[0]
    assert corner.inside == "24"  # right, front and below is patch (2, 2, 0)
    assert [group[0].above for group in lines[0]] == ["layer 0, below", "layer 1", "layer 2, above"]


def test_thick_slices_stand_as_high_as_they_are_and_outlines_with_them():
    thick = RAS._replace(spacing_mm=(1.0, 1.0, 3.0))
    crop = np.random.default_rng(0).random((12, 12, 8, 1)).astype(np.float32)
    ((tiles,),) = tiling.cropped(crop, thick, [(np.array([2, 4, 1]), np.array([6, 6, 4]))])
    assert [tile.pixels.shape for tile in tiles] == [(12, 12, 1), (24, 12, 1), (24, 12, 1)]
    assert [tile.boxes[0].extent for tile in tiles] == [(6, 6), (12, 6), (12, 6)]
    assert tiles[1].boxes[0].corner == (3 * (8 - 1 - 4), 12 - 2 - 6)
    ((plain, shaded),) = tiling.of_mask(crop, np.ones(crop.shape[:-1], int), thick, [0, 1]).lines
    assert [tile.pixels.shape[0] for tile in (*plain, *shaded)] == [12, 24, 24] * 2


def test_tiles_are_apart_by_white_and_groups_more_so():
    tile = mosaics.Tile(np.zeros((8, 8, 1), np.float32))
    placed = mosaics.place([[[tile, tile], [tile]]])
    columns = np.flatnonzero((placed.picture == 1).all(axis=(0, 2)))
    assert columns.tolist() == [8, 17, 18, 19]
    assert placed.picture[:, 0].max() == 0


def test_what_is_hidden_is_said_in_per_cent():
    wanted = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 1)).astype(np.float32)
    hides = np.zeros_like(wanted)
    hides[:, :6] = 1
    targets = Whole(tf.constant(wanted), tf.constant(hides))
    views = tiling.of_reconstruction(tf.constant(wanted * (1 - hides)), targets, None, 0, look=RAS, words=Words(""))
    assert [group[0].above for group in views.lines[0]] == ["shown: 75 % hidden", "white: what counts", "wanted"]
    changed = tiling.of_reconstruction(tf.constant(wanted + hides), targets, None, 0, look=RAS, words=Words(""))
    assert changed.lines[0][0][0].above == "shown: 75 % changed"


def test_long_lists_of_labels_are_cut_short():
    targets = tf.zeros((1, 5000), tf.int32)
    told = viewing._labels(targets, 0, {"0": "none"})
    assert len(told) < 120
    assert told.endswith("… (5000 in all)")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same two scans as files of RAS and of LAS, their left half bright, one class on each side."""
    root, out = tmp_path_factory.mktemp("viewed"), []
    for sign, codes in ((1.0, "RAS"), (-1.0, "LAS")):
        for folder in ("images", "masks"):
            (root / codes / folder).mkdir(parents=True)
        for number in range(2):
            voxels = np.random.default_rng(number).integers(0, 40, (16, 16, 16)).astype(np.int16)
            voxels[:8] += 100
            labels = np.ones(voxels.shape, np.uint8)
            labels[:8] = 2
            affine = np.diag([sign, 1.0, 1.0, 1.0])
            for folder, array in (("images", voxels), ("masks", labels)):
                stored = array if sign > 0 else array[::-1]
                nibabel.save(nibabel.Nifti1Image(stored, affine), root / codes / folder / f"c{number}.nii")
        chosen = settings(how="minmax")._replace(fractions=(1.0, 0.0, 0.0))
        convert(root / codes, root / f"{codes}_data", chosen)
        out.append(root / f"{codes}_data")
    return out


def viewed(folder, gin_file, *params, **how):
    """The pictures of a figure, and what is written on them."""
    size = ("VIEW_SIZE=16", "LEVELS=1")
    figure = preview.figure(folder, configuration.Sources((f"gin/{gin_file}.gin",), (*size, *params), ()), **how)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [axes.images[0].get_array() for axes in figure.axes], texts


def test_left_is_right_of_the_crop_and_the_mask_for_files_of_both_kinds(folders):
    of_both = [viewed(folder, "finetune/segmentation_3d", "FLIP_P=0") for folder in folders]
    for ras, las in zip(*(pictures for pictures, *_ in of_both), strict=True):
        np.testing.assert_array_equal(ras, las)
    (crop, views, *_), texts = of_both[1]
    for axial in (crop[:, :16], views[:, :16]):
        assert axial[:, 8:].mean() > axial[:, :8].mean() + 0.3
    red, _, blue = np.moveaxis(views[:, 54:70], -1, 0)  # behind three tiles and a gap: the same under its mask
    assert (red - blue)[:, :8].mean() < -0.1  # class 1, of the patient's right, is blue
    assert (red - blue)[:, 8:].mean() > 0.1
    assert {"R", "L", "A", "P"} <= set(texts)
    (mirrored, *_), _ = viewed(folders[1], "finetune/segmentation_3d", neurological=True)
    np.testing.assert_array_equal(mirrored[:, :16], crop[:, :16][:, ::-1])


def titled(task, **given):
    """The words of a task's first example and the picture of it, without a model or a folder."""
    batch = {"volume": tf.random.stateless_uniform((1, *(12,) * given["rank"], 1), (0, 1))}
    params = tf.nest.map_structure(lambda drawn: drawn[None], task.sample(tf.constant([1, 2])))
    inputs, targets = task.make_views(batch, params)
    axes = "RAS"[: given["rank"]]
    look = tiling.Look(upright.planes(axes, given["rank"]), upright.directions(axes, given["rank"]), given["rank"])
    words = viewing._words(task, params, targets, 0, look=look, classes={"0": "background"})
    return viewing._shown(inputs, targets, None, 0, look=look, words=words, classes={}), params


def top(*_):
    raise AssertionError("no model is built")


def test_a_puzzle_says_which_patch_lies_in_a_slot():
    task = jigsaw.task(rank=3, view_size=12, top=top, patch_jitter=0)
    views, params = titled(task, rank=3)
    order = permutations.spread()(27)[int(params["label"][0, 0])]
    assert f"slot 0 holds patch {order[0]}, slot 1 holds patch {order[1]}" in views.told
    numbers = {tile.inside for line in views.lines for group in line for tile in group}
    assert numbers == {str(number) for number in range(27)}
    assert views.lines[2][0][2].inside == str(order[0])  # slot 0: left, behind, below


def test_every_neighbour_says_where_it_lies_though_nine_patches_would_make_a_square():
    for rank, queries in ((3, 8), (2, 8)):
        task = relative_location.task(rank=rank, view_size=12, top=top, queries_per_volume=queries, patch_jitter=0)
        views, params = titled(task, rank=rank)
        ((*groups,),) = views.lines
        said = [group[0].above for group in groups]
        label, middle = int(params["label"][0, 0]), 3**rank // 2
        assert said[0] == f"centre, {middle}"
        number = label + (label >= middle)
        directions = upright.directions("RAS"[:rank], rank)
        place = wording.from_middle(patches.grid(12, 3, rank=rank), number, directions)
        assert said[1] == f"patch {number}\n{place}"
        assert len(said) == 9


def test_a_turn_and_a_pair_are_told():
    views, params = titled(rotation.task(rank=3, view_size=12, top=top), rank=3)
    turn = rotation.about_axes()[int(params["label"][0])]
    assert views.told == f"view of 12×12×12: {wording.of_turn(turn, RAS.directions)}"
    assert "class" not in views.told
    views, _ = titled(exemplar.task(rank=2, view_size=12, top=top, anchor=augment.identity()), rank=2)
    assert views.told == "2 views of 12×12: same scan, changed twice"
    assert [group[0].above for group in views.lines[0]] == ["one view", "other view"]
