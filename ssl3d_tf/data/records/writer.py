"""TFRecord shards: written whole or not at all, read back with every checksum verified. No TensorFlow."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records.schema import FOOTER_BYTES, HEADER_BYTES
from ssl3d_tf.errors import InputError


class Location(NamedTuple):
    """Where a record lies in its shard: `offset` of its header, `length` of its payload, both in bytes."""

    offset: int
    length: int


class Shard(NamedTuple):
    """A finished shard file, named relative to the data folder."""

    file: str
    bytes: int
    records: int
    crc32c: str


def write_shard(path: Place, payloads: Iterable[bytes]) -> tuple[Shard, list[Location]]:
    """Writes one record per payload as a TFRecord file, atomically; synced before it gets its name."""
    with files.atomic(path) as file:
        return write_records(file, path.name, payloads)


def write_records(file: BinaryIO, name: str, payloads: Iterable[bytes]) -> tuple[Shard, list[Location]]:
    """Writes one record per payload to `file`, which is to be called `name`."""
    locations: list[Location] = []
    checksum, offset = 0, 0
    for payload in payloads:
        for chunk in _frame(payload):
            file.write(chunk)
            checksum = google_crc32c.extend(checksum, chunk)
        locations.append(Location(offset, len(payload)))
        offset += HEADER_BYTES + len(payload) + FOOTER_BYTES
        del payload, chunk  # before the next volume is read
    return Shard(name, offset, len(locations), f"{checksum:08x}"), locations


def file_crc32c(path: Place) -> str:
    """CRC-32C of a whole file, read in pieces of 4 MiB."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            checksum = google_crc32c.extend(checksum, chunk)
    return f"{checksum:08x}"


def read_shard(path: Place) -> Iterator[bytes]:
    """Yields the payloads of a shard in order.

    Raises:
        InputError: a checksum does not agree or the file ends within a record; names file and record.
    """
    with path.open("rb") as file:
        for number in range(1 << 62):
            header = file.read(HEADER_BYTES)
            if not header:
                return
            yield _checked_payload(file, header, f"record {number} of {path}")


def read_record(path: Place, offset: int) -> bytes:
    """The payload of the record whose header lies at `offset`.

    Raises:
        InputError: there is no whole record there.
    """
    with path.open("rb") as file:
        file.seek(offset)
        return _checked_payload(file, file.read(HEADER_BYTES), f"the record at byte {offset} of {path}")


def _checked_payload(file, header: bytes, where: str) -> bytes:
    if len(header) < HEADER_BYTES or header[8:] != _masked_crc(header[:8]):
        raise InputError(f"{where} is damaged: its length does not agree with its checksum; convert again.")
    (length,) = struct.unpack("<Q", header[:8])
    payload, footer = file.read(length), file.read(FOOTER_BYTES)
    if len(payload) < length or footer != _masked_crc(payload):
        raise InputError(f"{where} is damaged: its content does not agree with its checksum; convert again.")
    return payload


def _frame(payload: bytes) -> tuple[bytes, bytes, bytes]:
    length = struct.pack("<Q", len(payload))
    return length + _masked_crc(length), payload, _masked_crc(payload)


def _masked_crc(data: bytes) -> bytes:
    # TFRecord masks its checksums: rotated right by 15 bits plus a constant (TensorFlow, tsl/lib/hash/crc32c.h).
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def cut_short(path: Path, size: int) -> str:
    """What to say of a shard whose size is no longer that of the manifest: to read on would end the process."""
    found = f"has {path.stat().st_size} bytes" if path.is_file() else "is gone"
    return f"shard {path} {found}, the manifest says {size} bytes: put it back, or convert the data again."
