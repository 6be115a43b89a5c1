"""manifest -> batches, by index: example number k is a pure function of (seed, k), so no buffer and no state.

(epoch, position) = divmod(k, n); a shuffle of 0..n−1 per epoch, every order as likely, gives the example's index, the
manifest its place on disk. Restarting at step s is starting at k = s × batch.
"""

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.data import body, cropping, folders, order
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.options import options
from ssl3d_tf.data.records import columns, fetching, parsing
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Batch, Inputs, Params, Targets, Task
from ssl3d_tf.views import sizes

_BATCHES_AHEAD = 1  # more are no faster, and take a batch of memory each
_LARGE = 64**3  # voxels of a view
_CROP, _CHOICES, _EVALUATION = 1, 2, 3  # what a folded seed is for: never the same numbers twice


class Data(NamedTuple):
    """One split as the loop wants it.

    dataset: (first step, worker, workers, devices of all workers) -> tf.data.Dataset of (index int64 [share], element);
        one share per device and step.
    to_views: element -> (inputs, targets): the identity with views on the host, `Task.make_views` on the device.
    ids: example ids by index. batch_size: examples per step, over all workers. check: raises InputError of a cut shard.
    """

    dataset: Callable[..., tf.data.Dataset]
    to_views: Callable[[Any], tuple[Inputs, Targets]]
    ids: Sequence[str]
    batch_size: int
    check: Callable[[], None]


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
) -> Data:
    """One split as batches of cropped volumes and the task's random choices, or of finished views.

    Args:
        training: endless, shuffled, random crops and `task.sample`, records verified in the first epoch; otherwise one
            pass in stored order, centre crops, `task.sample_eval` and the same random choices every time, by a dataset
            that is built once, when records are verified.
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

    Raises:
        InputError: rank, channels, split, batch size, fields or `views_on` do not fit the data.
    """
    folders.check(data, rank=rank, channels=channels, fields=fields)
    view = sizes.sides(view_size, rank)
    if views_on not in ("host", "device"):
        raise InputError(f"VIEWS_ON is '{views_on}'; it must be 'host' or 'device'.")
    found, entries = data.manifest.split(split), columns.of(data.manifest.split(split).entries)
    folders.check_entries(data, entries, fields)
    body.check(data, entries, foreground)
    if training and not wraps:
        folders.check_batch(data, split, batch_size)
    if not training:
        batch_size = folders.without_remainder(data, split, batch_size, least=task.smallest_batch)

    @functools.cache  # when it is first asked for: who only builds a model maps and verifies nothing
    def fetch() -> fetching.Fetch:
        layout, cache_bytes = parsing.layout(data.manifest), _cache_left(data.manifest, split, cache_gb=cache_gb)
        return fetching.by_index(data.path, found, layout, fields=fields, cache_bytes=cache_bytes, verify=not training)

    same_size = bool((columns.dense(entries, "shape")[:, :-1] == view).all())
    known = body.by_index(entries, foreground=foreground)
    of_split = _Split(task, seed, training, view=view, same_size=same_size, foreground=foreground)

    def dataset(first_step: int = 0, worker: int = 0, workers: int = 1, replicas: int = 1) -> tf.data.Dataset:
        if batch_size % replicas:
            raise InputError(f"BATCH_SIZE {batch_size} must divide by the {replicas} devices it is spread over.")
        fetched = fetch()  # not in the graph that a map traces
        share = order.Share(first_step * batch_size, batch_size, worker, workers)
        numbers = order.shuffled(folders.parts(data, split), seed, share) if training else order.stored(len(entries))
        # One map for all of it: a call costs 20 µs, which is most of what a small volume takes.
        examples = numbers.map(functools.partial(_example, of_split, fetched, known), threads or _cores())
        batched = functools.partial(tf.data.Dataset.batch, batch_size=batch_size // replicas, drop_remainder=training)
        made = functools.partial(with_views, task=task, view_voxels=sizes.voxels(view), threads=threads)
        batches = made(examples, batched=batched) if views_on == "host" else batched(examples)
        return batches.prefetch(_BATCHES_AHEAD).with_options(options(threads))

    return Data(
        dataset=dataset if training else functools.cache(dataset),  # building it takes longer than a small pass
        to_views=(lambda element: task.make_views(*element)) if views_on == "device" else lambda element: element,
        ids=entries.texts("id"),
        batch_size=batch_size,
        check=functools.partial(folders.check_sizes, data, split),
    )


class _Split(NamedTuple):
    """What the examples of a split are made by. same_size: all are as large as the view."""

    task: Task
    seed: int
    training: bool
    view: tuple[int, ...]
    same_size: bool
    foreground: float


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


def with_views(
    examples: tf.data.Dataset,
    task: Task,
    batched: Callable[[tf.data.Dataset], tf.data.Dataset],
    *,
    view_voxels: int,
    threads: int | None = None,
) -> tf.data.Dataset:
    """(index, (example, choices)) -> batches of (index, views), made on the host.

    Large views are made one by one: half of the memory, and an op that is off for an example costs nothing. Small ones
    by the batch, as making them costs less than asking for them.
    """

    def of_one(index: tf.Tensor, element: tuple[Batch, Params]) -> tuple[tf.Tensor, tuple[Inputs, Targets]]:
        views = task.make_views(*tf.nest.map_structure(lambda value: value[None], element))
        return index, tf.nest.map_structure(lambda value: tf.squeeze(value, 0), views)

    if view_voxels >= _LARGE:
        return batched(examples.map(of_one, threads or _cores()))
    return batched(examples).map(lambda index, element: (index, task.make_views(*element)), threads or _cores())


def _cache_left(manifest: manifests.Manifest, split: str, *, cache_gb: float) -> int:
    """Bytes of the cache that the splits before this one leave to it."""
    before = itertools.takewhile(lambda name: name != split, manifests.SPLITS)
    taken = sum(shard.bytes for name in before if name in manifest.splits for shard in manifest.splits[name].shards)
    return max(0, int(cache_gb * 1e9) - taken)


def _cores() -> int:
    """CPU cores of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
