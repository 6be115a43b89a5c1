"""Sets of permutations for jigsaw: one that is far apart, chosen greedily, and one that is drawn as it comes.

The nearer two permutations are, the fewer patches tell them apart, and the more their puzzles are a matter of luck.
Distance is Hamming's: the number of slots that differ. Noroozi & Favaro, 2016, arXiv:1603.09246, section 4.2.
Uses NumPy alone.
"""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np

from ssl3d_tf.errors import InputError

Source = Callable[[int], np.ndarray]  # length -> int32 [count, length], each row a permutation of 0..length−1

_POOL = 100_000  # candidates; with length! up to this, all there are


def spread(*, count: int = 100, seed: int = 0) -> Source:
    """Far from each other: each is the candidate farthest from those before, as Noroozi & Favaro's algorithm 1.

    Farthest by the distance to the nearest one, and among equals by the sum of distances. The identity counts as the
    first and is left out, so that every puzzle is well mixed. Of 27, 100 are 24 apart or more and 1000 are 23.

    Raises (when called with a length):
        InputError: fewer than 1, or more than there are.
    """
    return lambda length: _spread(count, length, seed)


def uniform(*, count: int = 100, seed: int = 0) -> Source:
    """Drawn uniformly, distinct, without the identity: as in the published program of Taleb et al., 2020,
    arXiv:2006.03829, which drew its 3D set so. Raises as `spread`.
    """
    return lambda length: _frozen(_candidates(count, length, seed)[:count])


def distances(permutations: np.ndarray) -> tuple[int, float]:
    """The least and the mean Hamming distance of two of these permutations, int [count ≥ 2, length]."""
    apart = np.stack([(permutations != row).sum(axis=1) for row in permutations])
    pairs = apart[np.triu_indices(len(permutations), k=1)]
    return int(pairs.min()), float(pairs.mean())


@functools.lru_cache(maxsize=8)  # seconds for 1000 of 27, and a task is built more than once per process
def _spread(count: int, length: int, seed: int) -> np.ndarray:
    pool = _candidates(count, length, seed)
    columns = np.ascontiguousarray(pool.T)  # slot by slot: one candidate per lane
    least, total = np.full(len(pool), length, np.int64), np.zeros(len(pool), np.int64)
    last, picks = np.arange(length), np.empty(count, np.int64)
    for place in range(count):
        apart = _differing(columns, last)
        np.minimum(least, apart, out=least)
        total += apart
        picks[place] = np.argmax(least * (length * count + 1) + total)  # total never outweighs 1 of least
        last = pool[picks[place]]
    return _frozen(pool[picks])


def _differing(columns: np.ndarray, row: np.ndarray) -> np.ndarray:
    """int [candidates]: in how many slots each column differs from `row`."""
    apart = np.zeros(columns.shape[1], np.int16)
    for column, value in zip(columns, row, strict=True):
        apart += column != value
    return apart


def _candidates(count: int, length: int, seed: int) -> np.ndarray:
    """int16 [candidates ≥ count, length], distinct, without the identity; all there are or, of many, a random pool."""
    if math.factorial(min(length, 20)) <= _POOL:
        pool = np.array(list(itertools.permutations(range(length))), np.int16)
        pool = np.random.default_rng(seed).permutation(pool)
    else:
        pool = np.tile(np.arange(length, dtype=np.int16), (_POOL, 1))
        pool = np.random.default_rng(seed).permuted(pool, axis=1)
        pool = pool[np.sort(np.unique(pool, axis=0, return_index=True)[1])]
    pool = pool[np.any(pool != np.arange(length), axis=1)]
    if not 1 <= count <= len(pool):
        raise InputError(f"{count} permutations of {length} patches are asked for; take 1 to {len(pool)}.")
    return pool


def _frozen(permutations: np.ndarray) -> np.ndarray:
    """int32, and read-only, as it may be shared."""
    permutations = permutations.astype(np.int32)
    permutations.setflags(write=False)
    return permutations
