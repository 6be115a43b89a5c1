"""Layout `medmnist`: one .npz with train/val/test_images and _labels, whose splits are kept (Yang et al. 2023)."""

import math
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from tools.readers import files, foreign, limits
from tools.readers import labels as texts
from tools.readers.arrays import MOST_COLOURS, Header, read_header
from tools.readers.contract import Item, Kind, Listing, Probe, UnusableFileError, Volume, plain_volume

MOST_ROWS, MOST_LABELS = 1_000_000, 1_000  # images in one file, numbers per label: a damaged header may claim billions


def is_medmnist(path: Path) -> bool:
    """Whether `path` is an .npz with an array of images for some split; a damaged .npz counts, to be reported."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(f"{split}_images.npy" in archive.namelist() for split in SPLITS)
    except zipfile.BadZipFile:
        return True


def find(path: Path) -> Listing:
    """Lists every image of every split, with its label.

    Raises:
        InputError: the file is damaged, or its arrays do not belong together.
    """
    items: list[Item] = []
    classes: set[float] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for split in SPLITS:
                if f"{split}_images.npy" in names:
                    labels = _labels(archive, split)
                    items += [_item(path.name, split, row, label) for row, label in enumerate(labels)]
                    classes.update(label[0] for label in labels if label and len(label) == 1)
    except Exception as error:  # what a damaged archive makes zipfile and numpy raise has no list
        if other := foreign.told(path):
            raise InputError(f"{path} cannot be read: {other.reason}; {other.remedy}.") from error
        raise InputError(f"{path} cannot be read ({error}): it is damaged or cut short; fetch it again.") from error
    named = {texts.key(value): f"class {texts.key(value)}" for value in sorted(classes)}
    return Listing("medmnist", path.parent, path.stem, tuple(items), label_classes=named)


def probe(path: Path, key: str) -> Probe:
    """What every image of the array `key` is."""
    with zipfile.ZipFile(path) as archive:
        header = _header(archive, key)
    shape, is_fortran, dtype = header
    if is_fortran or dtype.kind not in "biuf":
        raise UnusableFileError(f"its array {key} is of dtype {dtype} or in Fortran order", "store numbers in C order")
    row_bytes = header.voxel_bytes // max(shape[0], 1)
    return Probe(kind(shape, path.stem), is_8bit=dtype == np.uint8, is_picture=True, voxel_bytes=row_bytes)


def kind(shape: tuple[int, ...], name: str) -> Kind:
    """Rank and channels from an array's shape: [N, H, W], [N, H, W, ≤4 colours], [N, D, H, W] or [N, D, H, W, C].

    [N, D, H, 3] could be a thin volume: it is taken for one where `name` says 3d, as MedMNIST's file names do.
    """
    if len(shape) == 3:
        return Kind(2, 1)
    if len(shape) == 4 and (shape[-1] > MOST_COLOURS or "3d" in name.lower()):
        return Kind(3, 1)
    if len(shape) in (4, 5):
        return Kind(len(shape) - 2, shape[-1])
    raise UnusableFileError(f"its images are of shape {shape}", "store [N, H, W(, 3)] or [N, D, H, W(, C)]")


def read(path: Path, key: str, row: int) -> Volume:
    """Reads one image. Rows asked for in rising order cost one pass over the compressed array."""
    try:
        return _rows(path, key).read(row)
    except MemoryError:  # says nothing about the file
        raise
    except Exception as error:  # as in `find`
        _rows.cache_clear()
        raise UnusableFileError(f"row {row} of {key} cannot be read ({error})", "fetch the file again") from error


@lru_cache(maxsize=1)
def sha256(path: Path) -> str:
    """SHA-256 of the whole file, computed once for its many rows."""
    return files.sha256(path)


class _Rows:
    """A compressed array that is read forwards, a row at a time, so that memory holds one row and not the array."""

    def __init__(self, path: Path, key: str):
        with zipfile.ZipFile(path) as archive:  # an open member keeps the file open by itself
            self._member: IO[bytes] = archive.open(f"{key}.npy")
            room = limits.room(archive.getinfo(f"{key}.npy"))
        shape, _, self._dtype = read_header(self._member, room)
        self._kind, self._shape = kind(shape, path.stem), shape[1:]
        self._bytes = int(np.prod(self._shape)) * self._dtype.itemsize
        self._start = self._member.tell()

    def read(self, row: int) -> Volume:
        self._member.seek(self._start + row * self._bytes)  # backwards: zipfile starts again by itself
        data = self._member.read(self._bytes)
        if len(data) < self._bytes:
            raise EOFError("the array ends early")
        voxels = np.frombuffer(data, self._dtype).astype(self._dtype.newbyteorder("="), copy=False)
        return plain_volume(voxels.reshape(*self._shape[: self._kind.rank], self._kind.channels))


@lru_cache(maxsize=1)
def _rows(path: Path, key: str) -> _Rows:
    return _Rows(path, key)


def _labels(archive: zipfile.ZipFile, split: str) -> list[tuple[float, ...] | None]:
    count = _header(archive, f"{split}_images").shape[0]
    if count > MOST_ROWS:
        raise ValueError(f"{count} {split} images, more than {MOST_ROWS}")
    if f"{split}_labels.npy" not in archive.namelist():
        return [None] * count
    shape = _header(archive, f"{split}_labels").shape
    if shape[:1] != (count,) or math.prod(shape[1:]) > MOST_LABELS:
        raise ValueError(f"{count} {split} images, but labels of shape {shape}")
    with archive.open(f"{split}_labels.npy") as member:
        labels = np.lib.format.read_array(member, allow_pickle=False)
    return [tuple(row) for row in labels.reshape(count, -1).astype(float).tolist()]


def _header(archive: zipfile.ZipFile, key: str) -> Header:
    with archive.open(f"{key}.npy") as member:
        return read_header(member, limits.room(archive.getinfo(f"{key}.npy")))


def _item(path: str, split: str, row: int, label: tuple[float, ...] | None) -> Item:
    name = f"{split}_{row:06d}"
    return Item(name, path, name, label=label, split=split, key=f"{split}_images", row=row)
