"""How fast views are made of volumes in memory: our tasks against the published program's preparation.

python benchmarks/views.py                                    all tasks, 4 volumes of 128³ per batch, two CPU cores
python benchmarks/views.py --task=cpc --view_size=64 --rounds=3 --json=out.json

The published program works in one thread; here also in as many processes as there are cores, each making batches of
its own, none of which is handed over. Ours draws every example's choices in tf.data and makes views of the batch in a
graph function ('graph') or in one compiled by XLA ('XLA'), one batch after the other, and in the maps of a dataset,
several at a time ('tf.data'). The pipeline uses 'tf.data' with VIEWS_ON='host' and 'graph' with VIEWS_ON='device'.

Stages take turns. Ratios are against the faster of the two published rows, round by round. What both can compute is
compared bit for bit before anything is timed.
"""

import functools
import itertools
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration

with quiet.greeting():
    import scipy
    import tensorflow as tf

    from benchmarks import equality, original, timing
    from ssl3d_tf.data import host_views, pipeline
    from ssl3d_tf.errors import InputError
    from ssl3d_tf.task import Batch, Params, Task
    from ssl3d_tf.training.run import Settings

    tf.config.set_visible_devices([], "GPU")  # views on the host
    tf.get_logger().setLevel("ERROR")

ONE_THREAD, PROCESSES = "published, one thread", "published, a process per core"


class Row(NamedTuple):
    """One task. gin: its file in gin/ and in gin/released/; target: the ratio aimed for."""

    prepare: Callable[[np.ndarray, np.random.Generator], Any]
    gin: str
    target: float
    equal: Callable[[Task, np.ndarray], bool] | None = None


