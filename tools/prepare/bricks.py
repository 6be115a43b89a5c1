"""Volumes larger than --brick_shape as overlapping bricks, each an example of its own."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ssl3d_tf.data.records.entry import Brick
from ssl3d_tf.data.records.schema import Example

OVERLAP = 0.25  # share of a brick that its neighbour holds too, at least: crops up to this size are found somewhere


def cut(example: Example, shape: Sequence[int] | None) -> Iterator[Example]:
    """The example as it is if it fits into `shape` ([rank], None for any size), else its bricks, first ones first.

    A brick has the sides of `shape`, or the whole of a shorter axis. Its source says of what and where it is a brick.
    """
    sizes = example.volume.shape[:-1]
    if shape is None or all(size <= side for size, side in zip(sizes, shape, strict=True)):
        yield example
        return
    sides = [min(pair) for pair in zip(sizes, shape, strict=True)]
    corners = itertools.product(*(starts(*pair) for pair in zip(sizes, sides, strict=True)))
    for number, corner in enumerate(corners):
        part = tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))
        shift = np.eye(4)
        shift[: len(corner), 3] = corner
        yield example._replace(
            id=f"{example.id}#{number}",
            volume=example.volume[part],
            mask=None if example.mask is None else example.mask[part],
            affine=example.affine @ shift,
            native_mask=None if number else example.native_mask,
            source={**example.source, "brick": Brick(example.id, corner, sizes)._asdict()},
        )


def starts(size: int, side: int) -> list[int]:
    """Where bricks begin along an axis: border to border, evenly, as few as overlap by OVERLAP."""
    room = size - side
    number = math.ceil(room / max(1, int(side * (1 - OVERLAP)))) + 1
    return [round(place * room / max(1, number - 1)) for place in range(number)]
