"""Views made in the input pipeline, VIEWS_ON='host'."""

from collections.abc import Callable

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Batch, Inputs, Params, Targets, Task

_LARGE = 64**3  # voxels of a view


def check(views_on: str) -> None:
    """Raises InputError where VIEWS_ON is neither of its two."""
    if views_on not in ("host", "device"):
        raise InputError(f"VIEWS_ON is '{views_on}'; it must be 'host' or 'device'.")


def with_views(
    examples: tf.data.Dataset,
    task: Task,
    batched: Callable[[tf.data.Dataset], tf.data.Dataset],
    *,
    view_voxels: int,
    at_a_time: int,
) -> tf.data.Dataset:
    """(index, (example, choices)) -> batches of (index, views), so many made at a time.

    Large views are made one by one: half of the memory, and an op that is off for an example costs nothing. Small ones
    by the batch, as making them costs less than asking for them.
    """

    def of_one(index: tf.Tensor, element: tuple[Batch, Params]) -> tuple[tf.Tensor, tuple[Inputs, Targets]]:
        views = task.make_views(*tf.nest.map_structure(lambda value: value[None], element))
        return index, tf.nest.map_structure(lambda value: tf.squeeze(value, 0), views)

    if view_voxels >= _LARGE:
        return batched(examples.map(of_one, at_a_time))
    return batched(examples).map(lambda index, element: (index, task.make_views(*element)), at_a_time)
