"""Pictures of what the network sees."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_GAP = 16  # as many pixels of a tile have one beside it


def contact_sheet(
    inputs: Any, rank: int, *, look: Callable[[np.ndarray], np.ndarray], columns: int = 8, rows: int = 4
) -> np.ndarray:
    """One plane of each of the first views, in reading order, each from black to white in its own range.

    Args:
        inputs: the network's inputs; the first tensor, [batch, ..., *spatial, channels], is drawn.
        rank: spatial rank, 2 or 3.
        look: the plane, view [*spatial, channels] -> [height, width, channels].

    Returns:
        float32 [height, width, 1 or 3] in [0, 1].
    """
    tensor = tf.nest.flatten(inputs)[0]
    limit = columns * rows
    views = np.asarray(tensor[:limit]).reshape((-1, *tensor.shape[-rank - 1 :]))[:limit]
    return grid([shown(look(view), is_image=rank == 2) for view in views], columns)


def shown(plane: np.ndarray, *, is_image: bool, limits: tuple[float, float] | None = None) -> np.ndarray:
    """[height, width, channels] -> float32 [height, width, 1 or 3] in [0, 1]: the colours of an image, or a channel.

    limits: what is black and what is white; None is its own range.
    """
    plane = plane if plane.shape[-1] == 3 and is_image else plane[..., :1]
    low, high = limits or (float(plane.min()), float(plane.max()))
    return np.clip((plane - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)


def grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one shape [height, width, channels] in rows, with white between them: black would look like air."""
    height, width, channels = tiles[0].shape
    gap = gap_of(width)
    lines = -(-len(tiles) // columns)
    sheet = np.ones((lines * (height + gap) - gap, columns * (width + gap) - gap, channels), np.float32)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def gap_of(side: int) -> int:
    """Pixels between tiles of that side."""
    return max(1, round(side / _GAP))
