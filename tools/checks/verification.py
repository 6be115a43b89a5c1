"""Whether every record of a data folder is whole, and what its manifest says."""

from collections.abc import Iterator, Sequence

import numpy as np

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, manifest, placement, schema, writer
from ssl3d_tf.errors import InputError


def verify(folder: Place, data: manifest.Manifest) -> Iterator[str]:
    """Reads every record; yields one line per damaged shard, which names file and record."""
    for split in data.splits.values():
        shards = columns.dense(split.entries, "shard")
        rows, counts = np.argsort(shards, kind="stable"), np.bincount(shards, minlength=len(split.shards))
        for shard, end, count in zip(split.shards, np.cumsum(counts), counts, strict=True):
            entries = [split.entries[row] for row in rows[end - count : end].tolist()]
            try:
                _verify_shard(folder / shard.file, shard, entries)
            except (InputError, ValueError) as error:
                yield str(error)


def _verify_shard(path: Place, shard: writer.Shard, entries: Sequence[manifest.Entry]) -> None:
    offset, count = 0, 0
    for payload in writer.read_shard(path):
        where = f"record {count} of {path}"
        if count >= len(entries):
            raise InputError(f"{where} is not in {manifest.FILE}; convert again.")
        example, entry = schema.decode(payload), entries[count]
        found = (example.id, example.patient, offset, len(payload), example.volume.shape)
        listed = (entry.id, entry.patient, entry.offset, entry.length, entry.shape)
        if found != listed:
            raise InputError(f"{where} is {found}, but {manifest.FILE} says {listed}; convert again.")
        _check_native_mask(example, where)
        offset, count = offset + writer.HEADER_BYTES + len(payload) + writer.FOOTER_BYTES, count + 1
    if count != len(entries) or count != shard.records:
        raise InputError(f"{path} holds {count} records, but {manifest.FILE} lists {len(entries)}; convert again.")
    if writer.file_crc32c(path) != shard.crc32c:
        raise InputError(f"{path} does not agree with its checksum in {manifest.FILE}; convert again.")


def _check_native_mask(example: schema.Example, where: str) -> None:
    """Raises InputError where a mask is on another grid than the one that the record's source says it was read on."""
    mask, placed = example.native_mask, placement.of(example.source, example.volume.shape[:-1])
    shape = None if placed is None else placed.shape
    if mask is not None and mask.shape != shape:
        raise InputError(f"{where} has a native mask of {mask.shape}, its source says {shape}; convert again.")
