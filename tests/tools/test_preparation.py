"""tools/prepare and conversion/splits: nothing is lost, moved or mixed between a file and its record."""

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from tools.conversion import splits
from tools.prepare import geometry, intensity
from tools.readers import grids
from tools.readers.contract import Item, UnusableFileError, Volume, plain_volume
from tools.voxels import foreground, ranges


def counted(shape, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def volume_of(voxels, affine=None):
    return Volume(voxels, np.eye(4) if affine is None else affine, True, {})


def test_the_foreground_box_includes_the_last_slice():
    voxels = np.zeros((6, 7, 8, 2), np.float32)
    voxels[1:6, 2:5, 3, 1] = 9
    assert foreground.box(voxels) == ((1, 6), (2, 5), (3, 4))
    assert foreground.box(np.zeros((3, 4, 1))) == ((0, 3), (0, 4))


@pytest.mark.parametrize(
    ("window", "shares", "is_lost"),
    [
        ((0, 255), {2000: 0.9, 100: 0.1}, True),  # 12 bits in a window of 8
        ((0, 255), {0: 0.7, 2000: 0.2, 100: 0.1}, True),  # on black
        ((0, 255), {255: 1.0}, False),
        ((-1000, 400), {-1000: 0.9, 40: 0.06, 1500: 0.04}, False),  # air, a body and its bones
        ((0, 80), {-1000: 0.95, 40: 0.01, 300: 0.04}, False),  # few bones and fewer tissues in it
        ((-100, 0), {-1000: 0.4, -50: 0.4, 60: 0.2}, False),
    ],
)
def test_a_window_of_other_data_is_known_by_what_it_loses(window, shares, is_lost):
    values = np.repeat(list(shares), [round(share * 100) for share in shares.values()]).astype(np.int16)
    voxels = np.stack([np.full((10, 10), window[0], np.int16), values.reshape(10, 10)], axis=-1)
    how = intensity.Normalisation("ct_window", window)
    assert bool(intensity.lost(voxels, ranges.of(voxels), how)) == is_lost
    assert not intensity.lost(voxels, ranges.of(voxels), intensity.Normalisation("percentile"))


def test_cropping_moves_the_affine():
    cropped = geometry.crop(volume_of(counted((4, 5, 6, 1)), np.diag([1, 2, 3, 1.0])), ((1, 3), (2, 5), (0, 6)))
    assert cropped.voxels.shape == (2, 3, 6, 1)
    np.testing.assert_allclose(cropped.affine @ [0, 0, 0, 1], [1, 4, 0, 1])


def test_resampling_a_ramp_is_exact_at_voxel_centres():
    ramp = np.broadcast_to(np.arange(8.0)[:, None, None, None], (8, 3, 3, 1))
    halved = geometry.resample(volume_of(ramp), geometry.grid_of_shape(volume_of(ramp), (4, 3, 3)))
    np.testing.assert_allclose(halved.voxels[:, 0, 0, 0], [0.5, 2.5, 4.5, 6.5])
    doubled = geometry.resample(volume_of(ramp), geometry.grid_of_shape(volume_of(ramp), (16, 3, 3)))
    np.testing.assert_allclose(doubled.voxels[1:4, 0, 0, 0], [0.25, 0.75, 1.25])
    np.testing.assert_allclose(halved.affine @ [1, 0, 0, 1], [2.5, 0, 0, 1])


def test_resampled_intensity_is_the_world_position_it_claims():
    x, y, z = np.meshgrid(np.arange(9.0), np.arange(8.0), np.arange(7.0), indexing="ij")
    affine = np.array([[0.9, 0, 0, 5], [0, 1.5, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1.0]])
    volume = volume_of((0.9 * x + 5 + 1.5 * y - 3 + 2 * z + 1)[..., None], affine)
    made = geometry.resample(volume, geometry.grid_of_spacing(volume, (1.3,)))
    np.testing.assert_allclose(made.spacing_mm, (1.3, 1.3, 1.3))
    world = made.affine @ [2, 3, 4, 1]
    np.testing.assert_allclose(made.voxels[2, 3, 4, 0], world[:3].sum(), rtol=1e-5)


def test_resampled_masks_hold_the_same_labels_only():
    mask = np.zeros((9, 9, 1), np.int32)
    mask[3:6, 3:6] = 2
    volume = volume_of(mask)
    made = geometry.resample(volume, geometry.grid_of_shape(volume, (13, 17)), is_mask=True)
    assert made.voxels.dtype == np.int32
    assert np.unique(made.voxels).tolist() == [0, 2]


def test_an_unchanged_grid_keeps_integers():
    volume = volume_of(counted((4, 5, 6, 1)), np.diag([0.8000001, 0.8, 0.8, 1]))
    assert geometry.resample(volume, geometry.grid_of_spacing(volume, (0.8,))).voxels.dtype == np.int16


def test_spacing_needs_a_format_that_has_it():
    with pytest.raises(UnusableFileError, match="no voxel size"):
        geometry.grid_of_spacing(plain_volume(np.zeros((3, 3, 1))), (1.0,))


def test_masks_must_lie_on_the_images_grid():
    image, shifted = volume_of(counted((3, 4, 5, 1))), np.eye(4)
    shifted[0, 3] = 0.5
    assert grids.difference(image, image) is None
    assert grids.difference(image, volume_of(counted((3, 4, 5, 1)), shifted))
    assert grids.difference(image, volume_of(counted((3, 4, 4, 1))))


# Intensity.


def decoded(stored):
    return stored.volume.astype(np.float32) * np.float32(stored.scale) + np.float32(stored.offset)


def noise(dtype=np.float32, channels=2):
    return (np.random.default_rng(0).normal(500, 90, (9, 8, 7, channels))).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float16", "float32"])
@pytest.mark.parametrize("kind", ["zscore", "minmax", "percentile", "percentile:body", "ct_window:300,600.5"])
@pytest.mark.parametrize("source", [np.float32, np.int16])
def test_stored_values_mean_the_intensity_within_half_a_step(kind, dtype, source):
    how, voxels = intensity.parse(kind), noise(source)
    stored = intensity.store(voxels, how, dtype)
    for number, channel in enumerate(np.moveaxis(voxels.astype(np.float64), -1, 0)):
        expected = intensity.normalise(channel, intensity.measure(channel, *ranges.of(channel[..., None]), how))
        step = stored.scale[number] if stored.volume.dtype.kind in "iu" else 2e-3 if dtype == "float16" else 1e-5
        assert np.abs(decoded(stored)[..., number] - expected).max() <= 0.51 * step + 1e-6


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, "uint8"), (-1, 255, "int16"), (0, 40000, "uint16"), (-1, 40000, "float32"), (0.5, 1, "float32")],
)
def test_without_normalisation_the_smallest_exact_dtype_is_taken(low, high, dtype):
    voxels = np.array([low, high], np.float64).reshape(1, 2, 1)
    stored = intensity.store(voxels, intensity.parse("none"))
    assert stored.volume.dtype == dtype
    np.testing.assert_array_equal(decoded(stored), voxels)


