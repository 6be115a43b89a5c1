"""Distances between the surfaces of two masks, in mm: hd95 and normalised surface distance.

The surface runs between the voxels. Its elements sit on the corners of the voxels, wherever the voxels around a corner
are not all inside or all outside, and each weighs the area of the voxel faces that it belongs to, a quarter of each in
3D, so that a thin slice weighs no more than a thick one. A region that touches the volume's border ends there.
Nikolov et al., 2018, arXiv:1809.04430, use the same elements with the areas of marching cubes, which cut edges off.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ssl3d_tf.errors import InputError


class Distances(NamedTuple):
    """Of each surface's elements, the distance to the nearest of the other, mm, and their areas, mm² (2D: lengths)."""

    from_truth: np.ndarray
    truth_areas: np.ndarray
    from_predicted: np.ndarray
    predicted_areas: np.ndarray


def hd95(truth: np.ndarray, predicted: np.ndarray, *, spacing_mm: Sequence[float]) -> float:
    """The larger of the two directed 95th percentiles of surface distance, mm: 0 is best.

    Args:
        truth, predicted: bool [*spatial].
        spacing_mm: size of a voxel per axis.

    Returns:
        NaN if both are empty; if one is, the diagonal of the volume, the worst there is.
    """
    spacing_mm = _spacing(truth, spacing_mm)
    if not truth.any() and not predicted.any():
        return float("nan")
    if not truth.any() or not predicted.any():
        return float(np.linalg.norm(np.multiply(truth.shape, spacing_mm)))
    found = distances(truth, predicted, spacing_mm=spacing_mm)
    directed = ((found.from_truth, found.truth_areas), (found.from_predicted, found.predicted_areas))
    return max(_percentile(values, areas, 95) for values, areas in directed)


def nsd(truth: np.ndarray, predicted: np.ndarray, *, spacing_mm: Sequence[float], tolerance_mm: float) -> float:
    """Share of both surfaces that lies within `tolerance_mm` of the other: 1 is best.

    Args:
        truth, predicted: bool [*spatial].
        spacing_mm: size of a voxel per axis.
        tolerance_mm: what experts differ by; at least half a voxel to be told.

    Returns:
        NaN if both are empty; 0 if one is.
    """
    spacing_mm = _spacing(truth, spacing_mm)
    if not truth.any() and not predicted.any():
        return float("nan")
    if not truth.any() or not predicted.any():
        return 0.0
    found = distances(truth, predicted, spacing_mm=spacing_mm)
    near = found.truth_areas[found.from_truth <= tolerance_mm].sum()
    near += found.predicted_areas[found.from_predicted <= tolerance_mm].sum()
    return float(near / (found.truth_areas.sum() + found.predicted_areas.sum()))


def distances(truth: np.ndarray, predicted: np.ndarray, *, spacing_mm: Sequence[float]) -> Distances:
    """Distances between the surfaces of two masks, bool [*spatial], neither of them empty."""
    box = ndimage.find_objects((truth | predicted).astype(np.uint8))[0]  # all else is outside of both
    areas = [surface(mask[box], spacing_mm) for mask in (truth, predicted)]
    # The transform gives the distance to the nearest zero: here, to the nearest element of that surface.
    to_truth, to_predicted = (ndimage.distance_transform_edt(area == 0, sampling=spacing_mm) for area in areas)
    of_truth, of_predicted = areas[0] > 0, areas[1] > 0
    return Distances(to_predicted[of_truth], areas[0][of_truth], to_truth[of_predicted], areas[1][of_predicted])


def surface(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Bool [*spatial] -> float64 [*spatial + 1]: the surface that belongs to each corner of the voxels, mm²."""
    padded = np.pad(mask, 1).astype(np.int8)
    rank, total = mask.ndim, np.zeros([side + 1 for side in mask.shape])
    for axis in range(rank):
        others = [other for other in range(rank) if other != axis]
        faces = np.abs(np.diff(padded, axis=axis)).astype(np.float64)
        for other in others:  # a corner's faces lie on both sides of it
            lower, upper = (np.take(faces, range(start, start + mask.shape[other] + 1), axis=other) for start in (0, 1))
            faces = lower + upper
        total += faces * np.prod([spacing_mm[other] / 2 for other in others])
    return total


def _percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """The smallest value that, with all below it, has that share of the weight."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    index = np.searchsorted(cumulative, percent / 100 * cumulative[-1])
    return float(values[order][min(index, len(values) - 1)])


def _spacing(mask: np.ndarray, spacing_mm: Sequence[float]) -> Sequence[float]:
    if len(spacing_mm) != mask.ndim or min(spacing_mm) <= 0:
        raise InputError(f"spacing_mm is {tuple(spacing_mm)} for a mask of {mask.ndim} axes; give one length > 0 each.")
    return spacing_mm
