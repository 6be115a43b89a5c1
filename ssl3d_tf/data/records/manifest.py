"""manifest.json: what a data folder holds, where each record lies, and how it was made. Counts are never scanned."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place, place
from ssl3d_tf.data.records import columns, strangers, writer
from ssl3d_tf.data.records.entry import Entry, entry_from_json, entry_to_json
from ssl3d_tf.data.records.schema import FOOTER_BYTES, HEADER_BYTES, SCHEMA_VERSION
from ssl3d_tf.data.records.writer import Shard
from ssl3d_tf.errors import InputError

FILE = "manifest.json"
COLUMNS = "entries.npz"  # beside it, of many examples
MANY = 10_000  # examples that fit into a JSON file one can look into; a million took 14 s and 1.8 GB
_WITH_COLUMNS = 3  # the schema of those, which older versions refuse
SPLITS = ("train", "val", "test")


class Split(NamedTuple):
    """Shards and examples of one split, in stored order."""

    shards: tuple[Shard, ...]
    entries: Sequence[Entry]


class Columns(NamedTuple):
    """The file that holds the entries of many examples (`records/columns.py`), named relative to the data folder."""

    file: str
    bytes: int
    crc32c: str


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
            remedy = "convert again with more patients, or with other --splits"
            raise InputError(f"split '{name}' of data set '{self.name}' has no example; it has {sizes}: {remedy}.")
        return found


def unnamed(count: int) -> tuple[str, ...]:
    """What channels are called that nobody has named."""
    return tuple(f"channel {number}" for number in range(count))


def write(folder: Place, manifest: Manifest) -> None:
    """Writes manifest.json, atomically: it is the last file of a conversion, and its presence says it is complete.

    Of more than MANY examples it holds counts, and COLUMNS, written before it, the rest.
    """
    value = {"schema_version": SCHEMA_VERSION, **manifest._asdict()}
    if manifest.ignore_label is None:
        del value["ignore_label"]  # as of versions that do not know it
    entries = {name: split.entries for name, split in manifest.splits.items()}
    is_large = sum(map(len, entries.values())) > MANY
    if is_large:
        value |= {"schema_version": _WITH_COLUMNS, "entries": _write_columns(folder, entries)._asdict()}
    value["splits"] = {
        name: {
            "shards": [shard._asdict() for shard in split.shards],
            "examples": len(split.entries) if is_large else [entry_to_json(entry) for entry in split.entries],
        }
        for name, split in manifest.splits.items()
    }
    files.write_json(folder / FILE, value)


def _write_columns(folder: Place, entries: Mapping[str, Sequence[Entry]]) -> Columns:
    path = folder / COLUMNS
    with files.atomic(path) as file:
        columns.save(file, entries)
    return Columns(COLUMNS, path.stat().st_size, writer.file_crc32c(path))


def read(folder: str | os.PathLike[str], *, unread: Collection[str] = ()) -> Manifest:
    """Reads and checks manifest.json: its version, its fields, and that every shard is there with its size.

    Args:
        unread: splits whose shards nobody will read, so that they may be missing.

    Raises:
        InputError: no data folder (`strangers`), another schema, a damaged manifest, or a shard missing, cut or grown.
    """
    folder = place(folder)
    path = folder / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(strangers.told(folder, FILE)) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; mend that, or name another folder.") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}); convert again.") from error
    schemas = (SCHEMA_VERSION, _WITH_COLUMNS)
    if not isinstance(value, dict) or (schema := value.pop("schema_version", None)) not in schemas:
        known = " and ".join(map(str, schemas))
        raise InputError(f"{path} is of another schema than {known}, this version's; convert again.")
    try:
        archive = _archive(folder, Columns(**value.pop("entries"))) if schema == _WITH_COLUMNS else None
        manifest = _from_json(value, archive)
        _check_shards(folder, manifest, unread)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); convert again.") from error
    return manifest


def fingerprint(manifest: Manifest) -> str:
    """SHA-256 over every shard's checksum and the recipe, and whether bodies are known: equal for equal data.

    Shards are the same with bodies and without, but not what tasks ask of patches of air: a run begun on the one must
    not go on with the other.
    """
    shards = {name: [shard.crc32c for shard in split.shards] for name, split in manifest.splits.items()}
    knows = any(columns.ragged(split.entries, "air").has.any() for split in manifest.splits.values())
    said = [shards, manifest.recipe, *(["body"] if knows else [])]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _from_json(value: dict[str, Any], archive: columns.Archive | None) -> Manifest:
    splits = {
        name: Split(
            tuple(Shard(**shard) for shard in split["shards"]),
            tuple(entry_from_json(entry) for entry in split["examples"])
            if archive is None
            else columns.stored(archive, name, split["examples"]),
        )
        for name, split in value.pop("splits").items()
    }
    for key in ("channels", "dtypes", "mask_dtypes"):
        value[key] = tuple(value[key])
    return Manifest(splits=splits, **value)


def _archive(folder: Place, made: Columns) -> columns.Archive:
    """The file of columns; it is read once as a whole, so that none is of another data set or damaged."""
    path = folder / made.file
    try:
        size = path.stat().st_size
        is_whole = size == made.bytes and writer.file_crc32c(path) == made.crc32c
        if is_whole:
            return columns.archive(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): put it back, or convert again.") from error
    found = f"has {size} bytes" if size != made.bytes else "does not agree with its checksum"
    raise InputError(f"{path} {found}, {FILE} says {made.bytes} bytes: put it back, or convert the data again.")


def _check_shards(folder: Place, manifest: Manifest, unread: Collection[str]) -> None:
    for name, split in manifest.splits.items():
        for shard in split.shards if name not in unread else ():
            path = folder / shard.file
            size = path.stat().st_size if path.is_file() else None
            if size != shard.bytes:
                found = "missing" if size is None else f"{size} bytes long"
                raise InputError(f"shard {path} is {found}, but {FILE} says {shard.bytes} bytes; convert again.")
        for example in _outside(split):
            raise InputError(f"{folder / FILE} places example '{example}' outside its shard; convert again.")


def _outside(split: Split) -> list[str]:
    """The first example, if there is one, that does not lie in its shard."""
    if not split.entries:
        return []
    found = columns.of(split.entries)
    shard, offset, length = (columns.dense(found, name) for name in ("shard", "offset", "length"))
    is_known = (shard >= 0) & (shard < len(split.shards))
    sizes = np.array([*(each.bytes for each in split.shards), -1])[np.where(is_known, shard, -1)]
    wrong = (np.minimum(offset, length) < 0) | (offset > sizes - length - (HEADER_BYTES + FOOTER_BYTES))
    return [found.texts("id")[int(wrong.argmax())]] if wrong.any() else []
