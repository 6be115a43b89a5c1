"""Reads single examples by their place, without TensorFlow: whole volumes for pictures and for evaluation."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import placement, schema, writer
from ssl3d_tf.data.records.manifest import Entry, Split
from ssl3d_tf.data.records.placement import Placement


def read_example(folder: Place, split: Split, entry: Entry) -> schema.Example:
    """Reads one example at its offset. Raises InputError where the record is damaged."""
    return schema.decode(writer.read_record(folder / split.shards[entry.shard].file, entry.offset))


def cases(entries: Iterable[Entry]) -> list[tuple[Entry, ...]]:
    """The entries of one volume after the other: itself, or all its bricks."""
    groups = itertools.groupby(entries, key=lambda entry: entry.id if entry.brick is None else (entry.brick.of,))
    return [tuple(group) for _, group in groups]


def read_case(folder: Place, split: Split, entries: Sequence[Entry]) -> schema.Example:
    """Reads one volume of `cases`, put together from its bricks if there are any."""
    first = read_example(folder, split, entries[0])
    brick = entries[0].brick
    if brick is None:
        return first
    volume = np.empty((*brick.shape, first.volume.shape[-1]), first.volume.dtype)
    mask = None if first.mask is None else np.empty(brick.shape, first.mask.dtype)
    for entry in entries:
        assert entry.brick is not None  # as `cases` grouped them
        part = tuple(slice(at, at + side) for at, side in zip(entry.brick.start, entry.shape, strict=False))
        read = read_example(folder, split, entry)
        volume[part] = read.volume
        if mask is not None:
            mask[part] = read.mask
    source = {key: value for key, value in first.source.items() if key != "brick"}
    return first._replace(id=brick.of, volume=volume, mask=mask, source=source)


def native(example: schema.Example) -> tuple[Placement, np.ndarray] | None:
    """Where a case lies on the grid that its input was read on, and its mask there; None where that cannot be had."""
    placed = placement.of(example.source, example.volume.shape[:-1])
    if placed is None:
        return None
    mask = example.mask if placed.is_same else example.native_mask
    return None if mask is None else (placed, mask)


def intensities(stored: np.ndarray, example: schema.Example) -> np.ndarray:
    """What `stored` [..., channels], of the volume of `example`, means: float32."""
    scale, offset = (np.asarray(numbers, np.float32) for numbers in (example.scale, example.offset))
    return stored.astype(np.float32) * scale + offset
