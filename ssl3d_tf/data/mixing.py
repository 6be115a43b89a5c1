"""Several data folders read as one: the same scan once, a share of the draws for each, and what differs said."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ssl3d_tf.data import folders, shares
from ssl3d_tf.data.folders import DataFolder, Source
from ssl3d_tf.data.places import Place, Remote
from ssl3d_tf.data.records import columns, grids, reading
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.data.records.manifest import Manifest, Split
from ssl3d_tf.data.records.writer import Shard
from ssl3d_tf.errors import InputError

READ = ("train", "val")  # splits of a mix: nobody pretrains on a test split
_BETWEEN = " + "
_COMPARED = ("orientation", "shape", "intensity")  # of recipes

Entries = Mapping[str, Sequence[Entry]]  # of one folder, by split


def open_folders(data: Sequence[str | os.PathLike[str]], *, unread: Collection[str] = ()) -> DataFolder:
    """Opens one folder, or several as one: the values of --data, each with or without a share.

    Without shares they are one data set: an epoch has every example of all once. A folder with a share has epochs of
    its own, and its share of every block of draws, exactly; those without divide what is left, as one data set.
    Examples are called LABEL/ID, after their folder. Of a scan that two folders have, told by the hash of its voxels,
    the copy in a test split stays, or else that in a validation split, or else that of the folder named first.
    Validation is over all. Masks and labels, which may mean something else in each, are left out. unread: as in
    `folders.open_folder`.

    Raises:
        InputError: a folder is none, or is given twice; shares that do not add up; rank, channels or codec differ.
    """
    given = shares.wanted(data)
    if len(given) == 1:
        return folders.open_folder(given[0].path, unread=unread)
    places = [each.path.resolve() for each in given]
    opened = [folders.open_folder(path, unread=unread) for path in places]
    _check_alike(opened)
    sources = _sources(opened, _labels(places), [each.share for each in given], kept := _once(opened))
    order = sorted(range(len(given)), key=lambda number: given[number].share is not None)  # as `shares.parts` has it
    manifest = _together([opened[n] for n in order], [sources[n] for n in order], [kept[n] for n in order])
    parts = shares.parts([source.examples["train"] for source in sources], [each.share for each in given])
    return DataFolder(_named(places), manifest, parts, tuple(sources))


def about(data: DataFolder) -> dict[str, Any]:
    """What run.json and contract.json say of the data: 'path', 'name', 'sha256' and, of several, 'folders'."""
    alone: dict[str, Any] = {
        "path": str(data.path),
        "name": data.manifest.name,
        "sha256": manifests.fingerprint(data.manifest),
    }
    if not data.sources:
        return alone
    drawn = json.dumps([(source.sha256, source.share) for source in data.sources])
    each = [source._asdict() for source in data.sources]
    said = {**alone, "sha256": hashlib.sha256(drawn.encode()).hexdigest(), "folders": each}
    return {**said, "path": _BETWEEN.join(texts(said))}


def texts(recorded: Mapping[str, Any]) -> list[str]:
    """What `open_folders` takes to open again what `about` said of a run's data."""
    each = recorded.get("folders") or [{"path": str(recorded.get("path")), "share": ""}]
    return [f"{one['path']}:{one['share']}" if one["share"] else one["path"] for one in each]


def told(data: DataFolder) -> str:
    """The line that says what several folders give, and how they differ."""
    lines = [
        f"{source.label} has {source.examples['train']} training and {source.examples['val']} validation examples"
        + (f", {float(Fraction(source.share)):.4g} of the draws" if source.share else "")
        for source in data.sources
    ]
    left_out, unknown = sum(source.left_out for source in data.sources), _without_hashes(data)
    if left_out:
        lines.append(f"{left_out} more are of scans that another folder has too, and are left out")
    if unknown:
        lines.append(f"no content hashes in {', '.join(unknown)}, so that scans in two folders cannot be told")
    return f"{len(data.sources)} folders, validation over all: {'; '.join([*lines, *_differences(data)])}."


def _without_hashes(data: DataFolder) -> list[str]:
    lacking: set[str] = set()
    for split in data.manifest.splits.values():
        found = columns.kept(split.entries, ~columns.ragged(split.entries, "content").has)
        lacking.update(_label(data, name) for name in columns.of(found).texts("id"))
    return [source.label for source in data.sources if source.label in lacking]


def _label(data: DataFolder, name: str) -> str:
    """Of the folder that has the example of that name."""
    return next(source.label for source in data.sources if name.startswith(f"{source.label}/"))


def _differences(data: DataFolder) -> list[str]:
    """What of grid and intensity is not the same in all."""
    sources = data.sources
    shown = {
        "spacing of the first scan, mm,": [_spacing_mm(data, one) for one in sources],
        "channels": ["/".join(one.channels) for one in sources],
        **{name: [json.dumps(one.recipe.get(name)) for one in sources] for name in _COMPARED},
    }
    return [
        f"{name} {', '.join(f'{value} in {one.label}' for value, one in zip(values, sources, strict=True))}"
        for name, values in shown.items()
        if len(set(values)) > 1
    ]


