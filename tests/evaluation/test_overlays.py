"""Overlays: which cases are drawn, and that the picture shows what was predicted."""

import numpy as np
from PIL import Image

from ssl3d_tf.evaluation import overlays, sheets

NAN = float("nan")
CLASSES = {1: "liver", 2: "tumour"}
LYING = {"orientation": "RAS", "shape": [9, 9, 1]}  # an axial slice where there are two axes


def rows(values, score="dice"):
    of_classes = [(case, score, "liver", 0.0) for case in values]
    return of_classes + [(case, score, "mean", value) for case, value in values.items()]


def test_the_best_the_median_and_the_worst_case_are_chosen():
    found = overlays.choose(rows({"a": 0.9, "b": NAN, "c": 0.2, "d": 0.5}), "mean")
    assert found == {"best": "a", "median": "d", "worst": "c"}


def test_distances_are_best_where_they_are_small():
    found = overlays.choose(rows({"a": 9.0, "b": 1.0}, "hd95"), "mean")
    assert (found["best"], found["worst"]) == ("b", "a")


def test_no_score_no_picture():
    assert overlays.choose(rows({"a": NAN}), "mean") == {}
    assert overlays.choose([], "mean") == {}


def drawn(path, truth, predicted, **settings):
    volume = np.random.default_rng(0).normal(size=truth.shape)
    given = {"title": "case $1", "spacing_mm": (1.0,) * truth.ndim, "source": LYING, "classes": CLASSES} | settings
    overlays.draw(path, volume=volume, truth=truth, predicted=predicted, **given)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_the_shade_is_the_prediction_and_the_outline_the_reference(tmp_path):
    empty, block = np.zeros((8, 8, 8), np.uint8), np.zeros((8, 8, 8), np.uint8)
    block[2:6, 2:6, 2:6] = 1
    nothing, outline, shade, both = (
        drawn(tmp_path / f"{number}.png", *pair)
        for number, pair in enumerate(((empty, empty), (block, empty), (empty, block), (block, block)))
    )
    changed = [(picture != nothing).any(axis=-1) for picture in (outline, shade, both)]
    assert 0 < changed[0].sum() < changed[1].sum()
    np.testing.assert_array_equal(changed[2], changed[1])  # the rim lies on the voxels that it is of
    np.testing.assert_array_equal((both != shade).any(axis=-1), changed[0])


def test_the_front_is_up_and_the_patient_s_right_on_the_left_but_photographs_stay(tmp_path):
    mask, places = np.zeros((9, 9), np.uint8), []
    mask[6, 1] = 2  # right and behind; of a photograph the seventh row, second column
    empty = np.zeros_like(mask)
    for how in ({}, {"neurological": True}, {"source": {}}):
        one, other = (drawn(tmp_path / "a.png", empty, of, **how) for of in (mask, empty))
        places.append(np.argwhere((one != other).any(axis=-1)).mean(axis=0))
    (low, left), (low_too, right), (row, column) = places
    assert left < 210 < right
    assert low == low_too > row > 210
    assert column < left


def test_letters_are_those_of_the_convention_and_none_where_nobody_knows(monkeypatch, tmp_path):
    empty, found, compose = np.zeros((8, 8, 8), np.uint8), [], sheets.compose
    monkeypatch.setattr(sheets, "compose", lambda *given: found.append(given[1]) or compose(*given))
    guessed = {"orientation": "LAS", "form": "none"}
    bare = [drawn(tmp_path / "a.png", empty, empty, **how) for how in ({}, {"source": guessed}, {"source": {}})]
    drawn(tmp_path / "a.png", empty, empty, neurological=True)
    said = [[(panel.caption, "".join(panel.sides)) for panel in panels] for panels in found]
    assert said[0] == [("axial", "RL"), ("coronal", "RL"), ("sagittal", "AP")]
    assert said[3] == [("axial", "LR"), ("coronal", "LR"), ("sagittal", "PA")]
    assert said[1] == [("axial", ""), ("coronal", ""), ("sagittal", "")]
    assert said[2] == [("", "")] * 3
    assert (bare[0] != bare[1]).any()  # and they are written


def test_thick_slices_are_drawn_thick(tmp_path):
    empty, block = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    block[3:6, 3:6] = 1
    places = np.argwhere(
        (
            drawn(tmp_path / "a.png", empty, block, spacing_mm=(3.0, 1.0))
            != drawn(tmp_path / "b.png", empty, empty, spacing_mm=(3.0, 1.0))
        ).any(axis=-1)
    )
    height, width = np.ptp(places, axis=0) + 1
    assert 2.5 < width / height < 3.5


def test_what_is_no_class_is_not_drawn_and_classes_differ_in_colour(tmp_path):
    empty, block = np.zeros((9, 9), np.int32), np.zeros((9, 9), np.int32)
    block[3:6, 3:6] = 5
    how = {"classes": {1: "a", 7: "b", 13: "c"}}  # which are six apart, as many as there once were colours
    nothing = drawn(tmp_path / "a.png", empty, empty, **how)
    assert np.array_equal(drawn(tmp_path / "b.png", block, block, **how), nothing)
    shades = [drawn(tmp_path / "c.png", empty, np.where(block == 5, value, 0), **how) for value in (1, 7, 13)]
    assert len({shade.tobytes() for shade in shades}) == 3


def test_a_single_voxel_of_the_reference_is_seen_in_a_scan_larger_than_its_picture(tmp_path):
    empty, lesion = np.zeros((600, 500, 3), np.uint8), np.zeros((600, 500, 3), np.uint8)
    lesion[301, 77, 1] = 1
    blue = [
        np.count_nonzero((drawn(tmp_path / "a.png", truth, empty) == (0, 114, 178)).all(axis=-1))
        for truth in (empty, lesion)
    ]
    assert blue[1] >= blue[0] + 3  # a dot in each plane, beside the legend's


def test_a_title_keeps_its_lines(tmp_path):
    empty = np.zeros((8, 8, 8), np.uint8)
    one, two = (
        drawn(tmp_path / name, empty, empty, title=title) for name, title in (("a.png", "a"), ("b.png", "a\nb"))
    )
    assert two.shape[0] > one.shape[0]
    np.testing.assert_array_equal(two[:20], one[:20])
    assert (two[20:36] != 255).any()


def test_names_of_any_length_and_kind_and_classes_of_any_number_fit(tmp_path):
    empty = np.zeros((8, 8, 8), np.uint8)
    few = drawn(tmp_path / "a.png", empty, empty)
    classes = {value: f"{'very ' * 20}long name of class {value}" for value in range(1, 41)}
    many = drawn(tmp_path / "b.png", empty, empty, classes=classes, title="a/b\n" + "\udcff影" * 100)
    assert many.shape[0] > few.shape[0]
    assert many.shape[1] == few.shape[1]
    assert (many[:, :2] == 255).all()  # nothing runs over the edge
    assert (many[:, -2:] == 255).all()
    assert (many[-30:] != 255).any()  # the last class
