"""Labels as the network has them: places in the list of stored values; and those that count for nothing."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from ssl3d_tf.errors import InputError

_IGNORED = -1


class Partial(NamedTuple):
    """Labels, int32 [batch, ...], some of which are −1: to be ignored by every loss and metric.

    A type of its own, so that labels which all count cost nothing: their graph has no trace of this.
    """

    labels: tf.Tensor


Masks: TypeAlias = tf.Tensor | Partial


def values(classes: int | Sequence[int]) -> tuple[int, ...]:
    """The stored values of the classes, in the network's order: a number n stands for 0..n−1.

    Raises:
        InputError: they do not rise.
    """
    found = tuple(range(classes)) if isinstance(classes, int) else tuple(classes)
    if list(found) != sorted(set(found)):
        raise InputError(f"classes are {found}; they must be a number, or values of the data from low to high.")
    return found


def places(stored: tf.Tensor, values: Sequence[int], *, ignore: int | None = None) -> Masks:
    """Stored values -> int32 of the same shape: their places in `values`, which rise; `Partial` with `ignore`.

    Args:
        stored: any numeric dtype, whole numbers.
        ignore: the value that counts for nothing; it is none of `values`.

    Returns:
        0..n−1, or n and above for what is none of the n `values`: no class of the network, as every loss will find.
    """
    stored = tf.cast(stored, tf.int32)
    found = stored if tuple(values) == tuple(range(len(values))) else _place(stored, values)
    return found if ignore is None else Partial(tf.where(stored == ignore, _IGNORED, found))


def asked(labels: tf.Tensor, counts: tf.Tensor | None) -> Masks:
    """Labels, int32 [batch, ...], of which those alone count that are true in `counts`, bool; None is all."""
    return labels if counts is None else Partial(tf.where(counts, labels, _IGNORED))


def known(labels: Masks) -> tuple[tf.Tensor, tf.Tensor | None]:
    """(labels, which of them count: float32 of their shape, or None for all); what does not count is class 0 here."""
    if not isinstance(labels, Partial):
        return labels, None
    return tf.maximum(labels.labels, 0), tf.cast(labels.labels != _IGNORED, tf.float32)


def _place(stored: tf.Tensor, values: Sequence[int]) -> tf.Tensor:
    """By bisection, as values may be numbers of millions."""
    sought = tf.constant(values, tf.int32)
    found = tf.reshape(tf.searchsorted(sought, tf.reshape(stored, [-1])), tf.shape(stored))
    found.set_shape(stored.shape)
    is_one = tf.gather(sought, tf.minimum(found, len(values) - 1)) == stored
    return tf.where(is_one, found, len(values))
