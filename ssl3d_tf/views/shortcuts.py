"""Pretext tasks on inputs from which anatomy was removed: what can still be solved is solved by a shortcut.

Each removal makes a Task of a Task, with the same labels, so that pipeline, loop and evaluation run it as they are.
`view` is the shape of one view of the data, (*spatial, channels).
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from ssl3d_tf.task import Batch, Inputs, Params, Seed, Targets, Task, Volumes
from ssl3d_tf.views.volumes import intensities

_REMOVAL = 1009  # folded into an example's seed; tasks fold or split small numbers for their own choices
_SHELL = 1 / 8  # of the side


def spectrum(task: Task, view: Sequence[int]) -> Task:
    """The task on noise with each view's own amplitude spectrum, per channel: texture without anatomy."""

    def make_views(batch: Batch, params: Params) -> tuple[Inputs, Targets]:
        noise = random_phases(intensities(batch), params["drawn"])
        others = {name: values for name, values in batch.items() if name not in ("scale", "offset")}
        return task.make_views({**others, "volume": noise}, params["task"])

    return _drawing(task, lambda seed: tf.random.stateless_normal(view, seed), make_views)


def border(task: Task, view: Sequence[int]) -> Task:
    """The task on the outer shell of each patch, or of each view where it has no patches."""

    def make_views(batch: Batch, params: Params) -> tuple[Inputs, Targets]:
        inputs, targets = task.make_views(batch, params)
        return _change_first(inputs, lambda images: keep_shell(images, rank=len(view) - 1)), targets

    return task._replace(make_views=make_views)


def histogram(task: Task, view: Sequence[int]) -> Task:
    """The task on each patch's voxels, or each view's, in random order: nothing is left but their intensities."""
    *patches, voxels = _voxels(task, view)

    def draw(seed: Seed) -> tf.Tensor:
        # Integers, as floats have ties; an order of its own for every patch, or patches could still be matched.
        return tf.argsort(tf.random.stateless_uniform((*patches, voxels), seed, None, None, tf.int32))

    def make_views(batch: Batch, params: Params) -> tuple[Inputs, Targets]:
        inputs, targets = task.make_views(batch, params["task"])
        return _change_first(inputs, lambda images: reorder(images, params["drawn"])), targets

    return _drawing(task, draw, make_views)


REMOVALS: dict[str, Callable[[Task, Sequence[int]], Task]] = {
    "spectrum": spectrum,
    "border": border,
    "histogram": histogram,
}


def random_phases(volumes: Volumes, noise: tf.Tensor) -> Volumes:
    """Each channel's amplitude spectrum with the phases of `noise`, its mean kept; both [batch, *spatial, channels].

    Theiler et al., 1992, doi:10.1016/0167-2789(92)90102-S: surrogate data.
    """
    spatial = volumes.shape[1:-1]
    forward, back = _FOURIER[len(spatial)]
    wave, phases = forward(_channels_first(volumes)), forward(_channels_first(noise))
    length = tf.abs(phases)
    turned = tf.cast(tf.math.divide_no_nan(tf.abs(wave), length), tf.complex64) * phases
    result = _channels_last(back(turned, spatial))
    axes = range(1, len(spatial) + 1)
    # The mean's phase is a sign, which noise would draw too.
    return result + tf.reduce_mean(volumes, axes, keepdims=True) - tf.reduce_mean(result, axes, keepdims=True)


def keep_shell(images: tf.Tensor, *, rank: int) -> tf.Tensor:
    """Sets what lies deeper than an eighth of the side, at least 1 voxel, to the image's mean, per channel.

    images: [..., *spatial, channels] with `rank` spatial axes.
    """
    spatial = images.shape[-rank - 1 : -1]
    inside = tf.ones((), tf.bool)
    for size in spatial:
        width = max(1, int(size * _SHELL))
        place = tf.range(size)
        inside = inside[..., None] & (place >= width) & (place < size - width)
    mean = tf.reduce_mean(images, range(len(images.shape) - rank - 1, len(images.shape) - 1), keepdims=True)
    return tf.where(inside[..., None], mean, images)


def reorder(images: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Puts the voxels of images [batch, ..., *spatial, channels] in this order, int [batch, ..., voxels]."""
    leading = len(order.shape) - 1
    flat = tf.reshape(images, (-1, *images.shape[1:leading], order.shape[-1], images.shape[-1]))
    return tf.reshape(tf.gather(flat, order, axis=leading, batch_dims=leading), (-1, *images.shape[1:]))


_FOURIER = {
    2: (tf.signal.rfft2d, tf.signal.irfft2d),
    3: (tf.signal.rfft3d, tf.signal.irfft3d),
}


def _drawing(task: Task, draw: Callable[[Seed], tf.Tensor], make_views: Callable) -> Task:
    """The task with draws of its removal beside its own choices, which stay what they are."""

    def beside(sample: Callable[[Seed], Params]) -> Callable[[Seed], Params]:
        return lambda seed: {
            "task": sample(seed),
            "drawn": draw(tf.random.experimental.stateless_fold_in(seed, _REMOVAL)),
        }

    return task._replace(sample=beside(task.sample), sample_eval=beside(task.sample_eval), make_views=make_views)


def _change_first(inputs: Inputs, change: Callable[[tf.Tensor], tf.Tensor]) -> Inputs:
    """The inputs with their first tensor changed: the images, whatever else a task feeds its model."""
    images, *rest = tf.nest.flatten(inputs)
    return tf.nest.pack_sequence_as(inputs, [change(images), *rest])


def _voxels(task: Task, view: Sequence[int]) -> tuple[int, ...]:
    """(patches, …, voxels of one) of one example's images, found by making a view of nothing."""
    params = tf.nest.map_structure(lambda value: value[None], task.sample_eval(tf.zeros(2, tf.int32)))
    images = tf.nest.flatten(task.make_views({"volume": tf.zeros((1, *view))}, params)[0])[0]
    patches = images.shape[1 : -len(view)]
    return (*patches, math.prod(images.shape[-len(view) : -1]))


def _channels_first(volumes: tf.Tensor) -> tf.Tensor:
    last = len(volumes.shape) - 1
    return tf.transpose(volumes, (0, last, *range(1, last)))


def _channels_last(volumes: tf.Tensor) -> tf.Tensor:
    return tf.transpose(volumes, (0, *range(2, len(volumes.shape)), 1))
