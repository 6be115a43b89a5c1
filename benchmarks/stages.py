"""The stages between a shard on disk and an update of the weights, each as a function to be timed."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import timing
from ssl3d_tf.data import cropping, folders, pipeline
from ssl3d_tf.data.records import fetching, parsing
from ssl3d_tf.task import Task
from ssl3d_tf.training import strategies
from ssl3d_tf.training.run import Settings
from ssl3d_tf.training.steps import Part, train_step
from ssl3d_tf.views import volumes

_CHUNK = 1 << 20  # bytes
_BEYOND_CACHES = 1 << 28  # bytes


def without_views(task: Task) -> Task:
    """The task with no random choices and no views: what is left is the pipeline itself."""
    return task._replace(sample=lambda seed: {}, make_views=lambda batch, params: (volumes.intensities(batch), ()))


def copy(data: folders.DataFolder, seconds: float) -> timing.Stage:
    """The limit of any pipeline: as many bytes as a stored volume has, copied once within memory by one thread."""
    _, entries = data.manifest.split("train")
    size = sum(entry.length for entry in entries) // len(entries)
    source = np.ones(max(_BEYOND_CACHES // size, 1) * size, np.uint8)
    target = np.empty_like(source)

    def copies() -> Iterator[None]:
        while True:
            np.copyto(target, source)
            yield

    return lambda: timing.consume(copies(), len(source) // size, seconds=seconds)


def raw(data: folders.DataFolder, seconds: float) -> timing.Stage:
    """The limit: the bytes of the training shards, one after the other into one buffer, nothing done with them."""
    shards, entries = data.manifest.split("train")

    def passes() -> Iterator[None]:
        buffer = bytearray(_CHUNK)
        while True:
            for shard in shards:
                with open(data.path / shard.file, "rb", buffering=0) as file:
                    while file.readinto(buffer):  # type: ignore[attr-defined]  # unbuffered, so a FileIO
                        pass
            yield

    return lambda: timing.consume(passes(), len(entries), seconds=seconds)


def sequential(data: folders.DataFolder, side: int, batch_size: int, *, seconds: float) -> timing.Stage:
    """A plain TFRecordDataset of the same shards, in stored order: read, parse, pad to `side` if need be, batch."""
    shards, entries = data.manifest.split("train")
    layout = parsing.layout(data.manifest)
    whole = all(entry.shape[:-1] == (side,) * layout.rank for entry in entries)

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = dict(parsing.parse(record, layout))
        return example | (cropping.whole(example, side) if whole else cropping.crop(example, side, seed=None))

    # A buffer of 4 MiB is the fastest of those tried, if by little.
    records = tf.data.TFRecordDataset([os.fspath(data.path / shard.file) for shard in shards], buffer_size=1 << 22)
    batches = records.repeat().map(parse, tf.data.AUTOTUNE).batch(batch_size, drop_remainder=True)
    return _of(batches.prefetch(tf.data.AUTOTUNE), batch_size, seconds)


def records(data: folders.DataFolder, batch_size: int, seconds: float) -> timing.Stage:
    """Records in random order, checksums verified, nothing parsed."""
    split = data.manifest.split("train")
    fetch, count = fetching.record_by_index(data.path, split), len(split.entries)

    def record(k: tf.Tensor) -> tf.Tensor:
        return fetch(tf.random.experimental.index_shuffle(k % count, seed=[0, 0], max_index=count - 1))

    found = tf.data.Dataset.range(tf.int64.max).map(record, tf.data.AUTOTUNE)
    return _of(found.batch(batch_size).prefetch(tf.data.AUTOTUNE), batch_size, seconds)


def first_epoch(data: pipeline.Data, seconds: float) -> timing.Stage:
    """The project's pipeline while it reads and verifies whole records; `data` are more than it reads in that time."""
    return _of(data.dataset(), data.batch_size, seconds)


def by_index(data: pipeline.Data, seconds: float) -> timing.Stage:
    """The project's pipeline, as far as `data` goes, from the second epoch on."""
    return _of(_later(data), data.batch_size, seconds)


def one_pass(data: pipeline.Data, *, is_first: bool) -> timing.Stage:
    """As many volumes as there are, from the start of the iterator on, in the first epoch or a later one."""
    batches, count = data.dataset() if is_first else _later(data), max(len(data.ids) // data.batch_size, 1)
    return lambda: timing.once(batches, data.batch_size, count=count)


def _later(data: pipeline.Data) -> tf.data.Dataset:
    return data.dataset(len(data.ids) // data.batch_size + 1)


def cold(data: folders.DataFolder, stage: timing.Stage) -> timing.Stage:
    """The stage, the shards not in the page cache when it begins (Linux; of these files alone)."""
    shards, _ = data.manifest.split("train")

    def forgotten() -> timing.Cost:
        for shard in shards:
            with (data.path / shard.file).open("rb") as file:
                os.fsync(file.fileno())  # what is not on disk yet stays
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return stage()

    return forgotten


def views(data: pipeline.Data, seconds: float) -> timing.Stage:
    """As `by_index`, the views of each batch made in a graph of its own, as the first lines of a step do."""
    make_views, batches = tf.function(data.to_views, autograph=False), _later(data)

    def use(batch: Any) -> None:
        for view in tf.nest.flatten(make_views(batch[1])):
            view.numpy()  # waits for the device

    return lambda: timing.consume(batches, data.batch_size, seconds=seconds, use=use)


def training(data: pipeline.Data, fitted: Settings, channels: int, seconds: float) -> timing.Stage:
    """As `by_index`, each batch followed by an update; `fitted` is what a configuration says."""
    step = _step(data.to_views, fitted, channels)
    batches = _later(data)

    def use(batch: Any) -> None:
        step(batch[1]).scores.numpy()  # waits for the device

    return lambda: timing.consume(batches, data.batch_size, seconds=seconds, use=use)


def first_batch_s(data: pipeline.Data) -> float:
    """Seconds from asking for a dataset to its first batch, the building of its graph included."""
    began = time.perf_counter()
    next(iter(data.dataset()))
    return time.perf_counter() - began


def _of(batches: tf.data.Dataset, batch_size: int, seconds: float) -> timing.Stage:
    return lambda: timing.consume(batches, batch_size, seconds=seconds)


def _step(to_views: Callable[[Any], Any], fitted: Settings, channels: int) -> Callable[[Any], Any]:
    model = fitted.task.build_model(fitted.encoder(channels))
    optimizer = fitted.optimizer()
    optimizer.build(model.trainable_variables)
    return train_step(
        model,
        fitted.task,
        [Part(optimizer, model.trainable_variables)],
        to_views,
        schedule=fitted.schedule,
        step=tf.Variable(0, dtype=tf.int64),
        update=fitted.update,
        jit_compile=strategies.on_gpu(),
    )
