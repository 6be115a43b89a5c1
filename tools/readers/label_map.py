"""A label map on the grid of an image, painted slice by slice with the regions that a DICOM-SEG or RTSTRUCT names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records.schema import mask_dtype
from tools.readers import limits
from tools.readers.contract import Segments, UnusableFileError, Volume
from tools.readers.orientation import ras_volume

NEAR = 0.1  # of a voxel: closer than that is on the grid
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class LabelMap(NamedTuple):
    """labels: [columns, rows, slices] of the image as its file has it. affine: its 4 × 4, index -> mm in LPS."""

    labels: np.ndarray
    affine: np.ndarray
    segments: Segments

    @property
    def plane(self) -> tuple[int, int]:
        """(rows, columns) of a slice."""
        return self.labels.shape[1], self.labels.shape[0]


def empty(origin: Mapping[str, Any], segments: Segments, *, max_bytes: int) -> LabelMap:
    """For the image of this `Volume.origin`.

    Raises:
        UnusableFileError: the image lies nowhere, or the label map would be larger than `max_bytes`.
    """
    if origin["affine"] is None:
        raise UnusableFileError("it has a mask in mm, and does not say itself where it lies", "export both as pictures")
    dtype = np.dtype(mask_dtype(len(segments.names)))
    limits.check_size(int(np.prod(origin["shape"])) * dtype.itemsize, max_bytes)
    return LabelMap(np.zeros(origin["shape"], dtype), LPS_TO_RAS @ np.array(origin["affine"]), segments)


def indices(target: LabelMap, points_mm: np.ndarray) -> np.ndarray:
    """[n, 3] in mm, LPS -> [n, 3] (column, row, slice) of the image."""
    inverse = np.linalg.inv(target.affine)
    return points_mm @ inverse[:3, :3].T + inverse[:3, 3]


def slice_at(target: LabelMap, place: float, what: str) -> int:
    """The number of the slice at `place`, a fractional one. what: for the error, such as "frame 3".

    Raises:
        UnusableFileError: none is there.
    """
    count, size = target.labels.shape[2], float(np.linalg.norm(target.affine[:3, 2]))
    if not -NEAR <= place <= count - 1 + NEAR:
        outside = max(-place, place - (count - 1)) * size
        raise UnusableFileError(f"{what} lies {outside:.4g} mm outside of the image's slices", "fetch the whole series")
    number = round(place)
    if abs(place - number) > NEAR:
        between = f"between slices {int(place) + 1} and {int(place) + 2} of the image, {size:.4g} mm apart"
        raise UnusableFileError(f"{what} lies {between}", "draw or export it on the slices of this series")
    return number


def paint(target: LabelMap, name: str, number: int, is_inside: np.ndarray) -> None:
    """Labels slice `number` where `is_inside` [rows, columns] as the segment `name`.

    Raises:
        UnusableFileError: another one is there already, and the user did not say which lies on top.
    """
    value, plane = target.segments.names.index(name) + 1, target.labels[:, :, number].T
    before = plane[is_inside]
    clash = before[(before != 0) & (before != value)]
    if clash.size and not target.segments.is_ordered:
        other = target.segments.names[int(clash[0]) - 1]
        reason = f"'{other}' and '{name}' overlap in {clash.size} voxels of slice {number + 1}"
        raise UnusableFileError(reason, f"--segments='{other},{name}' takes these, the last on top; or leave one out")
    plane[is_inside] = np.maximum(before, value)  # a later one has the larger value


def volume(target: LabelMap) -> Volume:
    """The label map turned to RAS+, as its image is."""
    return ras_volume(target.labels[..., None], LPS_TO_RAS @ target.affine, target.labels.shape)
