"""Scans to convert, the converter in this process and as a command, and what it wrote: for several test files."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np

from ssl3d_tf.data.records import manifest
from ssl3d_tf.data.records.reading import read_example
from tools.conversion import conversion
from tools.conversion.settings import Settings
from tools.prepare import intensity, packing
from tools.readers.layouts import Request


def make_scans(root, count=6, shape=(8, 9, 10)):
    """Images and masks of noise under `root`."""
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        affine = np.diag([-1.0, 1, 2, 1])
        voxels, labels = random.integers(0, 900, shape).astype(np.int16), random.integers(0, 3, shape).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), root / "images" / f"c{number}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels, affine), root / "masks" / f"c{number}.nii.gz")
    return root


def settings(**options):
    """Two records per shard, and what is asked for; how: the text of --intensity."""
    how = options.pop("how", "auto")
    return Settings(packing.Options(intensity=intensity.parse(how), **options), records_per_shard=2)


def convert(root, out, chosen=None, **options):
    """`root` as the data folder `out`, in this process."""
    return conversion.convert(Request(str(root)), out, chosen or settings(), **options)


def examples(out):
    """All examples of a data folder, by id."""
    data = manifest.read(out)
    return {entry.id: read_example(out, split, entry) for split in data.splits.values() for entry in split.entries}


def contents(folder):
    """The bytes of all files of a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(*arguments):
    """The command line of the converter."""
    return [sys.executable, "-m", "tools.to_tfrecord", *map(str, arguments)]


def run(*arguments):
    """The converter in a process of its own."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
