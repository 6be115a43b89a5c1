"""Which axis of an array holds channels: as --channels says, guessed where all else is absurd, else refused."""

import numpy as np
import pytest

from ssl3d_tf.data.places import place
from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, run, settings
from tools.readers import files
from tools.readers.contract import Reading, UnusableFileError


def save(path, shape, save=np.save):
    voxels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    save(path, voxels)
    return voxels


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((20, 24), None),
        ((1, 20, 24), 0),
        ((3, 20, 24), 0),
        ((20, 24, 3), -1),
        ((10, 20, 24), None),
        ((3, 9, 8), None),  # three slices of a few voxels
        ((1, 12, 14, 16), 0),
        ((2, 12, 14, 16), 0),
        ((4, 16, 17, 18), 0),
        ((12, 14, 16, 1), -1),
        ((12, 14, 16, 4), -1),
    ],
)
def test_the_axis_is_guessed_where_the_other_reading_is_absurd(tmp_path, suffix, shape, axis):
    voxels = save(tmp_path / f"a{suffix}", shape, np.save if suffix == ".npy" else np.savez)
    expected = voxels[..., None] if axis is None else np.moveaxis(voxels, axis, -1)
    read, probe = files.read(tmp_path / f"a{suffix}"), files.probe(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(read.voxels, expected)
    assert read.voxels.flags.c_contiguous
    assert probe.kind == (expected.ndim - 1, expected.shape[-1])


@pytest.mark.parametrize("shape", [(12, 14, 16, 30), (2, 12, 14, 3), (6, 12, 14, 16), (3, 40, 4)])
def test_what_may_be_read_in_two_ways_is_refused_with_the_flag(tmp_path, shape):
    save(tmp_path / "a.npy", shape)
    for read in (files.probe, files.read):
        with pytest.raises(UnusableFileError, match=r"--channels=first\|last\|none"):
            read(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((12, 14, 16, 30), "last", (12, 14, 16, 30)),
        ((6, 12, 14, 16), "first", (12, 14, 16, 6)),
        ((3, 20, 24), "none", (3, 20, 24, 1)),
        ((20, 24, 2), "none", (20, 24, 2, 1)),
        ((30, 20, 24), "first", (20, 24, 30)),
    ],
)
def test_the_flag_says_which(tmp_path, shape, channels, expected):
    save(tmp_path / "a.npy", shape)
    how = Reading(channels=channels)
    assert files.read(tmp_path / "a.npy", how=how).voxels.shape == expected
    assert files.probe(tmp_path / "a.npy", how=how).kind == (len(expected) - 1, expected[-1])
    assert not files.probe(tmp_path / "a.npy", how=how).notes


@pytest.mark.parametrize(("shape", "channels"), [((20, 24), "first"), ((2, 12, 14, 16), "none")])
def test_a_flag_that_does_not_fit_is_said(tmp_path, shape, channels):
    save(tmp_path / "a.npy", shape)
    with pytest.raises(UnusableFileError, match=f"not one of --channels={channels}"):
        files.probe(tmp_path / "a.npy", how=Reading(channels=channels))


@pytest.mark.parametrize("mask_shape", [(12, 14, 16), (1, 12, 14, 16), (12, 14, 16, 1)])
def test_a_guess_is_told_and_its_masks_fit(tmp_path, mask_shape, capsys):
    (tmp_path / "raw").mkdir()
    for number in range(3):
        voxels = save(tmp_path / "raw" / f"s{number}.npy", (2, 12, 14, 16)) + number
        np.save(tmp_path / "raw" / f"s{number}.npy", voxels)
        np.save(tmp_path / "raw" / f"s{number}_seg.npy", (voxels[0] > number).astype(np.uint8).reshape(mask_shape))
    convert(tmp_path / "raw", tmp_path / "out", settings(how="none"))
    for said in (capsys.readouterr().out, (tmp_path / "out" / "summary.md").read_text()):
        assert "arrays of 4 axes: the first was taken for the channels, else say --channels" in said
    made = examples(tmp_path / "out")["s1"]
    np.testing.assert_array_equal(made.mask, made.volume[..., 0] > 1)


def test_the_command_takes_the_flags(tmp_path):
    (tmp_path / "raw").mkdir()
    voxels = save(tmp_path / "raw" / "a.npy", (30, 12, 14, 16))
    voxels[:, 0, 0, 0] = np.nan
    np.save(tmp_path / "raw" / "a.npy", voxels)
    options = ("--input", tmp_path / "raw", "--output", tmp_path / "out", "--workers=1", "--mask_grid=image")
    refused = run(*options)
    assert (refused.returncode, "--channels=first|last|none" in refused.stderr) == (1, True)
    done = run(*options, "--channels=first", "--nan=0")
    assert done.returncode == 0
    assert examples(tmp_path / "out")["a"].volume.shape == (12, 14, 16, 30)
    chosen = settings(reading=Reading("first", "min", "image"))
    with pytest.raises(InputError, match=r"nan was 0, now min"):
        convert(tmp_path / "raw", tmp_path / "out", chosen)


def test_what_else_an_npz_holds_is_told(tmp_path, capsys):
    for number in range(3):
        values = np.random.default_rng(number).random((9, 10, 11))
        (tmp_path / "raw").mkdir(exist_ok=True)
        np.savez(tmp_path / f"raw/s{number}.npz", image=values, seg=values > 0.5, grade=np.int64(number))
    convert(tmp_path / "raw", place(str(tmp_path / "out")))
    said = "of each .npz the array 'image' is read, and not grade, seg: store masks as files of their own"
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "out" / "summary.md").read_text()
