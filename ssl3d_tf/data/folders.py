"""A folder of records as the rest sees it: opened, and checked against what a configuration wants of it."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.places import Place, place
from ssl3d_tf.data.records import columns, planned, writer
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.errors import InputError
from ssl3d_tf.views import sizes
from ssl3d_tf.views.sizes import Size

_MOSTLY = 0.5  # of a view


class Part(NamedTuple):
    """Training examples drawn as one set: how many there are, and how many come in every block of draws."""

    size: int
    draws: int


class Source(NamedTuple):
    """One of several folders that are read as one.

    path, name, sha256: as of a folder alone. label: what its examples' ids begin with. share: of the draws of training,
    such as '3/10'; '' where it goes by size. examples: how many by split, without `left_out`, those that another folder
    has too. channels, recipe: of its manifest. grid: `grids.of_manifest` of it.
    """

    path: str
    name: str
    sha256: str
    label: str
    share: str
    examples: Mapping[str, int]
    left_out: int
    channels: tuple[str, ...]
    recipe: Mapping[str, Any]
    grid: Mapping[str, Any]


class DataFolder(NamedTuple):
    """A data folder whose manifest was read and checked, or several as one (`mixing.open_folders`).

    parts: of several that have shares, how training examples are drawn, in stored order. sources: of several, each.
    """

    path: Place
    manifest: manifests.Manifest
    parts: tuple[Part, ...] = ()
    sources: tuple[Source, ...] = ()


def open_folder(path: str | os.PathLike[str], *, unread: Collection[str] = ()) -> DataFolder:
    """Opens a folder made by tools.to_tfrecord. Arguments and errors are those of `records.manifest.read`."""
    return DataFolder(place(path), manifests.read(path, unread=unread))


def parts(data: DataFolder, split: str) -> tuple[Part, ...]:
    """How the examples of a split are drawn, in stored order; all as one set where nothing else is said."""
    has_shares = data.parts and split == manifests.SPLITS[0]
    return data.parts if has_shares else (Part(len(data.manifest.split(split).entries), 1),)


def verify(data: DataFolder) -> None:
    """Reads every shard and its checksums. Raises InputError naming file and record at the first damage."""
    for split in data.manifest.splits.values():
        for shard in split.shards:
            for _ in writer.read_shard(data.path / shard.file):
                pass


def check_sizes(data: DataFolder, split: str) -> None:
    """Raises InputError where a shard on this machine is no longer as long as the manifest says."""
    for shard in data.manifest.split(split).shards:
        path = data.path / shard.file
        if isinstance(path, Path) and (not path.is_file() or path.stat().st_size != shard.bytes):
            raise InputError(writer.cut_short(path, shard.bytes))


def note_padding(data: DataFolder, view_size: Size) -> None:
    """Says how many training volumes are smaller than a view on some axis, and how much of a view that is."""
    shapes = columns.dense(data.manifest.split("train").entries, "shape")[:, :-1]
    view = sizes.sides(view_size, data.manifest.rank)
    small = np.count_nonzero((shapes < view).any(axis=1))
    if not small:
        return
    filled = np.minimum(1.0, shapes / np.array(view)).prod(axis=1).mean()
    typical = shapes[np.argsort(shapes.prod(axis=1, dtype=np.int64), kind="stable")[len(shapes) // 2]].tolist()
    remedy = f"; {_smaller(data.manifest, typical)}, say, saves that time" if filled < _MOSTLY else ""
    print(
        f"{small} of {len(shapes)} training volumes are smaller than VIEW_SIZE {view_size} on some axis: padded; "
        f"{1 - filled:.0%} of an average view is padding, volumes are {'×'.join(map(str, typical))} or so{remedy}.",
        flush=True,
    )


def _smaller(manifest: manifests.Manifest, typical: Sequence[int]) -> str:
    """A view that such volumes fill: a cube where their sides are about alike, else one of its own per axis."""
    found = planned.of_manifest(manifest)
    if found is None or max(typical) <= 2 * min(typical):
        return f"a smaller VIEW_SIZE, {max(typical)}"
    return " ".join(found.params())


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

    def those(entries: Sequence[Entry]) -> Sequence[Entry]:
        return columns.kept(entries, np.logical_and.reduce([one(entries) for one in has])) if has else entries

    splits = {name: split._replace(entries=those(split.entries)) for name, split in data.manifest.splits.items()}
    return data._replace(manifest=data.manifest._replace(splits=splits))


def check_entries(data: DataFolder, entries: Sequence[Entry], fields: Sequence[str]) -> None:
    """Raises InputError naming the first example that lacks what a task reads."""
    for name in _HAS.keys() & set(fields):
        if not (has := _HAS[name](entries)).all():
            first = entries[int(has.argmin())].id
            raise InputError(f"example '{first}' of {data.path} has no {name}; convert again with it, or without it.")


def are_sized(entries: Sequence[Entry], size: Sequence[int]) -> bool:
    """Whether all examples are `size` voxels large."""
    return bool((columns.dense(columns.of(entries), "shape")[:, :-1] == size).all())


def check_batch(data: DataFolder, split: str, batch_size: int) -> None:
    """Raises InputError where a split is smaller than a batch."""
    if batch_size > (count := len(data.manifest.split(split).entries)):
        raise InputError(
            f"BATCH_SIZE {batch_size} exceeds the {count} examples of split '{split}' in {data.path}; lower it."
        )
    drawn = parts(data, split)
    block = sum(part.draws for part in drawn)
    for part in drawn if len(drawn) > 1 else ():
        if (wanted := -(-batch_size * part.draws // block)) > part.size:
            raise InputError(
                f"of a batch of {batch_size} a share of {part.draws}/{block}, {wanted} examples, is to come from "
                f"{part.size} examples in {data.path}: lower BATCH_SIZE, or that share in --data."
            )


def check_devices(batch_size: int, devices: int) -> None:
    """Raises InputError where a batch cannot be spread evenly."""
    if batch_size % devices:
        raise InputError(f"BATCH_SIZE {batch_size} must divide by the {devices} devices it is spread over.")


def without_remainder(data: DataFolder, split: str, batch_size: int, *, least: int) -> int:
    """The batch nearest to that size, smaller ones first, whose last one has what a task compares at once."""
    count = len(data.manifest.split(split).entries)
    if count < least:
        raise InputError(
            f"split '{split}' of {data.path} has {count} examples; this task tells the examples of a batch apart and "
            f"needs at least {least}: convert again with a larger share in --splits or, where the data set declares "
            "its splits, more there."
        )
    sizes = (*range(min(batch_size, count), least - 1, -1), *range(batch_size + 1, count + 1))
    return next(size for size in sizes if count % size == 0 or count % size >= least)


_HAS: Mapping[str, Callable[[Sequence[Entry]], np.ndarray]] = {"mask": columns.has_mask, "label": columns.has_label}