ROWS = {
    "rotation": Row(original.rotation, "rotation_3d.gin", 5.0, equality.rotation),
    "relative_location": Row(original.relative_location, "rpl_3d.gin", 3.0, equality.relative_location),
    "jigsaw": Row(original.jigsaw, "jigsaw_3d.gin", 3.0, equality.jigsaw),
    "cpc": Row(original.cpc, "cpc_3d.gin", 5.0, equality.cpc),
    "exemplar": Row(original.exemplar, "exemplar_3d.gin", 4.0),
}


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_enum("task", list(ROWS), list(ROWS), "What to measure; may repeat.")
    flags.DEFINE_integer("view_size", 128, "Side of the volumes, voxels.", lower_bound=16)
    flags.DEFINE_integer("batch_size", 4, "Volumes per batch.", lower_bound=2)
    flags.DEFINE_integer("cores", 2, "CPU cores for either side (Linux).", lower_bound=1)
    flags.DEFINE_integer("rounds", 7, "Timed rounds; the stages take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.0, "Of each stage and round.", lower_bound=0.0)
    flags.DEFINE_string("json", None, "File for all figures.")


def main(argv: Sequence[str]) -> None:
    """Checks that both sides agree, times them and prints a table per task."""
    cli.flags_only(argv)
    values = flags.FLAGS
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: values.cores])  # before TensorFlow starts its threads
    volumes = np.random.default_rng(0).random((values.batch_size, *(values.view_size,) * 3, 1), np.float32)
    figures = {}
    # Not forked: TensorFlow's locks would come along.
    with multiprocessing.get_context("spawn").Pool(values.cores) as pool:
        for name in values.task:
            figures[name] = _measure(name, volumes, pool)
    if values.json:
        about = {"tensorflow": tf.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
        sizes = {"volumes": volumes.shape, "cores": values.cores}
        text = json.dumps({"tasks": figures, **sizes, **about}, indent=1)
        Path(values.json).write_text(text + "\n", encoding="utf-8")


def _measure(name: str, volumes: np.ndarray, pool: Pool) -> dict[str, Any]:
    """Gate, rounds and table of one task; returns what is printed and more."""
    row, seconds = ROWS[name], flags.FLAGS.seconds
    stages = {
        ONE_THREAD: lambda: _prepare(row.prepare, volumes.shape, seconds, 0),
        PROCESSES: lambda: _prepare_by_processes(pool, row.prepare, volumes.shape, seconds=seconds),
    }
    for setting, file in _settings(row).items():
        task = _task(file, volumes.shape[1])
        if setting == "released" and row.equal and not row.equal(task, volumes):
            raise InputError(f"{name}: our views differ from the published program's, so their speed says nothing.")
        stages |= {f"{setting}, {how}": stage for how, stage in _ours(task, volumes, seconds).items()}
    table = timing.interleaved({name: timing.warm(stage) for name, stage in stages.items()}, flags.FLAGS.rounds)
    yardstick = max((ONE_THREAD, PROCESSES), key=lambda stage: table[stage].rate)
    ratios = {stage: timing.ratio(table, stage, yardstick) for stage in table}
    _print(f"{name}, target {row.target:g} x" + (", views equal" if row.equal else ""), table, ratios)
    rows = {stage: {"rate": cost.rate, "ratio": ratios[stage], **cost._asdict()} for stage, cost in table.items()}
    return {"target": row.target, "yardstick": yardstick, "stages": rows}


def _prepare(
    prepare: Callable[[np.ndarray, np.random.Generator], Any], shape: Sequence[int], seconds: float, seed: int
) -> timing.Cost:
    """One thread of the published program."""
    rng = np.random.default_rng(seed)
    volumes = itertools.repeat(rng.random(shape, np.float32))
    return timing.consume(volumes, shape[0], seconds=seconds, use=lambda batch: prepare(batch, rng))


def _prepare_by_processes(pool: Pool, prepare: Callable, shape: Sequence[int], *, seconds: float) -> timing.Cost:
    """As many of it as there are cores, at the same time; their speeds add up."""
    jobs = [(prepare, shape, seconds, seed) for seed in range(flags.FLAGS.cores)]
    costs = pool.starmap(_prepare, jobs, chunksize=1)
    volumes = sum(cost.volumes for cost in costs)
    rate = sum(cost.volumes / cost.wall_s for cost in costs)
    return timing.Cost(volumes, volumes / rate, sum(cost.cpu_s for cost in costs), 0.0)


def _settings(row: Row) -> dict[str, str]:
    return {"released": f"gin/released/{row.gin}", "default": f"gin/{row.gin}"}


def _task(file: str, view_size: int) -> Task:
    configuration.load(configuration.Sources((file,), (f"VIEW_SIZE={view_size}",)))
    return configuration.make(Settings).task


def _ours(task: Task, volumes: np.ndarray, seconds: float) -> dict[str, timing.Stage]:
    batch, number = {"volume": tf.constant(volumes)}, len(volumes)
    batched = functools.partial(tf.data.Dataset.batch, batch_size=number, drop_remainder=True)

    def sample(k: tf.Tensor) -> Params:
        return task.sample(tf.stack([0, tf.cast(k, tf.int32)]))

    def example(k: tf.Tensor) -> tuple[tf.Tensor, tuple[Batch, Params]]:
        return k, ({"volume": batch["volume"][k % number]}, sample(k))

    numbers = tf.data.Dataset.range(np.iinfo(np.int32).max)
    # Named, as a map would take a tuple apart.
    choices = batched(numbers.map(lambda k: {"choices": sample(k)}, tf.data.AUTOTUNE))
    examples = numbers.map(example, tf.data.AUTOTUNE)
    views = host_views.with_views(examples, task, batched, view_voxels=volumes[0].size, at_a_time=pipeline.cores())

    def by_the_batch(jit_compile: bool) -> timing.Stage:
        make, ready = tf.function(task.make_views, autograph=False, jit_compile=jit_compile), choices.prefetch(1)
        return lambda: timing.consume(ready, number, seconds=seconds, use=lambda drawn: make(batch, drawn["choices"]))

    return {
        "graph": by_the_batch(jit_compile=False),
        "XLA": by_the_batch(jit_compile=True),
        "tf.data": lambda: timing.consume(views.prefetch(1), number, seconds=seconds),
    }


def _print(title: str, table: Mapping[str, timing.Summary], ratios: Mapping[str, tuple[float, float, float]]) -> None:
    print(f"{title:40}{'volumes/s':>10}{'range':>15}{'CPU ms/volume':>15}{'ratio':>8}{'range':>13}")
    for name, row in table.items():
        spread, (middle, lowest, highest) = f"{min(row.rates):.1f}–{max(row.rates):.1f}", ratios[name]
        ratio = f"{middle:8.2f}{f'{lowest:.2f}–{highest:.2f}':>13}"
        print(f"  {name:38}{row.rate:10.1f}{spread:>15}{row.cpu_s_per_volume * 1e3:15.2f}{ratio}")
    print(flush=True)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
