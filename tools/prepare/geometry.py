"""Cropping and resampling of a volume and its mask, together: both keep one grid, and the affine says where it lies."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssl3d_tf.data.records.placement import SAME_GRID
from tools.readers.contract import UnfitFileError, Volume
from tools.voxels.pieces import pieces


class Grid(NamedTuple):
    """Where resampled voxels lie. shape: [rank]; factors: new voxel size / old voxel size, [rank]."""

    shape: tuple[int, ...]
    factors: tuple[float, ...]


def check_size(volume: Volume, shape: Sequence[int], max_bytes: int, flag: str) -> None:
    """Raises UnfitFileError where `volume` would take more than `max_bytes` in `shape`, or on the way there.

    Resampling goes axis by axis in float32, so that what lies between may be larger than either end.
    """
    sizes = volume.voxels.shape[:-1]
    steps = (math.prod((*shape[:axis], *sizes[axis:])) for axis in range(1, len(sizes) + 1))
    size = max(steps) * volume.voxels.shape[-1] * np.dtype(np.float32).itemsize
    if size > max_bytes:
        voxel = f", voxels of {' × '.join(f'{mm:g}' for mm in volume.spacing_mm)} mm" if volume.has_spacing else ""
        raise UnfitFileError(
            f"{flag} makes {' × '.join(map(str, shape))} of its {' × '.join(map(str, sizes))} voxels{voxel}, "
            f"{size / 1e9:.3g} GB, more than --max_gb={max_bytes / 1e9:g}",
            f"check the voxel size in its header, or choose another {flag}, or raise --max_gb",
        )


def crop(volume: Volume, box: Sequence[tuple[int, int]]) -> Volume:
    """Cuts `box` (first, last + 1 per axis) out of `volume`."""
    shift = np.eye(4)
    shift[: len(box), 3] = [first for first, _ in box]
    cut = tuple(slice(first, stop) for first, stop in box)
    return volume._replace(voxels=volume.voxels[cut], affine=volume.affine @ shift)


def pad_square(volume: Volume) -> Volume:
    """Lengthens all axes to the longest by zeros at both ends, so that a square (cube) keeps the aspect."""
    sizes = volume.voxels.shape[:-1]
    before = [(max(sizes) - size) // 2 for size in sizes]
    after = [max(sizes) - size - first for size, first in zip(sizes, before, strict=True)]
    shift = np.eye(4)
    shift[: len(sizes), 3] = [-first for first in before]
    voxels = np.pad(volume.voxels, [*zip(before, after, strict=True), (0, 0)])
    return volume._replace(voxels=voxels, affine=volume.affine @ shift)


def grid_of_shape(volume: Volume, shape: Sequence[int]) -> Grid:
    """The same field of view in `shape` voxels.

    Raises:
        UnfitFileError: `shape` has another rank than the volume.
    """
    _check_rank(volume, shape, "--shape")
    sizes = volume.voxels.shape[:-1]
    return Grid(tuple(shape), tuple(old / new for old, new in zip(sizes, shape, strict=True)))


def grid_of_spacing(volume: Volume, spacing_mm: Sequence[float]) -> Grid:
    """The same centre at voxels of `spacing_mm` (one number for all axes, or one each), as many as fit best.

    Raises:
        UnfitFileError: the file does not say how large its voxels are, the rank differs, or one voxel is left.
    """
    if not volume.has_spacing:
        raise UnfitFileError("it has no voxel size in mm", "use --shape instead of --spacing_mm")
    wanted = tuple(spacing_mm) * volume.rank if len(spacing_mm) == 1 else tuple(spacing_mm)
    _check_rank(volume, wanted, "--spacing_mm")
    factors = tuple(new / old for new, old in zip(wanted, volume.spacing_mm, strict=True))
    sizes = volume.voxels.shape[:-1]
    shape = tuple(max(1, round(size / factor)) for size, factor in zip(sizes, factors, strict=True))
    if set(shape) == {1} and max(sizes) > 1:
        voxel = " × ".join(f"{mm:g}" for mm in volume.spacing_mm)
        reason = f"--spacing_mm={','.join(f'{mm:g}' for mm in spacing_mm)} makes one voxel of all of it"
        size = f"{' × '.join(map(str, sizes))} voxels of {voxel} mm"
        raise UnfitFileError(f"{reason}: {size}", "check the voxel size and its unit in the header, or --spacing_mm")
    return Grid(shape, factors)


def resample(volume: Volume, grid: Grid, *, is_mask: bool = False, antialias: bool = False) -> Volume:
    """Reads `volume` at the voxel centres of `grid`, whose middle is the volume's: linearly, masks nearest.

    New index i lies at old index (i − (new − 1)/2) · factor + (old − 1)/2; beyond the border the edge voxel counts.
    Linear interpolation is done axis by axis in float32; axes that stay are not touched. There is no smoothing filter,
    but with `antialias` a voxel that becomes larger is the mean over its extent, at steps of one old voxel at most.
    """
    voxels = volume.voxels
    move = np.eye(4)
    for axis, (size, factor) in enumerate(zip(grid.shape, grid.factors, strict=True)):
        old = voxels.shape[axis]
        if size == old and abs(factor - 1) * size < SAME_GRID:
            continue
        start = (old - 1) / 2 - (size - 1) / 2 * factor
        move[axis, axis], move[axis, 3] = factor, start
        positions = start + np.arange(size) * factor
        if is_mask:
            voxels = _nearest(voxels, np.clip(positions, 0, old - 1), axis)
        else:
            voxels = _averaged(voxels, positions, axis, extent=factor if antialias else 0)
    return volume._replace(voxels=voxels, affine=volume.affine @ move)


def _averaged(voxels: np.ndarray, positions: np.ndarray, axis: int, *, extent: float) -> np.ndarray:
    """Mean of linear interpolation at the middles of equal parts of `extent` around each position."""
    parts = max(1, math.ceil(extent))
    offsets = ((np.arange(parts) + 0.5) / parts - 0.5) * extent
    last = voxels.shape[axis] - 1
    total = _linear(voxels, np.clip(positions + offsets[0], 0, last), axis)
    for offset in offsets[1:]:
        total += _linear(voxels, np.clip(positions + offset, 0, last), axis)
    return total if parts == 1 else total / np.float32(parts)


def _linear(voxels: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    low = np.minimum(positions.astype(int), max(voxels.shape[axis] - 2, 0))
    high = np.minimum(low + 1, voxels.shape[axis] - 1)
    weight = (positions - low).astype(np.float32).reshape(-1, *[1] * (voxels.ndim - 1))
    shape = (*voxels.shape[:axis], len(positions), *voxels.shape[axis + 1 :])
    out = np.empty(shape, np.float32)
    source, target = np.moveaxis(voxels, axis, 0), np.moveaxis(out, axis, 0)
    for piece in pieces(target):
        below, above = (source[index[piece]].astype(np.float32) for index in (low, high))
        target[piece] = below * (1 - weight[piece]) + above * weight[piece]
    return out


def _nearest(voxels: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    return voxels.take(np.floor(positions + 0.5).astype(int), axis)


def _check_rank(volume: Volume, numbers: Sequence[float], flag: str) -> None:
    if len(numbers) != volume.rank:
        values = ",".join(f"{number:g}" for number in numbers)
        raise UnfitFileError(f"{flag}={values} has {len(numbers)} axes, it has {volume.rank}", "give one per axis")
