"""Reads any example from its place in its shard: no scan, no shuffle buffer, nothing to restore.

Once, the whole record is read and its checksum verified. After that voxels are taken where they lie, in shards that are
mapped into memory (`records/mapping.py`): half the time or less, and of a crop only what it needs.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, mapping, parsing, writer
from ssl3d_tf.data.records.manifest import SPLITS, Manifest, Split

Example: TypeAlias = Mapping[str, tf.Tensor]
Fetch: TypeAlias = Callable[[tf.Tensor, tf.Tensor], Example]


def by_index(
    folder: Place,
    split: Split,
    layout: parsing.Layout,
    *,
    fields: Sequence[str] = ("volume",),
    cache_bytes: int = 0,
    verify: bool = False,
) -> Fetch:
    """Returns (index int64, whether it was verified before) -> what `parsing.parse` returns, usable in a graph.

    Args:
        folder: where the shards are.
        fields: what to decode, of volume, mask and label.
        cache_bytes: shards as stored are kept in memory as long as they fit, the first ones first.
        verify: reads all that will be taken from mapped or kept shards now, and verifies its checksums.

    Raises:
        InputError: a damaged record, of those that are verified now.
    """
    with tf.device("CPU:0"):  # where the input pipeline runs
        record = record_by_index(folder, split)
        shards, held = mapping.shards(folder, split.shards, cache_bytes=cache_bytes)
        in_place = mapping.by_index(shards, split.entries, layout, fields=fields)
        is_held = mapping.tensor(np.array(held)[columns.dense(split.entries, "shard")])
    for shard, offset in _places(split) if verify else ():
        if held[shard]:
            writer.read_record(folder / split.shards[shard].file, offset)

    def example(index: tf.Tensor, was_verified: tf.Tensor) -> Example:
        return tf.cond(
            was_verified & tf.gather(is_held, index),
            lambda: in_place(index),
            lambda: parsing.parse(record(index), layout, fields=fields),
        )

    return example


def by_record(folder: Place, split: Split, layout: parsing.Layout, *, fields: Sequence[str] = ("volume",)) -> Fetch:
    """What `by_index` returns, but all of a record is read and verified every time, in a graph of any process."""
    with tf.device("CPU:0"):
        record = record_by_index(folder, split)
    return lambda index, _: parsing.parse(record(index), layout, fields=fields)


def record_by_index(folder: Place, split: Split) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns index (int64 scalar) -> serialised record (string scalar), its checksums verified."""
    paths = tf.constant([os.fspath(folder / shard.file) for shard in split.shards])
    shard, offset = (mapping.tensor(columns.dense(split.entries, name)) for name in ("shard", "offset"))

    def record(index: tf.Tensor) -> tf.Tensor:
        # No buffer: the record is read once, at its length, straight into its tensor.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(paths, tf.gather(shard, [index])),
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=tf.gather(offset, [index]),
        )
        records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        return records.take(1).get_single_element()

    return record


def cache_left(manifest: Manifest, split: str, *, cache_gb: float) -> int:
    """Bytes of the cache that the splits before this one leave to it."""
    before = itertools.takewhile(lambda name: name != split, SPLITS)
    taken = sum(shard.bytes for name in before if name in manifest.splits for shard in manifest.splits[name].shards)
    return max(0, int(cache_gb * 1e9) - taken)


def _places(split: Split) -> Iterator[tuple[int, int]]:
    """Shard and offset of every record."""
    found = columns.of(split.entries)
    return zip(columns.dense(found, "shard").tolist(), columns.dense(found, "offset").tolist(), strict=True)
