"""manifest -> batches, by index: example number k is a pure function of (seed, k), so no buffer and no state.

(epoch, position) = divmod(k, n); a shuffle of 0..n−1 per epoch, every order as likely, gives the example's index, the
manifest its place on disk. Restarting at step s is starting at k = s × batch.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.data import body, cropping, folders, host_views, order, service
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.options import options
from ssl3d_tf.data.records import columns, fetching, parsing
from ssl3d_tf.task import Batch, Inputs, Params, Targets, Task
from ssl3d_tf.views import sizes

_BATCHES_AHEAD = 1  # more are no faster, and take a batch of memory each
_WAITING = 2  # threads of a pipeline that waits for services, of its own, as they stand still meanwhile
_CROP, _CHOICES, _EVALUATION = 1, 2, 3  # what a folded seed is for: never the same numbers twice


class Data(NamedTuple):
    """One split as the loop wants it.

    dataset: (first step, worker, workers, devices of all workers) -> tf.data.Dataset of (index int64 [share], element);
        one share per device and step.
    to_views: element -> (inputs, targets): the identity with views on the host, `Task.make_views` on the device.
    ids: example ids by index. batch_size: examples per step, over all workers. check: raises InputError of a cut shard.
    services: who makes the views, if others do.
    """

    dataset: Callable[..., tf.data.Dataset]
    to_views: Callable[[Any], tuple[Inputs, Targets]]
    ids: Sequence[str]
    batch_size: int
    check: Callable[[], None]
    services: Sequence[service.Service] = ()


def read(
    data: DataFolder,
    task: Task,
    *,
    split: str,
    training: bool,
    rank: int,
    view_size: sizes.Size,
    batch_size: int,
    seed: int,
    channels: int | None = None,
    views_on: str = "device",
    cache_gb: float = 0.0,
    fields: Sequence[str] = ("volume",),
    foreground: float = 0.0,
    threads: int | None = None,
    wraps: bool = False,
    data_service: str | Sequence[str] = (),
) -> Data:
    """One split as batches of cropped volumes and the task's random choices, or of finished views.

    Args:
        training: endless, shuffled, random crops and `task.sample`, records verified in the first epoch; otherwise one
            pass in stored order, centre crops, `task.sample_eval` with the same choices, verified and built once.
        rank, channels: what the configuration is for; None takes any number of channels.
        view_size: voxels of the crop, per axis or of all axes; smaller volumes are padded with their minimum.
        views_on: 'host' makes views in a map of the dataset, of one example at a time from 64³ voxels on, else of a
            batch; 'device' in the first lines of the step.
        cache_gb: memory for shards as stored, before any random choice, 10⁹ bytes, of all splits together; the first
            ones that fit are kept, those of training before those of validation.
        fields: what to decode, of volume, mask and label.
        foreground: share of a crop that is to be body (`data/body.py`); 0 draws, or centres, it wherever it fits.
        threads: size of the pipeline's own thread pool, and batches whose views are made at a time; None is
            TensorFlow's default, and one batch per core. Never changes a number.
        wraps: lets a training batch hold an example twice, with choices of its own each, where a split is smaller.
        data_service: addresses of services that make the views of training. Never changes a number.

    Raises:
        InputError: rank, channels, split, batch size, fields or `views_on` do not fit; as `service.connect`.
    """
    folders.check(data, rank=rank, channels=channels, fields=fields)
    view = sizes.sides(view_size, rank)
    host_views.check(views_on)
    services = service.connect(data_service, data, training=training, views_on=views_on, cache_gb=cache_gb)
    found, entries = data.manifest.split(split), columns.of(data.manifest.split(split).entries)
    folders.check_entries(data, entries, fields)
    if training and not wraps:
        folders.check_batch(data, split, batch_size)
    if not training:
        batch_size = folders.without_remainder(data, split, batch_size, least=task.smallest_batch)

    @functools.cache  # when it is first asked for: who only builds a model maps and verifies nothing
    def fetch() -> fetching.Fetch:
        layout, cached = parsing.layout(data.manifest), fetching.cache_left(data.manifest, split, cache_gb=cache_gb)
        if services:
            return fetching.by_record(data.path.resolve(), found, layout, fields=fields)
        return fetching.by_index(data.path, found, layout, fields=fields, cache_bytes=cached, verify=not training)

    known = body.by_index(data, entries, foreground=foreground)
    of_split = _Split(task, seed, training, views_on, view, folders.are_sized(entries, view), foreground)

    def dataset(first_step: int = 0, worker: int = 0, workers: int = 1, replicas: int = 1) -> tf.data.Dataset:
        folders.check_devices(batch_size, replicas)
        fetched = fetch()  # not in the graph that a map traces

        def batches(share: order.Share, cores: int) -> tf.data.Dataset:
            drawn = order.shuffled(folders.parts(data, split), seed, share) if training else order.stored(len(entries))
            return _batches(drawn, of_split, fetched, known, size=batch_size // replicas, cores=cores, threads=threads)

        share = order.Share(first_step * batch_size, batch_size, worker, workers)
        if not services:
            return batches(share, cores())
        return service.spread(batches, share, services, per_step=replicas // workers).with_options(options(_WAITING))

    return Data(
        dataset=dataset if training else functools.cache(dataset),  # building it takes longer than a small pass
        to_views=(lambda element: task.make_views(*element)) if views_on == "device" else lambda element: element,
        ids=entries.texts("id"),
        batch_size=batch_size,
        check=functools.partial(folders.check_sizes, data, split),
        services=services,
    )


class _Split(NamedTuple):
    """What the examples of a split are made by. same_size: all are as large as the view."""

    task: Task
    seed: int
    training: bool
    views_on: str
    view: tuple[int, ...]
    same_size: bool
    foreground: float


def _batches(
    numbers: tf.data.Dataset,
    split: _Split,
    fetch: fetching.Fetch,
    known: body.Known,
    *,
    size: int,
    cores: int,
    threads: int | None,
) -> tf.data.Dataset:
    at_a_time = threads or cores
    # One map for all of it: a call costs 20 µs, which is most of what a small volume takes.
    examples = numbers.map(functools.partial(_example, split, fetch, known), at_a_time)
    batched = functools.partial(tf.data.Dataset.batch, batch_size=size, drop_remainder=split.training)
    if split.views_on == "host":
        voxels = sizes.voxels(split.view)
        done = host_views.with_views(examples, split.task, batched, view_voxels=voxels, at_a_time=at_a_time)
    else:
        done = batched(examples)
    return done.prefetch(_BATCHES_AHEAD).with_options(options(threads))


def _example(
    split: _Split, fetch: fetching.Fetch, known: body.Known, epoch: tf.Tensor, index: tf.Tensor, was_verified: tf.Tensor
) -> tuple[tf.Tensor, tuple[Batch, Params]]:
    """An example in an epoch: its index, what is read of it, and its random choices."""
    seed = _seed(split, epoch, index)
    parsed = {**fetch(index, was_verified), **known(index)}
    if split.same_size:
        parsed |= cropping.whole(parsed, split.view)
    else:
        place = order.fold(seed, _CROP) if split.training else None
        parsed |= cropping.crop(parsed, split.view, seed=place, foreground=split.foreground)
    parsed.pop(body.CELLS, None)
    sample = split.task.sample if split.training else split.task.sample_eval
    return index, (parsed, sample(order.fold(seed, _CHOICES)))


def _seed(split: _Split, epoch: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Of an example's random choices: in training new ones in every epoch, in evaluation always the same."""
    if split.training:
        return order.fold(order.epoch_seed(split.seed, epoch), index + 1)
    return order.fold(order.run_seed(split.seed, _EVALUATION), index)


def cores() -> int:
    """CPU cores of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
