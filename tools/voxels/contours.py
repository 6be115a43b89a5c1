"""Closed contours -> the pixels within them: what a polygon fills, and how several of one region are read together."""

from collections.abc import Sequence

import numpy as np


def filled(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie within a polygon, by the even-odd rule: a keyhole's channel has no area.

    Of an edge, the side towards the first row and column counts as within, so that neighbours share no pixel.

    Args:
        points: [n, 2] (column, row) in pixels, centres at whole numbers; the last is joined to the first.
        shape: (rows, columns).

    Returns:
        [rows, columns], Boolean; what lies beyond is cut off.
    """
    rows, columns = shape
    start, end = points, np.roll(points, -1, axis=0)
    # An edge crosses the rows from the first at or below its upper end to the last above its lower one.
    tops, bottoms = (np.ceil(part).clip(0, rows).astype(np.intp) for part in _sorted(start[:, 1], end[:, 1]))
    counts = bottoms - tops
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(tops, counts)
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    crossing = np.ceil(x0 + (row - y0) / (y1 - y0) * (x1 - x0)).clip(0, columns).astype(np.intp)
    toggles = np.bincount(row * (columns + 1) + crossing, minlength=rows * (columns + 1)).reshape(rows, -1)
    return np.cumsum(toggles, axis=1)[:, :-1] % 2 == 1


def together(regions: Sequence[np.ndarray]) -> np.ndarray:
    """What several contours of one structure in one slice enclose: one within another is a hole, and so on inwards.

    regions: [rows, columns] of each, Boolean; one that is there twice counts once.

    Raises:
        ValueError: two cross one another, so that it is not said whether their common part is within.
    """
    kept: list[np.ndarray] = []
    for region in regions:
        if any(np.array_equal(region, other) for other in kept):
            continue
        for other in kept:
            common = np.count_nonzero(region & other)
            if common not in (0, np.count_nonzero(region), np.count_nonzero(other)):
                raise ValueError("two contours cross one another")
        kept.append(region)
    return np.logical_xor.reduce(kept)


def _sorted(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(one, other), np.maximum(one, other)
