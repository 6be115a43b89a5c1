"""One volume as the bytes of one tf.train.Example, written without TensorFlow so that converter processes stay small.

The reading side, in the TensorFlow graph, is `records/parsing.py`. The feature table is in docs/records.md.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SCHEMA_VERSION = 1
DTYPES = ("uint8", "int16", "uint16", "float16", "float32")
MASK_DTYPES = ("uint8", "uint16", "int32")
CODECS = ("raw", "zlib")
ZLIB_LEVEL = 1  # levels 2 to 9 gain a few per cent of size on 8- and 16-bit scans and cost several times the time

_BYTES, _FLOATS, _INTS = 1, 2, 3  # field numbers of tf.train.Feature's one-of


class Example(NamedTuple):
    """One volume, ready to be stored.

    volume: [*spatial, channels], one of DTYPES; stored value × scale + offset = intensity.
    scale, offset: one number per channel.
    mask: [*spatial] integer label map, one of MASK_DTYPES.
    affine: 4 × 4, voxel index -> mm in RAS+.
    source: all that is needed to put a prediction back on the input's own grid (JSON-able).
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


def encode(example: Example, codec: str = "raw") -> bytes:
    """Serialises `example` as a tf.train.Example with its features in sorted order, so that equal input is equal bytes.

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
    if example.mask is not None:
        if example.mask.dtype.name not in MASK_DTYPES:
            raise ValueError(f"mask dtype {example.mask.dtype} must be among {MASK_DTYPES}")
        features["mask"] = _bytes_feature(_payload(example.mask, codec))
        features["mask_dtype"] = _bytes_feature(example.mask.dtype.name.encode())
        features["mask_shape"] = _int_feature(example.mask.shape)
    if example.label is not None:
        features["label"] = _float_feature(example.label)
    entries = [_field(1, _field(1, [name.encode()]) + _field(2, features[name])) for name in sorted(features)]
    return b"".join(_field(1, [chunk for entry in entries for chunk in entry]))


def mask_dtype(maximum: int) -> str:
    """The smallest of MASK_DTYPES that holds `maximum`."""
    return next(name for name in MASK_DTYPES if maximum <= np.iinfo(name).max)


def _payload(array: np.ndarray, codec: str) -> bytes:
    little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return zlib.compress(little_endian, ZLIB_LEVEL) if codec == "zlib" else little_endian.tobytes()


# Protocol buffers, the four cases needed: a message is a list of byte chunks, joined once, so that a payload is
# copied once.


def _field(number: int, chunks: list[bytes]) -> list[bytes]:
    return [_varint(number << 3 | 2), _varint(sum(map(len, chunks))), *chunks]


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes_feature(value: bytes) -> list[bytes]:
    return _field(_BYTES, _field(1, [value]))


def _float_feature(values: Sequence[float] | np.ndarray) -> list[bytes]:
    return _field(_FLOATS, _field(1, [struct.pack(f"<{len(values)}f", *values)]))


def _int_feature(values: Sequence[int]) -> list[bytes]:
    return _field(_INTS, _field(1, [b"".join(_varint(int(value)) for value in values)]))
