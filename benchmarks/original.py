"""What the published program of Taleb et al., 2020 (arXiv:2006.03829) does to 3D volumes, in NumPy and SciPy.

Written from a description of what that program computes, not from its code: the yardstick of views.py. It works volume
by volume in one thread; CPC copies every patch into each sample that reads it; exemplar interpolates with cubic
splines, up to four times in a row, and hands out float64. Where the description leaves a choice, the faster one was
taken: patches are views until the batch is put together, which copies them once.

Volumes are float32 [batch, side, side, side, channels]. Every preparation is (volumes, rng) -> arrays for the network.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

TURNS = (  # label by label: k quarter turns in a plane
    *((k, (0, 1)) for k in (0, 1, 2, 3)),
    *((k, (1, 2)) for k in (3, 2, 1)),
    *((k, (0, 2)) for k in (3, 2, 1)),
)
VIEW_CROP, PATCH_CROP = 0.95, (7, 8)  # sides of CPC's crops, as shares of the view and of the patch

Rng = np.random.Generator


class Grid(NamedTuple):
    """Of patches, voxels: cells of side `cell` begin every `step`, a patch of side `patch` lies in each."""

    step: int
    cell: int
    patch: int


class Cuts(NamedTuple):
    """Of CPC for a volume: corner of its crop [3]; per patch whether it is flipped [n**3], and its crop [n**3, 3]."""

    view_start: np.ndarray
    flipped: np.ndarray
    starts: np.ndarray


def rotation(volumes: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Turned volumes and one-hot labels [batch, 10]."""
    labels = rng.integers(len(TURNS), size=len(volumes))
    return np.stack([turned(*pair) for pair in zip(volumes, labels, strict=True)]), np.eye(len(TURNS))[labels]


def turned(volume: np.ndarray, label: int) -> np.ndarray:
    """The volume by the quarter turns of a label; a view."""
    k, plane = TURNS[label]
    return np.rot90(volume, k, plane)


def grid(side: int, n: int, *, jitter: int) -> Grid:
    """n cells per axis; below 0, `jitter` is the overlap of neighbours."""
    overlap = max(0, -jitter)
    step = (side - overlap) // n
    return Grid(step, step + overlap, step + overlap - max(0, jitter))


