"""Conversion holds one volume at a time, a few times over; "volume" is image and mask, measured in a process apart."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

SHAPE = (128, 256, 256)
CONVERT = """
import sys
from pathlib import Path
from tools import conversion, intensity, plan, prepare
from tools.readers.layouts import Request

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

before = peak()
settings = plan.Settings(prepare.Options(intensity=intensity.parse(sys.argv[3])))
conversion.convert(Request(sys.argv[1]), Path(sys.argv[2]), settings)
print(peak() - before)
"""


def write(folder, dtype):
    """Three images with masks; returns the bytes of the voxels of one pair."""
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE, np.uint8)
    for number in range(3):
        nibabel.save(nibabel.Nifti1Image(voxels.astype(dtype), np.diag([-1.0, 1, 1, 1])), folder / f"{number}.nii")
        nibabel.save(nibabel.Nifti1Image(voxels // 100, np.diag([-1.0, 1, 1, 1])), folder / f"{number}_mask.nii")
    return voxels.size * (np.dtype(dtype).itemsize + 1)


@pytest.mark.parametrize(("dtype", "how"), [("int16", "percentile"), ("int16", "zscore"), ("float32", "percentile")])
def test_memory_stays_within_four_times_the_largest_volume(tmp_path, dtype, how):
    (tmp_path / "raw").mkdir()
    largest = write(tmp_path / "raw", dtype)
    command = [sys.executable, "-c", CONVERT, str(tmp_path / "raw"), str(tmp_path / "out"), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert int(done.stdout.splitlines()[-1]) <= 4 * largest
