"""Pictures of what the network sees."""

from typing import Any

import numpy as np
import tensorflow as tf


def contact_sheet(
    inputs: Any, rank: int, *, columns: int = 8, rows: int = 4, limits: tuple[float, float] | None = None
) -> np.ndarray:
    """Middle slices of the first views, in reading order.

    Args:
        inputs: the network's inputs; the first tensor, [batch, ..., *spatial, channels], is drawn.
        rank: spatial rank, 2 or 3.
        limits: what is black and what is white in every tile; None is each tile's own range.

    Returns:
        float32 [height, width, 1 or 3] in [0, 1].
    """
    tensor = tf.nest.flatten(inputs)[0]
    limit = columns * rows
    views = np.asarray(tensor[:limit]).reshape((-1, *tensor.shape[-rank - 1 :]))[:limit]
    slices = views[:, views.shape[1] // 2] if rank == 3 else views  # [views, height, width, channels]
    slices = slices if slices.shape[-1] == 3 and rank == 2 else slices[..., :1]
    own = slices.min(axis=(1, 2, 3), keepdims=True), slices.max(axis=(1, 2, 3), keepdims=True)
    low, high = limits or own
    tiles = np.clip((slices - low) / np.maximum(high - low, 1e-6), 0.0, 1.0)
    tiles = np.pad(tiles, [(0, -len(tiles) % columns), (0, 1), (0, 1), (0, 0)])
    grid = tiles.reshape((-1, columns, *tiles.shape[1:])).transpose(0, 2, 1, 3, 4)
    return grid.reshape(grid.shape[0] * grid.shape[1], -1, tiles.shape[-1]).astype(np.float32)
