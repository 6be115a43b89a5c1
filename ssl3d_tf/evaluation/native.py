"""What a network says on the stored grid, put back on the grid that the input was read on.

Probabilities are interpolated linearly, axis by axis, and then decided, as nnU-Net does (Isensee et al., 2021,
arXiv:1904.08128); labels that are read at the nearest voxel have steps of a stored one instead. Beyond the border of
what was resampled the edge voxel counts, and what was cropped away is background. It goes slab by slab, so that there
is little in memory beside what comes in and what goes out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ssl3d_tf.data.records import placement
from ssl3d_tf.data.records.placement import Axis, Placement
from ssl3d_tf.data.records.schema import mask_dtype
from ssl3d_tf.errors import InputError

SLAB = 1 << 20  # voxels of the input's grid at a time, or one plane


def labels(
    outputs: np.ndarray,
    source: Mapping[str, Any],
    *,
    values: Sequence[int] | np.ndarray,
    background: int | None = None,
    are_logits: bool = True,
) -> np.ndarray:
    """The decided labels on the input's grid.

    Where nothing was resampled this is the argmax of `outputs`, the first of equals, as it is on the stored grid.

    Args:
        outputs: float [*stored, classes], logits, or else probabilities.
        source: of the record; `tools` and `records.schema` say what is in it.
        values: of the classes, from low to high: int [classes]. background: of what was cropped away; the lowest.

    Returns:
        int [*native], the smallest of `schema.MASK_DTYPES` that holds `values`.

    Raises:
        InputError: there is no such grid (`placement.of`), or as many values as classes.
    """
    values, placed = np.asarray(values), placed_of(source, outputs.shape[:-1])
    if len(values) != outputs.shape[-1]:
        raise InputError(f"outputs have {outputs.shape[-1]} classes, values are {len(values)}; give one each.")
    values = values.astype(mask_dtype(int(values.max())))
    found = np.full(placed.shape, values[0] if background is None else background, values.dtype)
    inside = found[placed.box]
    for part, slab, axes in _slabs(outputs, placed):
        if not placed.is_resampled:
            inside[part] = values[slab[np.ix_(*(axis.positions for axis in axes))].argmax(axis=-1)]
        else:
            inside[part] = values[_best(softmax(slab) if are_logits else slab, axes)]
    return found


def probabilities(
    stored: np.ndarray, source: Mapping[str, Any], *, background: int = 0, dtype: type[np.floating] = np.float32
) -> np.ndarray:
    """Probabilities, float [*stored, classes], on the input's grid: [*native, classes], interpolated in float32.

    Args:
        background: the class that what was cropped away is of, with probability 1. dtype: of what is returned.

    Raises:
        InputError: there is no such grid (`placement.of`).
    """
    placed = placed_of(source, stored.shape[:-1])
    found = np.zeros((*placed.shape, stored.shape[-1]), dtype)
    found[..., background] = 1
    inside = found[placed.box]
    for part, slab, axes in _slabs(stored, placed):
        for number in range(stored.shape[-1]):
            inside[(*part, ..., number)] = _interpolated(slab[..., number], axes)
    return found


def softmax(logits: np.ndarray) -> np.ndarray:
    """float [..., classes] -> float32, which add up to 1 over classes."""
    found = np.subtract(logits, logits.max(axis=-1, keepdims=True), dtype=np.float32)
    np.exp(found, out=found)
    found /= found.sum(axis=-1, keepdims=True)
    return found


def placed_of(source: Mapping[str, Any], stored: Sequence[int]) -> Placement:
    """As `placement.of`.

    Raises:
        InputError: as there, where it is None, and of a single brick.
    """
    found = placement.of(source, stored)
    if found is None:
        what = "slices across a resampled axis have none" if "slice" in source else "its record does not say how"
        raise InputError(f"the grid that this was read on cannot be had: {what}; convert whole volumes again.")
    if found.stored != (given := tuple(stored)):
        raise InputError(f"outputs have {given} voxels, the volume {found.stored}; put its bricks together first.")
    return found


def _slabs(stored: np.ndarray, placed: Placement) -> Iterator[tuple[tuple[slice], np.ndarray, list[Axis]]]:
    """Slices of what is stored on the input's grid along its first axis: where, its part of `stored`, its axes."""
    first, *others = placed.axes
    number = max(1, SLAB // max(1, int(np.prod([len(axis.positions) for axis in others]))))
    for start in range(0, len(first.positions), number):
        positions = first.positions[start : start + number]
        low, high = int(positions[0]), min(int(positions[-1]) + 1, len(stored) - 1)
        moved = first._replace(positions=positions - low)
        yield (slice(start, start + number),), stored[low : high + 1], [moved, *others]


def _best(shares: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """The likeliest class, the first of equals, of probabilities [*slab, classes]; a class at a time."""
    most = _interpolated(shares[..., 0], axes)
    found = np.zeros(most.shape, np.intp)
    for number in range(1, shares.shape[-1]):
        share = _interpolated(shares[..., number], axes)
        found[share > most] = number
        np.maximum(most, share, out=most)
    return found


def _interpolated(values: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """float [*slab] read at the positions of all axes, in float32."""
    for number, axis in enumerate(axes):
        values = _linear(values, axis.positions, number) if axis.is_resampled else values.take(axis.positions, number)
    return values.astype(np.float32, copy=False)


def _linear(values: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    low = positions.astype(np.intp)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    weight = (positions - low).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1 - axis))
    found = values.take(low, axis).astype(np.float32, copy=False)
    found += (values.take(high, axis) - found) * weight
    return found
