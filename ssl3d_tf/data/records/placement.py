"""Where the voxels of a record lie on the grid that its input was read on, by its `source`: crop, square, resampling.

That grid has the axes of the record: those of RAS+, or of the array or picture; a single slice is 2D. NumPy only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError

SAME_GRID = 0.01  # voxels at the far border: headers store sizes as float32, and 0.7999999 mm is 0.8 mm
PLANES = ("sagittal", "coronal", "axial")  # across the first, second and third axis of RAS+
_ALONG = {**dict.fromkeys("LR", 0), **dict.fromkeys("PA", 1), **dict.fromkeys("IS", 2)}


class Axis(NamedTuple):
    """One axis of the input's grid.

    size: its voxels. first: where what was stored begins. positions: of the voxels from there on, as index of the
    stored axis, within it: int64 where these are stored voxels, float64 where the axis was resampled. factor: stored
    voxel size / the input's.
    """

    size: int
    first: int
    positions: np.ndarray
    factor: float = 1.0

    @property
    def is_resampled(self) -> bool:
        """Whether values on it are interpolated."""
        return self.positions.dtype.kind == "f"


class Placement(NamedTuple):
    """All axes of the input's grid, and how many voxels are stored."""

    axes: tuple[Axis, ...]
    stored: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input's grid."""
        return tuple(axis.size for axis in self.axes)

    @property
    def box(self) -> tuple[slice, ...]:
        """Where on the input's grid something is stored."""
        return tuple(slice(axis.first, axis.first + len(axis.positions)) for axis in self.axes)

    @property
    def is_resampled(self) -> bool:
        """Whether any axis was."""
        return any(axis.is_resampled for axis in self.axes)

    @property
    def is_same(self) -> bool:
        """Whether the stored grid is the input's, voxel for voxel."""
        return not self.is_resampled and self.shape == self.stored and not any(axis.first for axis in self.axes)


def of(source: Mapping[str, Any], stored: Sequence[int]) -> Placement | None:
    """The placement of a record of this `source` and `stored` shape [*spatial]; of a brick, that of the whole volume.

    Returns:
        None where there is none: of a slice across an axis that was resampled or lengthened, and of what does not say
        what shape its input had.

    Raises:
        InputError: the source says another shape than `stored`.
    """
    stored = tuple(source["brick"]["shape"] if "brick" in source else stored)
    if not (source.get("crop_box") or source.get("resampled") or source.get("square")):
        return Placement(tuple(Axis(size, 0, np.arange(size)) for size in stored), stored)
    shape = input_shape(source)
    if shape is None:
        return None
    axes, made = _axes(source, shape)
    if "slice" in source:
        across = PLANES.index(source["slice"]["plane"])
        if axes[across].is_resampled or made[across] != len(axes[across].positions):
            return None
        axes, made = axes[:across] + axes[across + 1 :], made[:across] + made[across + 1 :]
    if made != stored:
        raise InputError(f"a record has {stored} voxels, but its source says {made}: it is damaged; convert again.")
    return Placement(axes, made)


def input_shape(source: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape [*spatial] that the input had when it was read: turned to RAS+, a single slice dropped."""
    shape, orientation = source.get("shape"), source.get("orientation")
    if shape is None:
        return None
    if orientation is None:
        return tuple(shape)
    shape = (*shape, 1, 1)[:3]
    turned = [shape[axis] for axis in np.argsort([_ALONG[letter] for letter in orientation])]
    if 1 in turned:
        turned.remove(1)
    return tuple(turned)


def slice_number(source: Mapping[str, Any], number: int, plane: str) -> int:
    """Which slice of the input the `number`-th stored one in that `plane` is, where `of` says that there is one."""
    box = source.get("crop_box")
    return number + (box[PLANES.index(plane)][0] if box else 0)


def spacing_mm(placement: Placement, stored_mm: Sequence[float]) -> tuple[float, ...]:
    """Voxel size on the input's grid, of that of the stored one."""
    return tuple(mm / axis.factor for mm, axis in zip(stored_mm, placement.axes, strict=True))


def _axes(source: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[tuple[Axis, ...], tuple[int, ...]]:
    """Every axis, and how many voxels it is stored in."""
    box = source.get("crop_box") or [(0, size) for size in shape]
    sides = [stop - first for first, stop in box]
    squares = [max(sides)] * len(sides) if source.get("square") else sides
    resampled = source.get("resampled") or {"from": squares, "to": squares, "factors": [1.0] * len(squares)}
    made = tuple(int(size) for size in resampled["to"])
    if list(resampled["from"]) != squares or len(shape) != len(sides):
        raise InputError(f"a record's source says {shape}, {box} and {resampled}: it is damaged; convert again.")
    axes = []
    for size, (first, _), side, square, new, factor in zip(
        shape, box, sides, squares, made, resampled["factors"], strict=True
    ):
        before = np.arange(side) + (square - side) // 2
        is_moved = new != square or abs(factor - 1) * new >= SAME_GRID
        axes.append(Axis(size, first, *((_moved(before, square, new, factor), factor) if is_moved else (before,))))
    return tuple(axes), made


def _moved(before: np.ndarray, old: int, new: int, factor: float) -> np.ndarray:
    """The inverse of `tools.prepare.geometry.resample` along one axis; beyond the border the edge voxel counts."""
    start = (old - 1) / 2 - (new - 1) / 2 * factor
    return np.clip((before - start) / factor, 0, new - 1)
