"""The files that a data set was made from: whether they are still those, by modification time and then by content."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest
from ssl3d_tf.data.records.manifest import Entry, Manifest, Split
from ssl3d_tf.data.records.reading import read_example
from tools.readers import files
from tools.readers.contract import Item, Listing

FILE = "inputs.json"  # beside the manifest, which holds no times: equal input makes equal manifests

Stamps = Mapping[str, int]  # a file's key -> when it was changed last, in ns


def stamps(listing: Listing) -> dict[str, int]:
    """When each file of `listing` was changed last. Keys are hashes: file names may name patients."""
    names = sorted({name for item in listing.items for name in item.files})
    return {_key(name): _changed_ns(listing.root / name) for name in names}


def read_stamps(path: Place) -> Stamps | None:
    """Those of an earlier run; None where there are none, as of data sets of earlier versions."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def touched(items: Iterable[Item], before: Stamps | None, now: Stamps) -> list[Item]:
    """The items with a file whose time is another than `before`; none where that is not known."""
    keys = {key for key in now if before is not None and before.get(key) != now[key]}
    return [item for item in items if any(_key(name) in keys for name in item.files)]


def changed(folder: Place, data: Manifest, root: Path, items: Iterable[Item]) -> Iterator[str]:
    """Names files of `items` whose content is not that in the records of `data`.

    An item that is in no record could not be used: it counts as changed.
    """
    records, sha256 = _first_of_each(data), functools.cache(functools.partial(_sha256, root))
    for item in items:
        if item.id not in records:
            yield item.path
        else:
            source = read_example(folder, *records[item.id]).source
            yield from (name for name, paths, known in _parts(item, source) if known != sha256(paths))


def differences(folder: Place, data: Manifest, listing: Listing, quarantined: Iterable[str]) -> Iterator[str]:
    """Every difference between the records of `data` and the files of `listing`, a line each."""
    items = {item.id: item for item in listing.items}
    seen, sha256 = set(quarantined), functools.cache(functools.partial(_sha256, listing.root))
    for name, (split, entry) in _first_of_each(data).items():
        source = read_example(folder, split, entry).source
        listed = items.get(name)
        if listed is not None and listed.mask not in (None, source["mask"]):
            yield f"'{name}': its mask is now {listed.mask}, it was {source['mask']}."
        item = _as_recorded(source, listed)
        if item is None:
            yield f"'{name}': its series is gone."
            continue
        seen.update(item.files)
        for part, paths, known in _parts(item, source):
            missing = [path for path in paths if not (listing.root / path).is_file()]
            if missing:
                yield f"'{name}': {missing[0]} is gone."
            elif known is not None and known != sha256(paths):
                yield f"'{name}': {part} has changed since it was converted."
    left_out = " or was left out by --exclude_overlap" if data.recipe.get("exclude_overlap") else ""
    new = (item for item in items.values() if not seen.intersection(item.images))
    yield from (f"{item.path} is new{left_out}: no record was made from it." for item in new)


def _first_of_each(data: Manifest) -> dict[str, tuple[Split, Entry]]:
    """Id of each volume -> its record, or the first of its bricks or slices."""
    found: dict[str, tuple[Split, Entry]] = {}
    for name in manifest.SPLITS:
        split = data.splits[name]
        for entry in split.entries:
            whole = entry.id.rpartition("_")[0] if data.recipe.get("slices") else entry.id
            found.setdefault(entry.brick.of if entry.brick else whole, (split, entry))
    return found


def _as_recorded(source: Mapping[str, Any], listed: Item | None) -> Item | None:
    """The item a record was made from; of a DICOM series, whose records hold no paths, as it is `listed` now."""
    if source["path"] is None:
        return listed
    channels, further = tuple(source.get("channels", ())), tuple(source.get("further_masks", ()))
    known = {"mask": source["mask"], "channels": channels, "inside": source.get("inside"), "further": further}
    return Item("", source["path"], "", **known)


def _parts(item: Item, source: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """What of an item was hashed: what it is called, its files, their hash in the record's `source`, if it has one."""
    yield item.path, item.images, source["sha256"]
    for name in ("mask", "inside"):
        path = getattr(item, name)
        if path is not None:
            yield path, (path,), source.get(f"{name}_sha256")
    yield from ((path, (path,), source.get("further_masks", {}).get(path)) for path in item.further)


def _sha256(root: Path, paths: tuple[str, ...]) -> str:
    return files.sha256(*(root / path for path in paths))


def _changed_ns(path: Path) -> int:
    return max((part.stat().st_mtime_ns for part in files.parts(path) if part.is_file()), default=0)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