def test_eight_bit_pictures_are_kept_as_they_are():
    voxels = counted((16, 16, 1), np.uint8)
    stored = intensity.store(voxels, intensity.parse("ct_window:0,255"))
    np.testing.assert_array_equal(stored.volume, voxels)
    assert decoded(stored).min() == 0
    assert decoded(stored).max() == pytest.approx(1)


def test_whole_numbers_are_kept_exactly_in_sixteen_bits():
    voxels = noise(np.int16)
    stored = intensity.store(voxels, intensity.parse("minmax"))
    np.testing.assert_array_equal(stored.volume, voxels - voxels.min(axis=(0, 1, 2)))


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint16, np.float32])
def test_the_widest_range_of_sixteen_bits_is_kept_exactly(kind, dtype):
    lowest = 0 if kind == np.uint16 else -(2**15)
    voxels = np.linspace(lowest, lowest + 2**16 - 1, 2**16).round().astype(kind).reshape(64, 32, 32, 1)
    stored = intensity.store(voxels, intensity.parse("minmax"), dtype)
    shift = np.iinfo(dtype).min - lowest
    np.testing.assert_array_equal(stored.volume.astype(np.int64), voxels.astype(np.int64) + shift)


def test_channels_are_normalised_apart():
    voxels = noise() * np.float32([1, 1000])
    values = decoded(intensity.store(voxels, intensity.parse("minmax")))
    np.testing.assert_allclose(values.max(axis=(0, 1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize("kind", ["zscore", "minmax", "percentile", "percentile:body"])
@pytest.mark.parametrize("dtype", ["auto", "float32", "int16"])
def test_constant_volumes_become_zeros(kind, dtype):
    stored = intensity.store(np.full((3, 3, 3, 1), 7.5, np.float32), intensity.parse(kind), dtype)
    assert (decoded(stored) == 0).all()


@pytest.mark.parametrize("kind", ["percentile", "percentile:body"])
def test_a_few_bright_voxels_survive_percentiles(kind):
    voxels = np.zeros((10, 10, 10, 1), np.float32)
    voxels[5, 5, 5] = 3
    assert decoded(intensity.store(voxels, intensity.parse(kind))).max() == pytest.approx(1)


def test_a_window_beside_all_values_clips_them():
    voxels = np.full((2, 2, 1), 900, np.int16)
    assert (
        decoded(intensity.store(voxels, intensity.parse("ct_window:-100,400"))).tolist() == np.ones((2, 2, 1)).tolist()
    )


def test_numbers_too_large_for_half_precision_are_refused():
    with pytest.raises(UnusableFileError, match="exceeds float16"):
        intensity.store(np.full((2, 2, 1), 1e6, np.float32), intensity.parse("none"), "float16")


@pytest.mark.parametrize("text", ["foo", "ct_window", "ct_window:1", "ct_window:5,1", "none:1,2", "ct_window:a,b"])
def test_unknown_intensities_are_refused(text):
    with pytest.raises(InputError, match="--intensity="):
        intensity.parse(text)


# Splits.


def items(count, **changes):
    return [Item(str(number), f"{number}.npy", str(number), **changes) for number in range(count)]


def test_splits_come_out_near_their_fractions_and_stay_when_data_are_added():
    few, many = splits.assign(items(1000), (0.8, 0.1, 0.1)), splits.assign(items(2000), (0.8, 0.1, 0.1))
    assert 750 < list(few.values()).count("train") < 850
    assert few.items() <= many.items()


def test_no_wanted_split_of_small_data_is_empty():
    for count in (3, 5, 10):
        assert set(splits.assign(items(count), (0.8, 0.1, 0.1)).values()) == {"train", "val", "test"}
    assert set(splits.assign(items(10), (0.9, 0.1, 0)).values()) == {"train", "val"}
    assert set(splits.assign(items(2), (0.8, 0.1, 0.1)).values()) == {"train"}


def test_every_class_reaches_every_split():
    rare = [Item(f"r{number}", "r", f"r{number}", label=(1.0,)) for number in range(4)]
    chosen = splits.assign(items(60, label=(0.0,)) + rare, (0.8, 0.1, 0.1))
    assert {chosen[item.patient] for item in rare} == {"train", "val", "test"}


def test_a_patient_stays_in_one_split():
    scans = [Item(f"{n}", "a", f"p{n // 3}") for n in range(30)]
    assert set(splits.assign(scans, (0.8, 0.1, 0.1))) == {f"p{n}" for n in range(10)}
    clash = [Item("a", "a", "p", split="train"), Item("b", "b", "p", split="test")]
    with pytest.raises(InputError, match="patient 'p' is in train and test"):
        splits.assign(clash, (0.8, 0.1, 0.1))


def test_hashes_are_the_same_everywhere():
    assert splits.unit_hash("patient 1") == pytest.approx(0.8175340367368236)
