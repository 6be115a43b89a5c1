"""Masked reconstruction: what is behind the blocks that are hidden, or under the changes of Models Genesis?

To tell, the encoder must know what surrounds what, at every level that a segmentation will read: encoder, skips and
decoder learn together. He et al., 2022, arXiv:2111.06377; U-Nets in 3D: Wald et al., 2025, arXiv:2410.23132; Models
Genesis: Zhou et al., 2021, arXiv:2004.07882. Convolutions are dense; 0 hides.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import reconstruction
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.models import geometry
from ssl3d_tf.models.decoders import Decoder
from ssl3d_tf.task import Batch, Params, Seed, Task, Volumes
from ssl3d_tf.views import affine, augment, masking, sizes, volumes
from ssl3d_tf.views.masking import Corruption
from ssl3d_tf.views.sizes import Size

_CORRUPTION, _GEOMETRY = range(2)  # what a folded seed is for


def task(
    *,
    rank: int,
    view_size: Size,
    corruption: Corruption,
    head: Decoder,
    transforms: Sequence[affine.Drawer] = (),
) -> Task:
    """Builds the task. Inputs: float32 [batch, *view_size, channels]; targets: `reconstruction.Whole`.

    Views are standardised over what is no air; what counts in the loss, the corruption says. 'accuracy' is the
    share of its variance that is explained, against 0 for the mean.

    Args:
        rank: spatial rank, 2 or 3.
        view_size: voxels of the views, per axis or of all axes.
        corruption: from `views.masking`.
        head: from `models.decoders`; its outputs, one per channel, are linear.
        transforms: from `affine`, in training only. Intensity stays as it is: it is what is to be found.
    """
    moves = augment.affine(transforms=transforms, view_size=view_size) if transforms else augment.identity()
    size = sizes.sides(view_size, rank)

    def sample_eval(seed: Seed) -> Params:
        return {"corruption": corruption.sample(tf.random.experimental.stateless_fold_in(seed, _CORRUPTION))}

    def sample(seed: Seed) -> Params:
        return {
            **sample_eval(seed),
            "geometry": moves.sample(tf.random.experimental.stateless_fold_in(seed, _GEOMETRY)),
        }

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, Whole]:
        scans = volumes.intensities(batch)
        if "geometry" in params:  # not in evaluation
            scans = moves.apply(scans, params["geometry"])
        if scans.shape[1:-1] != size:
            raise InputError(f"masked got views of {scans.shape[1:-1]} voxels, VIEW_SIZE is {view_size}; set it.")
        changed, views, counts = masking.hide(scans, corruption, params["corruption"])
        return changed, Whole(views, counts)

    def build_model(encoder: keras.Model) -> keras.Model:
        geometry.check_view(encoder, size)
        return head(encoder, encoder.input_shape[-1])

    return Task(
        sample=sample,
        sample_eval=sample_eval,
        make_views=make_views,
        build_model=build_model,
        loss_fn=reconstruction.squared_error,
        metrics={"accuracy": reconstruction.explained, "chance": reconstruction.nothing},
        guess=corruption.guess,
    )
