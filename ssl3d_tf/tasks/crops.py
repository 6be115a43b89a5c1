"""Crops: two crops of one scan that overlap, recognised among those of all others; beside it, what is hidden of both.

To tell whose crops they are, wherever they lie and whatever is done to intensity and resolution, the encoder must keep
what both show. NT-Xent: Chen et al., 2020, arXiv:2002.05709; VICReg: Bardes et al., 2022, arXiv:2105.04906; with masked
reconstruction as the second head, which reads the same pass: such pairs did best at classification in FOMO25,
arXiv:2604.11679.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import pairs, reconstruction
from ssl3d_tf.losses.contrast import Objective
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.models import decoders, geometry, patchwise
from ssl3d_tf.models.decoders import Decoder
from ssl3d_tf.models.heads import Head
from ssl3d_tf.models.pooling import Pool
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Words
from ssl3d_tf.views import draws, guesses, masking, sizes, volumes
from ssl3d_tf.views.masking import Corruption
from ssl3d_tf.views.sizes import Size

_CROPS = 2
_PLACES, _CHANGES, _HIDDEN = range(3)  # what a folded seed is for


class _Views(NamedTuple):
    """How views are made. size: of a crop, voxels. hides: None where nothing is to be reconstructed."""

    view_size: tuple[int, ...]
    size: tuple[int, ...]
    change: Op
    hides: Corruption | None


def side(view_size: int, overlap: float) -> int:
    """Side of crops, voxels, that share `overlap` of it along an axis, wherever in the view they lie.

    Raises:
        InputError: overlap is no share below 1, or so near to it that both crops would be the view.
    """
    if not 0 <= overlap < 1:
        raise InputError(f"OVERLAP is {overlap}; it must be 0 or more and below 1, where both crops would be the view.")
    found = math.ceil(round(view_size / (2 - overlap), 6))  # of v voxels, two crops of c share 2 · c − v at least
    if found == view_size:
        raise InputError(f"OVERLAP is {overlap}; both crops would be the view of {view_size} voxels: lower it.")
    return found


def keeps(*, masked_weight: float) -> tuple[str, ...]:
    """What `run.Settings.keeps`: beside the encoder the decoder, where one is trained."""
    return ("encoder", "decoder") if masked_weight else ("encoder",)


def task(
    *,
    rank: int,
    view_size: Size,
    top: Head,
    change: Op,
    objective: Objective | None = None,
    code_size: int = 128,
    overlap: float = 0.5,
    masked_weight: float = 0.0,
    decoder: Decoder | None = None,
    block: Size = 16,
    hidden: float = 0.75,
    pool: Pool = None,
) -> Task:
    """Crops as a Task. Inputs: float32 [batch, 2, *c, channels], c = `side(view_size, overlap)` of each axis.

    Targets: (), or `reconstruction.Whole` of both crops. As in exemplar, evaluation changes crops as training does,
    with choices that stay the same. With the second head crops are standardised and partly hidden, and both heads read
    one pass of the encoder; without, intensities are as they are.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the view that crops are cut from, per axis or of all axes.
        top: (features of the encoder, code_size) -> projections.
        change: of intensity and resolution, drawn anew for each crop.
        objective: from `pairs`; None is `pairs.nt_xent()`.
        code_size: values of a projection.
        overlap: least share of a crop's side, along every axis, that both crops show.
        masked_weight: of masked reconstruction in the sum of losses; at 0 there is no second head.
        decoder: the second head, from `models.decoders`. block, hidden, pool: as of `masking.blocks`.

    Raises:
        InputError: overlap or weight out of its range, a weight without a decoder, or blocks that do not fit crops.
    """
    if masked_weight < 0 or (masked_weight and decoder is None):
        given = f"MASKED_WEIGHT is {masked_weight}{'' if decoder else ', crops.task.decoder None'}"
        raise InputError(f"{given}; it must be 0, or above it with a decoder: take gin/crops_masked_{rank}d.gin.")
    whole = sizes.sides(view_size, rank)
    size = tuple(side(length, overlap) for length in whole)
    hides = None
    if masked_weight:
        hides = masking.blocks(rank=rank, view_size=size, side=block, hidden=hidden, pool=pool)
    views, objective = _Views(whole, size, change, hides), objective or pairs.nt_xent()
    contrast = Task(
        sample=lambda seed: _sample(seed, views),
        sample_eval=lambda seed: _sample(seed, views),
        make_views=lambda batch, params: _make_views(batch, params, views),
        build_model=lambda encoder: _model(encoder, views, top, decoder=decoder, code_size=code_size),
        loss_fn=objective.loss_fn,
        metrics=objective.metrics,
        smallest_batch=objective.smallest_batch,
        guess=lambda inputs: {"projections": guesses.histogram(inputs, axes=2)},
        words=lambda params, directions: Words("same scan, other crop", ("one crop", "other crop")),
    )
    return _with_reconstruction(contrast, masked_weight) if masked_weight else contrast


def _with_reconstruction(contrast: Task, weight: float) -> Task:
    """The task with its second head in the loss, and beside its metrics the share of hidden variance explained."""

    def loss_fn(targets: Whole, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        error = reconstruction.squared_error(targets, outputs["reconstruction"])
        return contrast.loss_fn((), outputs) + weight * error

    def explained(targets: Whole, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return reconstruction.explained(targets, outputs["reconstruction"])

    return contrast._replace(loss_fn=loss_fn, metrics={**contrast.metrics, "explained": explained})


def _sample(seed: Seed, views: _Views) -> Params:
    """One example's choices: where its two crops begin, and what is done to each."""
    seeds = [tf.random.experimental.stateless_fold_in(seed, purpose) for purpose in (_PLACES, _CHANGES, _HIDDEN)]
    drawn = {
        "places": draws.starts(views.view_size, views.size, seeds[0], _CROPS),
        "changes": _of_each(views.change.sample, seeds[1]),
    }
    return drawn if views.hides is None else drawn | {"hidden": _of_each(views.hides.sample, seeds[2])}


