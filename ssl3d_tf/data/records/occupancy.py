"""How much of each part of a volume shows something: a text of a digit per cell, small enough for a manifest.

An axis is cut into cells of CELL voxels or a little less, but into MOST at most. Whole numbers all the way, so that a
view drawn by them is the same on every machine. NumPy only.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

CELL = 8  # voxels
MOST = 8  # cells along an axis: a volume's text has 512 digits at most
FULL = 15  # of a cell, which is one hexadecimal digit


def cells(shape: Sequence[int]) -> tuple[int, ...]:
    """How many cells a volume of `shape`, [rank], has along every axis."""
    return tuple(min(MOST, -(-size // CELL)) for size in shape)


def edges(size: int, number: int) -> list[int]:
    """Where the cells of an axis begin, and the last one ends, in voxels: cell i is edges[i] .. edges[i + 1] − 1."""
    return [size * i // number for i in range(number + 1)]


def text(volume: np.ndarray, air: Sequence[float]) -> str:
    """The share of each cell that is above `air`, one number per channel, in any channel: in fifteenths, row by row.

    volume: [*spatial, channels]. It is passed over slab by slab, so that copies of it stay small.
    """
    shape = volume.shape[:-1]
    borders = [edges(*pair) for pair in zip(shape, cells(shape), strict=True)]
    counts = np.stack([_counts(volume[a:b], air, borders[1:]) for a, b in itertools.pairwise(borders[0])])
    sizes = np.array(1)
    for border in borders:
        sizes = np.multiply.outer(sizes, np.diff(border))
    shares = (2 * FULL * counts + sizes) // (2 * sizes)  # rounded, without floats
    return "".join(f"{share:x}" for share in shares.ravel().tolist())


def shares(text: str, shape: Sequence[int]) -> np.ndarray:
    """int64 [*cells(shape)] in 0..FULL: what `text` said of a volume of `shape`, [rank]."""
    return np.array([int(digit, FULL + 1) for digit in text]).reshape(cells(shape))


def _counts(slab: np.ndarray, air: Sequence[float], borders: Sequence[Sequence[int]]) -> np.ndarray:
    """Voxels of a slab [*spatial, channels] above `air`, by cells of all axes but the first: [*cells]."""
    above = np.zeros(slab.shape[:-1], bool)
    for channel, level in zip(np.moveaxis(slab, -1, 0), air, strict=True):
        above |= channel > (
            level if slab.dtype.kind == "f" else math.floor(level)
        )  # integers, without a copy in floats
    found = above.sum(axis=0, dtype=np.int64)
    for axis, border in enumerate(borders):
        found = np.add.reduceat(found, border[:-1], axis=axis)
    return found
