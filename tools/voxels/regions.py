"""Whether a volume is a label map by its values: whole numbers from 0, few of them, each in pieces of its own."""

import math
from collections.abc import Sequence

import numpy as np

from tools.voxels.ranges import Range

SAMPLE = 8_000  # voxels, in whole rows, that most scans are told by
FEW = 16  # different values, which no scan has as few of
MOST = 1024  # different values of a label map that is told by its pieces: atlases have hundreds
INNER = 0.5  # of the voxels of a value that continue a piece of it: grey values of tissue are scattered, .0 to .2
STEPS = (
    0.5  # of the borders between pieces, at most, that are steps to the next values but one: slopes of a smooth scan
)
EDGE, DRAWN, LEAST = 0.15, 0.95, 0.02  # of the range, near black or white; of pixels, so near; of either, at least


def is_label_map(voxels: np.ndarray, found: Sequence[Range]) -> bool:
    """Whether `voxels` [*spatial, channels] look like a label map, pictures also by being black and white.

    found: the ranges of the channels.

    A scan is mostly told by its range or a sample: all voxels are looked at only where those leave it open.
    """
    low, high = found[0]
    if len(found) > 1 or low < 0 or low == high or not (float(low).is_integer() and float(high).is_integer()):
        return False
    if voxels.ndim == 3 and _is_drawn(voxels[..., 0], found[0]):
        return True
    rows = _sample(voxels[..., 0])
    return _has_pieces(rows if rows.any() else voxels[..., 0]) and _has_pieces(voxels[..., 0])


def is_scattered(values: np.ndarray) -> bool:
    """Whether the numbers of a label map `values` [*spatial] lie as grey levels do: few continue along a row."""
    after, before = values[..., 1:], values[..., :-1]
    return _is_scattered(after == before, after)


def _is_scattered(inner: np.ndarray, after: np.ndarray) -> bool:
    return bool(np.count_nonzero(inner & (after != 0)) < INNER * np.count_nonzero(after))


def _is_drawn(values: np.ndarray, found: Range) -> bool:
    """Whether a picture is black and white but for its edges, as one mask that was smoothed, or stored as JPEG."""
    near = EDGE * (found.high - found.low)
    dark, bright = np.count_nonzero(values <= found.low + near), np.count_nonzero(values >= found.high - near)
    return bool(dark + bright >= DRAWN * values.size and min(dark, bright) >= LEAST * values.size)


def _sample(values: np.ndarray) -> np.ndarray:
    """Rows of the last axis, evenly spread over the others."""
    axes = values.ndim - 1
    step = max(1, math.ceil((values.size / SAMPLE) ** (1 / axes)))
    return values[(slice(step // 2, None, step),) * axes]


def _has_pieces(values: np.ndarray) -> bool:
    if values.dtype.kind == "f" and (values != np.rint(values)).any():
        return False
    after, before = values[..., 1:], values[..., :-1]
    inner = after == before
    is_scattered = _is_scattered(inner, after)
    if is_scattered and len(np.unique(values.ravel()[:: 1 + values.size // 1000])) > FEW:
        return False  # most scans end here, cheaply
    kinds, numbers = np.unique(values, return_inverse=True)
    if len(kinds) <= FEW:
        return True
    if is_scattered or len(kinds) > MOST:
        return False
    numbers = numbers.reshape(values.shape)[..., 1:]
    counts = np.bincount(numbers.ravel(), minlength=len(kinds))
    shares = np.bincount(numbers[inner], minlength=len(kinds))[counts > 0] / counts[counts > 0]
    jumps = np.abs(after[~inner].astype(np.int64) - before[~inner].astype(np.int64))
    return bool(np.median(shares) >= INNER and np.count_nonzero(jumps <= 2) <= STEPS * jumps.size)
