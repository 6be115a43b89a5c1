"""Whole numbers drawn per axis, where the axes of a view have different lengths."""

from collections.abc import Sequence

import tensorflow as tf

from ssl3d_tf.task import Seed


def up_to(most: Sequence[int], seed: Seed, *number: int) -> tf.Tensor:
    """int32 [*number, rank], each of 0..`most` as likely on its axis.

    `tf.random.stateless_uniform` takes one range for all; where the axes have one, these are its numbers.
    """
    bits = tf.random.stateless_uniform((*number, len(most)), seed, None, None, tf.uint32)
    return tf.cast(bits % tf.constant([1 + int(one) for one in most], tf.uint32), tf.int32)


def starts(whole: Sequence[int], part: Sequence[int], seed: Seed, *number: int) -> tf.Tensor:
    """int32 [*number, rank]: where parts of that size begin that lie in the whole, each place as likely."""
    return up_to([all_of_it - some for all_of_it, some in zip(whole, part, strict=True)], seed, *number)
