"""NumPy files (.npy, .npz) as volumes: channels last, never a pickle."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from tools.readers import limits
from tools.readers.contract import Kind, Probe, UnusableFileError, Volume, plain_volume

SUFFIXES = (".npy", ".npz")
VOLUME_KEYS = ("volume", "image", "data", "arr_0")
MOST_COLOURS = 4  # a last axis no longer than this holds channels


class Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype

    @property
    def voxel_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def probe(path: Path) -> Probe:
    """Reads the array header of `path`."""
    with _open(path) as (file, room):
        header = read_header(file, room)
    return Probe(_kind(header.shape, header.dtype), header.dtype.itemsize == 1, voxel_bytes=header.voxel_bytes)


def read(path: Path, max_bytes: int) -> Volume:
    """Reads `path`: [H, W], [H, W, channels ≤ 4], [D, H, W] or [D, H, W, channels].

    Of an .npz the only array is read, or the one called volume, image, data or arr_0.
    """
    limits.check_size(probe(path).voxel_bytes, max_bytes)
    with _open(path) as (file, _):
        voxels = npy.read_array(file, allow_pickle=False)
    kind = _kind(voxels.shape, voxels.dtype)
    voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    return plain_volume(voxels.reshape(*voxels.shape[: kind.rank], kind.channels))


def read_header(file: IO[bytes], room: int) -> Header:
    """The header of the .npy stream `file` of `room` bytes, which is left at the first value.

    Raises:
        UnusableFileError: it promises more values than `room` holds, or is of a format that plain numbers do not need.
    """
    version = npy.read_magic(file)
    if version != (1, 0):  # later ones allow headers of gigabytes, for structured dtypes
        raise UnusableFileError(f"its array is of format {version}", "store plain numbers with np.save")
    header = Header(*npy.read_array_header_1_0(file))
    if min(header.shape, default=1) < 0:
        raise UnusableFileError(f"its shape is {header.shape}", "copy it again")
    limits.check_promise(header.voxel_bytes, room)
    return header


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    with zipfile.ZipFile(path) as archive:
        names = [Path(name).stem for name in archive.namelist()]
        found = names if len(names) == 1 else [key for key in VOLUME_KEYS if key in names]
        if not found:
            raise UnusableFileError(f"its arrays are {names}", f"call the volume one of {list(VOLUME_KEYS)}")
        with archive.open(f"{found[0]}.npy") as member:
            yield member, limits.room(archive.getinfo(f"{found[0]}.npy"))


def _kind(shape: tuple[int, ...], dtype: np.dtype) -> Kind:
    if dtype.kind not in "biuf":
        raise UnusableFileError(f"its values are of dtype {dtype}", "store real numbers; objects are never unpickled")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise UnusableFileError(f"its shape is {shape}", "store [H, W], [H, W, ≤4], [D, H, W] or [D, H, W, channels]")
    if len(shape) == 3 and shape[-1] <= MOST_COLOURS:
        return Kind(2, shape[-1])
    return Kind(min(len(shape), 3), shape[-1] if len(shape) == 4 else 1)
