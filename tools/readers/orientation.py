"""Voxels turned to RAS+, whatever format they come from."""

from collections.abc import Sequence

import numpy as np
from nibabel import orientations

from tools.readers.contract import UnusableFileError, Volume

PLANES = 4  # copied at a time, so that what one cache line holds is used while it is there


def ras_volume(voxels: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> Volume:
    """The volume with its axes along the patient: left to right, posterior to anterior, inferior to superior.

    Args:
        voxels: [a, b, c, channels], one of a, b, c may be 1; the result then has two spatial axes.
        affine: 4 × 4, voxel index -> mm in RAS+.
        shape: as the file has it, for the record's source.

    Raises:
        UnusableFileError: the affine is singular or not finite.
    """
    turn = orientations.io_orientation(affine)
    if np.isnan(turn).any() or not np.isfinite(affine).all():
        raise UnusableFileError("its affine is singular or not finite", "mend sform and qform, e.g. with nibabel")
    origin = {
        "shape": list(shape),
        "affine": affine.tolist(),
        "orientation": "".join(orientations.ornt2axcodes(turn)),
    }
    turned = affine @ orientations.inv_ornt_aff(turn, voxels.shape[:3])
    voxels, turned = drop_single_slice(np.asarray(orientations.apply_orientation(voxels, turn)), turned)
    return Volume(_row_major(voxels), turned, has_spacing=True, origin=origin)


def _row_major(voxels: np.ndarray) -> np.ndarray:
    """`voxels` in C order and native bytes, so that no later pass strides through memory.

    Files run along their first axis, the copy along the last: plane by plane of an axis that is neither, it takes an
    eighth of the time for 512 × 512 slices.
    """
    out = np.empty(voxels.shape, voxels.dtype.newbyteorder("="))
    axis = int(abs(voxels.strides[0]) < abs(voxels.strides[1]))
    source, target = np.moveaxis(voxels, axis, 0), np.moveaxis(out, axis, 0)
    for first in range(0, len(source), PLANES):
        target[first : first + PLANES] = source[first : first + PLANES]
    return out


def drop_single_slice(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[a, b, 1, channels], in any order of axes -> [a, b, channels], its affine's third column the dropped axis."""
    if 1 not in voxels.shape[:3]:
        return voxels, affine
    dropped = voxels.shape.index(1)
    order = [axis for axis in range(3) if axis != dropped] + [dropped, 3]
    return np.squeeze(voxels, axis=dropped), affine[:, order]
