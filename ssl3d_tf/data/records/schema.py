"""One volume as the bytes of one tf.train.Example, written without TensorFlow so that converter processes stay small.

The reading side, in the TensorFlow graph, is `records/parsing.py`. The feature table is in docs/records.md.
"""

import functools
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SCHEMA_VERSION = 2
DTYPES = ("uint8", "int16", "uint16", "float16", "float32")
MASK_DTYPES = ("uint8", "uint16", "int32")
CODECS = ("raw", "zlib")
NATIVE_CODEC = "zlib"  # of masks that are read to score, and never to train
ALIGNMENT = 64  # bytes; what is aligned TensorFlow reads where it lies, without a copy
HEADER_BYTES, FOOTER_BYTES = 12, 4  # of a TFRecord: length and its checksum before it, the payload's checksum behind
ZLIB_LEVEL = 1  # levels 2 to 9 gain a few per cent of size on 8- and 16-bit scans and cost several times the time

_BYTES, _FLOATS, _INTS = 1, 2, 3  # field numbers of tf.train.Feature's one-of
_FEATURES, _PADDING = 1, 15  # field numbers of tf.train.Example: its only one, and one that every reader skips


class Stored(NamedTuple):
    """Where the voxels of an example lie in its record, and what they mean, so that they can be read by themselves.

    at, mask_at: of their first byte, counted from the record's payload. size, mask_size: bytes as stored, by the codec.
    mask_dtype: None without a mask.
    """

    dtype: str
    at: int
    size: int
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    mask_dtype: str | None = None
    mask_at: int = 0
    mask_size: int = 0


class Example(NamedTuple):
    """One volume, ready to be stored.

    volume: [*spatial, channels], one of DTYPES; stored value × scale + offset (one each per channel) = intensity.
    mask: [*spatial] integer label map, one of MASK_DTYPES. affine: 4 × 4, voxel index -> mm in RAS+.
    source: all that is needed to put a prediction back on the input's own grid (JSON-able).
    native_mask: the mask on that grid (`placement`), where it is kept; with a volume in bricks, of its first one.
    """

    id: str
    patient: str
    volume: np.ndarray
    scale: Sequence[float]
    offset: Sequence[float]
    spacing_mm: Sequence[float]
    affine: np.ndarray
    source: Mapping[str, Any]
    mask: np.ndarray | None = None
    label: Sequence[float] | None = None
    native_mask: np.ndarray | None = None


def encode(example: Example, codec: str = "raw") -> bytes:
    """Serialises `example` as a tf.train.Example with its features in sorted order, so that equal input is equal bytes.

    Zeros around them see to it that in a shard every volume begins at a multiple of ALIGNMENT bytes.

    Raises:
        ValueError: a dtype or codec outside the schema (a fault of the caller, not of the data).
    """
    if example.volume.dtype.name not in DTYPES or codec not in CODECS:
        raise ValueError(f"dtype {example.volume.dtype} and codec {codec!r} must be among {DTYPES} and {CODECS}")
    features = {
        "id": _bytes_feature(example.id.encode()),
        "patient": _bytes_feature(example.patient.encode()),
        "volume": _bytes_feature(_payload(example.volume, codec)),
        "dtype": _bytes_feature(example.volume.dtype.name.encode()),
        "shape": _int_feature(example.volume.shape),
        "codec": _bytes_feature(codec.encode()),
        "scale": _float_feature(example.scale),
        "offset": _float_feature(example.offset),
        "spacing_mm": _float_feature(example.spacing_mm),
        "affine": _float_feature(np.asarray(example.affine).ravel()),
        "source": _bytes_feature(json.dumps(example.source, sort_keys=True).encode()),
    }
    features |= _label_map("mask", example.mask, codec)
    features |= _label_map("native_mask", example.native_mask, NATIVE_CODEC)
    if example.label is not None:
        features["label"] = _float_feature(example.label)
    entries = [_field(1, _field(1, [name.encode()]) + _field(2, features[name])) for name in sorted(features)]
    message = _field(_FEATURES, [chunk for entry in entries for chunk in entry])
    after = len(features["volume"][-1])  # sorted, it is the last one
    before = sum(map(len, message)) - after
    front = _padding(-(HEADER_BYTES + before) % ALIGNMENT)
    return b"".join([*front, *message, *_padding(-(after + FOOTER_BYTES) % ALIGNMENT)])


def stored(payload: bytes) -> Stored:
    """Where `encode` put the voxels."""
    features = _features(payload)
    volume, mask = features["volume"], features.get("mask")
    numbers = tuple(features["scale"].tolist()), tuple(features["offset"].tolist())
    made = Stored(bytes(features["dtype"]).decode(), _position(volume, payload), len(volume), *numbers)
    if mask is None:
        return made
    dtype = bytes(features["mask_dtype"]).decode()
    return made._replace(mask_dtype=dtype, mask_at=_position(mask, payload), mask_size=len(mask))


