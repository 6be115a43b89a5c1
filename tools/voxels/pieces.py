"""A volume in pieces along its first axis, so that temporary copies stay small whatever its size."""

from collections.abc import Iterator

import numpy as np

VALUES = 1 << 16  # per piece: what a pass makes of it stays in the cache


def pieces(voxels: np.ndarray) -> Iterator[slice]:
    """Slices of the first axis of about VALUES values each, together all of it."""
    rows = max(1, VALUES * len(voxels) // voxels.size)
    for start in range(0, len(voxels), rows):
        yield slice(start, min(start + rows, len(voxels)))


def sample(voxels: np.ndarray, most: int, *, rank: int) -> np.ndarray:
    """Every n-th voxel of the first `rank` axes, a view of no more than `most` values."""
    step = 1
    while voxels[(slice(None, None, step),) * rank].size > most:
        step += 1
    return voxels[(slice(None, None, step),) * rank]
