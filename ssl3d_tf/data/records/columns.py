"""The entries of many records as columns of one file: read by need, not one Python object after the other.

Of a million records an entry each takes 14 s and 1.8 GB. Whoever looks at all of them takes columns, `of(entries)`,
whichever way they are held; single ones are had by their place, as in any sequence.

A column is an array with a row per entry or, where rows differ in length or may be missing, `rows.Ragged`. NumPy only.
"""

import functools
import itertools
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import rows
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.errors import InputError

_LENGTHS = ".lengths"  # of a ragged column's rows, in the file


class Columns(Sequence[Entry]):
    """Entries that are held as columns. What a column holds is read whenever it is asked for, and then not kept.

    Single entries are made of their columns, which are kept from the first one on: some 250 bytes of each entry.
    """

    def __init__(self, size: int, read: Callable[[str], rows.Column]):
        self._size, self.column = size, read

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        row = range(self._size)[index]
        if isinstance(row, range):
            return tuple(self[each] for each in row)
        return rows.entry(functools.partial(self.cell, row=row))

    def cell(self, name: str, *, row: int) -> Any:
        """What stands there, as Python has it; texts as bytes."""
        return self._by_row(name)(row)

    def texts(self, name: str) -> "Texts":
        """The texts of a column, each made when it is asked for."""
        return Texts(self, name)

    @functools.cached_property
    def _by_row(self) -> Callable[[str], Callable[[int], Any]]:
        return functools.cache(lambda name: rows.by_row(self.column(name)))


class Texts(Sequence[str]):
    """A text of every entry, as ids; '' where there is none."""

    def __init__(self, entries: Columns, name: str):
        self._entries, self._name = entries, name

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        return bytes(self._entries.cell(self._name, row=places) or b"").decode()

    def __iter__(self) -> Iterator[str]:
        column = ragged(self._entries, self._name)
        data, begin = column.values.tobytes(), 0
        for end in column.ends.tolist():
            yield data[begin:end].decode()
            begin = end


def of(entries: Sequence[Entry]) -> Columns:
    """Any entries as columns, each made when it is asked for."""
    return entries if isinstance(entries, Columns) else Columns(len(entries), functools.partial(rows.packed, entries))


def ragged(entries: Sequence[Entry], name: str) -> rows.Ragged:
    """A column whose rows differ in length, as `rows.RAGGED` has it."""
    column = of(entries).column(name)
    assert isinstance(column, rows.Ragged), name
    return column


def dense(entries: Sequence[Entry], name: str) -> np.ndarray:
    """A column of numbers, as `rows.DENSE` has it."""
    column = of(entries).column(name)
    assert isinstance(column, np.ndarray), name
    return column


def kept(entries: Sequence[Entry], keep: np.ndarray) -> Sequence[Entry]:
    """Those entries alone for which `keep`, bool [entries], is true."""
    if not isinstance(entries, Columns):
        return tuple(itertools.compress(entries, keep.tolist()))

    def read(name: str) -> rows.Column:
        column = entries.column(name)
        return column.kept(keep) if isinstance(column, rows.Ragged) else column[keep]

    return Columns(int(keep.sum()), read)


def joined(parts: Sequence[Columns]) -> Columns:
    """All entries of the parts, one part behind the other."""

    filled = [part for part in parts if len(part)] or parts[:1]  # an array of no rows has no width to join by

    def read(name: str) -> rows.Column:
        columns = [part.column(name) for part in filled]
        if name in rows.RAGGED:
            return rows.Ragged(*(np.concatenate(each) for each in zip(*columns, strict=True)))
        return np.concatenate(columns)

    return Columns(sum(map(len, parts)), read)


def moved(entries: Sequence[Entry], front: str, shards: int) -> Columns:
    """The entries with `front` before ids and patients, in a split that has so many `shards` before their own."""
    found = of(entries)

    def read(name: str) -> rows.Column:
        if name in ("id", "patient"):
            return rows.ragged([f"{front}{text}".encode() for text in found.texts(name)], rows.TEXT)
        return dense(found, name) + np.int32(shards) if name == "shard" else found.column(name)

    return Columns(len(found), read)


def labels(entries: Sequence[Entry], size: int) -> np.ndarray:
    """float32 [entries, size]: NaN where there is none."""
    lengths, values = ragged(entries, "label")
    if wrong := set(np.unique(lengths).tolist()) - {-1, 0, size}:
        raise ValueError(f"labels of {sorted(wrong)} numbers in a data set of {size}")
    found = np.full((len(entries), size), np.nan, np.float32)
    found[lengths == size] = values.reshape(-1, size)
    return found


def has_label(entries: Sequence[Entry]) -> np.ndarray:
    """bool [entries]; a label with a number that is not known, NaN, is none."""
    column = ragged(entries, "label")
    unknown = np.concatenate([[0], np.cumsum(np.isnan(column.values))])
    ends = column.ends
    return (column.lengths > 0) & (unknown[ends] == unknown[ends - np.maximum(column.lengths, 0)])


def has_mask(entries: Sequence[Entry]) -> np.ndarray:
    """bool [entries]."""
    return ragged(entries, "counts").has | (dense(entries, "mask_dtype") >= 0)


def save(file: Any, splits: Mapping[str, Sequence[Entry]]) -> None:
    """Writes the entries of all splits into an open file, as arrays of np.savez: equal entries are equal bytes."""
    np.savez(file, **dict(_arrays(splits)))  # type: ignore[arg-type]  # names are not known before


def _arrays(splits: Mapping[str, Sequence[Entry]]) -> Iterator[tuple[str, np.ndarray]]:
    for split, entries in splits.items():
        for name in (*rows.DENSE, *rows.RAGGED):
            column = of(entries).column(name)
            if isinstance(column, rows.Ragged):
                yield f"{split}/{name}{_LENGTHS}", column.lengths
            yield f"{split}/{name}", column.values if isinstance(column, rows.Ragged) else column


class Archive(NamedTuple):
    """A file that `save` wrote. changed_ns: when it was; 0 behind a URL, of which that is not asked."""

    path: Place
    bytes: int
    changed_ns: int


def archive(path: Place) -> Archive:
    """The file that lies there now; nothing of it is read yet."""
    found = path.stat()
    return Archive(path, found.st_size, getattr(found, "st_mtime_ns", 0))


def stored(there: Archive, split: str, size: int) -> Columns:
    """The entries of a split, so many.

    Raises:
        InputError: whenever a column is asked for and cannot be read, has another size, or the file is another by then.
    """
    names = {name: (name + _LENGTHS, name) if name in rows.RAGGED else (name,) for name in (*rows.DENSE, *rows.RAGGED)}

    def read(name: str) -> rows.Column:
        try:
            with there.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                if name in rows.LATER and f"{split}/{name}" not in arrays:
                    return rows.nothing(size, name)
                found = [arrays[f"{split}/{each}"] for each in names[name]]
                is_same = archive(there.path) == there
        except (KeyError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            what = f"{split}/{name} cannot be read ({type(error).__name__}: {error})"
            raise InputError(f"{there.path}: {what}; put the file back, or convert again.") from error
        if not is_same:
            raise InputError(f"{there.path} has changed since it was opened; run the command again.")
        if len(found[0]) != size:
            raise InputError(f"{there.path} has {len(found[0])} of {size} examples of {split}; convert the data again.")
        return rows.Ragged(*found) if len(found) > 1 else found[0]

    return Columns(size, read)
