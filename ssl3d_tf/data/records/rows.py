"""An entry as a row of columns, and back: arrays or, where rows differ in length or may be missing, `Ragged`."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records.entry import Body, Brick, Entry
from ssl3d_tf.data.records.schema import DTYPES, MASK_DTYPES, Stored


class Ragged(NamedTuple):
    """Rows of different lengths. lengths: int32 [rows], −1 where an entry has None; values: all rows, end to end."""

    lengths: np.ndarray
    values: np.ndarray

    @property
    def has(self) -> np.ndarray:
        """bool [rows]: where there is something."""
        return self.lengths >= 0

    @property
    def ends(self) -> np.ndarray:
        """int64 [rows]: where in `values` the rows end."""
        return np.cumsum(np.maximum(self.lengths, 0), dtype=np.int64)

    def kept(self, keep: np.ndarray) -> "Ragged":
        """Those rows alone for which `keep`, bool [rows], is true."""
        return Ragged(self.lengths[keep], self.values[np.repeat(keep, np.maximum(self.lengths, 0))])


Column = np.ndarray | Ragged


class Kind(NamedTuple):
    """A column of numbers, and what it holds of an entry."""

    dtype: str
    of: Callable[[Entry], Any]


DENSE: Mapping[str, Kind] = {
    "shard": Kind("<i4", lambda entry: entry.shard),
    "offset": Kind("<i8", lambda entry: entry.offset),
    "length": Kind("<i8", lambda entry: entry.length),
    "shape": Kind("<i4", lambda entry: entry.shape),
    "dtype": Kind("|i1", lambda entry: DTYPES.index(_stored(entry).dtype)),
    "at": Kind("<i8", lambda entry: _stored(entry).at),
    "size": Kind("<i8", lambda entry: _stored(entry).size),
    "scale": Kind("<f4", lambda entry: _stored(entry).scale),  # as records hold them
    "zero": Kind("<f4", lambda entry: _stored(entry).offset),
    "mask_dtype": Kind("|i1", lambda entry: _mask_dtype(entry.stored)),  # −1: no mask
    "mask_at": Kind("<i8", lambda entry: _stored(entry).mask_at),
    "mask_size": Kind("<i8", lambda entry: _stored(entry).mask_size),
}
TEXT = "|u1"  # UTF-8
RAGGED: Mapping[str, Kind] = {
    "id": Kind(TEXT, lambda entry: entry.id.encode()),
    "patient": Kind(TEXT, lambda entry: entry.patient.encode()),
    "label": Kind("<f8", lambda entry: entry.label),
    "counted": Kind("<i8", lambda entry: entry.counts and [*map(int, entry.counts)]),
    "counts": Kind("<i8", lambda entry: entry.counts and [*entry.counts.values()]),
    "content": Kind(TEXT, lambda entry: entry.content and entry.content.encode()),
    "brick": Kind(TEXT, lambda entry: entry.brick and json.dumps(entry.brick).encode()),
    "spacing_mm": Kind("<f8", lambda entry: entry.spacing_mm),
    "air": Kind("<f4", lambda entry: entry.body and entry.body.air),
    "cells": Kind(TEXT, lambda entry: entry.body and entry.body.cells.encode()),
}
LATER = ("air", "cells")  # columns that older files lack: there no entry has them


def packed(entries: Iterable[Entry], name: str) -> Column:
    """The column of that name."""
    if name in RAGGED:
        return ragged([RAGGED[name].of(entry) for entry in entries], RAGGED[name].dtype)
    return np.array([DENSE[name].of(entry) for entry in entries], DENSE[name].dtype)


def ragged(rows: Sequence[Any], dtype: str) -> Ragged:
    """A column of these rows: bytes for TEXT, else numbers."""
    lengths = np.array([-1 if row is None else len(row) for row in rows], "<i4")
    if dtype == TEXT:
        return Ragged(lengths, np.frombuffer(b"".join(row for row in rows if row), dtype))
    return Ragged(lengths, np.array([*itertools.chain.from_iterable(row for row in rows if row)], dtype))


def nothing(size: int, name: str) -> Ragged:
    """A column of so many entries of which none has anything."""
    return Ragged(np.full(size, -1, "<i4"), np.zeros(0, RAGGED[name].dtype))


def by_row(column: Column) -> Callable[[int], Any]:
    """row -> what stands there, as Python has it; texts as bytes."""
    if not isinstance(column, Ragged):
        return lambda row: column[row].tolist()
    lengths, values, ends = column.lengths, column.values, column.ends

    def found(row: int) -> Any:
        part = values[ends[row] - max(lengths[row], 0) : ends[row]]
        return None if lengths[row] < 0 else part.tobytes() if part.dtype == np.uint8 else tuple(part.tolist())

    return found


def entry(cell: Callable[[str], Any]) -> Entry:
    """The entry of a row, of (name of a column) -> what stands there, as `by_row` has it."""
    counted, content, brick, air = cell("counted"), cell("content"), cell("brick"), cell("air")
    mask_dtype = cell("mask_dtype")
    return Entry(
        id=cell("id").decode(),
        patient=cell("patient").decode(),
        **{name: cell(name) for name in ("shard", "offset", "length", "label", "spacing_mm")},
        shape=tuple(cell("shape")),
        counts=None if counted is None else dict(zip(map(str, counted), cell("counts"), strict=True)),
        content=None if content is None else content.decode(),
        brick=None if brick is None else _brick(*json.loads(brick)),
        stored=Stored(
            DTYPES[cell("dtype")],
            cell("at"),
            cell("size"),
            tuple(cell("scale")),
            tuple(cell("zero")),
            None if mask_dtype < 0 else MASK_DTYPES[mask_dtype],
            cell("mask_at"),
            cell("mask_size"),
        ),
        body=None if air is None else Body(air, cell("cells").decode()),
    )


def _brick(of: str, start: Sequence[int], shape: Sequence[int]) -> Brick:
    return Brick(of, tuple(start), tuple(shape))


def _stored(entry: Entry) -> Stored:
    if entry.stored is None:
        raise ValueError(f"example '{entry.id}' does not say where its voxels lie")
    return entry.stored


def _mask_dtype(stored: Stored | None) -> int:
    return -1 if stored is None or stored.mask_dtype is None else MASK_DTYPES.index(stored.mask_dtype)
