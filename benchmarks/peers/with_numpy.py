"""No library: memory-mapped files, slices, two threads. What a library has to beat."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.peers.jobs import BATCH, CELL, CROP, GRID, PATCH, SIDE, TOP

VARIANTS = ("memory map, 2 threads",)
_AHEAD = 3  # batches


def batches(job: str, folder: Path, variant: str) -> Iterator[np.ndarray]:
    """Endless batches [4, ...], shuffled anew every epoch."""
    volumes = [np.load(path, mmap_mode="r") for path in sorted((folder / "int16").iterdir())]
    prepare = {"read": _read, "grid": _grid, "exact": _exact, "turns": _turns}[job]
    pool = ThreadPoolExecutor(2)
    waiting = [_start(pool, prepare, volumes, seed) for seed in range(_AHEAD)]
    for seed in itertools.count(_AHEAD):
        yield np.stack([future.result() for future in waiting.pop(0)])
        waiting.append(_start(pool, prepare, volumes, seed))


def _start(pool: ThreadPoolExecutor, prepare: Callable, volumes: list[np.ndarray], batch: int) -> list:
    epoch, place = divmod(batch, len(volumes) // BATCH)
    order = np.random.default_rng([0, epoch]).permutation(len(volumes))[place * BATCH :][:BATCH]
    return [
        pool.submit(prepare, volumes[index], np.random.default_rng([1, batch, number]))
        for number, index in enumerate(order)
    ]


def _read(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.multiply(volume, np.float32(1 / TOP), dtype=np.float32)


def cells(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[27, 39, 39, 39], a patch anywhere in each cell of the middle."""
    first = (SIDE - GRID) // 2
    corners = itertools.product(range(first, first + GRID, CELL), repeat=3)
    starts = [np.array(corner) + rng.integers(0, CELL - PATCH + 1, 3) for corner in corners]
    return np.stack([volume[tuple(slice(i, i + PATCH) for i in start)] for start in starts])


def _grid(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _read(cells(volume, rng), rng)


def _exact(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cut = volume[tuple(slice(i, i + CROP) for i in rng.integers(0, SIDE - CROP + 1, 3))]
    cut = cut[tuple(slice(None, None, sign) for sign in rng.choice([-1, 1], 3))]
    for plane in ((0, 1), (1, 2), (0, 2)):
        cut = np.rot90(cut, int(rng.integers(4)), plane)
    return _read(cut, rng)


def _turns(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _read(np.rot90(volume, int(rng.integers(4)), ((0, 1), (1, 2), (0, 2))[rng.integers(3)]), rng)
