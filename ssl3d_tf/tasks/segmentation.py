"""Segmentation: which class is each voxel of? The downstream task with masks.

Volume and mask go through the same affine map, drawn once per example: the volume interpolated, the mask by its nearest
voxel. What changes intensity changes the volume alone.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import labels
from ssl3d_tf.losses.labels import Masks
from ssl3d_tf.models import geometry
from ssl3d_tf.models.decoders import Decoder
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Volumes
from ssl3d_tf.views import affine, augment, sizes, volumes
from ssl3d_tf.views.sizes import Size

_GEOMETRY, _INTENSITY = range(2)  # what a folded seed is for

Scorer = Callable[[Masks, tf.Tensor], tf.Tensor]


def task(
    *,
    rank: int,
    view_size: Size,
    classes: int | Sequence[int],
    head: Decoder,
    loss: Scorer,
    metrics: Mapping[str, Scorer],
    ignore_label: int | None = None,
    transforms: Sequence[affine.Drawer] = (),
    intensity: Op | None = None,
) -> Task:
    """Segmentation as a Task. Inputs: float32 [batch, *view_size, channels]; targets: int32, classes.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the crops in training and validation, per axis or of all axes; whole volumes are predicted
            in such windows.
        classes: how many, background included; or the values of the mask that are classes, rising, where they are not
            0, 1, 2, … The network has them by their place.
        head: from `models.decoders`.
        loss: (masks, logits) -> float32 [batch], from `losses` or `overlap`. metrics: likewise, by name.
        ignore_label: value of the mask that is no class, and in no loss and no metric.
        transforms: from `affine`, of volume and mask, in training only. intensity: then, of the volume.

    Raises:
        InputError: fewer than two classes, none of them 0, or one that is to be ignored.
    """
    values, size = labels.values(classes), sizes.sides(view_size, rank)
    if len(values) < 2:
        raise InputError(f"segmentation of {len(values)} classes; with background there must be two at least.")
    if values[0] != 0 or ignore_label in values:
        rule = f"they must begin with 0, the background that crops are padded with, and not hold {ignore_label=}"
        raise InputError(f"segmentation of the classes {values}; {rule}.")
    moves = moves_labels = augment.identity()
    if transforms:
        moves = augment.affine(transforms=transforms, view_size=view_size)
        moves_labels = augment.affine_labels(transforms=transforms, view_size=view_size)
    shades = intensity or augment.identity()

    def sample(seed: Seed) -> Params:
        seeds = [tf.random.experimental.stateless_fold_in(seed, purpose) for purpose in (_GEOMETRY, _INTENSITY)]
        return {"geometry": moves.sample(seeds[0]), "intensity": shades.sample(seeds[1])}

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, Masks]:
        scans, masks = volumes.intensities(batch), labels.places(batch["mask"], values, ignore=ignore_label)
        if params:
            scans = shades.apply(moves.apply(scans, params["geometry"]), params["intensity"])
            masks = tf.nest.map_structure(lambda one: moves_labels.apply(one, params["geometry"]), masks)
        return scans, masks

    def build_model(encoder: keras.Model) -> keras.Model:
        geometry.check_view(encoder, size)
        return head(encoder, len(values))

    return Task(
        sample=sample,
        sample_eval=lambda seed: {},
        make_views=make_views,
        build_model=build_model,
        loss_fn=loss,
        metrics=metrics,
    )
