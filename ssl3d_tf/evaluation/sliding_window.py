"""Predicts a volume of any size in overlapping tiles of one size, blended where they overlap.

Each tile counts most at its centre, where the network sees most around a voxel: weights are a Gaussian with a standard
deviation of an eighth of the tile (Isensee et al., 2021, arXiv:1904.08128).
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ssl3d_tf.errors import InputError

Predict = Callable[[np.ndarray], np.ndarray]

_SIGMA = 1 / 8  # of the tile's side


def predict_volume(
    volume: np.ndarray,
    predict: Predict,
    *,
    size: Sequence[int],
    overlap: float = 0.5,
    batch_size: int = 1,
    flip_axes: Sequence[int] = (),
) -> np.ndarray:
    """Logits of a whole volume.

    Memory is that of the volume, its logits and one batch of tiles, however many there are.

    Args:
        volume: [*spatial, channels].
        predict: tiles [n, *size, channels] -> logits [n, *size, classes]. n is batch_size, or where fewer tiles are
            left the next power of two, filled up with copies: few sizes, as each is compiled, and little in vain.
        size: of a tile, voxels per axis. A volume that is smaller is padded on both sides with its minimum per channel,
            as crops are in training.
        overlap: of neighbouring tiles, as a share of the tile at least, in 0 ≤ overlap < 1.
        flip_axes: spatial axes; logits are the mean over all flips of them, 2^axes predictions.

    Returns:
        float32 [*spatial, classes].

    Raises:
        InputError: size, overlap, batch_size or flip_axes do not fit.
    """
    rank = volume.ndim - 1
    _check(rank, size=size, overlap=overlap, batch_size=batch_size, flip_axes=flip_axes)
    padded, inside = _pad(volume, size)
    starts = [tile_starts(side, tile, overlap) for side, tile in zip(padded.shape, size, strict=False)]
    weights = [gaussian(tile) for tile in size]
    weight = _outer(weights)[..., None]
    total: np.ndarray | None = None
    for corners in _batches(itertools.product(*starts), batch_size):
        places = [tuple(slice(at, at + tile) for at, tile in zip(corner, size, strict=True)) for corner in corners]
        filled = places + places[-1:] * (_filled(len(places), batch_size) - len(places))
        logits = _with_flips(np.stack([padded[place] for place in filled]), predict, flip_axes)
        if total is None:
            total = np.zeros((*padded.shape[:-1], logits.shape[-1]), np.float32)
        for place, each in zip(places, logits, strict=False):
            total[place] += weight * each
    assert total is not None  # a volume has at least one tile
    first, *others = _sums(padded.shape, starts, weights)
    for plane, share in zip(total, first, strict=True):  # of all at once the product would be half the logits of two
        plane /= _outer([share[None], *others])[0, ..., None]
    return total[inside]


def windows(volume: np.ndarray, *, size: Sequence[int]) -> Iterator[np.ndarray]:
    """Windows [*size, channels] that cover a volume [*spatial, channels] of any size, overlapping as little as can be.

    Raises:
        InputError: size does not fit.
    """
    _check(volume.ndim - 1, size=size, overlap=0, batch_size=1, flip_axes=())
    padded, _ = _pad(volume, size)
    starts = [tile_starts(side, tile, 0.0) for side, tile in zip(padded.shape, size, strict=False)]
    for corner in itertools.product(*starts):
        yield padded[tuple(slice(at, at + tile) for at, tile in zip(corner, size, strict=True))]


def tile_starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis: border to border, evenly, as few as overlap by that share at least."""
    room = side - tile
    number = math.ceil(room / max(1.0, tile * (1.0 - overlap))) + 1
    return [round(k * room / max(1, number - 1)) for k in range(number)]


def gaussian(tile: int) -> np.ndarray:
    """float32 [tile]: the weight along one axis, 1 in the middle and above 0 everywhere."""
    from_centre = np.arange(tile) - (tile - 1) / 2
    return np.exp(-0.5 * (from_centre / (tile * _SIGMA)) ** 2).astype(np.float32)


def _with_flips(tiles: np.ndarray, predict: Predict, flip_axes: Sequence[int]) -> np.ndarray:
    chosen = itertools.chain.from_iterable(itertools.combinations(flip_axes, k) for k in range(len(flip_axes) + 1))
    flips = [tuple(axis + 1 for axis in axes) for axes in chosen]
    logits = (np.flip(np.asarray(predict(np.flip(tiles, axes)), np.float32), axes) for axes in flips)
    return functools.reduce(np.add, logits) / np.float32(len(flips))


def _filled(count: int, batch_size: int) -> int:
    return min(batch_size, 1 << (count - 1).bit_length())


def _batches(items: Iterator, number: int) -> Iterator[list]:
    while batch := list(itertools.islice(items, number)):
        yield batch


def _pad(volume: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, tuple[slice, ...]]:
    """The volume, at least as large as a tile, and where in it the original is."""
    missing = [max(tile - side, 0) for side, tile in zip(volume.shape, size, strict=False)]
    inside = tuple(slice(m // 2, m // 2 + side) for m, side in zip(missing, volume.shape, strict=False))
    if not any(missing):
        return volume, inside
    spatial = tuple(range(volume.ndim - 1))
    shape = [side + more for side, more in zip(volume.shape, missing, strict=False)]
    padded = np.empty((*shape, volume.shape[-1]), volume.dtype)
    padded[...] = volume.min(axis=spatial)
    padded[inside] = volume
    return padded, inside


def _sums(shape: Sequence[int], starts: Sequence[Sequence[int]], weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per axis, the summed weight of all tiles at each voxel; tiles are a grid, so the volume's is their product."""
    sums = [np.zeros(side, np.float32) for side in shape[: len(weights)]]
    for along, begins, weight in zip(sums, starts, weights, strict=True):
        for at in begins:
            along[at : at + len(weight)] += weight
    return sums


def _outer(lines: Sequence[np.ndarray]) -> np.ndarray:
    product = np.ones((1,) * len(lines), np.float32)
    for axis, line in enumerate(lines):
        product = product * line.reshape([-1 if axis == other else 1 for other in range(len(lines))])
    return product


def _check(rank: int, *, size: Sequence[int], overlap: float, batch_size: int, flip_axes: Sequence[int]) -> None:
    if len(size) != rank or min(size) < 1:
        raise InputError(f"a tile of {tuple(size)} does not fit a volume of {rank} axes; give one length ≥ 1 for each.")
    if not 0 <= overlap < 1 or batch_size < 1:
        raise InputError(f"overlap is {overlap} and batch_size {batch_size}; they must be in 0 ≤ overlap < 1 and ≥ 1.")
    if not set(flip_axes) <= set(range(rank)):
        raise InputError(f"flip_axes is {tuple(flip_axes)}; they must be of the spatial axes 0..{rank - 1}.")