def _spacing_mm(data: DataFolder, source: Source) -> str:
    for split in data.manifest.splits.values():
        for number, name in enumerate(columns.of(split.entries).texts("id")):
            if name.startswith(f"{source.label}/"):
                found = reading.read_example(data.path, split, split.entries[number])
                return "×".join(f"{side:.3g}" for side in found.spacing_mm)
    return "unknown"  # all its scans are in other folders too


def _check_alike(opened: Sequence[DataFolder]) -> None:
    first = opened[0]
    for other in opened[1:]:
        here, there = first.manifest, other.manifest
        pairs = {
            "axes": (here.rank, there.rank),
            "channels": (_channels(here), _channels(there)),
            "codec": (here.codec, there.codec),
        }
        for name, (before, now) in pairs.items():
            if before != now:
                found = f"{name} {before} in {first.path}, {now} in {other.path}"
                raise InputError(f"--data: {found}; they must agree: convert one again, or leave it out.")


def _channels(manifest: Manifest) -> str:
    """Several must stand in the same order; of one alone the name may differ, and is said."""
    return "1" if len(manifest.channels) == 1 else "/".join(manifest.channels)


def _labels(places: Sequence[Place]) -> list[str]:
    """Of every path the last parts, as many as tell all apart."""
    parts = [str(path).strip("/").split("/") for path in places]
    named = (["/".join(each[-count:]) for each in parts] for count in range(1, max(map(len, parts)) + 1))
    return next(labels for labels in named if len(set(labels)) == len(labels))


def _once(opened: Sequence[DataFolder]) -> list[Entries]:
    """Of every folder the entries that no other one has before it."""
    owner: dict[str, int] = {}

    def own(number: int, name: str) -> Sequence[Entry]:
        entries = opened[number].manifest.splits.get(name, Split((), ())).entries
        contents = columns.of(entries).texts("content")
        keep = (not content or owner.setdefault(content, number) == number for content in contents)
        return columns.kept(entries, np.fromiter(keep, bool, len(entries)))

    found = {(n, name): own(n, name) for name in reversed(manifests.SPLITS) for n in range(len(opened))}
    return [{name: found[n, name] for name in READ} for n in range(len(opened))]


def _sources(
    opened: Sequence[DataFolder], labels: Sequence[str], asked: Sequence[Fraction | None], kept: Sequence[Entries]
) -> list[Source]:
    return [_source(*of_one) for of_one in zip(opened, labels, asked, kept, strict=True)]


def _source(data: DataFolder, label: str, share: Fraction | None, kept: Entries) -> Source:
    manifest, counts = data.manifest, {name: len(kept[name]) for name in READ}
    there = [split for name in READ if (split := manifest.splits.get(name)) and split.entries]
    if not there:
        raise InputError(f"--data: {data.path} has neither training nor validation examples; leave it out.")
    return Source(
        path=str(data.path),
        name=manifest.name,
        sha256=manifests.fingerprint(manifest),
        label=label,
        share="" if share is None else str(share),
        examples=counts,
        left_out=sum(len(split.entries) for split in there) - sum(counts.values()),
        channels=manifest.channels,
        recipe=manifest.recipe,
        grid=grids.of_manifest(manifest)._asdict(),
    )


def _together(opened: Sequence[DataFolder], sources: Sequence[Source], kept: Sequence[Entries]) -> Manifest:
    """One manifest, whose shards are named by their whole address; its recipe is what all agree on."""
    each, first = [data.manifest for data in opened], opened[0].manifest
    return first._replace(
        name=_BETWEEN.join(source.label for source in sources),
        channels=tuple(_either(names) for names in zip(*(one.channels for one in each), strict=True)),
        modality=_either(one.modality for one in each),
        classes={},
        label_classes={},
        ignore_label=None,
        dtypes=tuple(sorted({dtype for one in each for dtype in one.dtypes})),
        mask_dtypes=(),
        label_size=0,
        orientation=first.orientation if all(one.orientation == first.orientation for one in each) else "",
        recipe={key: value for key, value in first.recipe.items() if all(one.recipe.get(key) == value for one in each)},
        splits={name: _joined(name, opened, sources, kept) for name in READ},
    )


def _either(names: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(names))


def _joined(name: str, opened: Sequence[DataFolder], sources: Sequence[Source], kept: Sequence[Entries]) -> Split:
    scheme = "file://" if any(isinstance(data.path, Remote) for data in opened) else ""  # for `_named`, if it is a URL
    shards: list[Shard] = []
    entries: list[columns.Columns] = []
    for data, source, own in zip(opened, sources, kept, strict=True):
        entries.append(columns.moved(own[name], f"{source.label}/", len(shards)))
        there = data.manifest.splits[name].shards if name in data.manifest.splits else ()
        front = scheme if isinstance(data.path, Path) else ""
        shards += [shard._replace(file=f"{front}{os.fspath(data.path / shard.file)}") for shard in there]
    return Split(tuple(shards), columns.joined(entries))


def _named(places: Sequence[Place]) -> Place:
    """What stands for all in messages; with a whole address behind it, as shards have, it is that address."""
    text = _BETWEEN.join(map(str, places))
    return Remote(text) if any(isinstance(each, Remote) for each in places) else Path(text)
