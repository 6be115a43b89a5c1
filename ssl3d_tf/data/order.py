"""In which order the examples of a split come: a pure function of (seed, epoch), for any worker from any place on.

Every epoch has every example once, and every order is as likely.
"""

from typing import NamedTuple

import tensorflow as tf

_ORDER = 0  # what an epoch's seed is folded with for its order; for an example, with its index + 1


class Share(NamedTuple):
    """Which examples a worker reads: from number `first` on, of every batch the worker-th of `workers` equal slices."""

    first: int
    batch_size: int
    worker: int
    workers: int


def shuffled(size: int, seed: int, share: Share) -> tf.data.Dataset:
    """(k, index, whether this process has verified it) without end: of every epoch one shuffle, O(n) once.

    Not `tf.random.experimental.index_shuffle`, which needs no such tensor: of 64 examples some never come to some
    places, and others four times too often, however it is composed.
    """

    def epoch(verified: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        k, of_epoch = number * size + tf.range(size, dtype=tf.int64), epoch_seed(seed, number)
        index = tf.random.experimental.stateless_shuffle(tf.range(size, dtype=tf.int64), fold(of_epoch, _ORDER))
        mine = (k >= share.first) & (k % share.batch_size // (share.batch_size // share.workers) == share.worker)
        k, index = tf.boolean_mask(k, mine), tf.boolean_mask(index, mine)
        before = tf.gather(verified, index)
        return tf.tensor_scatter_nd_update(verified, index[:, None], tf.ones_like(before)), (k, index, before)

    epochs = tf.data.Dataset.range(share.first // size, tf.int64.max)
    return epochs.scan(tf.zeros(size, tf.bool), epoch).flat_map(
        lambda *columns: tf.data.Dataset.from_tensor_slices(columns)
    )


def stored(size: int) -> tf.data.Dataset:
    """(k, index, True) once, in stored order: what is read this way was verified when it was opened."""
    return tf.data.Dataset.from_tensor_slices(
        (tf.range(size, dtype=tf.int64), tf.range(size, dtype=tf.int64), tf.ones(size, tf.bool))
    )


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Seed of an epoch's shuffle and, folded with index + 1, of the random choices of its examples."""
    return fold(run_seed(seed), epoch)


def run_seed(seed: int, purpose: int = 0) -> tf.Tensor:
    """int32 [2], as `tf.random.stateless_*` takes it."""
    return tf.constant([seed & 0x7FFFFFFF, purpose], tf.int32)


def fold(seed: tf.Tensor, data: tf.Tensor | int) -> tf.Tensor:
    """Another seed for each number."""
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(data, tf.int32))
