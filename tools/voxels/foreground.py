"""What stands out from air and noise, and the box around it."""

import numpy as np

from tools.voxels import ranges

THRESHOLD = 0.05  # of the range between the percentiles below, as a threshold against air and noise
ROBUST_RANGE = (0.5, 99.5)  # percentiles: single bright voxels do not move the threshold


def of(voxels: np.ndarray) -> np.ndarray:
    """Whether a voxel lies 5 % of the robust range above its channel's low end, in any channel: [*spatial], Boolean."""
    is_foreground = np.zeros(voxels.shape[:-1], bool)
    for channel, found in zip(np.moveaxis(voxels, -1, 0), ranges.of(voxels), strict=True):
        low, high = ranges.percentiles(channel, found, ROBUST_RANGE)
        if high <= low:
            low, high = found
        is_foreground |= channel > low + THRESHOLD * (high - low)
    return is_foreground


def box(voxels: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The smallest box around the foreground.

    Args:
        voxels: [*spatial, channels].

    Returns:
        (first, last + 1) per spatial axis; the whole volume where nothing stands out.
    """
    is_foreground = of(voxels)
    sides = []
    for axis in range(is_foreground.ndim):
        others = tuple(other for other in range(is_foreground.ndim) if other != axis)
        hits = np.flatnonzero(is_foreground.any(axis=others))
        sides.append((int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, voxels.shape[axis]))
    return tuple(sides)
