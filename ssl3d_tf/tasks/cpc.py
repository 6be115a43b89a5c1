"""Contrastive predictive coding: from the upper rows of a grid of patches, predict the codes of the rows below.

Every patch is encoded once. For each column a recurrent net reads the codes of an inverted pyramid that ends above
the middle and predicts the codes below it; the loss asks which of many codes is the true one.
Taleb et al., 2020, arXiv:2006.03829, section 3.1, after van den Oord et al., 2018, arXiv:1807.03748.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses.contrast import Objective, info_nce
from ssl3d_tf.models import pyramid
from ssl3d_tf.task import Batch, Params, Task
from ssl3d_tf.views import content, draws, patches, sizes, volumes

_CROP = {2: 11 / 12, 3: 7 / 8}  # side of each patch's random crop, by rank
_FLIP = {2: 0.0, 3: 0.5}  # probability of a patch's flip along the first axis, by rank


class _Views(NamedTuple):
    """How views are made. crop, view_crop: sides of the crop of a patch and of the view, voxels."""

    grid: patches.Grid
    pyramids: pyramid.Layout
    columns: int
    crop: tuple[int, ...]
    framing: patches.Framing
    view_crop: tuple[int, ...]
    flip: float
    looks: patches.Looks


def task(
    *,
    rank: int,
    view_size: sizes.Size,
    patches_per_side: int,
    objective: Objective | None = None,
    code_size: int = 1024,
    context_size: int = 256,
    overlap: sizes.Size | None = None,
    patch_jitter: int = 0,
    crop: float | None = None,
    framing: patches.Framing | None = None,
    flip: float | None = None,
    view_crop: float = 1.0,
    standardise_patches: bool = True,
    intensity_jitter: float = 0.0,
    channel_drop: float = 0.0,
) -> Task:
    """CPC as a Task: inputs are patches [batch, n**rank, *patch, channels], n = `patches_per_side` ≥ 4.

    The released program is `objective=contrast.released_bce(), framing=patches.padding(), view_crop=.95,
    standardise_patches=False`.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the view, per axis or of all axes.
        objective: a loss with its metrics; None is `contrast.info_nce()`.
        code_size: of the codes. context_size: of the GRU's state.
        overlap: of neighbouring patches, voxels; None is ⌊S / (n + 1)⌋ in 2D, half a patch, and 0 in 3D.
        patch_jitter: room of a patch in its cell, voxels; 0, as the random crop moves patches already.
        crop: side of a random crop of each patch, as a share of it; None is 7/8 in 3D and 11/12 in 2D.
        framing: gives a cropped patch its size back; None is `patches.resizing()`, `patches.padding()` leaves a frame.
        flip: probability of flipping a patch along the first axis; None is .5 in 3D and 0 in 2D.
        view_crop: side of a random crop of the view, padded back with zeros, as a share of it.
        standardise_patches: each patch to zero mean and unit variance, so that brightness gives nothing away.
        intensity_jitter: `patches.jitter_intensity` after that, amount. channel_drop: `patches.drop_channels`.

    Raises:
        InputError: n < 4, patches without a voxel, or a share outside its range.
    """
    if overlap is None:
        overlap = [side // (patches_per_side + 1) for side in sizes.sides(view_size, rank)] if rank == 2 else 0
    grid = patches.grid(view_size, patches_per_side, rank=rank, jitter=patch_jitter, overlap=overlap)
    pyramids = pyramid.layout(patches_per_side, rank=rank)
    views = _Views(
        grid=grid,
        pyramids=pyramids,
        columns=len(pyramids.context),
        crop=_cropped(grid.patch_size, _CROP[rank] if crop is None else crop),
        framing=framing or patches.resizing(),
        view_crop=_cropped(grid.view_size, view_crop),
        flip=_FLIP[rank] if flip is None else flip,
        looks=patches.Looks(standardise_patches, intensity_jitter, channel_drop),
    )
    widths = {"code_size": code_size, "context_size": context_size}
    objective = objective or info_nce()
    return Task(
        sample=lambda seed: _sample(seed, views),
        sample_eval=lambda seed: {"negative": tf.random.stateless_uniform((views.columns,), seed)},
        make_views=lambda batch, params: _make_views(batch, params, views),
        build_model=lambda encoder: pyramid.model(encoder, pyramids, patch_size=grid.patch_size, **widths),
        loss_fn=objective.loss_fn,
        metrics=objective.metrics,
        smallest_batch=objective.smallest_batch,
    )


def _cropped(sides: tuple[int, ...], share: float) -> tuple[int, ...]:
    if not 0 < share <= 1:
        raise InputError(f"crop is {share}; a share of the size must be above 0 and at most 1.")
    return tuple(max(1, math.floor(round(share * side, 6))) for side in sides)  # 11/12 of 96 is 88, not 87.99…


def _sample(seed: tf.Tensor, views: _Views) -> Params:
    """One example's choices; what is off has no entry."""
    grid, uniform = views.grid, tf.random.stateless_uniform
    seeds = tf.unstack(tf.random.split(seed, 7))
    params = {"negative": uniform((views.columns,), seeds[0])}
    if any(grid.jitter):
        params["offsets"] = patches.sample_offsets(grid, seeds[1])
    if views.crop != grid.patch_size:
        params["crops"] = draws.starts(grid.patch_size, views.crop, seeds[2], grid.total)
    if views.flip:
        params["flips"] = uniform((grid.total,), seeds[3]) < views.flip
    if views.view_crop != grid.view_size:
        params["view_crop"] = draws.starts(grid.view_size, views.view_crop, seeds[4])
    return params | patches.sample_looks(views.looks, grid.total, seeds[5:])


def _make_views(batch: Batch, params: Params, views: _Views) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """All that moves voxels is done to the numbers of rows, so that each voxel is fetched once."""
    size, rows = views.grid.patch_size, patches.rows(views.grid, params.get("offsets"))
    if "flips" in params:
        rows[0] = tf.where(params["flips"][..., None], rows[0][..., ::-1], rows[0])
    for axis, side in enumerate(size):
        if "crops" in params:
            cut = patches.part_of(rows[axis], params["crops"][..., axis], views.crop[axis])
            rows[axis] = views.framing.rows(cut, side)
        if "view_crop" in params:
            rows[axis] = _framed(rows[axis], params["view_crop"][:, axis, None, None], views, axis)
    cut = patches.gather(batch["volume"], views.grid, rows, scaling=volumes.scaling(batch))
    cut = views.framing.patches(cut, size)
    has_body = content.body(cut, batch, views.looks)
    seen = content.blanked(patches.change_looks(cut, views.looks, params), has_body)
    return seen, {"negative": params["negative"], **pyramid.questions(views.pyramids, has_body)}


def _framed(rows: tf.Tensor, start: tf.Tensor, views: _Views, axis: int) -> tf.Tensor:
    """Rows of an axis of a view of which a part, from `start`, int32 [batch, 1, 1], was cut and framed there."""
    place = rows - (views.grid.view_size[axis] - views.view_crop[axis]) // 2
    inside = (rows >= 0) & (place >= 0) & (place < views.view_crop[axis])
    return tf.where(inside, place + start, -1)
