"""POOL: which axes a network pools at which level, as ((2, 2, 1), (2, 2, 2), …): 2 where it does, 1 where not.

Where slices are thicker than their pixels, these are pooled first, and slices once the voxels are about cubes: Isensee
et al., 2021, doi:10.1038/s41592-020-01008-z. None pools all axes at every level.
"""

import math
from collections.abc import Sequence

from ssl3d_tf.errors import InputError

Pool = Sequence[Sequence[int]] | None


def per_level(pool: Pool, levels: int, rank: int, *, counted: str) -> tuple[tuple[int, ...], ...]:
    """By how much each level pools each axis.

    Raises:
        InputError: not that many levels, which are so many as `counted` says, or a level without a 1 or 2 per axis.
    """
    if pool is None:
        return ((2,) * rank,) * levels
    _check(pool, rank)
    if len(pool) != levels:
        raise InputError(f"POOL has {len(pool)} level{'s' * (len(pool) > 1)}, {counted}: give as many.")
    return tuple(map(tuple, pool))


def factors(levels: Sequence[Sequence[int]], rank: int) -> tuple[int, ...]:
    """By how much all levels together pool each axis. Raises InputError as `per_level`."""
    _check(levels, rank)
    return tuple(math.prod(level[axis] for level in levels) for axis in range(rank))


def _check(pool: Sequence[Sequence[int]], rank: int) -> None:
    if not isinstance(pool, list | tuple) or not all(_is_level(level, rank) for level in pool):
        example = ", ".join(str((2,) * (rank - 1) + (last,)) for last in (1, 2))
        rule = f"for every level it has {rank} numbers, 2 for an axis that is pooled, one at least, and 1 for others"
        raise InputError(f"POOL is {pool!r}; {rule}, as ({example}, …); or None, for all.")


def _is_level(level: object, rank: int) -> bool:
    if not isinstance(level, list | tuple) or len(level) != rank:
        return False
    return all(type(each) is int and each in (1, 2) for each in level) and 2 in level
