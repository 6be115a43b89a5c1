"""Views made in the input pipeline of this process, against those of services that python -m ssl3d_tf.serve began.

python benchmarks/services.py --data_service=grpc://localhost:5050            phantoms of 64³ in runs/, rotation and CPC

The rows take turns. CPU is that of this process: what a service takes of its machine is not in it.
"""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration

with quiet.greeting():
    from benchmarks import data as folders
    from benchmarks import stages, timing
    from ssl3d_tf.data.folders import DataFolder, open_folder
    from ssl3d_tf.training.run import Settings


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_string("data_service", [], "Address of a service; may repeat.")
    flags.DEFINE_multi_string("gin_file", ["gin/rotation_3d.gin", "gin/cpc_3d.gin"], "A task; may repeat.")
    flags.DEFINE_integer("size", 64, "Side of the phantoms and of the views, voxels.", lower_bound=16)
    flags.DEFINE_integer("batch", 4, "Batch size.", lower_bound=1)
    flags.DEFINE_integer("rounds", 5, "Timed rounds; the rows take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 2.0, "Of each row and round.", lower_bound=0.0)


def main(argv: Sequence[str]) -> None:
    """Times the batches of every task, made here and by the services."""
    cli.flags_only(argv)
    values = flags.FLAGS
    if not values.data_service:
        raise app.UsageError("--data_service is missing; begin one with python -m ssl3d_tf.serve.")
    data = open_folder(folders.phantom_folder(64, values.size))
    rows = {name: row for file in values.gin_file for name, row in _rows(data, file).items()}
    print(f"{'':32}{'volumes/s':>10}{'range':>15}{'CPU ms/volume':>15}")
    for name, row in timing.interleaved(rows, values.rounds).items():
        spread = f"{min(row.rates):.1f}–{max(row.rates):.1f}"
        print(f"{name:32}{row.rate:10.1f}{spread:>15}{row.cpu_s_per_volume * 1e3:15.2f}")


def _rows(data: DataFolder, gin_file: str) -> dict[str, timing.Stage]:
    values, name = flags.FLAGS, Path(gin_file).stem
    params = (f"VIEW_SIZE={values.size}", f"BATCH_SIZE={values.batch}", "VIEWS_ON='host'")
    configuration.load(configuration.Sources((gin_file,), params))
    fitted = configuration.make(Settings)
    read = functools.partial(fitted.train_data, data, fitted.task)
    services = {f"{name}: {len(values.data_service)} service(s)": read(data_service=values.data_service)}
    rows = {f"{name}: here": read(), **services}
    return {row: timing.warm(stages.by_index(made, values.seconds)) for row, made in rows.items()}


if __name__ == "__main__":
    cli.run(main, define_flags)
