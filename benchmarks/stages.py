"""The stages between a shard on disk and an update of the weights, each as a function to be timed."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from ssl3d_tf import pipeline
from ssl3d_tf.records import parsing
from ssl3d_tf.steps import train_step
from ssl3d_tf.task import Task

Stage = Callable[[], tuple[int, float]]  # -> volumes, seconds waited for data
EPOCHS = 5  # per round, of what is quick: one alone is over before the thread pools have settled


def without_views(task: Task) -> Task:
    """The task with no random choices and no views: what is left is the pipeline itself."""
    empty = {"none": tf.zeros(())}
    return task._replace(sample=lambda seed: empty, make_views=lambda batch, params: (batch["volume"], params["none"]))


def raw(data: pipeline.DataFolder) -> Stage:
    """The limit: the bytes of the training shards, one after the other, 4 MiB at a time."""
    shards, entries = data.manifest.split("train")

    def work() -> tuple[int, float]:
        for shard in shards:
            with (data.path / shard.file).open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass
        return len(entries), 0.0

    return work


def sequential(data: pipeline.DataFolder, batch_size: int) -> Stage:
    """A plain TFRecordDataset of the same shards: read, parse, batch."""
    shards, entries = data.manifest.split("train")
    layout, side = parsing.layout(data.manifest), entries[0].shape
    files = [str(Path(data.path) / shard.file) for shard in shards]

    def parse(record: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(parsing.parse(record, layout)["volume"], side)

    # 4 MiB: with the default buffer of 256 KiB it reads at a third of the speed.
    parsed = tf.data.TFRecordDataset(files, buffer_size=1 << 22).repeat(EPOCHS).map(parse, tf.data.AUTOTUNE)
    return _consumer(parsed.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE), batch_size)


def by_index(data: pipeline.Data, batches: int) -> Stage:
    """The project's pipeline, as far as `data` goes: `batches` batches."""
    return _consumer(data.dataset().take(batches), data.batch_size)


def training(data: pipeline.Data, batches: int, fitted: dict[str, Any], channels: int) -> Stage:
    """As `by_index`, each batch followed by a step; `fitted` is what a configuration gives to `loop.fit`."""
    model = fitted["task"].build_model(fitted["encoder"](channels))
    optimizer = fitted["optimizer"]()
    optimizer.build(model.trainable_variables)
    step = train_step(
        model,
        fitted["task"],
        optimizer,
        data.to_views,
        schedule=fitted["schedule"],
        step=tf.Variable(0, dtype=tf.int64),
        update=fitted["update"],
        jit_compile=bool(tf.config.list_logical_devices("GPU")),
    )

    def work() -> tuple[int, float]:
        iterator, waited = iter(data.dataset()), 0.0
        step(next(iterator)[1]).scores.numpy()  # fills the prefetch buffer, which no round may get for free
        for _ in range(batches):
            waiting = time.perf_counter()
            _, element = next(iterator)
            waited += time.perf_counter() - waiting
            step(element).scores.numpy()
        return (batches + 1) * data.batch_size, waited

    return work


def first_batch_s(data: pipeline.Data) -> float:
    """Seconds from asking for a dataset to its first batch, the building of its graph included."""
    began = time.perf_counter()
    next(iter(data.dataset()))
    return time.perf_counter() - began


def _consumer(batches: Iterable[Any], batch_size: int) -> Stage:
    def work() -> tuple[int, float]:
        return sum(1 for _ in batches) * batch_size, 0.0

    return work


def resident_mb() -> float:
    """Memory this process holds now, 10⁶ bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
