"""NumPy files (.npy, .npz) as volumes: channels last, never a pickle."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from tools.readers.contract import Kind, Probe, UnusableFileError, Volume, plain_volume

SUFFIXES = (".npy", ".npz")
VOLUME_KEYS = ("volume", "image", "data", "arr_0")
MOST_COLOURS = 4  # a last axis no longer than this holds channels


def probe(path: Path) -> Probe:
    """Reads the array header of `path`."""
    with _open(path) as file:
        shape, _, dtype = read_header(file)
    return Probe(_kind(shape, dtype), is_8bit=dtype.itemsize == 1)


def read(path: Path) -> Volume:
    """Reads `path`: [H, W], [H, W, channels ≤ 4], [D, H, W] or [D, H, W, channels].

    Of an .npz the only array is read, or the one called volume, image, data or arr_0.
    """
    with _open(path) as file:
        voxels = npy.read_array(file, allow_pickle=False)
    kind = _kind(voxels.shape, voxels.dtype)
    voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    return plain_volume(voxels.reshape(*voxels.shape[: kind.rank], kind.channels))


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of the .npy stream `file`, which is left at the first value."""
    version = npy.read_magic(file)
    return npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [Path(name).stem for name in archive.namelist()]
        found = names if len(names) == 1 else [key for key in VOLUME_KEYS if key in names]
        if not found:
            raise UnusableFileError(f"its arrays are {names}", f"call the volume one of {list(VOLUME_KEYS)}")
        with archive.open(f"{found[0]}.npy") as member:
            yield member


def _kind(shape: tuple[int, ...], dtype: np.dtype) -> Kind:
    if dtype.kind not in "biuf":
        raise UnusableFileError(f"its values are of dtype {dtype}", "store real numbers; objects are never unpickled")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise UnusableFileError(f"its shape is {shape}", "store [H, W], [H, W, ≤4], [D, H, W] or [D, H, W, channels]")
    if len(shape) == 3 and shape[-1] <= MOST_COLOURS:
        return Kind(2, shape[-1])
    return Kind(min(len(shape), 3), shape[-1] if len(shape) == 4 else 1)
