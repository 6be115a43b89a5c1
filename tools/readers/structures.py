"""RTSTRUCT: regions drawn as closed contours in mm, filled in the slices that they lie in."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tools.readers import label_map
from tools.readers.contract import UnusableFileError
from tools.readers.label_map import LabelMap
from tools.voxels import contours

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")  # others are points and lines, which enclose nothing
DRAW_ANEW = "draw or export it on the slices of this series"


def names(data: Any) -> tuple[str, ...]:
    """The names of the regions that have a closed contour, each once."""
    return tuple(dict.fromkeys(name for name, found in _regions(data) if found))


def draw(path: Path, data: Any, target: LabelMap) -> None:
    """Fills the contours of the regions of `target`.

    Raises:
        UnusableFileError: a contour lies beside or across the image's slices, contours of a region cross one another
            or leave slices out, or two regions overlap.
    """
    for name, found in _regions(data):
        if name not in target.segments.names:
            continue
        planes: dict[int, list[np.ndarray]] = defaultdict(list)
        for number, contour in enumerate(found, 1):
            place, points = _placed(contour, target, f"contour {number} of '{name}'")
            planes[place].append(contours.filled(points, target.plane))
        _check_gaps(sorted(planes), name)
        for place in sorted(planes):
            try:
                is_inside = contours.together(planes.pop(place))
            except ValueError as error:
                raise UnusableFileError(f"of '{name}', {error} in slice {place + 1}", "draw them anew") from error
            label_map.paint(target, name, place, is_inside)


def _regions(data: Any) -> Iterator[tuple[str, list[Any]]]:
    """Name and closed contours of each region, in the order of the file."""
    named = {
        int(one.ROINumber): str(one.get("ROIName") or f"region {one.ROINumber}").strip()
        for one in data.get("StructureSetROISequence") or ()
    }
    for one in data.get("ROIContourSequence") or ():
        number = int(one.ReferencedROINumber)
        found = [c for c in one.get("ContourSequence") or () if c.get("ContourGeometricType") in CLOSED]
        yield named.get(number, f"region {number}"), found


def _placed(contour: Any, target: LabelMap, what: str) -> tuple[int, np.ndarray]:
    """The slice that a contour lies in, and its points [n, 2] (column, row) there."""
    values = np.array(contour.get("ContourData") or (), float)
    if values.size < 9 or values.size % 3 or not np.isfinite(values).all():
        raise UnusableFileError(
            f"{what} has {values.size} numbers, not three for each of at least three points", DRAW_ANEW
        )
    points = label_map.indices(target, values.reshape(-1, 3))
    depth = points[:, 2]
    if np.ptp(depth) > 2 * label_map.NEAR:
        raise UnusableFileError(f"{what} runs across slices {depth.min() + 1:.3g} to {depth.max() + 1:.3g}", DRAW_ANEW)
    place = label_map.slice_at(target, float(np.median(depth)), what)
    beyond = max(-points[:, :2].min(), (points[:, :2] - target.plane[::-1]).max() + 1)
    if beyond > 0.5 + label_map.NEAR:  # a pixel reaches half its size beyond its centre
        raise UnusableFileError(f"{what} reaches {beyond - 0.5:.3g} pixels beyond the image", "crop it to the image")
    return place, points[:, :2]


def _check_gaps(places: list[int], name: str) -> None:
    """Raises UnusableFileError where no two slices in a row have a contour: it was drawn on thicker ones."""
    steps = np.diff(places)
    if len(steps) > 1 and steps.min() > 1:
        reason = f"the contours of '{name}' are {steps.min()} slices apart and more, with none between them"
        raise UnusableFileError(reason, "interpolate it where it was drawn, and export it on this series")
