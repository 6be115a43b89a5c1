"""DICOM-SEG: frames of any order, each a part of one segment in one slice; binary, fractional or a label map."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.pixels import iter_pixels

from tools.readers import dicom, label_map
from tools.readers.contract import UnusableFileError
from tools.readers.label_map import LabelMap

HALF = 0.5  # of MaximumFractionalValue: as probable or occupied as not


def names(data: Any) -> tuple[str, ...]:
    """The names of the segments, each once."""
    return tuple(dict.fromkeys(_labels(data).values()))


def draw(path: Path, data: Any, target: LabelMap) -> None:
    """Paints the frames of `data` that hold a segment of `target`.

    Raises:
        UnusableFileError: a frame that holds something lies on another grid than the image, or two segments overlap.
    """
    dicom.check(path, data)
    labels, is_map = _labels(data), data.get("SegmentationType") == "LABELMAP"
    wanted = {number: name for number, name in labels.items() if name in target.segments.names}
    limit = HALF * float(data.get("MaximumFractionalValue") or 1)
    for frame, stored in enumerate(_frames(data)):
        numbers = list(wanted) if is_map else [_segment(data, frame)]
        regions = [(n, stored == n if is_map else stored >= limit) for n in numbers if n in wanted]
        regions = [(number, region) for number, region in regions if region.any()]
        if regions:
            number = _slice_of(path, data, frame, target)
            for segment, region in regions:
                label_map.paint(target, wanted[segment], number, region)


def _labels(data: Any) -> dict[int, str]:
    """Number -> name. The background of a label map is no segment."""
    found = {}
    for place, one in enumerate(data.get("SegmentSequence") or (), 1):
        number = int(one.get("SegmentNumber") or 0 if "SegmentNumber" in one else place)
        found[number] = str(one.get("SegmentLabel") or one.get("SegmentDescription") or f"segment {number}").strip()
    return {number: name for number, name in found.items() if number}


def _segment(data: Any, frame: int) -> int:
    groups = data.PerFrameFunctionalGroupsSequence[frame], data.get("SharedFunctionalGroupsSequence", [{}])[0]
    found = [group["SegmentIdentificationSequence"] for group in groups if "SegmentIdentificationSequence" in group]
    return int(found[0][0].ReferencedSegmentNumber)


def _frames(data: Any) -> Iterator[np.ndarray]:
    """[rows, columns] of each; one at a time, as all of them unpacked are eight times the file."""
    if int(data.BitsAllocated) > 1 or data.file_meta.TransferSyntaxUID.is_compressed:
        yield from iter_pixels(data)
        return
    size, packed = int(data.Rows) * int(data.Columns), np.frombuffer(data.PixelData, np.uint8)
    if not data.file_meta.TransferSyntaxUID.is_little_endian and data["PixelData"].VR == "OW":
        packed = packed.view(">u2").astype("<u2").view(np.uint8)
    for first in range(0, int(data.get("NumberOfFrames") or 1) * size, size):  # bits run on from frame to frame
        some = np.unpackbits(packed[first // 8 : -(-(first + size) // 8)], bitorder="little")
        yield some[first % 8 : first % 8 + size].reshape(int(data.Rows), int(data.Columns))


def _slice_of(path: Path, data: Any, frame: int, target: LabelMap) -> int:
    """The slice of the image that `frame` lies on, pixel upon pixel."""
    one, remedy = dicom.slice_of(path, data, frame), "resample it to this image, or export it on its grid"
    if one.position is None or one.spacing_mm is None:
        raise UnusableFileError(f"frame {frame + 1} does not say where it lies", "export it with plane positions")
    if one.shape != target.plane:
        sizes = "{} × {} pixels, the image has {} × {}".format(*one.shape, *target.plane)
        raise UnusableFileError(f"it lies on another grid: {sizes}", remedy)
    across, down = np.array(one.row) * one.spacing_mm[1], np.array(one.column) * one.spacing_mm[0]
    far = np.array([[0, 0], [one.shape[1] - 1, 0], [0, one.shape[0] - 1]])  # corners: (column, row)
    found = label_map.indices(target, np.array(one.position) + far @ np.array([across, down]))
    apart = found - np.c_[far, np.full(3, found[0, 2])]
    if np.abs(apart).max() > label_map.NEAR:
        raise UnusableFileError(f"it lies on another grid: {_difference(one, target, apart)}", remedy)
    return label_map.slice_at(target, float(found[0, 2]), f"frame {frame + 1}")


def _difference(one: dicom.Slice, target: LabelMap, apart: np.ndarray) -> str:
    columns, rows = target.affine[:3, 0], target.affine[:3, 1]
    sizes = np.array([np.linalg.norm(rows), np.linalg.norm(columns)])
    if not np.allclose(sizes, one.spacing_mm or (), rtol=1e-3):
        return "pixels of {:.4g} × {:.4g} mm, the image's are {:.4g} × {:.4g}".format(*(one.spacing_mm or ()), *sizes)
    cosines = np.dot(one.row, columns) / sizes[1], np.dot(one.column, rows) / sizes[0]
    if min(cosines) < 1 - 1e-3:
        return f"its axes are turned by {np.degrees(np.arccos(np.clip(min(cosines), -1, 1))):.3g}° from the image's"
    return "it begins {:.3g} columns and {:.3g} rows from the image's corner".format(*apart[0, :2])
