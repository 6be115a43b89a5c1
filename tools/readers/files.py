"""One door to every file format: by suffix, with whatever a damaged file makes a parser raise as UnusableFileError."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

from ssl3d_tf.data.records.schema import mask_dtype
from tools.readers import arrays, limits, nifti, pictures
from tools.readers.contract import Probe, UnusableFileError, Volume
from tools.voxels.pieces import pieces

READERS: tuple[ModuleType, ...] = (nifti, arrays, pictures)
SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.SUFFIXES)
LABEL_LIMIT = 2**31  # labels are stored as int32 at most
CHUNK = 1 << 17  # bytes hashed at a time: they stay in the cache

_T = TypeVar("_T")


def suffix_of(name: str) -> str:
    """The known suffix `name` ends with, '' for none; dots elsewhere in the name mean nothing."""
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def stem_of(name: str) -> str:
    """`name` without its known suffix."""
    return name[: len(name) - len(suffix_of(name))]


def probe(path: Path, *, max_bytes: int = limits.MAX_BYTES) -> Probe:
    """Reads the header of `path`.

    Raises:
        UnusableFileError: not readable, not a volume this project can use, or one of more than `max_bytes`.
    """
    found = _guarded(_reader(path).probe, path)
    limits.check_size(found.voxel_bytes, max_bytes)
    return found


def read(path: Path, *, max_bytes: int = limits.MAX_BYTES) -> Volume:
    """Reads the volume at `path`; integers stay integers.

    Raises:
        UnusableFileError: as `probe`, or a value is NaN or infinite.
    """
    volume = _guarded(partial(_reader(path).read, max_bytes=max_bytes), path)
    check_finite(volume.voxels)
    return volume._replace(voxels=volume.voxels.astype(np.uint8)) if volume.voxels.dtype == bool else volume


def read_mask(path: Path, *, max_bytes: int = limits.MAX_BYTES) -> Volume:
    """Reads the label map at `path`. voxels: [*spatial, 1] of the smallest of MASK_DTYPES.

    Raises:
        UnusableFileError: not readable, several channels, or a value that is no label.
    """
    reader = _reader(path)
    read_any = reader.read_labels if reader is pictures else reader.read
    try:
        volume = _guarded(partial(read_any, max_bytes=max_bytes), path)
    except UnusableFileError as error:
        raise UnusableFileError(f"its mask {path.name}: {error.reason}", error.remedy) from error
    return volume._replace(voxels=as_labels(volume.voxels, path.name))


def as_labels(values: np.ndarray, name: str) -> np.ndarray:
    """`values` [*spatial, 1] of any real dtype as integers; floats are taken if they hold whole numbers."""
    if values.shape[-1] != 1:
        raise UnusableFileError(f"its mask {name} has {values.shape[-1]} channels", "store one integer per voxel")
    with np.errstate(invalid="ignore"):  # NaN compares unequal below
        whole = values.dtype.kind in "biu" or all((values[p] == np.rint(values[p])).all() for p in pieces(values))
    if not whole:
        raise UnusableFileError(f"its mask {name} holds values that are not whole", "resample masks by nearest voxel")
    low, high = values.min(), values.max()
    if low < 0 or high >= LABEL_LIMIT:
        raise UnusableFileError(f"its mask {name} holds {low:g} to {high:g}", "use labels 0, 1, 2, …")
    return values.astype(mask_dtype(int(high)))


def check_finite(voxels: np.ndarray) -> None:
    """Raises UnusableFileError where a value is NaN or infinite."""
    if voxels.dtype.kind != "f":
        return
    bad = voxels.size - sum(int(np.isfinite(voxels[piece]).sum()) for piece in pieces(voxels))
    if bad:
        raise UnusableFileError(f"{bad} of {voxels.size} voxels are NaN or infinite", "replace them, e.g. by 0")


def parts(path: Path) -> tuple[Path, ...]:
    """All files that make up the volume at `path`."""
    return nifti.files(path)


def read_ahead(*paths: Path) -> None:
    """Asks the system to fetch the volumes at `paths` from the disk, and does not wait for them."""
    if not hasattr(os, "posix_fadvise"):  # not on macOS
        return
    for part in (part for path in paths for part in parts(path)):
        with contextlib.suppress(OSError), part.open("rb", buffering=0) as file:  # missing: said when it is read
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def sha256(*paths: Path) -> str:
    """SHA-256 over the files that make up the volume at `paths`."""
    digest = hashlib.sha256()
    for part in (part for path in paths for part in parts(path)):
        with part.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _reader(path: Path) -> ModuleType:
    return next(reader for reader in READERS if suffix_of(path.name) in reader.SUFFIXES)


def _guarded(function: Callable[[Path], _T], path: Path) -> _T:
    if not path.is_file():
        raise UnusableFileError(f"{path.name} does not exist", "mend the path or add the file")
    try:
        return function(path)
    except UnusableFileError:
        raise
    except Exception as error:  # what a damaged file makes three parsing libraries raise has no list
        reason = " ".join(str(error).replace(str(path.parent) + "/", "").split()) or type(error).__name__
        raise UnusableFileError(f"it cannot be read: {reason}", "it is damaged or cut short: copy it again") from error
