"""In which order the examples of a split come: a pure function of (seed, epoch), for any worker from any place on.

Every epoch has every example once, and every order is as likely. Parts of a split that are to have shares of their own
(`folders.Part`) have epochs of their own: each of its examples comes once before any comes again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.data.folders import Part

_ORDER = 0  # what an epoch's seed is folded with for its order; for an example, with its index + 1
_MIX = 4  # purpose of a run's seed: which part each draw is of


class Share(NamedTuple):
    """Which examples a process reads: from number `first` on, of every batch the worker-th of `workers` equal slices.

    Of several services, each reads for one batch, and leaves the next ones to the others.
    """

    first: int
    batch_size: int
    worker: int
    workers: int
    service: int = 0
    services: int = 1


def shuffled(parts: Sequence[Part], seed: int, share: Share) -> tf.data.Dataset:
    """(epoch of its part, index, whether this process has verified it) without end, by rounds of O(n).

    Of one part a round is an epoch, one shuffle. Of several it is whole blocks of draws, each with as many of every
    part as `Part.draws` says, in an order that is drawn.

    Not `tf.random.experimental.index_shuffle`, which needs no such tensor: of 64 examples some never come to some
    places, and others four times too often, however it is composed.
    """
    size, block = sum(part.size for part in parts), sum(part.draws for part in parts)
    blocks = max(1, size // block)
    draws = blocks * block  # of a round

    def round_of(verified: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        k, (epoch, index) = number * draws + tf.range(draws, dtype=tf.int64), _round(parts, seed, number, blocks)
        mine = (k >= share.first) & (k % share.batch_size // (share.batch_size // share.workers) == share.worker)
        mine &= (k - share.first) // share.batch_size % share.services == share.service
        epoch, index = tf.boolean_mask(epoch, mine), tf.boolean_mask(index, mine)
        before = tf.gather(verified, index)
        return tf.tensor_scatter_nd_update(verified, index[:, None], tf.ones_like(before)), (epoch, index, before)

    rounds = tf.data.Dataset.range(share.first // draws, tf.int64.max)
    return rounds.scan(tf.zeros(size, tf.bool), round_of).flat_map(
        lambda *columns: tf.data.Dataset.from_tensor_slices(columns)
    )


def _round(parts: Sequence[Part], seed: int, number: tf.Tensor, blocks: int) -> tuple[tf.Tensor, tf.Tensor]:
    """(epoch of its part, index) of every draw of a round: int64 [draws]."""
    if len(parts) == 1:
        return _drawn(parts[0], 0, seed, number * blocks, blocks, before=0)
    which, places, drawn, before = _parts_of(parts, seed, number, blocks), [], [], 0
    for place, part in enumerate(parts):
        count = blocks * part.draws
        places.append(tf.cast(tf.where(which == place)[:, 0], tf.int32))
        drawn.append(_drawn(part, place, seed, number * count, count, before=before))
        before += part.size
    epochs, indices = zip(*drawn, strict=True)
    return tf.dynamic_stitch(places, epochs), tf.dynamic_stitch(places, indices)


def _parts_of(parts: Sequence[Part], seed: int, number: tf.Tensor, blocks: int) -> tf.Tensor:
    """Which part every draw of a round is of: int32 [draws], each block in an order of its own."""
    block = [place for place, part in enumerate(parts) for _ in range(part.draws)]
    drawn = tf.random.stateless_uniform([blocks, len(block)], fold(run_seed(seed, _MIX), number))
    return tf.reshape(tf.gather(block, tf.argsort(drawn, axis=1)), [-1])


def _drawn(
    part: Part, place: int, seed: int, first: tf.Tensor, count: int, *, before: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """(epoch, index) of the draws first, first + 1, … of one part, whose examples stand behind `before` others."""
    j = first + tf.range(count, dtype=tf.int64)
    epoch, of_first = j // part.size, first // part.size

    def order(number: tf.Tensor) -> tf.Tensor:
        of_epoch = fold(epoch_seed(seed, number), _ORDER)
        of_part = fold(of_epoch, place) if place else of_epoch
        return tf.random.experimental.stateless_shuffle(tf.range(part.size, dtype=tf.int64), of_part)

    orders = tf.map_fn(order, tf.range(of_first, epoch[-1] + 1))
    return epoch, before + tf.gather(tf.reshape(orders, [-1]), j - of_first * part.size)


def stored(size: int) -> tf.data.Dataset:
    """(0, index, True) once, in stored order: what is read this way was verified when it was opened."""
    return tf.data.Dataset.from_tensor_slices(
        (tf.zeros(size, tf.int64), tf.range(size, dtype=tf.int64), tf.ones(size, tf.bool))
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
