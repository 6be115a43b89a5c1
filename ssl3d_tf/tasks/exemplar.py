"""Exemplar: two augmented views of the same volume, recognised among the views of all others.

To tell whose views they are, whatever flips, rotations, magnification and intensity do to them, the encoder must keep
what makes a volume this one. Dosovitskiy et al., 2014, arXiv:1406.6909; with a triplet loss and in 3D: Taleb et al.,
2020, arXiv:2006.03829, section 3.5; with all of the batch as negatives: Chen et al., 2020, arXiv:2002.05709.
"""

import keras
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import pairs
from ssl3d_tf.losses.contrast import Objective
from ssl3d_tf.models import geometry, patchwise
from ssl3d_tf.models.heads import Head
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Words
from ssl3d_tf.views import sizes, volumes
from ssl3d_tf.views.sizes import Size

_VIEWS = 2


def task(
    *,
    rank: int,
    view_size: Size,
    top: Head,
    anchor: Op,
    positive: Op | None = None,
    objective: Objective | None = None,
    code_size: int = 128,
) -> Task:
    """Exemplar as a Task. Inputs: float32 [batch, 2, *view_size, channels]; there are no targets.

    Evaluation augments as training does, with choices that stay the same: two views as they are would be equal.
    The released program is `positive=augment.identity(), objective=pairs.triplet(), code_size=1024`.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the views, per axis or of all axes.
        top: (features of the encoder, code_size) -> projections; one for both views.
        anchor: makes the first view. positive: the second; None is `anchor` with draws of its own.
        objective: from `pairs`; None is `pairs.nt_xent()`.
        code_size: values of a projection.
    """
    augmentations = (anchor, positive or anchor)
    objective = objective or pairs.nt_xent()
    size = sizes.sides(view_size, rank)

    def sample(seed: Seed) -> Params:
        seeds = tf.unstack(tf.random.split(seed, _VIEWS))
        return tuple(op.sample(one) for op, one in zip(augmentations, seeds, strict=True))

    def make_views(batch: Batch, params: Params) -> tuple[tf.Tensor, tuple]:
        whole = volumes.intensities(batch)
        views = tf.stack([op.apply(whole, one) for op, one in zip(augmentations, params, strict=True)], axis=1)
        if views.shape[2:-1] != size:
            raise InputError(f"exemplar got views of {views.shape[2:-1]} voxels, VIEW_SIZE is {view_size}; set it.")
        return views, ()

    def build_model(encoder: keras.Model) -> keras.Model:
        geometry.check_view(encoder, size)
        inputs, features = patchwise.features(encoder, _VIEWS, size=size, name="views", remedy=geometry.VIEW_REMEDY)
        projections = ops.reshape(top(features, code_size), (-1, _VIEWS, code_size))
        return keras.Model(inputs, {"projections": projections}, name="exemplar")

    return Task(
        sample=sample,
        sample_eval=sample,
        make_views=make_views,
        build_model=build_model,
        loss_fn=objective.loss_fn,
        metrics=objective.metrics,
        smallest_batch=objective.smallest_batch,
        words=lambda params, directions: Words("same scan, changed twice", ("one view", "other view")),
    )
