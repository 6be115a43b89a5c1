"""Voxels turned to RAS+, whatever format they come from."""

from collections.abc import Sequence

import numpy as np
from nibabel import orientations

from tools.readers.contract import Grid, UnusableFileError, Volume

PLANES = 4  # copied at a time, so that what one cache line holds is used while it is there


def turn_of(affine: np.ndarray) -> np.ndarray:
    """nibabel's orientation of an affine (4 × 4): for each axis the one of RAS+ it runs along, and its sign.

    Raises:
        UnusableFileError: the affine is singular or not finite.
    """
    is_finite = np.isfinite(affine).all()
    turn = orientations.io_orientation(affine) if is_finite else np.full((3, 2), np.nan)
    if np.isnan(turn).any():
        rows = " ".join(np.array2string(affine[:3], precision=4, separator=", ").split())
        what = "is singular" if is_finite else "holds NaN or infinity"
        raise UnusableFileError(f"its affine {what}: {rows}", "write a valid sform or qform into its header")
    return turn


def ras_volume(voxels: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> Volume:
    """The volume with its axes along the patient: left to right, posterior to anterior, inferior to superior.

    Args:
        voxels: [a, b, c, channels], one of a, b, c may be 1; the result then has two spatial axes.
        affine: 4 × 4, voxel index -> mm in RAS+.
        shape: as the file has it, for the record's source.

    Raises:
        UnusableFileError: the affine is singular or not finite.
    """
    turn = turn_of(affine)
    origin = {
        "shape": list(shape),
        "affine": affine.tolist(),
        "orientation": "".join(orientations.ornt2axcodes(turn)),
    }
    turned = affine @ orientations.inv_ornt_aff(turn, voxels.shape[:3])
    voxels, turned = drop_single_slice(np.asarray(orientations.apply_orientation(voxels, turn)), turned)
    return Volume(_row_major(voxels), turned, has_spacing=True, origin=origin)


def ras_grid(affine: np.ndarray, shape: Sequence[int]) -> Grid:
    """The grid of a volume of three axes, without its voxels; arguments and errors as `ras_volume`."""
    turn = turn_of(affine)
    turned = tuple(shape[int(axis)] for axis in np.argsort(turn[:, 0]))
    return Grid(turned, affine @ orientations.inv_ornt_aff(turn, shape))


def as_in_file(values: np.ndarray, affine: np.ndarray, shape: Sequence[int], *, behind: int = 0) -> np.ndarray:
    """The inverse of what `ras_volume` does to voxels: values on the axes that the file has; a view of them.

    Args:
        values: [*spatial, …] of the volume, with two spatial axes where one of the file's three is 1.
        affine: 4 × 4, as it was in the file. shape: likewise; what is behind its third axis does not count.
        behind: how many axes come behind the spatial ones, which stay as they are.

    Returns:
        [a, b, c, …], or [a, b, …] of a file with two axes.
    """
    turn = turn_of(affine)
    sizes = (*shape, 1, 1)[:3]
    turned = [sizes[int(axis)] for axis in np.argsort(turn[:, 0])]
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), turn)
    others = values.shape[values.ndim - behind :]
    found = np.asarray(orientations.apply_orientation(values.reshape([*turned, *others]), back))
    return found.reshape([*shape[:3], *others])


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
