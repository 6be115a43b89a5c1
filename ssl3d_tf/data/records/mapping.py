"""Takes voxels where they lie in shards that are mapped into memory: what nobody asks for is neither read nor copied.

A mapped shard is a tensor of its bytes, backed by the page cache. A slice that begins at a multiple of
`schema.ALIGNMENT` bytes, its numbers and its shape are views of it, so that the first copy is that of a crop, or into
the batch. Checksums are not verified here.
"""

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, parsing, writer
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.data.records.schema import DTYPES, HEADER_BYTES, MASK_DTYPES
from ssl3d_tf.data.records.writer import Shard
from ssl3d_tf.errors import InputError

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_MMAP, _MUNMAP = _LIBRARY.mmap, _LIBRARY.munmap
_MMAP.restype, _MMAP.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_MUNMAP.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_TOGETHER = 256  # shards
_FAILED = ctypes.c_void_p(-1).value


class Part(NamedTuple):
    """Where the volumes, or the masks, of all examples lie in their shards: int64, int64 and int8 [examples].

    dtype: which of `dtypes`; −1 of what has no mask.
    """

    at: tf.Tensor
    size: tf.Tensor
    dtype: tf.Tensor
    dtypes: tuple[str, ...]


def shards(folder: Place, files: Sequence[Shard], *, cache_bytes: int = 0) -> tuple[tf.Tensor, list[bool]]:
    """The bytes of the shards as one list, a variant tensor, and which of them it has.

    Those that fit into `cache_bytes`, the first ones first, are read into memory; others are mapped if they are local.

    Raises:
        InputError: a file system that maps no files.
    """
    contents: list[tf.Tensor | None] = []
    for file in files:
        path = folder / file.file
        cache_bytes -= file.bytes
        if cache_bytes >= 0:
            contents.append(tf.io.decode_raw(tf.io.read_file(os.fspath(path)), tf.uint8))
        else:
            contents.append(_mapped(path, file.bytes) if isinstance(path, Path) else None)
    return _listed(contents), [content is not None for content in contents]


def _listed(contents: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """One list of tensors; every item that is set copies the list, so that short ones are made and put together."""
    made = tf.raw_ops.TensorListReserve(element_shape=[-1], num_elements=0, element_dtype=tf.uint8)
    for begin in range(0, len(contents), _TOGETHER):
        part = contents[begin : begin + _TOGETHER]
        few = tf.raw_ops.TensorListReserve(element_shape=[-1], num_elements=len(part), element_dtype=tf.uint8)
        for number, content in enumerate(part):
            if content is not None:
                few = tf.raw_ops.TensorListSetItem(input_handle=few, index=number, item=content)
        made = tf.raw_ops.TensorListConcatLists(input_a=made, input_b=few, element_dtype=tf.uint8)
    return made


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
    found = columns.of(entries)
    shard, shape = (tensor(columns.dense(found, name)) for name in ("shard", "shape"))
    numbers = {name: tensor(values) for name, values in _numbers(found, layout, fields).items()}
    parts = {"volume": (_part(found, "", DTYPES), layout.dtypes)}
    if "mask" in fields:
        parts["mask"] = _part(found, "mask_", MASK_DTYPES), layout.mask_dtypes

    def example(index: tf.Tensor) -> dict[str, tf.Tensor]:
        content = tf.raw_ops.TensorListGetItem(
            input_handle=shards, index=tf.gather(shard, index), element_shape=[-1], element_dtype=tf.uint8
        )
        voxels = {name: _voxels(content, part, index, dtypes, layout.codec) for name, (part, dtypes) in parts.items()}
        found = {name: tf.gather(values, index) for name, values in numbers.items()}
        return parsing.shaped({**found, **voxels}, tf.cast(tf.gather(shape, index), tf.int64), layout)

    return example


def tensor(column: np.ndarray) -> tf.Tensor:
    """A column once in memory: what `tf.constant` makes of an array keeps another copy beside its own."""
    return tf.identity(tf.constant(column))


def _numbers(entries: columns.Columns, layout: parsing.Layout, fields: Sequence[str]) -> dict[str, np.ndarray]:
    numbers = {"scale": columns.dense(entries, "scale"), "offset": columns.dense(entries, "zero")}
    return numbers | ({"label": columns.labels(entries, layout.label_size)} if "label" in fields else {})


def _part(entries: columns.Columns, prefix: str, dtypes: tuple[str, ...]) -> Part:
    at, size, dtype = (columns.dense(entries, prefix + name) for name in ("at", "size", "dtype"))
    # What has no mask has no dtype; where one is wanted, parsing its record has failed before, as with labels.
    begins = columns.dense(entries, "offset") + (HEADER_BYTES + at)
    return Part(tensor(begins), tensor(size), tensor(dtype), dtypes)


def _voxels(content: tf.Tensor, part: Part, index: tf.Tensor, dtypes: Sequence[str], codec: str) -> tf.Tensor:
    """All numbers of one volume or mask, in a row."""
    at, size, number = (tf.gather(column, index) for column in part[:3])
    dtype = tf.gather(part.dtypes, tf.cast(number, tf.int32))
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
