"""Takes voxels where they lie in shards that are mapped into memory: what nobody asks for is neither read nor copied.

A mapped shard is a tensor of its bytes, backed by the page cache. A slice that begins at a multiple of
`schema.ALIGNMENT` bytes, its numbers and its shape are views of it, so that the first copy is that of a crop, or into
the batch. Checksums are not verified here.
"""

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import parsing, writer
from ssl3d_tf.data.records.manifest import Entry
from ssl3d_tf.data.records.schema import HEADER_BYTES
from ssl3d_tf.data.records.writer import Shard
from ssl3d_tf.errors import InputError

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_MMAP, _MUNMAP = _LIBRARY.mmap, _LIBRARY.munmap
_MMAP.restype, _MMAP.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_MUNMAP.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


class Part(NamedTuple):
    """Where the volumes, or the masks, of all examples lie in their shards: int64, int64 and string [examples]."""

    at: tf.Tensor
    size: tf.Tensor
    dtype: tf.Tensor


def shards(folder: Place, files: Sequence[Shard], *, cache_bytes: int = 0) -> tuple[tf.Tensor, list[bool]]:
    """The bytes of the shards as one list, a variant tensor, and which of them it has.

    Those that fit into `cache_bytes`, the first ones first, are read into memory; others are mapped if they are local.

    Raises:
        InputError: a file system that maps no files.
    """
    made = tf.raw_ops.TensorListReserve(element_shape=[-1], num_elements=len(files), element_dtype=tf.uint8)
    held = []
    for number, file in enumerate(files):
        path = folder / file.file
        cache_bytes -= file.bytes
        if cache_bytes >= 0:
            content = tf.io.decode_raw(tf.io.read_file(os.fspath(path)), tf.uint8)
        elif isinstance(path, Path):
            content = _mapped(path, file.bytes)
        else:
            held.append(False)
            continue
        held.append(True)
        made = tf.raw_ops.TensorListSetItem(input_handle=made, index=number, item=content)
    return made, held


def _mapped(path: Path, size: int) -> tf.Tensor:
    # Copy on write, as DLPack hands on nothing that is read-only; nothing is written. Other ways into a tensor copy all
    # of it: tf.convert_to_tensor, and ImmutableConst, which TensorFlow folds as a constant.
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise InputError(writer.cut_short(path, size))
            content = _without_descriptor(file.fileno(), size)
    except OSError as error:
        raise InputError(
            f"shard {path} cannot be mapped into memory ({error}); put the data on another disk."
        ) from error
    return tf.experimental.dlpack.from_dlpack(content.__dlpack__())


def _without_descriptor(file: int, size: int) -> np.ndarray:
    """The bytes of a file, mapped; Python's mmap keeps a descriptor each, of which a process has 1,024."""
    at = _MMAP(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, file, 0)
    if at == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    held = (ctypes.c_uint8 * size).from_address(at)
    weakref.finalize(held, _MUNMAP, at, size)  # the array, and what TensorFlow makes of it, keep `held`
    return np.ctypeslib.as_array(held)


def by_index(
    shards: tf.Tensor, entries: Sequence[Entry], layout: parsing.Layout, *, fields: Sequence[str]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns index (int64 scalar) -> what `parsing.parse` returns for its record, usable in a graph."""
    shard = tf.constant([entry.shard for entry in entries], tf.int32)
    shape = tf.constant([entry.shape for entry in entries], tf.int64)
    numbers = {name: tf.constant(values, tf.float32) for name, values in _numbers(entries, layout, fields).items()}
    parts = {"volume": (_part(entries, ""), layout.dtypes)}
    if "mask" in fields:
        parts["mask"] = _part(entries, "mask_"), layout.mask_dtypes

    def example(index: tf.Tensor) -> dict[str, tf.Tensor]:
        content = tf.raw_ops.TensorListGetItem(
            input_handle=shards, index=tf.gather(shard, index), element_shape=[-1], element_dtype=tf.uint8
        )
        voxels = {name: _voxels(content, part, index, dtypes, layout.codec) for name, (part, dtypes) in parts.items()}
        found = {name: tf.gather(values, index) for name, values in numbers.items()}
        return parsing.shaped({**found, **voxels}, tf.gather(shape, index), layout)

    return example


def _numbers(entries: Sequence[Entry], layout: parsing.Layout, fields: Sequence[str]) -> dict[str, list]:
    numbers: dict[str, list] = {
        name: [getattr(entry.stored, name) for entry in entries] for name in ("scale", "offset")
    }
    if "label" in fields:
        missing = (math.nan,) * layout.label_size
        numbers["label"] = [entry.label or missing for entry in entries]
    return numbers


def _part(entries: Sequence[Entry], prefix: str) -> Part:
    at, size, dtype = ([getattr(entry.stored, prefix + name) for entry in entries] for name in ("at", "size", "dtype"))
    begins = [entry.offset + HEADER_BYTES + first for entry, first in zip(entries, at, strict=True)]
    # What has no mask has no dtype; where one is wanted, parsing its record has failed before, as with labels.
    names = tf.constant([name or "" for name in dtype])
    return Part(tf.constant(begins, tf.int64), tf.constant(size, tf.int64), names)


def _voxels(content: tf.Tensor, part: Part, index: tf.Tensor, dtypes: Sequence[str], codec: str) -> tf.Tensor:
    """All numbers of one volume or mask, in a row."""
    at, size, dtype = (tf.gather(column, index) for column in part)
    found = tf.slice(content, [at], [size])
    if codec != "raw":
        text = parsing.decompressed(_as_text(found, size), codec)
        return parsing.by_dtype(lambda name: tf.io.decode_raw(text, name), dtype, dtypes)
    return parsing.by_dtype(lambda name: tf.bitcast(tf.reshape(found, _grouped(name)), name), dtype, dtypes)


def _grouped(dtype: str) -> tuple[int, ...]:
    """The shape of the bytes that `tf.bitcast` makes a row of numbers of."""
    size = tf.as_dtype(dtype).size
    return (-1,) if size == 1 else (-1, size)


def _as_text(content: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """uint8 [size] -> a string scalar, cut from a serialised tensor, whose content comes last."""
    size = tf.cast(size, tf.int32)
    return tf.strings.substr(tf.io.serialize_tensor(content), -size, size)
