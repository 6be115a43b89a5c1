"""Slices of one DICOM series -> a volume: ordered by position along the normal, refused where one is missing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.readers import dicom, limits
from tools.readers.contract import Kind, Probe, UnusableFileError, Volume, plain_volume
from tools.readers.dicom import Slice
from tools.readers.orientation import ras_volume

UNEVEN = 0.1  # of the distance of two slices; positions are rounded in the file, and tables move in steps
SAME_DIRECTION = 1e-3
SAME_PLACE_MM = 1e-2
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def probe(paths: Sequence[Path]) -> Probe:
    """What the headers of the files `paths` promise together.

    Raises:
        UnusableFileError: as `order`.
    """
    return _promise(order(_slices(paths)))


def read(paths: Sequence[Path], *, max_bytes: int = limits.MAX_BYTES) -> Volume:
    """Reads the slices in `paths` as one volume, turned to RAS+.

    voxels: integers where slope and intercept are whole, else float32. One slice is 2D; without a position it is
    [rows, columns]. Padding becomes the smallest value that is none, which is air; origin has its count as `padded`.

    Raises:
        UnusableFileError: as `order`; it is larger than `max_bytes`, or a file is damaged.
    """
    slices = order(_slices(paths))
    limits.check_size(_promise(slices).voxel_bytes, max_bytes)
    dtype = _dtype(slices)
    rows, columns = slices[0].shape
    voxels = np.empty((columns, rows, len(slices), 1), dtype)
    is_real = np.ones(voxels.shape[:3] if any(one.padding for one in slices) else 0, bool)
    for number, values, padding in dicom.pixels(slices):
        if padding is not None:
            is_real[:, :, number] = ~padding.T
        if dtype.kind != "f" and (values.min() < np.iinfo(dtype).min or values.max() > np.iinfo(dtype).max):
            raise UnusableFileError("its values need more bits than its header says", "mend BitsStored")
        voxels[:, :, number, 0] = values.T
    padded = is_real.size - int(np.count_nonzero(is_real))
    if 0 < padded < is_real.size:
        most = voxels.max()
        voxels[~is_real] = min(plane[real].min(initial=most) for plane, real in zip(voxels, is_real, strict=True))
    del is_real
    if slices[0].position is None:
        volume = _radiograph(voxels, slices[0])
    else:
        volume = ras_volume(voxels, affine(slices), voxels.shape[:3])
    return volume._replace(origin={**volume.origin, "padded": padded}) if padded else volume


def order(slices: Sequence[Slice]) -> tuple[Slice, ...]:
    """`slices` along their normal, whatever their names and numbers.

    Raises:
        UnusableFileError: they differ in shape, orientation or pixel size, lack positions, or do not lie evenly.
    """
    first = slices[0]
    if len({one.shape for one in slices}) > 1:
        shapes = ", ".join(f"{rows} × {columns}" for rows, columns in sorted({one.shape for one in slices}))
        raise UnusableFileError(f"its slices are of different shapes: {shapes}", "put each stack into its own series")
    turns = np.array([one.row + one.column for one in slices])
    if np.abs(turns - turns[0]).max() > SAME_DIRECTION:
        raise UnusableFileError("its slices are of different orientations", "put each stack into its own series")
    _check_pixel_sizes(slices)
    if len(slices) == 1:
        return tuple(slices)
    if first.spacing_mm is None or any(one.position is None for one in slices):
        raise UnusableFileError("its slices do not say where they lie", "export it as NIfTI, or as single pictures")
    depth = np.array([one.position for one in slices]) @ np.cross(first.row, first.column)
    ordered = tuple(slices[number] for number in np.argsort(depth, kind="stable"))
    _check_even(ordered, np.sort(depth))
    return ordered


def _check_pixel_sizes(slices: Sequence[Slice]) -> None:
    """Raises UnusableFileError where the far ends of two slices would lie more than a tenth of a pixel apart."""
    sizes = {one.spacing_mm for one in slices}
    known = np.array([size for size in sizes if size is not None]).reshape(-1, 2)
    apart = np.ptp(known, axis=0) * (np.array(slices[0].shape) - 1) if len(known) else np.zeros(2)
    if (len(sizes) > 1 and None in sizes) or (len(known) and (apart > UNEVEN * known.min(axis=0)).any()):
        shown = " and ".join(sorted({"unknown" if s is None else f"{s[0]:.9g} × {s[1]:.9g} mm" for s in sizes})[:2])
        raise UnusableFileError(f"its slices differ in pixel size: {shown}", "put each stack into its own series")


def affine(slices: Sequence[Slice]) -> np.ndarray:
    """4 × 4, (column, row, slice) index -> mm in RAS+, of ordered slices with a position."""
    first, last = slices[0], slices[-1]
    between_rows, between_columns = first.spacing_mm or (1.0, 1.0)
    matrix = np.eye(4)
    matrix[:3, 0] = np.multiply(first.row, between_columns)
    matrix[:3, 1] = np.multiply(first.column, between_rows)
    matrix[:3, 2] = np.cross(first.row, first.column)
    if len(slices) > 1:
        matrix[:3, 2] = (np.array(last.position) - np.array(first.position)) / (len(slices) - 1)
    matrix[:3, 3] = first.position
    return LPS_TO_RAS @ matrix


def _check_even(slices: Sequence[Slice], depth: np.ndarray) -> None:
    gaps = np.diff(depth)
    usual = float(np.median(gaps))
    for number, gap in enumerate(gaps):
        if gap < SAME_PLACE_MM:
            names = " and ".join(sorted({one.path.name for one in slices[number : number + 2]}))
            raise UnusableFileError(
                f"two slices lie at one place ({names})", "keep one time point or echo per series, and each file once"
            )
    for number, gap in enumerate(gaps):
        if abs(gap - usual) > UNEVEN * usual:
            reason = (
                f"slices {number + 1} and {number + 2} of {len(slices)} are {gap:.4g} mm apart, most {usual:.4g} mm"
            )
            raise UnusableFileError(reason, "fetch the missing slices, or export evenly spaced ones")
    places = np.array([one.position for one in slices])
    line = places[0] + np.linspace(0, 1, len(slices))[:, None] * (places[-1] - places[0])
    if np.linalg.norm(places - line, axis=1).max() > UNEVEN * usual:
        raise UnusableFileError("its slices do not lie on one line", "export evenly spaced, parallel ones")


def _promise(slices: Sequence[Slice]) -> Probe:
    dtype, (rows, columns) = _dtype(slices), slices[0].shape
    kind = Kind(3 if len(slices) > 1 else 2, 1)
    is_8bit = dtype.itemsize == 1
    return Probe(
        kind,
        is_8bit,
        is_picture=is_8bit and slices[0].position is None,
        voxel_bytes=len(slices) * rows * columns * dtype.itemsize,
    )


def _slices(paths: Sequence[Path]) -> list[Slice]:
    return [one for path in paths for one in dicom.header(path).slices]


def _dtype(slices: Sequence[Slice]) -> np.dtype:
    """The smallest integer that holds what the headers allow; float32 where a slope is no whole number."""
    if not all(one.slope.is_integer() and one.intercept.is_integer() for one in slices):
        return np.dtype(np.float32)
    ends = []
    for one in slices:
        low = -(2 ** (one.bits - 1)) if one.is_signed else 0
        ends += [(low + extra) * one.slope + one.intercept for extra in (0, 2**one.bits - 1)]
    types = (np.uint8, np.int16, np.uint16, np.int32)
    fits = [kind for kind in types if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max]
    return np.dtype(fits[0] if fits else np.float64)


def _radiograph(voxels: np.ndarray, one: Slice) -> Volume:
    """[columns, rows, 1, 1] of a slice that lies nowhere -> [rows, columns, 1], as pictures are."""
    volume = plain_volume(voxels[:, :, 0].transpose(1, 0, 2))
    if one.spacing_mm is None:
        return volume
    return volume._replace(affine=np.diag([*one.spacing_mm, 1.0, 1.0]), has_spacing=True)
