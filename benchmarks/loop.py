"""What the loop costs beside its steps: `loop.fit` on a data folder against the same steps on one batch in memory.

python benchmarks/loop.py                                     all 3D tasks, 24³, 4 filters: steps of milliseconds
python benchmarks/loop.py --task=cpc_3d --size=real --precision=float32 --precision=mixed_bfloat16 --views_on=host

'loop' is what `metrics.jsonl` says a run made: reading, checks and logging included, evaluation and saving not.
'resident' calls the same step as often, on the same batch, and reads one number after the last.
"""

import itertools
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import cli, configuration, quiet

with quiet.greeting():
    import gin
    import keras
    import numpy as np
    import tensorflow as tf

    from benchmarks import data, timing
    from ssl3d_tf import kernels, loop, pipeline

TASKS = ("rotation_3d", "rpl_3d", "jigsaw_3d", "cpc_3d", "exemplar_3d")
SIZES = {"small": ("VIEW_SIZE=24", "FILTERS=4", "LEVELS=1", "BATCH_SIZE=4"), "real": ("BATCH_SIZE=8",)}
LOOP, RESIDENT = "loop", "resident"
_FOLDER = Path("runs") / "loop_benchmark"
_NEVER = 1 << 30


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_enum("task", list(TASKS), TASKS, "What to train; may repeat.")
    flags.DEFINE_enum("size", "small", list(SIZES), "Small, or as the gin files say.")
    flags.DEFINE_multi_enum("precision", ["float32"], loop.PRECISIONS, "Others than float32 are for GPUs; may repeat.")
    flags.DEFINE_multi_enum("views_on", ["device"], ["device", "host"], "May repeat.")
    flags.DEFINE_integer("steps", 200, "Of a round.", lower_bound=2)
    flags.DEFINE_integer("rounds", 5, "The two take turns.", lower_bound=1)
    flags.DEFINE_float("limit_s", float("inf"), "Nothing new is begun after so many seconds.")


def main(argv: Sequence[str]) -> None:
    """Prints a line per task, precision and place of views: ms per step of both, and the ratio of their speeds."""
    cli.flags_only(argv)
    values, began = flags.FLAGS, time.perf_counter()
    print(f"{kernels.opening()}, {values.size}: {', '.join(SIZES[values.size])}", flush=True)
    print(f"{'':36}{'loop':>9}{'resident':>10}  ms per step   loop's speed to resident's    stalled", flush=True)
    for row in itertools.product(values.task, values.precision, values.views_on):
        name = f"{row[0]} {row[1]} {row[2]}"
        if time.perf_counter() - began > values.limit_s:
            print(f"{name:36}not begun: --limit_s={values.limit_s:g} is over", flush=True)
        else:
            print(f"{name:36}{_measured(*row)}", flush=True)


def _measured(task: str, precision: str, views_on: str) -> str:
    params = (*SIZES[flags.FLAGS.size], f"PRECISION='{precision}'", f"VIEWS_ON='{views_on}'")
    sources = configuration.Sources((f"gin/{task}.gin",), params)
    configuration.load(sources, read=["STRATEGY", "DETERMINISTIC"])
    keras.backend.clear_session()
    settings = gin.get_bindings(loop.fit)
    folder = pipeline.open_folder(data.phantom_folder(128, configuration.macro("VIEW_SIZE")))
    stages = {LOOP: _loop(folder, settings), RESIDENT: _resident(folder, settings)}
    table = timing.interleaved({name: timing.warm(stage) for name, stage in stages.items()}, flags.FLAGS.rounds)
    batch = configuration.macro("BATCH_SIZE")
    ms = [batch / table[name].rate * 1e3 for name in (LOOP, RESIDENT)]
    middle, lowest, highest = timing.ratio(table, LOOP, RESIDENT)
    ratio, stalled = f"{middle:.1%} ({lowest:.1%}–{highest:.1%})", table[LOOP].stall_fraction
    return f"{ms[0]:9.2f}{ms[1]:10.2f}{ratio:>43}{stalled:11.1%}"


def _loop(folder: pipeline.DataFolder, settings: Mapping[str, Any]) -> timing.Stage:
    """A run that goes on for as many steps each round; its own log says how fast."""
    workdir, rounds, steps = _FOLDER, itertools.count(1), flags.FLAGS.steps
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    every = loop.Every(log=steps, evaluate=_NEVER, save=_NEVER)

    def run() -> timing.Cost:
        # One more, as the first of a process is spent on building the graph, and is no part of what is logged.
        loop.fit(workdir, folder, **{**settings, "steps": steps * next(rounds), "every": every})
        lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        logged = [line for line in lines if "examples_per_s" in line][-1]
        volumes = steps * configuration.macro("BATCH_SIZE")
        seconds = volumes / logged["examples_per_s"]
        return timing.Cost(volumes, seconds, 0.0, logged["stall_fraction"] * seconds)

    return run


def _resident(folder: pipeline.DataFolder, settings: Mapping[str, Any]) -> timing.Stage:
    """The same step on one batch, whose numbers nobody reads before the last."""
    built = loop.build(_FOLDER, folder, distribution=tf.distribute.get_strategy(), **settings)
    _, element = next(iter(built.train.dataset()))

    def run() -> timing.Cost:
        began = time.perf_counter()
        for _ in range(flags.FLAGS.steps):
            result = built.advance(element)
        np.asarray(result.scores)
        return timing.Cost(flags.FLAGS.steps * built.train.batch_size, time.perf_counter() - began, 0.0, 0.0)

    return run


if __name__ == "__main__":
    define_flags()
    cli.run(main)
