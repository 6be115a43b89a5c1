"""One example as a manifest lists it: whose it is, where its record lies, and what is known of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ssl3d_tf.data.records.schema import Stored


class Brick(NamedTuple):
    """Part of a larger volume: that one's id, the voxel the part begins at, and the whole's spatial shape."""

    of: str
    start: tuple[int, ...]
    shape: tuple[int, ...]


class Body(NamedTuple):
    """Where a volume shows something. air: of each channel the intensity, stored value × scale + offset, up to which
    there is air. cells: as `occupancy.text`, what is above it in any channel.
    """

    air: tuple[float, ...]
    cells: str


class Entry(NamedTuple):
    """One example: `shard` counts within its split; `shape` includes channels; `counts` is voxels per mask value, but
    for that to be ignored.

    content: hash of the voxels as they were read, where the writer measured it. brick: if it is part of a volume, whose
    bricks follow one another. stored: where its voxels lie; there in whatever is read. spacing_mm: sides of a voxel as
    stored, [rank]; None where its file does not say it, and in older data. body: None in older data.
    """

    id: str
    patient: str
    shard: int
    offset: int
    length: int
    shape: tuple[int, ...]
    label: tuple[float, ...] | None = None
    counts: Mapping[str, int] | None = None
    content: str | None = None
    brick: Brick | None = None
    stored: Stored | None = None
    spacing_mm: tuple[float, ...] | None = None
    body: Body | None = None


def entry_from_json(fields: list[Any]) -> Entry:
    """An entry from the list that JSON makes of it."""
    entry = Entry(*fields)
    label = None if entry.label is None else tuple(entry.label)
    brick = None
    if entry.brick is not None:
        of, start, shape = entry.brick
        brick = Brick(of, tuple(start), tuple(shape))
    stored = None
    if entry.stored is not None:
        stored = Stored(*entry.stored)
        stored = stored._replace(scale=tuple(stored.scale), offset=tuple(stored.offset))
    spacing_mm = None if entry.spacing_mm is None else tuple(entry.spacing_mm)
    body = None if entry.body is None else Body(tuple(entry.body[0]), entry.body[1])
    shape = tuple(entry.shape)
    return entry._replace(shape=shape, label=label, brick=brick, stored=stored, spacing_mm=spacing_mm, body=body)


def entry_to_json(entry: Entry) -> list[Any]:
    """What JSON holds of an entry; without a body it is what versions wrote that do not know it."""
    return list(entry if entry.body is not None else entry[:-1])
