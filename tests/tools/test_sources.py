"""Input that changes after it was converted: noticed by time and content, and named by --verify --input."""

import os
import shutil

import numpy as np
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tests.tools import dicom_files
from tests.tools.converting import contents, convert, examples, make_scans, run, settings
from tests.tools.test_inspect_records import run as inspect
from tools.checks import sources
from tools.conversion import shards
from tools.readers.layouts import Request, find


@pytest.fixture
def root(tmp_path):
    """Four volumes with masks, stored so that equal shapes have files of equal size."""
    (tmp_path / "raw").mkdir()
    for number in range(4):
        voxels = np.random.default_rng(number).integers(0, 99, (6, 7, 8)).astype(np.int16)
        np.save(tmp_path / "raw" / f"c{number}.npy", voxels)
        np.save(tmp_path / "raw" / f"c{number}_mask.npy", (voxels > 50).astype(np.uint8))
    return tmp_path / "raw"


def change(path, value=1, *, later_ns=10**9):
    """Other voxels in a file of the same size, whose time moves on by `later_ns`."""
    before = path.stat()
    voxels = np.load(path)
    voxels[0, 0, :3] = value
    np.save(path, voxels)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + later_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("later_ns", [10**9, -(10**9)])
@pytest.mark.parametrize("name", ["c2.npy", "c2_mask.npy"])
def test_a_file_of_the_same_size_that_changed_is_named_and_converted_again(tmp_path, root, name, later_ns):
    convert(root, tmp_path / "out")
    change(root / name, 7, later_ns=later_ns)
    with pytest.raises(InputError, match=rf"was made before {name} changed; add --overwrite"):
        convert(root, tmp_path / "out")
    assert convert(root, tmp_path / "out", overwrite=True).is_new
    made = examples(tmp_path / "out")["c2"]
    assert ((made.mask if "mask" in name else made.volume[..., 0])[0, 0, :3] == 7).all()
    assert not convert(root, tmp_path / "out").is_new


def test_a_new_time_alone_is_no_change(tmp_path, root):
    convert(root, tmp_path / "out")
    for path in root.iterdir():
        os.utime(path, ns=(0, 10**15))
    assert not convert(root, tmp_path / "out").is_new
    before = sources.read_stamps(tmp_path / "out" / sources.FILE)
    assert set(before.values()) == {10**15}  # noted, so that the next run need not read the files


def test_unchanged_files_are_not_read_again(tmp_path, root, monkeypatch):
    convert(root, tmp_path / "out")
    monkeypatch.setattr(sources, "changed", lambda folder, data, root, items: [item.path for item in items])
    assert not convert(root, tmp_path / "out").is_new


def test_a_quarantined_file_that_was_mended_is_a_change(tmp_path, root):
    whole = (root / "c1.npy").read_bytes()
    (root / "c1.npy").write_bytes(whole.replace(b"'descr': '<i2'", b"'descr': '<x2'"))
    convert(root, tmp_path / "out")
    assert len(examples(tmp_path / "out")) == 3
    (root / "c1.npy").write_bytes(whole)
    os.utime(root / "c1.npy", ns=(0, 1))
    with pytest.raises(InputError, match=r"before c1\.npy changed"):
        convert(root, tmp_path / "out")


def test_a_stopped_run_makes_shards_of_changed_files_again(tmp_path, root, monkeypatch):
    def stopped(work, jobs):
        for number, job in enumerate(jobs):
            if number == len(jobs) - 1:
                raise KeyboardInterrupt
            yield shards.finish(work, shards.make(work, job, lambda size: None))

    with pytest.raises(KeyboardInterrupt):
        convert(root, tmp_path / "out", make=stopped)
    for number in range(4):
        change(root / f"c{number}_mask.npy", 9)
    convert(root, tmp_path / "out")
    assert all((example.mask[0, 0, :3] == 9).all() for example in examples(tmp_path / "out").values())
    convert(root, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_the_input_is_compared_with_the_records(tmp_path, root):
    assert run("--input", root, "--output", tmp_path / "out", "--workers=1").returncode == 0
    same = inspect(tmp_path / "out", "--verify", "--input", root)
    assert (same.returncode, "the files it was made from are as they were" in same.stdout) == (0, True)
    change(root / "c0_mask.npy", 3, later_ns=0)
    change(root / "c1.npy", 3, later_ns=0)
    (root / "c2.npy").unlink()
    shutil.copy(root / "c3.npy", root / "d.npy")
    done = inspect(tmp_path / "out", "--verify", "--input", root)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "'c0': c0_mask.npy has changed since it was converted.",
        "'c1': c1.npy has changed since it was converted.",
        "'c2': c2.npy is gone.",
        "d.npy is new: no record was made from it.",
    ]
    assert "add it" in inspect(tmp_path / "out", "--input", root).stderr


def listed(root, out):
    return sorted(sources.differences(out, manifest.read(out), find(Request(str(root))), ()))


def test_a_mask_that_came_later_is_a_difference(tmp_path, root):
    (root / "c3_mask.npy").rename(tmp_path / "kept.npy")
    convert(root, tmp_path / "out")
    assert listed(root, tmp_path / "out") == []
    (tmp_path / "kept.npy").rename(root / "c3_mask.npy")
    assert listed(root, tmp_path / "out") == ["'c3': its mask is now c3_mask.npy, it was None."]


@pytest.mark.parametrize("options", [{"brick_shape": (8, 8, 8)}, {"slices": "axial"}])
def test_bricks_and_slices_are_compared_volume_by_volume(tmp_path, options):
    root = make_scans(tmp_path / "raw", 2)
    bricks = options.pop("brick_shape", None)
    convert(root, tmp_path / "out", settings(**options)._replace(brick_shape=bricks))
    assert listed(root, tmp_path / "out") == []
    (root / "masks" / "c1.nii.gz").write_bytes((root / "masks" / "c0.nii.gz").read_bytes())
    assert listed(root, tmp_path / "out") == ["'images/c1': masks/c1.nii.gz has changed since it was converted."]


def test_series_without_paths_in_their_records_are_compared(tmp_path):
    for number in range(2):
        voxels = np.random.default_rng(number).integers(0, 99, (9, 8, 6)).astype(np.int16)
        dicom_files.write_series(tmp_path / "raw" / f"s{number}", voxels, np.eye(4), SeriesInstanceUID=f"1.2.{number}")
    convert(tmp_path / "raw", tmp_path / "out")
    assert listed(tmp_path / "raw", tmp_path / "out") == []
    file = sorted((tmp_path / "raw" / "s0").iterdir())[2]
    file.write_bytes(file.read_bytes()[:-2] + b"\1\2")
    (line,) = listed(tmp_path / "raw", tmp_path / "out")
    assert line.endswith("has changed since it was converted.")


def test_data_of_earlier_versions_stay_complete(tmp_path, root):
    convert(root, tmp_path / "out")
    (tmp_path / "out" / sources.FILE).unlink()
    os.utime(root / "c0.npy", ns=(0, 1))
    assert not convert(root, tmp_path / "out").is_new
