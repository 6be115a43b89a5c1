"""A folder of records as the rest sees it: opened, and checked against what a configuration wants of it."""

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from ssl3d_tf.data.places import Place, place
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import writer
from ssl3d_tf.errors import InputError


class DataFolder(NamedTuple):
    """A data folder whose manifest was read and checked."""

    path: Place
    manifest: manifests.Manifest


def open_folder(path: str | os.PathLike[str], *, unread: Collection[str] = ()) -> DataFolder:
    """Opens a folder made by tools.to_tfrecord. Arguments and errors are those of `records.manifest.read`."""
    return DataFolder(place(path), manifests.read(path, unread=unread))


def verify(data: DataFolder) -> None:
    """Reads every shard and its checksums. Raises InputError naming file and record at the first damage."""
    for split in data.manifest.splits.values():
        for shard in split.shards:
            for _ in writer.read_shard(data.path / shard.file):
                pass


def smaller_than(data: DataFolder, split: str, view_size: int) -> int:
    """How many volumes of the split are smaller than the view on some axis, and so will be padded."""
    return sum(min(entry.shape[:-1]) < view_size for entry in data.manifest.split(split).entries)


def check(data: DataFolder, *, rank: int, channels: int | None, fields: Sequence[str]) -> None:
    """Raises InputError where the data are not what a configuration is for."""
    manifest, where = data.manifest, f"data set '{data.manifest.name}' in {data.path}"
    if manifest.rank != rank:
        raise InputError(f"{where} is {manifest.rank}D, the configuration {rank}D: take the {manifest.rank}d gin file.")
    if channels is not None and len(manifest.channels) != channels:
        raise InputError(f"{where} has {len(manifest.channels)} channels, CHANNELS is {channels}: set it, or None.")
    check_fields(data, fields)


def check_fields(data: DataFolder, fields: Sequence[str]) -> None:
    """Raises InputError where the data lack what a task reads."""
    manifest, where = data.manifest, f"data set '{data.manifest.name}' in {data.path}"
    if "mask" in fields and not manifest.mask_dtypes:
        raise InputError(f"{where} has no masks, which this task needs; convert it with its masks.")
    if "label" in fields and not manifest.label_size:
        raise InputError(f"{where} has no labels, which this task needs; convert it with its labels.")


def labelled(data: DataFolder, fields: Sequence[str]) -> DataFolder:
    """The data with those examples alone that have what a task reads, in every split; a label of NaN is none.

    A split may be empty then. Everything else, shards too, is as it was.
    """
    has = [_HAS[name] for name in fields if name in _HAS]
    splits = {
        name: split._replace(entries=tuple(entry for entry in split.entries if all(one(entry) for one in has)))
        for name, split in data.manifest.splits.items()
    }
    return data._replace(manifest=data.manifest._replace(splits=splits))


def check_entries(data: DataFolder, entries: Sequence[manifests.Entry], fields: Sequence[str]) -> None:
    """Raises InputError naming the first example that lacks what a task reads."""
    for name in _HAS.keys() & set(fields):
        if example := next((entry for entry in entries if not _HAS[name](entry)), None):
            raise InputError(
                f"example '{example.id}' of {data.path} has no {name}; convert again with it, or without it."
            )


def check_batch(data: DataFolder, split: str, batch_size: int) -> None:
    """Raises InputError where a split is smaller than a batch."""
    if batch_size > (count := len(data.manifest.split(split).entries)):
        raise InputError(
            f"BATCH_SIZE {batch_size} exceeds the {count} examples of split '{split}' in {data.path}; lower it."
        )


def _has_mask(entry: manifests.Entry) -> bool:
    return entry.counts is not None or (entry.stored is not None and entry.stored.mask_dtype is not None)


def _has_label(entry: manifests.Entry) -> bool:
    return bool(entry.label) and not any(map(math.isnan, entry.label or ()))


_HAS: Mapping[str, Callable[[manifests.Entry], bool]] = {"mask": _has_mask, "label": _has_label}
