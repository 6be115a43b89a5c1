"""NumPy files (.npy, .npz) as volumes: channels last, never a pickle."""

import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
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
FIRST_TIMES = 4  # a first axis of as few holds channels where every other axis is as many times longer, at least
LAYOUTS = ("auto", "first", "last", "none")  # of the channels of an array


class Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype

    @property
    def voxel_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def probe(path: Path, channels: str = "auto") -> Probe:
    """Reads the array header of `path`. channels: one of LAYOUTS."""
    with _open(path) as (file, room):
        header = read_header(file, room)
    axis = _channel_axis(header, channels)
    spatial = _spatial(header.shape, axis)
    kind = Kind(len(spatial), 1 if axis is None else header.shape[axis])
    is_guess = channels == "auto" and (axis == 0 or (axis is not None and len(spatial) == 2))
    place = "first" if axis == 0 else "last"
    note = f"arrays of {len(header.shape)} axes: the {place} was taken for the channels, else say --channels"
    notes = (*((note,) if is_guess else ()), *_unread(path))
    return Probe(kind, header.dtype.itemsize == 1, voxel_bytes=header.voxel_bytes, notes=notes)


def _unread(path: Path) -> Iterator[str]:
    """What else an .npz holds, beside its volume."""
    if path.suffix.lower() == ".npz":
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).stem for name in archive.namelist()]
        if others := sorted(set(names) - {_key(names)}):
            kept = f"of each .npz the array '{_key(names)}' is read, and not {', '.join(others)}"
            yield f"{kept}: store masks as files of their own (x_mask.npy), and labels in a csv"


def read(path: Path, max_bytes: int, *, channels: str = "auto") -> Volume:
    """Reads `path`, its channels where `channels`, one of LAYOUTS, says.

    auto: [H, W], [H, W, channels ≤ 4], [D, H, W], [D, H, W, channels ≤ 4], and [channels ≤ 4, …] where every other axis
    is four times longer at least. Of an .npz the only array is read, or the one called volume, image, data or arr_0.
    """
    return _read(path, max_bytes, lambda header: _channel_axis(header, channels))


def read_labels(path: Path, max_bytes: int) -> Volume:
    """Reads a label map: [H, W] or [D, H, W]; a first or last axis of one is its channel."""
    return _read(path, max_bytes, _label_axis)


def _read(path: Path, max_bytes: int, axis_of: Callable[[Header], int | None]) -> Volume:
    with _open(path) as (file, room):
        header = read_header(file, room)
    limits.check_size(header.voxel_bytes, max_bytes)
    axis = axis_of(header)
    with _open(path) as (file, _):
        voxels = npy.read_array(file, allow_pickle=False)
    voxels = voxels[..., None] if axis is None else np.moveaxis(voxels, axis, -1)
    return plain_volume(np.asarray(voxels, voxels.dtype.newbyteorder("="), order="C"))


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
        name = f"{_key([Path(name).stem for name in archive.namelist()])}.npy"
        with archive.open(name) as member:
            yield member, limits.room(archive.getinfo(name))


def _key(names: Sequence[str]) -> str:
    """Of the arrays of an .npz, the one that is the volume."""
    found = names if len(names) == 1 else [key for key in VOLUME_KEYS if key in names]
    if not found:
        raise UnusableFileError(f"its arrays are {list(names)}", f"call the volume one of {list(VOLUME_KEYS)}")
    return found[0]


def _channel_axis(header: Header, channels: str) -> int | None:
    """The axis that holds the channels: 0, −1, or None for an array of one channel."""
    shape = header.shape
    _check(header)
    if channels == "auto":
        return _guessed_axis(shape)
    axis = {"first": 0, "last": -1, "none": None}[channels]
    if not 2 <= len(_spatial(shape, axis)) <= 3:
        raise UnusableFileError(f"its shape is {shape}, not one of --channels={channels}", "say --channels as it is")
    return axis


def _guessed_axis(shape: tuple[int, ...]) -> int | None:
    if len(shape) == 2:
        return None
    first, last = shape[0], shape[-1]
    is_first = first <= MOST_COLOURS and first * FIRST_TIMES <= min(shape[1:-1])
    if is_first and first * FIRST_TIMES <= last:
        return 0
    if last <= MOST_COLOURS and not is_first:
        return -1
    if len(shape) == 3 and last > MOST_COLOURS:
        return None
    raise UnusableFileError(f"which axis of its shape {shape} holds channels is open", "say --channels=first|last|none")


def _label_axis(header: Header) -> int | None:
    _check(header)
    shape = header.shape
    ends = [axis for axis in (0, -1) if shape[axis] == 1 and len(shape) > 2]
    if len(shape) == 4 and not ends:
        raise UnusableFileError(f"its shape is {shape}", "store one integer per voxel: [H, W] or [D, H, W]")
    return ends[0] if ends else None


def _spatial(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else shape[1:] if axis == 0 else shape[:-1]


def _check(header: Header) -> None:
    shape, dtype = header.shape, header.dtype
    if dtype.kind not in "biuf":
        raise UnusableFileError(f"its values are of dtype {dtype}", "store real numbers; objects are never unpickled")
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise UnusableFileError(f"its shape is {shape}", "store [H, W], [H, W, ≤4], [D, H, W] or [D, H, W, channels]")
