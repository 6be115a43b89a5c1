"""Scans of a data folder that a conversion made as a model's data were made: prepared already, labels or not."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import likeness, reading
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import Entry, Manifest, Split
from ssl3d_tf.data.records.placement import PLANES
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from tools.prepare import recipe

# Of a recipe: what likeness compares by what it came to, and what does not shape a volume that was read.
_OPEN = (
    *("shape", "spacing_mm", "intensity", "dtype"),
    *("max_gb", "relabel", "channels", "nan", "mask_grid", "keep_native_masks"),
)


class Record(NamedTuple):
    """A scan in records: one, its bricks, or its slices of `plane`."""

    folder: Place
    split: Split
    entries: tuple[Entry, ...]
    id: str
    plane: str | None = None

    @property
    def path(self) -> str:
        """Of its shard."""
        return f"{self.split.shards[self.entries[0].shard].file}, {self.id}"

    @property
    def template(self) -> None:
        """Records have no header; their source says how the input lay."""
        return None

    def sha256(self) -> str:
        """Over the checksums of its shards and its places in them."""
        parts = [(self.split.shards[e.shard].crc32c, e.offset, e.length) for e in self.entries]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def read(self) -> Example:
        """Reads it, put together from its bricks or slices.

        Raises:
            InputError: a record is damaged.
        """
        if self.plane is None:
            return reading.read_case(self.folder, self.split, self.entries)
        slices = [reading.read_example(self.folder, self.split, entry) for entry in self.entries]
        axis, first = PLANES.index(self.plane), slices[0]
        source = {key: value for key, value in first.source.items() if key != "slice"}
        spacing_mm = [*first.spacing_mm[:axis], float(np.linalg.norm(first.affine[:3, 2])), *first.spacing_mm[axis:]]
        volume = np.stack([one.volume for one in slices], axis)
        return first._replace(id=self.id, volume=volume, mask=None, spacing_mm=spacing_mm, source=source)


def find(folder: Place, contract: Mapping[str, Any]) -> list[Record]:
    """All scans of a data folder, split after split.

    Raises:
        InputError: no data folder, none with a scan, or one that was made otherwise than the model's data.
    """
    data = manifests.read(folder)
    if differences := _differences(data, contract):
        remedy = "give the scans themselves, which are then prepared as the model's were"
        raise InputError(
            f"--input {folder} was made otherwise than the model's data: {'; '.join(differences)}; {remedy}."
        )
    plane = data.recipe.get("slices")
    found = [record for split in data.splits.values() for record in _records(folder, split, plane)]
    if not found:
        raise InputError(
            f"--input {folder} is a data folder without a scan; convert some, or give the scans themselves."
        )
    return found


def _differences(data: Manifest, contract: Mapping[str, Any]) -> list[str]:
    """What of the model's input these are not, by what they are; and what else was done to volumes, as it was asked."""
    found = {name: said for name, said in likeness.differences(contract, data).items() if name != likeness.NAMES}
    if data.recipe != contract["recipe"]:  # else it need not be one of files
        there, here = (
            recipe.of_options(recipe.options(one, where=where))
            for one, where in ((contract["recipe"], "the model's contract"), (data.recipe, "the input's manifest"))
        )
        asked = {name: (there.get(name), here.get(name)) for name in there if name not in _OPEN}
        found |= {name: f"{before} there, {now} here" for name, (before, now) in asked.items() if before != now}
    return [f"{name} {said}" for name, said in found.items()]


def _records(folder: Place, split: Split, plane: str | None) -> Iterator[Record]:
    for entries in reading.cases(split.entries) if plane is None else _of_volumes(split.entries, plane):
        brick = entries[0].brick
        name = brick.of if brick else entries[0].id if plane is None else _volume(entries[0], plane)
        yield Record(folder, split, tuple(entries), name, plane)


def _of_volumes(entries: Sequence[Entry], plane: str) -> list[tuple[Entry, ...]]:
    """The slices of one volume after the other, which are stored so."""
    return [tuple(group) for _, group in itertools.groupby(entries, key=lambda entry: _volume(entry, plane))]


def _volume(entry: Entry, plane: str) -> str:
    """The id of the volume that a slice is of, as `slices.cut` names it."""
    return re.sub(rf"_{plane}\d{{3,}}$", "", entry.id)
