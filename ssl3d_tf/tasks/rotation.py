"""Rotation: which of a few quarter turns was applied to the volume?

To tell, the encoder must know how anatomy is usually oriented, and so what the organs look like and how they lie to
each other. Labels cost nothing and the turns are exact, so that no interpolation gives the answer away. Intensity
jitter (`augmentation`) and random crops keep scans of one orientation from being told by their frame.
Gidaris et al., 2018, arXiv:1803.07728; in 3D: Taleb et al., 2020, arXiv:2006.03829, section 3.4.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import classification, metrics
from ssl3d_tf.models import geometry
from ssl3d_tf.models.heads import Head
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Volumes, Words
from ssl3d_tf.views import sizes, volumes, wording
from ssl3d_tf.views.sizes import Size
from ssl3d_tf.views.volumes import Turn

_LABEL, _AUGMENTATION = range(2)  # what a folded seed is for


def in_plane() -> tuple[Turn, ...]:
    """The 4 rotations of a square: label k is k quarter turns from axis 0 towards axis 1."""
    return tuple(volumes.quarter_turn(2, k, (0, 1)) for k in range(4))


def about_axes() -> tuple[Turn, ...]:
    """10 of the 24 rotations of a cube: identity and quarter turns about each axis, in the order of the published task.

    Labels 1–3 turn by 1, 2, 3 in the plane of axes 0 and 1; 4–6 by 3, 2, 1 in that of 1 and 2; 7–9 by 3, 2, 1 in that
    of 0 and 2.
    """
    turns = [(0, (0, 1)), *((k, (0, 1)) for k in (1, 2, 3))]
    turns += [(k, plane) for plane in ((1, 2), (0, 2)) for k in (3, 2, 1)]
    return tuple(volumes.quarter_turn(3, k, plane) for k, plane in turns)


def cube24() -> tuple[Turn, ...]:
    """All 24 rotations of a cube, the identity first."""
    return volumes.all_turns(3)


def task(
    *,
    rank: int,
    view_size: Size,
    top: Head,
    augmentation: Op | None = None,
    rotations: Sequence[Turn] | None = None,
) -> Task:
    """Builds the rotation task. Inputs: float32 [batch, *view_size, channels]; targets: int32 [batch].

    Args:
        rank: spatial rank, 2 or 3.
        view_size: side of the square or cubic views, voxels, as a turned view must be one too.
        top: (features of the encoder, classes) -> logits.
        augmentation: applied before the rotation, in training only; None for none, as published.
        rotations: the classes; None is `in_plane()` in 2D and `about_axes()` in 3D.

    Raises:
        InputError: rank is not 2 or 3, the rotations are of another rank, or the view has sides of several lengths.
    """
    table = tuple(rotations or _default(rank))
    if any(len(turn.axes) != rank for turn in table):
        raise InputError(f"rotations are for {len(table[0].axes)} spatial axes, the task has {rank}; set `rotations`.")
    size = sizes.sides(view_size, rank)
    if len(set(size)) > 1:
        rule = "rotation turns its views, and a turned one must be as large: give one number for all axes"
        raise InputError(f"VIEW_SIZE is {view_size}; {rule}, {min(size)}, say, or take another task.")

    def sample_eval(seed: Seed) -> Params:
        label_seed = tf.random.experimental.stateless_fold_in(seed, _LABEL)
        return {"label": tf.random.stateless_uniform([], label_seed, 0, len(table), tf.int32)}

    def sample(seed: Seed) -> Params:
        if augmentation is None:
            return sample_eval(seed)
        augmentation_seed = tf.random.experimental.stateless_fold_in(seed, _AUGMENTATION)
        return {**sample_eval(seed), "augmentation": augmentation.sample(augmentation_seed)}

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, tf.Tensor]:
        views, scaling = batch["volume"], volumes.scaling(batch)
        if augmentation is not None and "augmentation" in params:  # not in evaluation
            views, scaling = augmentation.apply(volumes.intensities(batch), params["augmentation"]), None
        if views.shape[1:-1] != size:
            raise InputError(f"rotation got views of {views.shape[1:-1]} voxels, VIEW_SIZE is {view_size}; set it.")
        return volumes.rotate_cube(views, params["label"], table, scaling=scaling), params["label"]

    def build_model(encoder: keras.Model) -> keras.Model:
        geometry.check_view(encoder, size)
        inputs = keras.Input((*size, encoder.input_shape[-1]))
        return keras.Model(inputs, top(encoder(inputs), len(table)))

    return Task(
        sample=sample,
        sample_eval=sample_eval,
        make_views=make_views,
        build_model=build_model,
        loss_fn=classification.softmax_cross_entropy,
        metrics={"accuracy": metrics.accuracy, "chance": metrics.chance},
        words=lambda params, directions: Words(wording.of_turn(table[params["label"]], directions), turned=True),
    )


def _default(rank: int) -> tuple[Turn, ...]:
    if rank not in (2, 3):
        raise InputError(f"rotation is for 2 or 3 spatial axes, rank is {rank}; set it to the data's.")
    return in_plane() if rank == 2 else about_axes()
