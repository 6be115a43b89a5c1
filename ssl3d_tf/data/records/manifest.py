"""manifest.json: what a data folder holds, where each record lies, and how it was made. Counts are never scanned."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place, place
from ssl3d_tf.data.records.schema import FOOTER_BYTES, HEADER_BYTES, SCHEMA_VERSION, Stored
from ssl3d_tf.data.records.writer import Shard
from ssl3d_tf.errors import InputError

FILE = "manifest.json"
SPLITS = ("train", "val", "test")


class Brick(NamedTuple):
    """Part of a larger volume: that one's id, the voxel the part begins at, and the whole's spatial shape."""

    of: str
    start: tuple[int, ...]
    shape: tuple[int, ...]


class Entry(NamedTuple):
    """One example: `shard` counts within its split; `shape` includes channels; `counts` is voxels per mask value, but
    for that to be ignored.

    content: hash of the voxels as they were read, where the writer measured it. brick: if it is part of a volume, whose
    bricks follow one another. stored: where its voxels lie; there in whatever is read. spacing_mm: sides of a voxel as
    stored, [rank]; None where its file does not say it, and in older data.
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


class Split(NamedTuple):
    """Shards and examples of one split, in stored order."""

    shards: tuple[Shard, ...]
    entries: tuple[Entry, ...]


class Manifest(NamedTuple):
    """All of manifest.json.

    rank: spatial rank, 2 or 3. channels: their names. classes: mask value -> name; without masks, those of labels.
    label_classes: label value -> name; none of measurements, and of data made before there were two sets of names.
    dtypes, mask_dtypes: storage dtypes that occur, sorted. label_size: numbers per label, 0 without labels.
    recipe: every option the data were made with, and the version of the tool. ignore_label: value of the masks that
    stands for "not known": no class, and in no loss and no score. orientation: where the stored axes point to, 'RAS' or
    'RA' of axial slices; '' where files do not say it, and in older data.
    """

    name: str
    rank: int
    channels: tuple[str, ...]
    modality: str
    classes: Mapping[str, str]
    dtypes: tuple[str, ...]
    mask_dtypes: tuple[str, ...]
    codec: str
    label_size: int
    recipe: Mapping[str, Any]
    splits: Mapping[str, Split]
    ignore_label: int | None = None
    label_classes: Mapping[str, str] = {}
    orientation: str = ""

    def split(self, name: str) -> Split:
        """The split of that name.

        Raises:
            InputError: there is none, or it is empty.
        """
        found = self.splits.get(name)
        if found is None or not found.entries:
            sizes = {key: len(value.entries) for key, value in self.splits.items()}
            raise InputError(f"split '{name}' of data set '{self.name}' has no example; it has {sizes}.")
        return found


def unnamed(count: int) -> tuple[str, ...]:
    """What channels are called that nobody has named."""
    return tuple(f"channel {number}" for number in range(count))


def write(folder: Place, manifest: Manifest) -> None:
    """Writes manifest.json, atomically: it is the last file of a conversion, and its presence says it is complete."""
    value = {"schema_version": SCHEMA_VERSION, **manifest._asdict()}
    if manifest.ignore_label is None:
        del value["ignore_label"]  # as of versions that do not know it
    value["splits"] = {
        name: {"shards": [shard._asdict() for shard in split.shards], "examples": [list(e) for e in split.entries]}
        for name, split in manifest.splits.items()
    }
    files.write_json(folder / FILE, value)


def read(folder: str | os.PathLike[str], *, unread: Collection[str] = ()) -> Manifest:
    """Reads and checks manifest.json: its version, its fields, and that every shard is there with its size.

    Args:
        unread: splits whose shards nobody will read, so that they may be missing.

    Raises:
        InputError: no data folder, another schema, a damaged manifest, or a shard missing, cut or grown.
    """
    folder = place(folder)
    path = folder / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} holds no {FILE}: run `python -m tools.to_tfrecord`, or mend --data.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; mend that, or --data.") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}); convert again.") from error
    if not isinstance(value, dict) or value.pop("schema_version", None) != SCHEMA_VERSION:
        raise InputError(f"{path} is of another schema than {SCHEMA_VERSION}, this version's; convert again.")
    try:
        manifest = _from_json(value)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); convert again.") from error
    _check_shards(folder, manifest, unread)
    return manifest


def fingerprint(manifest: Manifest) -> str:
    """SHA-256 over every shard's checksum and the recipe: equal for equal data."""
    shards = {name: [shard.crc32c for shard in split.shards] for name, split in manifest.splits.items()}
    return hashlib.sha256(json.dumps([shards, manifest.recipe], sort_keys=True).encode()).hexdigest()


def _from_json(value: dict[str, Any]) -> Manifest:
    splits = {
        name: Split(
            tuple(Shard(**shard) for shard in split["shards"]),
            tuple(entry_from_json(entry) for entry in split["examples"]),
        )
        for name, split in value.pop("splits").items()
    }
    for key in ("channels", "dtypes", "mask_dtypes"):
        value[key] = tuple(value[key])
    return Manifest(splits=splits, **value)


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
    shape = tuple(entry.shape)
    return entry._replace(shape=shape, label=label, brick=brick, stored=stored, spacing_mm=spacing_mm)


def _check_shards(folder: Place, manifest: Manifest, unread: Collection[str]) -> None:
    for name, split in manifest.splits.items():
        for shard in split.shards if name not in unread else ():
            path = folder / shard.file
            size = path.stat().st_size if path.is_file() else None
            if size != shard.bytes:
                found = "missing" if size is None else f"{size} bytes long"
                raise InputError(f"shard {path} is {found}, but {FILE} says {shard.bytes} bytes; convert again.")
        for entry in split.entries:
            end = entry.offset + HEADER_BYTES + entry.length + FOOTER_BYTES
            if entry.shard >= len(split.shards) or end > split.shards[entry.shard].bytes:
                raise InputError(f"{folder / FILE} places example '{entry.id}' outside its shard; convert again.")
