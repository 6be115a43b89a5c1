"""Contrastive predictive coding: from the upper rows of a grid of patches, predict the codes of the rows below.

Every patch is encoded once. For each column a recurrent net reads the codes of an inverted pyramid that ends above
the middle and predicts the codes below it; the loss asks which of many codes is the true one.
Taleb et al., 2020, arXiv:2006.03829, section 3.1, after van den Oord et al., 2018, arXiv:1807.03748.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf import patches, separable, volumes
from ssl3d_tf.contrast import Objective, info_nce
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import pyramid
from ssl3d_tf.task import Batch, Params, Task

_CROP = {2: 11 / 12, 3: 7 / 8}  # side of each patch's random crop, by rank
_FLIP = {2: 0.0, 3: 0.5}  # probability of a patch's flip along the first axis, by rank


class _Views(NamedTuple):
    """How views are made. patch_maps: matrices of every possible crop, [crops, size, size], or None.

    view_crop: side of the view's crop, voxels.
    """

    grid: patches.Grid
    columns: int
    patch_maps: np.ndarray | None
    view_crop: int
    flip: float
    looks: patches.Looks


def task(
    *,
    rank: int,
    view_size: int,
    patches_per_side: int,
    objective: Objective | None = None,
    code_size: int = 1024,
    context_size: int = 256,
    overlap: int | None = None,
    patch_jitter: int = 0,
    crop: float | None = None,
    framing: Callable[[int, int], np.ndarray] = separable.resizing,
    flip: float | None = None,
    view_crop: float = 1.0,
    standardise_patches: bool = True,
    intensity_jitter: float = 0.0,
    channel_drop: float = 0.0,
) -> Task:
    """CPC as a Task: inputs are patches [batch, n**rank, *patch, channels], n = `patches_per_side` ≥ 4.

    The released program is `objective=contrast.released_bce(), framing=separable.padding, view_crop=.95,
    standardise_patches=False`.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: side of the view, voxels.
        objective: a loss with its metrics; None is `contrast.info_nce()`.
        code_size: of the codes. context_size: of the GRU's state.
        overlap: of neighbouring patches, voxels; None is ⌊S / (n + 1)⌋ in 2D, half a patch, and 0 in 3D.
        patch_jitter: room of a patch in its cell, voxels; 0, as the random crop moves patches already.
        crop: side of a random crop of each patch, as a share of it; None is 7/8 in 3D and 11/12 in 2D.
        framing: gives a cropped patch its size back: `separable.resizing`; `separable.padding` leaves a frame.
        flip: probability of flipping a patch along the first axis; None is .5 in 3D and 0 in 2D.
        view_crop: side of a random crop of the view, padded back with zeros, as a share of it.
        standardise_patches: each patch to zero mean and unit variance, so that brightness gives nothing away.
        intensity_jitter: `patches.jitter_intensity` after that, amount. channel_drop: `patches.drop_channels`.

    Raises:
        InputError: n < 4, patches without a voxel, or a share outside its range.
    """
    if overlap is None:
        overlap = view_size // (patches_per_side + 1) if rank == 2 else 0
    grid = patches.grid(view_size, patches_per_side, rank=rank, jitter=patch_jitter, overlap=overlap)
    pyramids = pyramid.layout(patches_per_side, rank=rank)
    flip = _FLIP[rank] if flip is None else flip
    views = _Views(
        grid=grid,
        columns=len(pyramids.context),
        patch_maps=_maps(grid.patch_size, _CROP[rank] if crop is None else crop, flip, framing),
        view_crop=_cropped(view_size, view_crop),
        flip=flip,
        looks=patches.Looks(standardise_patches, intensity_jitter, channel_drop),
    )
    sizes = {"patch_size": grid.patch_size, "code_size": code_size, "context_size": context_size}
    objective = objective or info_nce()
    return Task(
        sample=lambda seed: _sample(seed, views),
        sample_eval=lambda seed: {"negative": tf.random.stateless_uniform((views.columns,), seed)},
        make_views=lambda batch, params: _make_views(batch, params, views),
        build_model=lambda encoder: pyramid.model(encoder, pyramids, **sizes),
        loss_fn=objective.loss_fn,
        metrics=objective.metrics,
        smallest_batch=objective.smallest_batch,
    )


def _maps(size: int, share: float, flip: float, framing: Callable[[int, int], np.ndarray]) -> np.ndarray | None:
    """Every crop of ⌊share · size⌋, as it is, then of the flipped line: [2 · offsets, size, size]; None is off."""
    crop = _cropped(size, share)
    if share == 1 and not flip:
        return None
    plain = framing(size, crop)
    return np.concatenate([plain, plain[:, :, ::-1]])


def _cropped(size: int, share: float) -> int:
    if not 0 < share <= 1:
        raise InputError(f"crop is {share}; a share of the size must be above 0 and at most 1.")
    return max(1, math.floor(round(share * size, 6)))  # 11/12 of 96 is 88, not 87.99…


def _sample(seed: tf.Tensor, views: _Views) -> Params:
    """One example's choices; what is off has no entry. Crops are row numbers of the maps, one per axis."""
    grid, uniform = views.grid, tf.random.stateless_uniform
    seeds = tf.unstack(tf.random.split(seed, 7))
    params = {"negative": uniform((views.columns,), seeds[0])}
    if grid.jitter:
        params["offsets"] = patches.sample_offsets(grid, seeds[1])
    if views.patch_maps is not None:
        offsets = len(views.patch_maps) // 2
        crops = uniform((grid.total, grid.rank), seeds[2], 0, offsets, tf.int32)
        flips = tf.cast(uniform((grid.total, 1), seeds[3]) < views.flip, tf.int32)
        params["patch_crops"] = crops + tf.pad(flips * offsets, ((0, 0), (0, grid.rank - 1)))
    if room := grid.view_size - views.view_crop:
        params["view_crop"] = uniform((grid.rank,), seeds[4], 0, room + 1, tf.int32)
    return params | patches.sample_looks(views.looks, grid.total, seeds[5:])


def _make_views(batch: Batch, params: Params, views: _Views) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    whole = batch["volume"]
    if "view_crop" in params:
        whole = _framed(whole, params["view_crop"], views.view_crop)
    cut = patches.extract(whole, views.grid, params.get("offsets"))
    if views.patch_maps is not None and "patch_crops" in params:
        images = tf.reshape(cut, (-1, *cut.shape[2:]))  # [batch · n**rank, *patch, channels]
        images = _crop(images, views.patch_maps, tf.reshape(params["patch_crops"], (-1, views.grid.rank)))
        cut = tf.reshape(images, (-1, *cut.shape[1:]))
    return patches.change_looks(cut, views.looks, params), {"negative": params["negative"]}


def _framed(whole: tf.Tensor, start: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts `size` voxels per axis from `start`, int32 [batch, rank], and pads them with zeros, centred."""
    before = [(side - size) // 2 for side in whole.shape[1:-1]]
    after = [side - size - first for side, first in zip(whole.shape[1:-1], before, strict=True)]
    return tf.pad(volumes.crop(whole, start, (size,) * len(before)), ((0, 0), *zip(before, after, strict=True), (0, 0)))


def _crop(images: tf.Tensor, maps: np.ndarray, numbers: tf.Tensor) -> tf.Tensor:
    """Each image through the maps with these numbers, int32 [images, rank]."""
    return separable.resample(images, tf.unstack(tf.gather(maps, numbers), axis=1))
