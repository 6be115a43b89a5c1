"""Segmentation: which class is each voxel of? The downstream task with masks.

Volume and mask go through the same affine map, drawn once per example: the volume interpolated, the mask by its nearest
voxel. What changes intensity changes the volume alone.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import geometry
from ssl3d_tf.models.decoders import Decoder
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Volumes
from ssl3d_tf.views import affine, augment, volumes

_GEOMETRY, _INTENSITY = range(2)  # what a folded seed is for

Scorer = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def task(
    *,
    rank: int,
    view_size: int,
    classes: int,
    head: Decoder,
    loss: Scorer,
    metrics: Mapping[str, Scorer],
    transforms: Sequence[affine.Drawer] = (),
    intensity: Op | None = None,
) -> Task:
    """Segmentation as a Task. Inputs: float32 [batch, *(view_size,) * rank, channels]; targets: int32, the mask.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: side of the crops in training and validation, voxels; whole volumes are predicted in such windows.
        classes: values of the mask, background included.
        head: from `models.decoders`.
        loss: (masks, logits) -> float32 [batch], from `losses` or `overlap`. metrics: likewise, by name.
        transforms: from `affine`, of volume and mask, in training only. intensity: then, of the volume.

    Raises:
        InputError: fewer than two classes.
    """
    if classes < 2:
        raise InputError(f"segmentation of {classes} classes; with background there must be two at least.")
    moves = augment.affine(transforms=transforms) if transforms else augment.identity()
    moves_labels = augment.affine_labels(transforms=transforms) if transforms else augment.identity()
    shades = intensity or augment.identity()

    def sample(seed: Seed) -> Params:
        seeds = [tf.random.experimental.stateless_fold_in(seed, purpose) for purpose in (_GEOMETRY, _INTENSITY)]
        return {"geometry": moves.sample(seeds[0]), "intensity": shades.sample(seeds[1])}

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, tf.Tensor]:
        scans, masks = volumes.intensities(batch), tf.cast(batch["mask"], tf.int32)
        if params:
            scans = shades.apply(moves.apply(scans, params["geometry"]), params["intensity"])
            masks = moves_labels.apply(masks, params["geometry"])
        return scans, masks

    def build_model(encoder: keras.Model) -> keras.Model:
        remedy = "raise VIEW_SIZE or lower LEVELS."
        geometry.feature_shape(encoder, (view_size,) * rank, remedy=remedy)
        return head(encoder, classes)

    return Task(
        sample=sample,
        sample_eval=lambda seed: {},
        make_views=make_views,
        build_model=build_model,
        loss_fn=loss,
        metrics=metrics,
    )
