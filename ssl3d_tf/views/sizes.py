"""How large a view is: one number of voxels for all axes, a square or cube, or one per axis, as (128, 128, 32)."""

import math
from collections.abc import Sequence
from numbers import Integral

from ssl3d_tf.errors import InputError

Size = int | Sequence[int]


def sides(size: Size, rank: int, *, knob: str = "VIEW_SIZE", least: int = 1) -> tuple[int, ...]:
    """Voxels per axis.

    Raises:
        InputError: not one whole number from `least` on, or one per axis; `knob` is what it is called there.
    """
    found: tuple = tuple(size) if isinstance(size, list | tuple) else (size,) * rank
    if len(found) != rank:
        raise InputError(f"{knob} is {size}, {len(found)} numbers for {rank} axes; give one for all, or one per axis.")
    if not all(isinstance(side, Integral) and not isinstance(side, bool) and int(side) >= least for side in found):
        raise InputError(
            f"{knob} is {size!r}; it must be a whole number of at least {least}, or one per axis, as (128, 128, 32)."
        )
    return tuple(map(int, found))


def text(size: Sequence[int]) -> str:
    """'128×128×32'."""
    return "×".join(map(str, size))


def voxels(size: Sequence[int]) -> int:
    """How many there are."""
    return math.prod(size)
