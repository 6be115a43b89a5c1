"""VIEW_SIZE, POOL and voxel size that suit a data set, from the median shape and spacing of its volumes.

After the planner of nnU-Net, Isensee et al., 2021, doi:10.1038/s41592-020-01008-z: a view as large in mm along every
axis as memory lets it be and volumes are, whose finest axes are pooled first, until its voxels are about cubes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssl3d_tf.data.records import columns, grids
from ssl3d_tf.data.records.manifest import Manifest

CUBE, LEVELS = 128, 4  # gin/base.gin: what is taken where nothing is said
_SMALLEST = 4  # places of an axis, below which it is not pooled
_ALIKE = 2  # times as coarse as the finest axis, below which an axis is pooled with it
_COARSE, _FINE_END = 3, 10  # times as coarse, from which the axis is resampled to this percentile of its spacing


class Planned(NamedTuple):
    """What suits. shape: of the median volume; spacing_mm: its voxels, None where they are not known.

    resample: whether volumes vary too much to be taken at their own spacing. view: voxels per axis. pool: per level and
    axis 2 where it is pooled, else 1. is_default: whether it is a cube of CUBE with LEVELS poolings of all axes, or
    what these do as well.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    resample: bool
    view: tuple[int, ...]
    pool: tuple[tuple[int, ...], ...]
    is_default: bool

    def params(self) -> list[str]:
        """The lines of gin that take it; those that say what is taken anyway are left out."""
        is_cube = len(set(self.view)) == 1
        lines = [f"VIEW_SIZE={self.view[0] if is_cube else self.view}"]
        lines += [f"LEVELS={len(self.pool)}"] if len(self.pool) != LEVELS else []
        return lines if _all_axes(self.pool) else [*lines, f"POOL={self.pool}"]


def of_manifest(manifest: Manifest) -> Planned | None:
    """For the training volumes of a data set in 3D, or their bricks; None of others, and of volumes of few voxels."""
    entries = columns.of(manifest.splits["train"].entries if "train" in manifest.splits else ())
    if manifest.rank != 3 or not len(entries):
        return None
    shapes, grid = columns.dense(entries, "shape")[:, :-1].astype(float), grids.of_manifest(manifest)
    known = columns.ragged(entries, "spacing_mm")
    may_resample = not (manifest.recipe.get("spacing_mm") or manifest.recipe.get("shape"))
    resample = bool(may_resample and grid.varies and known.has.all())
    spacing = grid.spacing_mm
    if resample:
        each = known.values.reshape(len(entries), -1)
        spacing = target_spacing(each)
        shapes = shapes * each / spacing
    shape = tuple(max(1, int(side)) for side in np.median(shapes, axis=0).round())
    view, pool = plan(shape, spacing or (1.0,) * len(shape))
    return Planned(shape, spacing, resample, view, pool, _is_default(shape, pool)) if pool else None


def target_spacing(each: np.ndarray) -> tuple[float, ...]:
    """mm per axis that volumes of spacings `each`, [volumes, rank], may be resampled to: the median of each axis.

    Of one that is far coarser, a fine one of its own: the median would throw away slices that many volumes have.
    """
    found = np.median(each, axis=0)
    coarse = int(found.argmax())
    if found[coarse] >= _COARSE * found.min():
        found[coarse] = max(np.percentile(each[:, coarse], _FINE_END), np.delete(found, coarse).max())
    return tuple(float(f"{mm:.3g}") for mm in found)


def plan(
    shape: Sequence[int], spacing_mm: Sequence[float], *, levels: int = LEVELS, voxels: int = CUBE**3
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """(view, pool) of volumes of that shape: a view of `voxels` at most, and at most so many levels."""
    sides = _largest(np.array(shape, float), np.array(spacing_mm, float), voxels)
    pool: list[np.ndarray] = []
    size, spacing = sides, np.array(spacing_mm, float)
    while len(pool) < levels and (step := _step(size, spacing)).max() > 1:
        pool.append(step)
        size, spacing = size // step, spacing * step
    factors = np.prod(pool, axis=0) if pool else np.ones(len(shape))
    return _whole(sides // factors * factors), tuple(map(_whole, pool))


def _largest(shape: np.ndarray, spacing: np.ndarray, voxels: int) -> np.ndarray:
    """The view of one length in mm, cut where the volume ends, that has so many voxels, or the volume."""
    low, high = 0.0, float((shape * spacing).max())
    for _ in range(60):  # halvings of a length in mm
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(shape, middle / spacing).prod() <= voxels else (low, middle)
    return np.maximum(1, np.floor(np.minimum(shape, high / spacing) + 1e-6))


def _step(size: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    long = size >= 2 * _SMALLEST
    finest = spacing[long].min() if long.any() else 0.0
    return np.where(long & (spacing < _ALIKE * finest), 2, 1)


def _is_default(shape: Sequence[int], pool: Sequence[Sequence[int]]) -> bool:
    return min(shape) >= CUBE and len(pool) == LEVELS and _all_axes(pool)


def _all_axes(pool: Sequence[Sequence[int]]) -> bool:
    return all(set(step) == {2} for step in pool)


def _whole(numbers: np.ndarray) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)
