"""The smallest and the largest value of every channel, found once, and percentiles between them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tools.voxels.pieces import pieces

COUNTED = 1 << 16  # different whole numbers at most that are counted instead of sorted


class Range(NamedTuple):
    """Smallest and largest value of one channel, as Python numbers: integers stay exact."""

    low: float
    high: float


def of(voxels: np.ndarray) -> tuple[Range, ...]:
    """The range of every channel of `voxels` [*spatial, channels]."""
    return tuple(Range(channel.min().item(), channel.max().item()) for channel in np.moveaxis(voxels, -1, 0))


def percentiles(channel: np.ndarray, found: Range, percents: Sequence[float]) -> list[float]:
    """By the method 'nearest', which picks values that occur: integers then stay integers. found: of `channel`."""
    if channel.dtype.kind not in "iu" or found.high - found.low >= COUNTED:
        return np.percentile(channel, percents, method="nearest").astype(float).tolist()
    places = [round((channel.size - 1) * percent / 100) for percent in percents]
    values = np.searchsorted(np.cumsum(_counts(channel, found)), places, side="right")
    return (values + found.low).astype(float).tolist()


def _counts(channel: np.ndarray, found: Range) -> np.ndarray:
    """How often each whole number of `found` occurs."""
    span, first = int(found.high - found.low), channel.dtype.type(found.low)
    unsigned = f"u{channel.dtype.itemsize}"  # differences wrap, and are right without their sign
    counts = np.zeros(span + 1, np.int64)
    for piece in pieces(channel):
        above = (channel[piece] - first).view(unsigned)
        counts += np.bincount(above.astype(np.intp).ravel(), minlength=span + 1)
    return counts