def _of_each(sample: Callable[[Seed], Params], seed: Seed) -> Params:
    return tuple(sample(one) for one in tf.unstack(tf.random.split(seed, _CROPS)))


def _make_views(batch: Batch, params: Params, views: _Views) -> tuple[tf.Tensor, tuple | Whole]:
    volume, scaling = batch["volume"], volumes.scaling(batch)
    if volume.shape[1:-1] != views.view_size:
        wanted = views.view_size if len(set(views.view_size)) > 1 else views.view_size[0]
        raise InputError(f"crops got views of {volume.shape[1:-1]} voxels, VIEW_SIZE is {wanted}; set it.")
    places = tf.unstack(params["places"], axis=1)
    cut = [volumes.to_intensity(volumes.crop(volume, place, views.size), scaling) for place in places]
    crops = [views.change.apply(one, drawn) for one, drawn in zip(cut, params["changes"], strict=True)]
    if views.hides is None:
        return tf.stack(crops, axis=1), ()
    asked = [masking.hide(one, views.hides, drawn) for one, drawn in zip(crops, params["hidden"], strict=True)]
    shown, whole, counts = (tf.stack(each, axis=1) for each in zip(*asked, strict=True))
    return shown, Whole(whole, counts)


def _model(encoder: keras.Model, views: _Views, top: Head, *, decoder: Decoder | None, code_size: int) -> keras.Model:
    """Crops [batch, 2, *size, channels] -> {'projections': [batch, 2, code_size]}, and 'reconstruction' like crops."""
    remedy = geometry.VIEW_REMEDY
    if views.hides is None or decoder is None:
        inputs, features = patchwise.features(encoder, _CROPS, size=views.size, name="crops", remedy=remedy)
        return keras.Model(inputs, _projected(top, features, code_size), name="crops")
    geometry.feature_shape(encoder, views.size, remedy=remedy)
    shape = (*views.size, encoder.input_shape[-1])
    inputs = keras.Input((_CROPS, *shape), name="crops")
    both = decoders.with_features(decoder(encoder, shape[-1]), encoder)
    features, filled = both(ops.reshape(inputs, (-1, *shape)))
    outputs = {**_projected(top, features, code_size), "reconstruction": ops.reshape(filled, (-1, _CROPS, *shape))}
    return keras.Model(inputs, outputs, name="crops")


def _projected(top: Head, features: keras.KerasTensor, code_size: int) -> dict[str, keras.KerasTensor]:
    return {"projections": ops.reshape(top(features, code_size), (-1, _CROPS, code_size))}
