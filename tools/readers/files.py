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
from tools.readers import arrays, foreign, limits, nifti, pictures
from tools.readers.contract import Grid, Probe, Reading, UnusableFileError, Volume
from tools.voxels.pieces import pieces

READERS: tuple[ModuleType, ...] = (nifti, arrays, pictures)
SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.SUFFIXES)
LABEL_LIMIT = 2**31  # labels are stored as int32 at most
ROUNDING = 1e-3  # a label may be as far from a whole number
NEAREST = "resample masks by nearest voxel, and fill NaN"
CHUNK = 1 << 17  # bytes hashed at a time: they stay in the cache

AS_FILES_SAY = Reading()

_T = TypeVar("_T")


def suffix_of(name: str) -> str:
    """The known suffix `name` ends with, '' for none; dots elsewhere in the name mean nothing."""
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def stem_of(name: str) -> str:
    """`name` without its known suffix."""
    return name[: len(name) - len(suffix_of(name))]


def headers_of(name: str) -> tuple[str, str]:
    """What the header of the .img file `name` may be called."""
    stem, suffix = stem_of(name), name[len(stem_of(name)) :]
    return stem + suffix.replace("img", "hdr").replace("IMG", "HDR"), stem + suffix.lower().replace("img", "hdr")


def probe(path: Path, *, max_bytes: int = limits.MAX_BYTES, how: Reading = AS_FILES_SAY) -> Probe:
    """Reads the header of `path`. how: see Reading.

    Raises:
        UnusableFileError: not readable, not a volume this project can use, or one of more than `max_bytes`.
    """
    reader = _reader(path)
    found = _guarded(partial(reader.probe, channels=how.channels) if reader is arrays else reader.probe, path)
    limits.check_size(found.voxel_bytes, max_bytes)
    return found


def grid(path: Path) -> Grid | None:
    """Where the voxels of `path` lie, by its header alone; None where it cannot be read, or does not say."""
    try:
        return _guarded(nifti.grid, path) if _reader(path) is nifti else None
    except UnusableFileError:
        return None


def read(path: Path, *, max_bytes: int = limits.MAX_BYTES, how: Reading = AS_FILES_SAY) -> Volume:
    """Reads the volume at `path`; integers stay integers. how: see Reading.

    Raises:
        UnusableFileError: as `probe`, or a value is infinite, or NaN where `how` leaves NaN.
    """
    reader = _reader(path)
    options = {"channels": how.channels} if reader is arrays else {}
    volume = without_nan(_guarded(partial(reader.read, max_bytes=max_bytes, **options), path), how.nan)
    return volume._replace(voxels=volume.voxels.astype(np.uint8)) if volume.voxels.dtype == bool else volume


def read_mask(path: Path, *, max_bytes: int = limits.MAX_BYTES, affine: np.ndarray | None = None) -> Volume:
    """Reads the label map at `path`. voxels: [*spatial, 1] of the smallest of MASK_DTYPES.

    affine: 4 × 4 in mm, to be taken for that of its header.

    Raises:
        UnusableFileError: not readable, several channels, or a value that is no label.
    """
    reader = _reader(path)
    read_any = partial(reader.read, affine=affine) if reader is nifti else reader.read_labels
    try:
        volume = _guarded(partial(read_any, max_bytes=max_bytes), path)
    except UnusableFileError as error:
        raise UnusableFileError(f"its mask {path.name}: {error.reason}", error.remedy) from error
    return volume._replace(voxels=as_labels(volume.voxels, path.name))


def as_labels(values: np.ndarray, name: str) -> np.ndarray:
    """`values` [*spatial, 1] of any real dtype as integers; floats are rounded where they are whole to ROUNDING."""
    if values.shape[-1] != 1:
        raise UnusableFileError(f"its mask {name} has {values.shape[-1]} channels", "store one integer per voxel")
    values = values if values.dtype.kind in "biu" else _rounded(values, name)
    low, high = values.min(), values.max()
    if low < 0 or high >= LABEL_LIMIT:
        raise UnusableFileError(f"its mask {name} holds {low:.15g} to {high:.15g}", "use labels 0, 1, 2, …")
    return values.astype(mask_dtype(int(high)))


def _rounded(values: np.ndarray, name: str) -> np.ndarray:
    """Floats [*spatial, 1] as whole numbers: scaling and storing in float32 leave 0.99999 of a 1."""
    whole = np.empty_like(values)
    for piece in pieces(values):
        np.rint(values[piece], out=whole[piece])
        with np.errstate(invalid="ignore"):  # NaN and infinity: no difference is within the bound
            odd = ~(np.abs(values[piece] - whole[piece]) <= ROUNDING)
        if odd.any():
            reason = f"its mask {name} holds {values[piece][odd].flat[0]!s}, which is not whole to {ROUNDING:g}"
            is_share = values.min() >= 0 and values.max() <= 1
            remedy = "threshold it, at 0.5 say: it may be a map of probabilities" if is_share else NEAREST
            raise UnusableFileError(reason, remedy)
    return whole


def without_nan(volume: Volume, nan: str) -> Volume:
    """`volume` with NaN replaced as `Reading.nan` says, and how many voxels that were in its notes.

    Raises:
        UnusableFileError: a value is infinite, or NaN and `nan` does not say what it becomes.
    """
    voxels = volume.voxels
    if voxels.dtype.kind != "f":
        return volume
    bad = voxels.size - sum(int(np.isfinite(voxels[piece]).sum()) for piece in pieces(voxels))
    if not bad:
        return volume
    count = sum(int(np.isnan(voxels[piece]).sum()) for piece in pieces(voxels))
    if bad > count:
        reason = f"{bad} of {voxels.size} voxels are NaN or infinite, {bad - count} of them infinite"
        raise UnusableFileError(reason, "replace infinity by a number")
    smallest = np.fmin.reduce(voxels, axis=tuple(range(voxels.ndim - 1)))  # [channels], of the numbers in each
    if not nan or (nan == "min" and np.isnan(smallest).any()):
        reason = f"{count} of {voxels.size} voxels are NaN or infinite"
        raise UnusableFileError(reason, "--nan=min or --nan=0 fills them, where they lie outside the field of view")
    filled = np.where(np.isnan(voxels), smallest if nan == "min" else voxels.dtype.type(0), voxels)
    return volume._replace(voxels=filled, notes={**volume.notes, f"NaN was filled, --nan={nan}": count})


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
        if path.is_symlink() and "/annex/objects/" in os.readlink(path):
            raise UnusableFileError("it is a git-annex link to a file that is not here", foreign.ANNEXED.remedy)
        what = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise UnusableFileError(f"{path.name} {what}", "mend the path or add the file")
    try:
        return function(path)
    except (UnusableFileError, MemoryError):  # the latter says nothing about the file
        raise
    except Exception as error:  # what a damaged file makes three parsing libraries raise has no list
        if other := foreign.told(path):
            raise UnusableFileError(other.reason, other.remedy) from error
        reason = " ".join(str(error).replace(str(path.parent) + "/", "").split()) or type(error).__name__
        raise UnusableFileError(f"it cannot be read: {reason}", "it is damaged or cut short: copy it again") from error