def patches(volume: np.ndarray, n: int, *, jitter: int, offsets: np.ndarray | None = None) -> list[np.ndarray]:
    """Views of all patches, row-major; offsets int [n**rank, rank] in 0..jitter, None is the centre of the cell."""
    rank, cut = volume.ndim - 1, grid(len(volume), n, jitter=jitter)
    first = np.full(rank, max(0, jitter) // 2) if offsets is None else offsets
    return [_box(volume, start, cut.patch) for start in np.array(list(np.ndindex((n,) * rank))) * cut.step + first]


def relative_location(volumes: np.ndarray, rng: Rng, *, n: int = 3, jitter: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """[batch, 2, *patch, channels], the middle and a neighbour, and one-hot labels [batch, n**3 − 1]."""
    classes = n**3 - 1
    labels = rng.integers(classes, size=len(volumes))
    cut = (patches(volume, n, jitter=jitter, offsets=_offsets(rng, n**3, jitter)) for volume in volumes)
    return _stacked([pair(*given) for given in zip(cut, labels, strict=True)]), np.eye(classes)[labels]


def pair(cut: Sequence[np.ndarray], label: int) -> list[np.ndarray]:
    """The middle of all patches and the neighbour of a class, which leaves the middle out."""
    middle = len(cut) // 2
    return [cut[middle], cut[label if label < middle else label + 1]]


def jigsaw(volumes: np.ndarray, rng: Rng, *, n: int = 3, jitter: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """[batch, n**3, *patch, channels], slot i holding patch permutation[i], and one-hot labels [batch, 100]."""
    orders = permutations(n**3)
    labels = rng.integers(len(orders), size=len(volumes))
    cut = (patches(volume, n, jitter=jitter, offsets=_offsets(rng, n**3, jitter)) for volume in volumes)
    laid_out = [[parts[k] for k in orders[label]] for parts, label in zip(cut, labels, strict=True)]
    return _stacked(laid_out), np.eye(len(orders))[labels]


@functools.cache
def permutations(length: int) -> np.ndarray:
    """int [100, length], drawn as they come; the published ones are a file."""
    return np.random.default_rng(0).permuted(np.tile(np.arange(length), (100, 1)), axis=1)


def cpc(volumes: np.ndarray, rng: Rng, *, n: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two samples per column and volume, the second with the targets of another column.

    Returns:
        context [samples, terms, *patch, channels], targets [samples, steps, *patch, channels], 0/1 labels [samples].
    """
    cut = [cpc_patches(volume, n, _cuts(rng, len(volume), n)) for volume in volumes]
    columns = list(itertools.product(range(len(volumes)), itertools.product(range(n), range(n))))
    read, predicted = [], []
    for own in columns:
        for image, column in (own, _another(columns, own, rng)):
            read.append([cut[own[0]][k] for k in context(n, own[1])])
            predicted.append([cut[image][k] for k in targets(n, column)])
    return _stacked(read), _stacked(predicted), np.tile((1, 0), len(columns))


def cpc_patches(volume: np.ndarray, n: int, cuts: Cuts) -> list[np.ndarray]:
    """All patches of a volume that was cropped and framed, each flipped or not along axis 0, cropped and framed."""
    view = framed(volume, int(VIEW_CROP * len(volume)), cuts.view_start)
    size = patch_crop(len(volume) // n)
    cells = patches(view, n, jitter=0)
    given = zip(cells, cuts.flipped, cuts.starts, strict=True)
    return [framed(cell[::-1] if flip else cell, size, start) for cell, flip, start in given]


def patch_crop(patch: int) -> int:
    """Side of the crop of a patch, voxels."""
    return patch * PATCH_CROP[0] // PATCH_CROP[1]


def framed(image: np.ndarray, size: int, start: Sequence[int] | np.ndarray) -> np.ndarray:
    """Cuts `size` voxels per axis from `start` and puts them in the middle of zeros of the old shape."""
    result = np.zeros(image.shape, image.dtype)
    middle = [(side - size) // 2 for side in image.shape[:-1]]
    _box(result, middle, size)[...] = _box(image, start, size)
    return result


def context(n: int, column: tuple[int, int]) -> list[int]:
    """Row-major numbers of the patches in a column's inverted pyramid, in order; mirrored at the border."""
    last = n // 2 - 1
    squares = (itertools.product(range(row - last, last - row + 1), repeat=2) for row in range(last + 1))
    return [
        (row * n + _mirrored(n, column[0] + y)) * n + _mirrored(n, column[1] + x)
        for row, square in enumerate(squares)
        for y, x in square
    ]


def targets(n: int, column: tuple[int, int]) -> list[int]:
    """Row-major numbers of the patches below a column's context."""
    return [(row * n + column[0]) * n + column[1] for row in range(n // 2, n)]


def exemplar(volumes: np.ndarray, rng: Rng) -> np.ndarray:
    """[batch, 3, *volume], float64: the changed volume, the volume and another one of the batch."""
    triplets = np.empty((len(volumes), 3, *volumes.shape[1:]))
    for triplet, volume, other in zip(triplets, volumes, cyclic(len(volumes), rng), strict=True):
        triplet[0], triplet[1], triplet[2] = anchor(volume, rng), volume, volumes[other]
    return triplets


def anchor(volume: np.ndarray, rng: Rng) -> np.ndarray:
    """Flips, turns in each plane, colour and zoom, each or not by chance."""
    for axis in range(3):
        if rng.random() < 0.5:
            volume = np.flip(volume, axis)
    for plane in ((0, 1), (1, 2), (0, 2)):
        if rng.random() < 0.5:
            volume = _rotated(volume, plane, rng)
    if rng.random() < 0.5:
        volume = _recoloured(volume, rng)
    return _zoomed(volume, rng) if rng.random() < 0.15 else volume


def cyclic(number: int, rng: Rng) -> np.ndarray:
    """A random permutation of one cycle, so that nothing stays in its place (Sattolo, 1986)."""
    order = np.arange(number)
    for last in range(number - 1, 0, -1):
        other = int(rng.integers(last))
        order[[last, other]] = order[[other, last]]
    return order


def _rotated(volume: np.ndarray, plane: tuple[int, int], rng: Rng) -> np.ndarray:
    if rng.random() < 0.5:
        return np.rot90(volume, int(rng.integers(4)), plane)
    return ndimage.rotate(volume, rng.uniform(0, 360), plane, reshape=False)


def _recoloured(volume: np.ndarray, rng: Rng) -> np.ndarray:
    brighter = volume + rng.uniform(-0.125, 0.125)
    mean = brighter.mean()
    return (brighter - mean) * rng.uniform(0.5, 1.5) + mean


def _zoomed(volume: np.ndarray, rng: Rng) -> np.ndarray:
    side, factors = len(volume), rng.uniform(0.8, 1.2, 3)
    # Channel by channel: with the channels as a fourth axis, SciPy reads four times as many voxels.
    zoomed = np.stack([ndimage.zoom(volume[..., c], factors) for c in range(volume.shape[-1])], axis=-1)
    missing = [max(0, side - size) for size in zoomed.shape[:-1]]
    padded = np.pad(zoomed, [*((m // 2, m - m // 2) for m in missing), (0, 0)])
    return _box(padded, [int(rng.integers(size - side + 1)) for size in padded.shape[:-1]], side)


def _cuts(rng: Rng, side: int, n: int) -> Cuts:
    patch = side // n
    return Cuts(
        view_start=rng.integers(side - int(VIEW_CROP * side) + 1, size=3),
        flipped=rng.random(n**3) < 0.5,
        starts=rng.integers(patch - patch_crop(patch) + 1, size=(n**3, 3)),
    )


def _another(columns: list, own: tuple, rng: Rng) -> tuple:
    while (drawn := columns[rng.integers(len(columns))]) == own:
        pass
    return drawn


def _mirrored(n: int, index: int) -> int:
    return n - 1 - abs(n - 1 - abs(index))


def _offsets(rng: Rng, number: int, jitter: int) -> np.ndarray:
    return rng.integers(jitter + 1, size=(number, 3))


def _box(image: np.ndarray, start: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    return image[tuple(slice(first, first + size) for first in start)]


def _stacked(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """[rows, images of a row, *image], copied once."""
    images = np.stack([image for row in rows for image in row])
    return images.reshape(len(rows), -1, *images.shape[1:])
