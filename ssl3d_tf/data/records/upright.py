"""Stored arrays as people look at scans: head or front up, and the patient's right on the left of the picture.

That is the radiological convention: one looks from the feet, from the front, and from the patient's left, so that the
front of a sagittal plane is on the left. The neurological one is its mirror image. Arrays and photographs, of which
nobody knows how they lie, are shown as they are: rows down, columns to the right. NumPy only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records import placement


class Plane(NamedTuple):
    """One way to look at a stored array.

    name: as in `placement.PLANES`, '' where it is not known. across: the axis of a volume that it is cut across, None
    of an image. is_turned: whether first and second axis run to the right and upwards; else down and to the right.
    is_mirrored: whether left and right are then exchanged. sides: letters of the patient's sides, at the left and the
    right edge; none where they are not known.
    """

    name: str = ""
    across: int | None = None
    is_turned: bool = False
    is_mirrored: bool = False
    sides: tuple[str, ...] = ()

    def axes(self) -> tuple[int, int]:
        """Which axes of the array run along rows and columns of the picture."""
        first, second = (axis for axis in range(3) if axis != self.across) if self.across is not None else (0, 1)
        return (second, first) if self.is_turned else (first, second)

    def __str__(self) -> str:
        """'axial: R on the left', '' where it is not known."""
        return f"{self.name}: {self.sides[0]} on the left" if self.sides else ""


class Direction(NamedTuple):
    """A stored axis in words: what it is called, what lies at its beginning and at its end, from the patient's side."""

    name: str
    start: str
    end: str


_OF_PATIENT = {"R": ("L", "R"), "A": ("P", "A"), "S": ("F", "H")}  # letters at the beginning and the end of an axis
_DIRECTIONS = {
    "R": Direction("x", "left", "right"),
    "A": Direction("y", "back", "front"),
    "S": Direction("z", "below", "above"),
}
_DEPTH = Direction("depth", "shallower", "deeper")
_IMAGE = (Direction("height", "above", "below"), Direction("width", "left", "right"))  # of the picture, not the patient


def of_record(source: Mapping[str, Any], rank: int, *, neurological: bool = False) -> tuple[Plane, ...]:
    """`planes` of a record of this `source`; lettered where its file wrote down how it lies."""
    found = planes(placement.stored_axes(source, rank), rank, neurological=neurological)
    return tuple(plane._replace(sides=()) for plane in found) if source.get("form") == "none" else found


def planes(axes: str, rank: int, *, neurological: bool = False) -> tuple[Plane, ...]:
    """The planes in which an array is looked at, axial, coronal and sagittal, or that of an image.

    Args:
        axes: as `placement.stored_axes`; of a data set `Manifest.orientation`.
    """
    if not axes:
        return tuple(Plane(across=axis) for axis in range(3)) if rank == 3 else (Plane(),)
    cuts = [axes.replace(axes[axis], "") for axis in (2, 1, 0)] if rank == 3 else [axes]
    return tuple(_plane(kept, rank, neurological) for kept in cuts)


def _plane(kept: str, rank: int, neurological: bool) -> Plane:
    (across,) = (axis for axis, letter in enumerate("RAS") if letter not in kept)
    sides = _OF_PATIENT[kept[0]] if neurological else _OF_PATIENT[kept[0]][::-1]
    name = placement.PLANES[across]
    return Plane(name, across if rank == 3 else None, True, not neurological, sides)


def picture(plane: Plane, values: np.ndarray) -> np.ndarray:
    """[a, b, …] of a plane as its two axes are stored -> [rows, columns, …] as it is looked at; a view of it."""
    if not plane.is_turned:
        return values
    upright = values.swapaxes(0, 1)[::-1]
    return upright[:, ::-1] if plane.is_mirrored else upright


def cut(plane: Plane, values: np.ndarray, at: int | None = None) -> np.ndarray:
    """The picture of an array [*spatial, …] at index `at` of the axis that the plane is cut across, by default half."""
    if plane.across is None:
        return picture(plane, values)
    return picture(plane, values.take(values.shape[plane.across] // 2 if at is None else at, plane.across))


def to_scale(plane: Plane, values: np.ndarray, spacing_mm: Sequence[float] | None, at: int | None = None) -> np.ndarray:
    """`cut` with pixels as high as they are wide: rows or columns repeat where voxels are longer that way.

    spacing_mm: sides of a voxel of the array, [rank]; None where they are not known, and pixels stay voxels.
    """
    drawn = cut(plane, values, at)
    for along, factor in enumerate(stretch(plane, spacing_mm)):
        count = round(drawn.shape[along] * factor)
        drawn = drawn.take(np.arange(count) * drawn.shape[along] // count, along)
    return drawn


def stretch(plane: Plane, spacing_mm: Sequence[float] | None) -> tuple[float, float]:
    """How many pixels `to_scale` makes of a row and of a column; 1 of that of the shorter side of a voxel."""
    if spacing_mm is None:
        return 1.0, 1.0
    high, wide = (spacing_mm[axis] for axis in plane.axes())
    return high / min(high, wide), wide / min(high, wide)


def box(
    plane: Plane, start: np.ndarray, size: np.ndarray, shape: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]]:
    """A box of an array of `shape` in its `cut`: (row, column) of its upper left corner, and (rows, columns)."""
    corner, extent = [], []
    for along, axis in enumerate(plane.axes()):
        is_backwards = plane.is_turned and (along == 0 or plane.is_mirrored)
        corner.append(int(shape[axis] - start[axis] - size[axis] if is_backwards else start[axis]))
        extent.append(int(size[axis]))
    return (corner[0], corner[1]), (extent[0], extent[1])


def directions(axes: str, rank: int) -> tuple[Direction, ...]:
    """The stored axes in words."""
    if axes:
        return tuple(_DIRECTIONS[letter] for letter in axes)
    return _IMAGE if rank == 2 else (_DEPTH, *_IMAGE)
