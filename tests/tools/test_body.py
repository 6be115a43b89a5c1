"""Percentiles over the body: one tissue keeps its value however much air is around it."""

import numpy as np
import pytest

from ssl3d_tf.data.records import manifest, reading
from tests.tools.converting import convert, examples, settings
from tools.prepare import intensity
from tools.voxels import foreground, ranges

AIR = (0, 6, 20)


def head(margin, noise=0.0, shape=(22, 26, 20), dtype=np.float32):
    """A layered ellipsoid in `margin` voxels of air: fat around grey around dark fluid; and where its grey is."""
    places = np.meshgrid(*(np.linspace(-1 - 2 * margin / n, 1 + 2 * margin / n, n + 2 * margin) for n in shape))
    radius = np.sqrt(sum(np.square(axis) for axis in places))
    tissue = np.select([radius < 0.3, radius < 0.8, radius < 1], [120.0, 480.0, 900.0])
    random = np.random.default_rng(margin)
    real, imaginary = random.normal(0, noise, (2, *tissue.shape))
    return np.hypot(tissue + real, imaginary).astype(dtype), (radius > 0.4) & (radius < 0.7)


def grey(how, margin, **changes):
    voxels, where = head(margin, **changes)
    window = intensity.measure(voxels, *ranges.of(voxels[..., None]), intensity.parse(how))
    return float(intensity.normalise(voxels, window)[where].mean())


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint16])
@pytest.mark.parametrize("noise", [3, 50])
def test_tissue_keeps_its_value_however_much_air_is_around(noise, dtype):
    values, of_all = (
        np.ptp([grey(how, margin, noise=noise, dtype=dtype) for margin in AIR])
        for how in ("percentile:body", "percentile")
    )
    assert values < 0.01
    assert noise < 50 or of_all > 0.04


def test_the_level_lies_between_air_and_the_darkest_tissue_that_is_most_of_the_body():
    voxels, _ = head(9, noise=20)
    assert 60 < foreground.clip_level(voxels) < 400


def test_dark_tissue_is_not_clipped_to_air():
    voxels, _ = head(9, noise=3)
    window = intensity.measure(voxels, *ranges.of(voxels[..., None]), intensity.parse("percentile:body"))
    assert window.low < 30


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_calibrated_values_below_zero_have_a_body_too(dtype):
    voxels, _ = head(9, noise=3)
    level = foreground.clip_level((voxels - 1000).astype(dtype))
    assert level == pytest.approx(foreground.clip_level(voxels.astype(dtype)) - 1000, abs=20)


def test_integers_and_floats_have_one_window():
    voxels, _ = head(5, noise=20, dtype=np.int16)
    windows = [
        intensity.measure(one, *ranges.of(one[..., None]), intensity.parse("percentile:body"))
        for one in (voxels, voxels.astype(np.float32))
    ]
    assert windows[0] == pytest.approx(windows[1])


def test_the_rule_is_in_the_recipe_and_the_old_one_can_be_asked_for(tmp_path):
    (tmp_path / "raw").mkdir()
    for number in range(3):
        np.save(tmp_path / "raw" / f"s{number}.npy", head(number + 1, noise=9)[0])
    convert(tmp_path / "raw", tmp_path / "auto")
    convert(tmp_path / "raw", tmp_path / "old", settings(how="percentile"))
    recipes = [manifest.read(tmp_path / name).recipe["intensity"] for name in ("auto", "old")]
    assert recipes == ["percentile:body", "percentile"]
    highest = {
        name: max(reading.intensities(one.volume, one).max() for one in examples(tmp_path / name).values())
        for name in ("auto", "old")
    }
    assert all(value == pytest.approx(1, abs=1e-3) for value in highest.values())
    one, other = (examples(tmp_path / name)["s2"] for name in ("auto", "old"))
    assert reading.intensities(one.volume, one).mean() < reading.intensities(other.volume, other).mean()


@pytest.mark.parametrize("kind", ["whole", "halves", "wide", "shifted"])
def test_percentiles_of_floats_are_those_of_numpy(kind):
    values = np.random.default_rng(0).normal(0, 300, (17, 18, 19)).round(0 if kind == "whole" else 3)
    values = {"halves": values.round() + 0.5, "wide": values * 1e6, "shifted": values.round() - 2.0**20}.get(
        kind, values
    )
    for dtype in (np.float32, np.float64):
        one = values.astype(dtype)
        found = ranges.percentiles(one, *ranges.of(one[..., None]), (0.5, 42, 99.5))
        assert found == np.percentile(one, (0.5, 42, 99.5), method="nearest").tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted_as_numpy_does(dtype):
    random = np.random.default_rng(1)
    for most in (3, 200, min(np.iinfo(dtype).max, 10**8)):
        numbers = random.integers(0, most, (5, 6, 7), endpoint=True).astype(dtype)
        for found, expected in zip(ranges.values(numbers), np.unique(numbers, return_counts=True), strict=True):
            np.testing.assert_array_equal(found, expected)