def decode(data: bytes) -> Example:
    """Reads what `encode` wrote, without TensorFlow.

    Raises:
        ValueError: `data` is no record of this schema.
    """
    try:
        features = _features(data)
        codec, label = bytes(features["codec"]).decode(), features.get("label")
        return Example(
            id=bytes(features["id"]).decode(),
            patient=bytes(features["patient"]).decode(),
            volume=_array(features, "volume", codec),
            scale=tuple(features["scale"].tolist()),
            offset=tuple(features["offset"].tolist()),
            spacing_mm=tuple(features["spacing_mm"].tolist()),
            affine=features["affine"].reshape(4, 4),
            source=json.loads(bytes(features["source"])),
            mask=_array(features, "mask", codec, "mask_"),
            label=None if label is None else tuple(label.tolist()),
            native_mask=_array(features, "native_mask", NATIVE_CODEC, "native_mask_"),
        )
    except (KeyError, IndexError, AttributeError, struct.error, zlib.error) as error:
        raise ValueError(f"not a record of schema {SCHEMA_VERSION}: {type(error).__name__} {error}") from error


def mask_dtype(maximum: int) -> str:
    """The smallest of MASK_DTYPES that holds `maximum`."""
    return next(name for name in MASK_DTYPES if maximum <= np.iinfo(name).max)


def _label_map(name: str, labels: np.ndarray | None, codec: str) -> dict[str, list[bytes | memoryview]]:
    if labels is None:
        return {}
    if labels.dtype.name not in MASK_DTYPES:
        raise ValueError(f"{name} dtype {labels.dtype} must be among {MASK_DTYPES}")
    dtype, shape = _bytes_feature(labels.dtype.name.encode()), _int_feature(labels.shape)
    return {name: _bytes_feature(_payload(labels, codec)), f"{name}_dtype": dtype, f"{name}_shape": shape}


def _payload(array: np.ndarray, codec: str) -> bytes | memoryview:
    little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    values = little_endian.reshape(-1).view(np.uint8).data
    return zlib.compress(values, ZLIB_LEVEL) if codec == "zlib" else values


# Protocol buffers, the four cases needed: a message is a list of byte chunks, joined once, so that a payload is
# copied once.


def _field(number: int, chunks: list[bytes | memoryview]) -> list[bytes | memoryview]:
    return [_varint(number << 3 | 2), _varint(sum(map(len, chunks))), *chunks]


def _padding(size: int) -> list[bytes | memoryview]:
    """A field of zeros of `size` bytes, with its key and its length; one alignment more where that has no room."""
    if size == 0:
        return []
    return _field(_PADDING, [bytes((size if size > 1 else size + ALIGNMENT) - 2)])


@functools.lru_cache(1 << 10)  # the same short lengths and keys in every record
def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes_feature(value: bytes | memoryview) -> list[bytes | memoryview]:
    return _field(_BYTES, _field(1, [value]))


def _float_feature(values: Sequence[float] | np.ndarray) -> list[bytes | memoryview]:
    return _field(_FLOATS, _field(1, [struct.pack(f"<{len(values)}f", *values)]))


def _int_feature(values: Sequence[int]) -> list[bytes | memoryview]:
    return _field(_INTS, _field(1, [b"".join(_varint(int(value)) for value in values)]))


# And back: `_fields` walks one message, whose parts are all length-delimited here but for unpacked numbers, which
# `encode` does not write.


def _fields(data: memoryview | bytes) -> Iterator[tuple[int, memoryview]]:
    view, position = memoryview(data), 0
    while position < len(view):
        key, position = _read_varint(view, position)
        length, position = _read_varint(view, position)
        if key & 7 != 2 or position + length > len(view):
            raise IndexError(f"field {key >> 3} at byte {position}")
        yield key >> 3, view[position : position + length]
        position += length


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while view[position] & 0x80:
        value |= (view[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | view[position] << shift, position + 1


def _only(message: memoryview | bytes) -> memoryview:
    ((_, value),) = _fields(message)
    return value


def _features(data: bytes) -> dict[str, Any]:
    """Name -> value of all features; bytes are views of `data`."""
    (message,) = (value for number, value in _fields(data) if number == _FEATURES)
    return dict(_feature(entry) for _, entry in _fields(message))


def _position(part: memoryview, whole: bytes) -> int:
    return np.frombuffer(part, np.uint8).ctypes.data - np.frombuffer(whole, np.uint8).ctypes.data


def _feature(entry: memoryview) -> tuple[str, Any]:
    fields = dict(_fields(entry))
    ((kind, message),) = _fields(fields[2])
    value = _only(message)
    name = bytes(fields[1]).decode()
    if kind == _FLOATS:
        return name, np.frombuffer(value, "<f4")
    return name, value if kind == _BYTES else _read_ints(value)


def _read_ints(value: memoryview) -> list[int]:
    numbers, position = [], 0
    while position < len(value):
        number, position = _read_varint(value, position)
        numbers.append(number - (1 << 64) if number >> 63 else number)
    return numbers


def _array(features: Mapping[str, Any], name: str, codec: str, of: str = "") -> Any:
    """The array of the feature `name`, its dtype and shape named with `of` before; None for a label map not there."""
    if of and name not in features:
        return None
    data = zlib.decompress(features[name]) if codec == "zlib" else features[name]
    native = np.dtype(bytes(features[f"{of}dtype"]).decode())
    return np.frombuffer(data, native.newbyteorder("<")).astype(native, copy=False).reshape(features[f"{of}shape"])
