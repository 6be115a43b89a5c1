"""Whether our views are bit for bit those of the published program's preparation, where both are given one choice.

Each compares the released setting's task with benchmarks.original on [batch, side, side, side, channels] volumes.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import original
from ssl3d_tf.models import pyramid
from ssl3d_tf.task import Params, Task


def rotation(task: Task, volumes: np.ndarray) -> bool:
    """All ten turns, each of the first volume."""
    labels = np.arange(len(original.TURNS))
    views, _ = task.make_views({"volume": np.repeat(volumes[:1], len(labels), axis=0)}, {"label": labels})
    return np.array_equal(views, [original.turned(volumes[0], label) for label in range(len(labels))])


def relative_location(task: Task, volumes: np.ndarray) -> bool:
    """The middle and one neighbour, jittered alike."""
    params, pairs = _drawn(task, volumes)
    cut = _patches(volumes, params, size=pairs.shape[2])
    labels = params["label"].numpy()[:, 0]
    return np.array_equal(pairs, [original.pair(*given) for given in zip(cut, labels, strict=True)])


def jigsaw(task: Task, volumes: np.ndarray) -> bool:
    """All patches, jittered and laid out alike."""
    params, inputs = _drawn(task, volumes)
    laid_out = tf.gather(inputs["patches"], inputs["permutations"][:, 0], batch_dims=1)
    cut = _patches(volumes, params, size=laid_out.shape[2])
    orders = inputs["permutations"].numpy()[:, 0]
    return np.array_equal(laid_out, [np.stack(parts)[order] for parts, order in zip(cut, orders, strict=True)])


def cpc(task: Task, volumes: np.ndarray) -> bool:
    """All patches, flipped, cropped and framed alike, and what every column reads and predicts."""
    params, patches = _drawn(task, volumes)
    n = round(patches.shape[1] ** (1 / 3))
    layout = pyramid.layout(n, rank=3)
    columns = list(itertools.product(range(n), range(n)))
    read = np.array_equal([original.context(n, column) for column in columns], layout.context)
    predicted = np.array_equal([original.targets(n, column) for column in columns], layout.targets)
    given = zip(*(params[name].numpy() for name in ("view_crop", "flips", "crops")), strict=True)
    cuts = [original.Cuts(*each) for each in given]
    expected = [original.cpc_patches(volume, n, cut) for volume, cut in zip(volumes, cuts, strict=True)]
    return read and predicted and np.array_equal(patches, expected)


def _drawn(task: Task, volumes: np.ndarray) -> tuple[Params, Any]:
    """The choices for a batch and the views they make."""
    samples = [task.sample(tf.constant([3, number])) for number in range(len(volumes))]
    params = tf.nest.map_structure(lambda *values: tf.stack(values), *samples)
    return params, task.make_views({"volume": tf.constant(volumes)}, params)[0]


def _patches(volumes: np.ndarray, params: Params, *, size: int) -> list[Sequence[np.ndarray]]:
    jitter = volumes.shape[1] // 3 - size
    given = zip(volumes, params["offsets"].numpy(), strict=True)
    return [original.patches(volume, 3, jitter=jitter, offsets=offsets) for volume, offsets in given]
