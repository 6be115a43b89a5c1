"""The model of contrastive predictive coding: patches -> codes -> context of every column -> predicted codes.

Rows run along the first spatial axis; a column is a place on all the others. The context of a column is an inverted
pyramid that ends at row e = n // 2 − 1: row k < e gives the (2(e − k) + 1)^(rank − 1) patches around the column, row e
the column's own. Taleb et al., 2020, arXiv:2006.03829, figure 2.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import patchwise

_SKIPPED_ROWS = {2: 1, 3: 0}  # between context and first target: 2D patches overlap by half


class Layout(NamedTuple):
    """Which patches are read and which are predicted.

    context: int32 [columns, terms], row-major patch numbers in the order they are read; n**rank is a code of zeros.
    targets: int32 [columns, steps], row-major patch numbers.
    """

    rank: int
    patches_per_side: int
    context: np.ndarray
    targets: np.ndarray


def layout(patches_per_side: int, *, rank: int) -> Layout:
    """The pyramids of a grid of n**rank patches. Outside the grid, 2D reads zeros and 3D mirrors.

    Raises:
        InputError: n < 4, where the context would hold its own target or miss one.
    """
    n = patches_per_side
    if n < 4:
        raise InputError(f"PATCHES_PER_SIDE is {n}; CPC needs at least 4, two rows to read and one to predict.")
    last = n // 2 - 1
    columns = list(itertools.product(range(n), repeat=rank - 1))
    context = [
        [_number(n, row, np.add(column, shift)) for row in range(last + 1) for shift in _around(last - row, rank - 1)]
        for column in columns
    ]
    predicted = range(last + 1 + _SKIPPED_ROWS[rank], n)
    targets = [[_number(n, row, np.array(column)) for row in predicted] for column in columns]
    return Layout(rank, n, np.array(context, np.int32), np.array(targets, np.int32))


def questions(pyramids: Layout, has_body: tf.Tensor | None) -> dict[str, tf.Tensor]:
    """What CPC's targets say of patches, of which `has_body`, bool [batch, n**rank], show anything; None says nothing.

    Returns:
        present: bool [batch, columns, steps], which patches to be predicted show anything. asked: those of them, of a
        column of which there is anything to read.
    """
    if has_body is None:
        return {}
    present = tf.gather(has_body, pyramids.targets, axis=1)
    read = tf.gather(tf.pad(has_body, ((0, 0), (0, 1))), pyramids.context, axis=1)
    return {"present": present, "asked": present & tf.reduce_any(read, axis=-1, keepdims=True)}


def _around(radius: int, axes: int) -> itertools.product:
    return itertools.product(range(-radius, radius + 1), repeat=axes)


def _number(n: int, row: int, column: np.ndarray) -> int:
    """Row-major number of a patch, or n**rank where the column is outside of a 2D grid."""
    if len(column) == 1 and not 0 <= column[0] < n:
        return n**2
    mirrored = (n - 1) - np.abs(n - 1 - np.abs(column))
    return int(np.ravel_multi_index((row, *mirrored), (n,) * (len(column) + 1)))


def model(
    encoder: keras.Model, pyramids: Layout, *, patch_size: Sequence[int], code_size: int, context_size: int
) -> keras.Model:
    """patches [batch, n**rank, *patch, channels] -> predictions, codes [batch, *(n,) * (rank − 1), steps, code_size].

    Every patch is encoded once, folded into the batch. Code = linear map of the flattened features; context = last
    state of a GRU over the pyramid's codes; prediction = one linear map of the context per row.

    Raises:
        InputError: the encoder cannot down-sample a patch.
    """
    rank, n = pyramids.rank, pyramids.patches_per_side
    terms, steps = pyramids.context.shape[1], pyramids.targets.shape[1]

    inputs, features = patchwise.embeddings(encoder, n**rank, patch=patch_size)
    codes = keras.layers.Dense(code_size, name="code")(features)
    codes = ops.reshape(codes, (-1, n**rank, code_size))
    read = ops.take(ops.pad(codes, ((0, 0), (0, 1), (0, 0))), pyramids.context, axis=1)
    read = ops.reshape(read, (-1, terms, code_size))  # [batch · columns, terms, code]
    # Unrolled: the terms are few, and cuDNN's recurrent kernels cannot be compiled by XLA.
    context = keras.layers.GRU(context_size, unroll=True, name="context")(read)
    # One matrix for all rows is one linear map per row, side by side.
    predictions = keras.layers.Dense(steps * code_size, name="predictions")(context)
    shape = (-1, *(n,) * (rank - 1), steps, code_size)
    targets = ops.take(codes, pyramids.targets, axis=1)  # [batch, columns, steps, code]
    outputs = {"predictions": ops.reshape(predictions, shape), "codes": ops.reshape(targets, shape)}
    return keras.Model(inputs, outputs, name="cpc")
