"""The smallest and the largest value of every channel: found once, needed by every later step."""

from typing import NamedTuple

import numpy as np


class Range(NamedTuple):
    """Smallest and largest value of one channel, as Python numbers: integers stay exact."""

    low: float
    high: float


def of(voxels: np.ndarray) -> tuple[Range, ...]:
    """The range of every channel of `voxels` [*spatial, channels]."""
    return tuple(Range(channel.min().item(), channel.max().item()) for channel in np.moveaxis(voxels, -1, 0))
