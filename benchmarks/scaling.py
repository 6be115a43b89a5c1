"""What reading costs by the size and the number of volumes and by the batch: a fixed part, and one per megabyte.

python benchmarks/scaling.py                     phantoms of 32³ to 192³ in runs/; on one core: taskset -c 0 python …

Whole volumes in 8 bits by index, read and parsed and put into batches. The last line is the model, fitted to CPU times.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration

with quiet.greeting():
    from benchmarks import data as folders
    from benchmarks import stages, timing
    from ssl3d_tf.data.folders import open_folder
    from ssl3d_tf.training.run import Settings

_BATCH = 4


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_integer("size", [32, 64, 128, 192], "Sides of the phantoms, voxels; may repeat.", lower_bound=8)
    flags.DEFINE_integer("volumes", 100, "Phantoms of each size.", lower_bound=16)
    flags.DEFINE_multi_integer("times", [1, 10, 100], "How often each is listed; may repeat.", lower_bound=1)
    flags.DEFINE_multi_integer("batch", [1, 4, 16], "Batch sizes; may repeat.", lower_bound=1)
    flags.DEFINE_integer("rounds", 5, "Timed rounds; the rows take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.0, "Of each row and round.", lower_bound=0.0)


def main(argv: Sequence[str]) -> None:
    """Times reading at all sizes, of the first for all numbers and batches, and fits the model."""
    cli.flags_only(argv)
    values, count = flags.FLAGS, flags.FLAGS.volumes
    sizes = {side: _row(folders.phantom_folder(count, side), side, _BATCH) for side in values.size}
    middle = values.size[len(values.size) // 2]
    folder = folders.phantom_folder(count, middle)
    numbers = {
        f"{count * times} volumes of {middle}³": _row(folders.repeated(folder, times), middle, _BATCH)
        for times in values.times
    }
    batches = {f"batch {size} of {middle}³": _row(folder, middle, size) for size in values.batch}
    rows = {**{f"{side}³": stage for side, stage in sizes.items()}, **numbers, **batches}
    table = timing.interleaved(rows, values.rounds)
    print(f"{'':28}{'volumes/s':>10}{'range':>15}{'CPU ms/volume':>15}")
    for name, row in table.items():
        spread = f"{min(row.rates):.0f}–{max(row.rates):.0f}"
        print(f"{name:28}{row.rate:10.0f}{spread:>15}{row.cpu_s_per_volume * 1e3:15.3f}")
    fixed, per_megabyte = _fit({side: table[f"{side}³"].cpu_s_per_volume * 1e3 for side in values.size})
    print(f"CPU ms per volume = {fixed:.3f} + {per_megabyte:.3f} per megabyte stored")


def _row(folder: Path, side: int, batch: int) -> timing.Stage:
    params = (f"VIEW_SIZE={side}", f"BATCH_SIZE={batch}")
    configuration.load(configuration.Sources(("gin/rotation_3d.gin",), params))
    fitted = configuration.make(Settings)
    task = stages.without_views(fitted.task)
    read = fitted.train_data(open_folder(folder), task, views_on="device")
    return timing.warm(stages.by_index(read, flags.FLAGS.seconds))


def _fit(cpu_ms: Mapping[int, float]) -> tuple[float, float]:
    """Least squares of relative errors, so that small volumes count as much as large ones."""
    megabytes, cost = np.array([side**3 / 1e6 for side in cpu_ms]), np.array(list(cpu_ms.values()))
    columns = np.stack([np.ones_like(megabytes), megabytes], axis=1) / cost[:, None]
    fixed, slope = np.linalg.lstsq(columns, np.ones_like(cost), rcond=None)[0]
    return float(fixed), float(slope)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
