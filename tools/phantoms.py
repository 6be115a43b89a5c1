"""python -m tools.phantoms --output RAW: phantoms as NIfTI files with masks, to try every command on.

Writes RAW/images/subject_000.nii.gz and RAW/masks/subject_000.nii.gz, …
"""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from absl import flags
from tqdm import tqdm

from ssl3d_tf.command import cli
from ssl3d_tf.data import files, phantoms, places

SPACING_MM = 3.0
# Phantoms run from head to feet, from front to back and from right to left: see `data.phantoms`.
AFFINE = np.array([[0, 0, -SPACING_MM, 0], [0, -SPACING_MM, 0, 0], [-SPACING_MM, 0, 0, 0], [0, 0, 0, 1]])


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("output", None, "Folder for images/ and masks/.", required=True)
    flags.DEFINE_integer("count", 96, "How many subjects.", lower_bound=1)
    flags.DEFINE_integer("size", 64, "Voxels per side, of 3 mm each.", lower_bound=16)
    flags.DEFINE_integer("seed", 0, "Of the family of subjects.")


def main(argv: Sequence[str]) -> None:
    """Flags -> files."""
    values = flags.FLAGS
    cli.flags_only(argv)
    output = places.local(values.output, "--output")
    folders = [files.make_folder(output / name, "--output") for name in ("images", "masks")]
    for index in tqdm(range(values.count), unit="phantom", disable=None):
        arrays = phantoms.phantom(index, seed=values.seed, shape=(values.size,) * 3)
        for folder, array in zip(folders, arrays, strict=True):
            _write(folder / f"subject_{index:03d}.nii.gz", array)
    print(f"{values.count} phantoms of {values.size}³ voxels in {output}/images, their masks in {output}/masks.")


def _write(path: Path, array: np.ndarray) -> None:
    """Images are stored in 12 bits, as a scanner would; masks as they are."""
    stored = array if array.dtype == np.uint8 else np.round(array * 4095).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, AFFINE), path)


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
