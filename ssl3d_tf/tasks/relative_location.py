"""Relative patch location: where does a patch lie, seen from the patch in the middle?

To tell one neighbour from another the encoder must know what both show and how such things lie to each other. Gaps
between the patches (`patch_jitter`) keep edges from being continued, and standardised patches keep brightness from
telling the place. Doersch et al., 2015, arXiv:1505.05192; in 3D: Taleb et al., 2020, arXiv:2006.03829, section 3.2.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification, metrics
from ssl3d_tf.models import patchwise
from ssl3d_tf.models.heads import Head
from ssl3d_tf.task import Batch, Directions, Params, Seed, Task, Words
from ssl3d_tf.views import patches, volumes, wording

_LABEL, _CUT = range(2)  # what a folded seed is for


def task(
    *,
    rank: int,
    view_size: int,
    top: Head,
    patches_per_side: int = 3,
    queries_per_volume: int = 4,
    patch_jitter: int | None = None,
    standardise_patches: bool = True,
    intensity_jitter: float = 0.0,
    channel_drop: float = 0.0,
) -> Task:
    """Relative patch location as a Task, n = `patches_per_side`, odd; the middle is patch m = n**rank // 2.

    Inputs: float32 [batch, 1 + queries, *patch, channels], the middle first; targets: int32 [batch, queries], class
    c < m for patch c and c ≥ m for patch c + 1, so that there are n**rank − 1. Only these patches are cut and encoded.
    The released program is `queries_per_volume=1, standardise_patches=False, patch_jitter=3`, in 2D 4.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: side of the view, voxels.
        top: (embeddings of the middle and of a query, side by side, classes) -> logits.
        queries_per_volume: different neighbours asked for per volume; the middle is encoded once for all.
        patch_jitter: room of a patch in its cell, voxels; None is a quarter of the cell. In evaluation it is centred.
        standardise_patches, intensity_jitter, channel_drop: as `patches.Looks`.

    Raises:
        InputError: n is even or 1, more queries than neighbours, or patches without a voxel.
    """
    if patches_per_side % 2 == 0 or patches_per_side < 3:
        raise InputError(f"PATCHES_PER_SIDE is {patches_per_side}; only an odd number from 3 has a middle: change it.")
    grid = patches.grid(view_size, patches_per_side, rank=rank, jitter=patch_jitter)
    queries, classes = queries_per_volume, grid.total - 1
    if not 1 <= queries <= classes:
        raise InputError(f"queries_per_volume is {queries}; a volume has 1 to {classes} neighbours: change it.")
    looks = patches.Looks(standardise_patches, intensity_jitter, channel_drop)

    def sample_eval(seed: Seed) -> Params:
        label_seed = tf.random.experimental.stateless_fold_in(seed, _LABEL)
        return {"label": tf.random.experimental.stateless_shuffle(tf.range(classes), label_seed)[:queries]}

    def sample(seed: Seed) -> Params:
        cut_seed = tf.random.experimental.stateless_fold_in(seed, _CUT)
        return sample_eval(seed) | patches.sample_cut(grid, looks, cut_seed, number=1 + queries)

    def make_views(batch: Batch, params: Params) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = _middle_and_queries(params["label"], classes)
        scaling = volumes.scaling(batch)
        cut = patches.extract(batch["volume"], grid, params.get("offsets"), chosen=chosen, scaling=scaling)
        return patches.change_looks(cut, looks, params), params["label"]

    return Task(
        sample=sample,
        sample_eval=sample_eval,
        make_views=make_views,
        build_model=lambda encoder: _model(encoder, grid, queries, top),
        loss_fn=classification.softmax_cross_entropy,
        metrics={"accuracy": metrics.accuracy, "chance": metrics.chance},
        words=lambda params, directions: _words(params["label"], grid, directions),
    )


def _words(drawn: np.ndarray, grid: patches.Grid, directions: Directions) -> Words:
    """Patches count from 0, row-major."""
    middle = grid.total // 2
    asked = [int(label) + (label >= middle) for label in drawn]
    said = [f"patch {number}\n{wording.from_middle(grid, number, directions)}" for number in asked]
    return Words("where a patch lies, seen from the centre", [f"centre, {middle}", *said])


def _middle_and_queries(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """int32 [batch, queries] -> [batch, 1 + queries], numbers of patches."""
    middle = classes // 2
    neighbours = labels + tf.cast(labels >= middle, tf.int32)
    return tf.pad(neighbours, ((0, 0), (1, 0)), constant_values=middle)


def _model(encoder: keras.Model, grid: patches.Grid, queries: int, top: Head) -> keras.Model:
    """patches [batch, 1 + queries, *patch, channels] -> logits [batch, queries, classes]."""
    inputs, embeddings = patchwise.embeddings(encoder, 1 + queries, patch=(grid.patch_size,) * grid.rank)
    values, classes = embeddings.shape[-1], grid.total - 1
    embeddings = ops.reshape(embeddings, (-1, 1 + queries, values))
    middle = ops.repeat(embeddings[:, :1], queries, axis=1)
    pairs = ops.concatenate([middle, embeddings[:, 1:]], axis=-1)
    logits = top(ops.reshape(pairs, (-1, 2 * values)), classes)
    return keras.Model(inputs, ops.reshape(logits, (-1, queries, classes)), name="relative_location")
