"""Jigsaw: in which order were the patches of the volume laid out?

To tell, the encoder must know what the patches show and how such things lie to each other. As every patch is encoded
on its own, a volume's patches are encoded once for several puzzles, and it is their embeddings that are laid out.
Noroozi & Favaro, 2016, arXiv:1603.09246; in 3D: Taleb et al., 2020, arXiv:2006.03829, section 3.3.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification, labels, questions
from ssl3d_tf.models import patchwise
from ssl3d_tf.models.heads import Head
from ssl3d_tf.task import Batch, Params, Seed, Task, Words
from ssl3d_tf.views import content, patches, volumes
from ssl3d_tf.views.permutations import Source, spread
from ssl3d_tf.views.sizes import Size

_LABEL, _CUT = range(2)  # what a folded seed is for
_HALF = 0.5
_SAID = 3  # slots in a title


def task(
    *,
    rank: int,
    view_size: Size,
    top: Head,
    patches_per_side: int = 3,
    permutations: Source | None = None,
    puzzles_per_volume: int = 4,
    patch_jitter: int | None = None,
    standardise_patches: bool = True,
    intensity_jitter: float = 0.0,
    channel_drop: float = 0.0,
) -> Task:
    """Jigsaw as a Task, n = `patches_per_side` ≥ 2.

    Inputs: {'patches': float32 [batch, n**rank, *patch, channels], row-major, 'permutations': int32 [batch, puzzles,
    n**rank]}: slot i receives patch permutation[i]; targets: int32 [batch, puzzles], the permutation's number; where
    the data say what air is, `labels.Partial`: not asked of a view most of whose patches are air.
    The released program is `permutations=permutations.uniform(), puzzles_per_volume=1, standardise_patches=False,
    patch_jitter=3`, in 2D 4.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the view, per axis or of all axes.
        top: (embeddings of all slots, side by side, classes) -> logits.
        permutations: the classes, from the number of patches; None is `permutations.spread()`, 100 far from each other.
        puzzles_per_volume: orders asked for per volume, all of the same embeddings.
        patch_jitter: room of a patch in its cell, voxels; None is a quarter of the cell. In evaluation it is centred.
        standardise_patches, intensity_jitter, channel_drop: as `patches.Looks`.

    Raises:
        InputError: n < 2, no puzzle, patches without a voxel, or more permutations than there are.
    """
    if patches_per_side < 2 or puzzles_per_volume < 1:
        given = f"PATCHES_PER_SIDE is {patches_per_side} and puzzles_per_volume {puzzles_per_volume}"
        raise InputError(f"{given}; a puzzle needs at least 2 and 1: raise them.")
    grid = patches.grid(view_size, patches_per_side, rank=rank, jitter=patch_jitter)
    looks = patches.Looks(standardise_patches, intensity_jitter, channel_drop)
    table = (permutations or spread())(grid.total)

    def sample_eval(seed: Seed) -> Params:
        label_seed = tf.random.experimental.stateless_fold_in(seed, _LABEL)
        return {"label": tf.random.stateless_uniform((puzzles_per_volume,), label_seed, 0, len(table), tf.int32)}

    def sample(seed: Seed) -> Params:
        cut_seed = tf.random.experimental.stateless_fold_in(seed, _CUT)
        return sample_eval(seed) | patches.sample_cut(grid, looks, cut_seed, number=grid.total)

    def make_views(batch: Batch, params: Params) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        cut = patches.extract(batch["volume"], grid, params.get("offsets"), scaling=volumes.scaling(batch))
        orders = tf.gather(table, params["label"])
        has_body = content.body(cut, batch, looks)
        shown = content.blanked(patches.change_looks(cut, looks, params), has_body)
        return {"patches": shown, "permutations": orders}, labels.asked(params["label"], _can_be_told(has_body, orders))

    return Task(
        sample=sample,
        sample_eval=sample_eval,
        make_views=make_views,
        build_model=lambda encoder: _model(encoder, grid, table, puzzles_per_volume, top),
        loss_fn=classification.softmax_cross_entropy,
        metrics={"accuracy": questions.accuracy, "chance": questions.chance},
        words=lambda params, directions: _words(params["label"], table),
    )


def _can_be_told(has_body: tf.Tensor | None, orders: tf.Tensor) -> tf.Tensor | None:
    """bool [batch, puzzles]: whether at least half of the patches show anything; a puzzle is about all of them."""
    if has_body is None:
        return None
    is_told = tf.reduce_mean(tf.cast(has_body, tf.float32), axis=1) >= _HALF
    return tf.broadcast_to(is_told[:, None], tf.shape(orders)[:2])


def _words(drawn: np.ndarray, table: np.ndarray) -> Words:
    """Of the first puzzle, in whose order the views are drawn; patches and slots count from 0, row-major."""
    order = table[drawn[0]]
    holds = ", ".join(f"slot {slot} holds patch {patch}" for slot, patch in enumerate(order[:_SAID]))
    more = ", …" if len(order) > _SAID else ""
    others = f"; {len(drawn) - 1} more orders of the same patches" if len(drawn) > 1 else ""
    return Words(f"order {drawn[0]} of {len(table)}: {holds}{more}{others}", [str(patch) for patch in order])


def _model(encoder: keras.Model, grid: patches.Grid, table: np.ndarray, puzzles: int, top: Head) -> keras.Model:
    """Patches [batch, n**rank, *patch, channels] and permutations [batch, puzzles, n**rank] to logits.

    Returns:
        A model with outputs [batch, puzzles, classes].
    """
    inputs, embeddings = patchwise.embeddings(encoder, grid.total, patch=grid.patch_size)
    orders = keras.Input((puzzles, grid.total), dtype="int32", name="permutations")
    values, classes = embeddings.shape[-1], len(table)
    embeddings = ops.reshape(embeddings, (-1, 1, grid.total, values))
    # The patch of each slot, [batch, puzzles, slots, values], by products: to gather them takes a CPU some ten times as
    # long. The numbers are the same, as all others are times 0; on a GPU those that the head's own products round to.
    laid_out = ops.matmul(ops.one_hot(orders, grid.total, dtype=embeddings.dtype), embeddings)
    logits = top(ops.reshape(laid_out, (-1, grid.total * values)), classes)
    outputs = ops.reshape(logits, (-1, puzzles, classes))
    return keras.Model({"patches": inputs, "permutations": orders}, outputs, name="jigsaw")
