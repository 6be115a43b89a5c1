"""Where the voxels of a record lie on the grid that its input was read on, by its `source`: crop, square, resampling.

That grid has the axes of the record: those of RAS+, or of the array or picture; a single slice is 2D. NumPy only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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
        None where there is none: of a slice across an axis that was resampled or lengthened, and where the source does
        not say what shape its input had, or contradicts itself or `stored`.
    """
    stored = tuple(source["brick"]["shape"] if "brick" in source else stored)
    if not (source.get("crop_box") or source.get("resampled") or source.get("square")):
        return Placement(tuple(Axis(size, 0, np.arange(size)) for size in stored), stored)
    axes = _axes(source)
    if "slice" in source and axes:
        across = PLANES.index(source["slice"]["plane"])
        slices, made = axes[across]
        if slices.is_resampled or made != len(slices.positions):
            return None
        axes = axes[:across] + axes[across + 1 :]
    is_told = axes and tuple(made for _, made in axes) == stored
    return Placement(tuple(axis for axis, _ in axes), stored) if is_told else None


def input_shape(source: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape [*spatial] that the input had when it was read: turned to RAS+, a single slice dropped."""
    if source.get("shape") is None:
        return None
    if source.get("orientation") is None:
        return tuple(source["shape"])
    turned = _turned(source)
    if 1 in turned:
        turned.remove(1)
    return tuple(turned)


def stored_axes(source: Mapping[str, Any], rank: int) -> str:
    """Where the stored axes point to: 'RAS', of a single slice two of these; '' where its file did not say."""
    if source.get("orientation") is None:
        return ""
    if rank == len("RAS"):
        return "RAS"
    if "slice" in source:
        across = PLANES.index(source["slice"]["plane"])
    elif source.get("shape") is None or 1 not in _turned(source):
        return ""
    else:
        across = _turned(source).index(1)
    return "RAS".replace("RAS"[across], "")


def _turned(source: Mapping[str, Any]) -> list[int]:
    """The input's shape in the order of RAS+, three axes."""
    shape = (*source["shape"], 1, 1)[:3]
    return [shape[axis] for axis in np.argsort([_ALONG[letter] for letter in source["orientation"]])]


def slice_id(of: str, number: int, plane: str) -> str:
    """What the `number`-th slice in that `plane` of the volume `of` is called."""
    return f"{of}_{plane}{number:03d}"


def stack_id(name: str, plane: str | None) -> str:
    """The volume that a slice of `slice_id` is of; `name` itself where the data are no slices, `plane` None."""
    return name if plane is None else re.sub(rf"_{plane}\d{{3,}}$", "", name)


def slice_number(source: Mapping[str, Any], number: int, plane: str) -> int:
    """Which slice of the input the `number`-th stored one in that `plane` is, where `of` says that there is one."""
    box = source.get("crop_box")
    return number + (box[PLANES.index(plane)][0] if box else 0)


def spacing_mm(placement: Placement, stored_mm: Sequence[float]) -> tuple[float, ...]:
    """Voxel size on the input's grid, of that of the stored one."""
    return tuple(mm / axis.factor for mm, axis in zip(stored_mm, placement.axes, strict=True))


def _axes(source: Mapping[str, Any]) -> list[tuple[Axis, int]]:
    """Every axis, and in how many voxels it is stored; none where the source does not say, or contradicts itself."""
    shape = input_shape(source) or ()
    box = source.get("crop_box") or [(0, size) for size in shape]
    sides = [stop - first for first, stop in box]
    squares = [max(sides)] * len(sides) if source.get("square") and sides else sides
    resampled = source.get("resampled") or {"from": squares, "to": squares, "factors": [1.0] * len(squares)}
    if list(resampled["from"]) != squares or len(shape) != len(sides):
        return []
    axes = []
    for size, (first, _), side, old, new, factor in zip(
        shape, box, sides, squares, resampled["to"], resampled["factors"], strict=True
    ):
        axis = Axis(size, first, np.arange(side) + (old - side) // 2)
        if new != old or abs(factor - 1) * new >= SAME_GRID:
            axis = axis._replace(positions=_moved(axis.positions, old, new, factor), factor=factor)
        axes.append((axis, new))
    return axes


def _moved(indices: np.ndarray, old: int, new: int, factor: float) -> np.ndarray:
    """The inverse of `tools.prepare.geometry.resample` along one axis; beyond the border the edge voxel counts."""
    start = (old - 1) / 2 - (new - 1) / 2 * factor
    return np.clip((indices - start) / factor, 0, new - 1)
