"""What is held: of conversion one volume, a few times over, and of a run that has ended nothing.

A "volume" is image and mask; conversion is measured in a process apart.
"""

import gc
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders, synthetic
from ssl3d_tf.experiment import preparing, protocol, running
from ssl3d_tf.training import leftovers

SHAPE = (128, 256, 256)
CONVERT = """
import sys
from pathlib import Path
from tools.conversion import conversion
from tools.conversion.settings import Settings
from tools.prepare import intensity, packing
from tools.readers.layouts import Request

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

before = peak()
settings = Settings(packing.Options(intensity=intensity.parse(sys.argv[3])))
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
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert int(done.stdout.splitlines()[-1]) <= 4 * largest


# Runs


def held():
    """What this process holds of runs that have ended."""
    leftovers.clear()
    names = [str(name) for name in context.context().list_function_names()]
    return {
        "functions": sum("__wrapped__" not in name for name in names),  # those are ops, by and by
        "graphs": sum(isinstance(found, tf.Graph) for found in gc.get_objects()),
        "mapped shards": Path("/proc/self/maps").read_text().count(".tfrecord"),
    }


def test_a_run_of_a_grid_leaves_nothing_in_memory(tmp_path):
    size = 16
    synthetic.write_dataset(tmp_path / "data", shape=(size, size), counts={"train": 4, "val": 2, "test": 2})
    network = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={size}", "STEPS=2", "SCORES=('dice',)")
    params = (*network, "ARMS=('random',)", "REPETITIONS=2")
    configuration.load(configuration.Sources(("gin/finetune/segmentation_2d.gin",), params))
    data, one_device = folders.open_folder(tmp_path / "data"), tf.distribute.get_strategy()
    experiment = preparing.experiment_of(data, {}, tmp_path / "ft", distribution=one_device)
    before, found = held(), []
    for cell in protocol.cells(experiment.plan, []):
        assert running.run(experiment, cell)
        found.append(held())
    first, second = found  # what all runs share is there after the first
    assert second == first
    assert second["mapped shards"] == before["mapped shards"]  # of other tests of this process
