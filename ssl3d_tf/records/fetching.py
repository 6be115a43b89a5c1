"""Reads the record of any example from its place in its shard: no scan, no shuffle buffer, nothing to restore."""

import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from ssl3d_tf.places import Place
from ssl3d_tf.records.manifest import Split

_BY_REFERENCE = 129  # elements of an eager tensor from which on a graph refers to it


def by_index(folder: Place, split: Split, *, cache_bytes: int = 0) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns index (int64 scalar) -> serialised record (string scalar), usable in a graph.

    Args:
        folder: where the shards are.
        cache_bytes: records as stored are kept in memory as long as they fit, the first ones first.
    """
    shards, entries = split
    paths = tf.constant([os.fspath(folder / shard.file) for shard in shards])
    shard = tf.constant([entry.shard for entry in entries], tf.int32)
    offset = tf.constant([entry.offset for entry in entries], tf.int64)

    def from_disk(index: tf.Tensor) -> tf.Tensor:
        # No buffer: the record is read once, at its length, straight into its tensor. Its checksums are verified.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(paths, tf.gather(shard, [index])),
            compression_type="",
            buffer_size=tf.constant(0, tf.int64),
            byte_offsets=tf.gather(offset, [index]),
        )
        records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        return records.take(1).get_single_element()

    cached = _count_that_fits([entry.length for entry in entries], cache_bytes)
    if not cached:
        return from_disk
    # Padded, as TensorFlow writes tensors of fewer elements into every graph that reads them, records and all.
    padding = [tf.constant("")] * max(0, _BY_REFERENCE - cached)
    cache = tf.stack([*(from_disk(tf.constant(index)) for index in range(cached)), *padding])
    if cached == len(entries):
        return lambda index: cache[index]
    return lambda index: tf.cond(index < cached, lambda: cache[index], lambda: from_disk(index))


def _count_that_fits(sizes: Sequence[int], budget: int) -> int:
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > budget:
            return count
    return len(sizes)
