"""What the loop costs beside its steps: `loop.fit` on a data folder against the same steps on one batch in memory.

python benchmarks/loop.py                                     all 3D tasks, 48³, 8 filters
python benchmarks/loop.py --size=tiny --steps=20              24³, 4 filters: steps of 20 ms
python benchmarks/loop.py --task=cpc_3d --size=real --precision=float32 --precision=mixed_bfloat16 --views_on=host

'loop' is a run as it is: reading, checks and logging included. 'resident' calls the same step as often, on the same
batch, and reads one number after the last. They take turns within one run, every few steps.
"""

import contextlib
import io
import itertools
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration

with quiet.greeting():
    import keras
    import numpy as np
    import tensorflow as tf

    from benchmarks import data
    from ssl3d_tf.command import kernels
    from ssl3d_tf.data import folders, pipeline
    from ssl3d_tf.training import loop, strategies
    from ssl3d_tf.training.run import PRECISIONS, Every, Settings, build

TASKS = ("rotation_3d", "rpl_3d", "jigsaw_3d", "cpc_3d", "exemplar_3d")
SIZES = {
    "tiny": ("VIEW_SIZE=24", "FILTERS=4", "LEVELS=1", "BATCH_SIZE=4"),
    "small": ("VIEW_SIZE=48", "FILTERS=8", "LEVELS=2", "BATCH_SIZE=8"),  # of gin/datasets/phantoms_3d.gin
    "real": ("BATCH_SIZE=8",),
}
_FOLDER = Path("runs") / "loop_benchmark"
_NEVER = 1 << 30


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_enum("task", list(TASKS), TASKS, "What to train; may repeat.")
    flags.DEFINE_enum("size", "small", list(SIZES), "Real is as the gin files say.")
    flags.DEFINE_multi_enum("precision", ["float32"], PRECISIONS, "Others than float32 are for GPUs; may repeat.")
    flags.DEFINE_multi_enum("views_on", ["device"], ["device", "host"], "May repeat.")
    flags.DEFINE_integer("steps", 5, "Of a turn.", lower_bound=1)
    flags.DEFINE_integer("rounds", 11, "Turns of each that are counted.", lower_bound=1)
    flags.DEFINE_float("limit_s", float("inf"), "Nothing new is begun after so many seconds.")


def main(argv: Sequence[str]) -> None:
    """Prints a line per task, precision and place of views: ms per step of both, and the ratio of their speeds."""
    cli.flags_only(argv)
    values, began = flags.FLAGS, time.perf_counter()
    print(f"{kernels.opening()}, {values.size}: {', '.join(SIZES[values.size])}", flush=True)
    print(f"{'':36}{'loop':>9}{'resident':>10}  ms per step    the loop's speed, of the resident's", flush=True)
    for row in itertools.product(values.task, values.precision, values.views_on):
        name = f"{row[0]} {row[1]} {row[2]}"
        if time.perf_counter() - began > values.limit_s:
            print(f"{name:36}not begun: --limit_s={values.limit_s:g} is over", flush=True)
        else:
            print(f"{name:36}{_measured(*row)}", flush=True)


def _measured(task: str, precision: str, views_on: str) -> str:
    params = (*SIZES[flags.FLAGS.size], f"PRECISION='{precision}'", f"VIEWS_ON='{views_on}'")
    sources = configuration.Sources((f"gin/{task}.gin",), params)
    configuration.load(sources)
    keras.backend.clear_session()
    seconds = _turns(configuration.make(Settings))
    ms, ratios = np.median(seconds, axis=0) / flags.FLAGS.steps * 1e3, seconds[:, 1] / seconds[:, 0]
    lowest, highest = np.percentile(ratios, (25, 75))
    return f"{ms[0]:9.2f}{ms[1]:10.2f}{f'{np.median(ratios):.1%} (quartiles {lowest:.1%}–{highest:.1%})':>48}"


def _turns(settings: Settings) -> np.ndarray:
    """Seconds of every turn of the loop and of the resident steps, [rounds, 2]; the first one is not counted."""
    steps, rounds = flags.FLAGS.steps, flags.FLAGS.rounds + 1
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    folder = folders.open_folder(data.phantom_folder(128, configuration.macro("VIEW_SIZE")))
    resident, found = _resident(folder, settings), []

    def taking_turns(folder: folders.DataFolder, task: Any) -> pipeline.Data:
        whole = settings.train_data(folder, task)

        def batches(*where: int) -> Iterator[Any]:
            ahead = iter(strategies.to_device(whole.dataset(*where)))
            while True:
                began = time.perf_counter()
                yield from itertools.islice(ahead, steps)  # comes back when the loop asks for one more
                found.append((time.perf_counter() - began, resident()))

        return whole._replace(dataset=batches)

    every = Every(log=50, evaluate=_NEVER, save=_NEVER)
    changed = settings._replace(train_data=taking_turns, every=every, steps=steps * rounds + 1)
    with contextlib.redirect_stdout(io.StringIO()):
        loop.fit(_FOLDER, folder, changed)
    return np.array(found[1:])


def _resident(folder: folders.DataFolder, settings: Settings) -> Callable[[], float]:
    """A turn of the same step on one batch, whose numbers nobody reads before the last: seconds."""
    built = build(_FOLDER, folder, settings, distribution=tf.distribute.get_strategy())
    _, element = next(iter(strategies.to_device(built.train.dataset())))

    def turn() -> float:
        began = time.perf_counter()
        for _ in range(flags.FLAGS.steps):
            result = built.advance(element)
        np.asarray(result.scores)
        return time.perf_counter() - began

    return turn


if __name__ == "__main__":
    define_flags()
    cli.run(main)
