"""How fast volumes come from disk to an update, stage by stage, and what limits them.

python benchmarks/throughput.py                                    phantoms of 128³ in runs/, gin/rotation_3d.gin
python benchmarks/throughput.py --data=DATA --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 --json=out.json
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import cli, configuration, quiet
from ssl3d_tf.records import manifest as manifests

with quiet.greeting():
    import gin
    import tensorflow as tf

    from benchmarks import data as folders
    from benchmarks import stages, timing
    from ssl3d_tf import loop, pipeline

    tf.config.list_physical_devices()

ADVICE = {
    "by index": "read and parse: a faster disk, CACHE_GB, or --dtype=uint8 at conversion",
    "+ crop": "cropping: store volumes nearer to VIEW_SIZE",
    "+ views, host": "views on the host: VIEWS_ON='device', where there is a GPU",
    "+ step, views on host": "the network, not the data: a GPU, mixed precision, or a smaller network",
}


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord; without it, phantoms are made in runs/.")
    flags.DEFINE_integer("volumes", 100, "Phantoms to make.", lower_bound=8)
    flags.DEFINE_integer("size", 128, "Their side, voxels.", lower_bound=16)
    flags.DEFINE_multi_string("gin_file", ["gin/rotation_3d.gin"], "Task, encoder and sizes.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds; the stages take turns.", lower_bound=1)
    flags.DEFINE_integer("steps", 3, "Training steps per round.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all figures.")
    flags.DEFINE_bool("peak_memory", False, "Read three epochs of --data, print the peak memory in MB, and end.")


def main(argv: Sequence[str]) -> None:
    """Times every stage and prints the table and its lesson."""
    cli.flags_only(argv)
    values = flags.FLAGS
    folder = Path(values.data) if values.data else folders.phantom_folder(values.volumes, values.size)
    configuration.load(configuration.Sources(tuple(values.gin_file), tuple(values.gin_param)), read=["STRATEGY"])
    data = pipeline.open_folder(folder)
    if values.peak_memory:
        print(_peak_memory_mb(data))
        return
    fitted = gin.get_bindings(loop.fit)
    table = timing.interleaved(_stages(data, fitted, steps=values.steps), values.rounds)
    result: dict[str, Any] = {name: figures._asdict() for name, figures in table.items()}
    result["peak_memory_mb"] = _memory_rows(folder, values.gin_file, values.gin_param)
    result["first_batch_s"] = stages.first_batch_s(_plain(data, fitted))
    _print(result, table, megabytes=_megabytes(data))
    if values.json:
        Path(values.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _stages(data: pipeline.DataFolder, fitted: dict[str, Any], *, steps: int) -> dict[str, stages.Stage]:
    read, task = fitted["train_data"], fitted["task"]
    whole = _plain(data, fitted)
    batches = len(whole.ids) // whole.batch_size
    bare = stages.without_views(task)
    views = {place: read(data, task, views_on=place) for place in ("host", "device")}
    channels = len(data.manifest.channels)
    crop = max(1, min(data.manifest.split("train").entries[0].shape[:-1]) * 3 // 4)
    return {
        "raw bytes": stages.raw(data),
        "sequential": stages.sequential(data, whole.batch_size),
        "by index": stages.by_index(whole, batches * stages.EPOCHS),
        "+ crop": stages.by_index(read(data, bare, view_size=crop), batches * stages.EPOCHS),
        "+ views, host": stages.by_index(views["host"], batches),
        "+ step, views on host": stages.training(views["host"], steps, fitted, channels),
        "+ step, views on device": stages.training(views["device"], steps, fitted, channels),
    }


def _plain(data: pipeline.DataFolder, fitted: dict[str, Any]) -> pipeline.Data:
    """Read, parse and batch of whole volumes."""
    side = max(max(entry.shape[:-1]) for entry in data.manifest.split("train").entries)
    return fitted["train_data"](data, stages.without_views(fitted["task"]), view_size=side, views_on="device")


def _memory_rows(folder: Path, gin_files: Sequence[str], gin_params: Sequence[str]) -> dict[str, float]:
    """Peak memory, MB, of a process that reads the data, and of one that reads ten times as many volumes."""
    rows = {}
    for times in (1, 10):
        many = folders.repeated(folder, times)
        count = len(manifests.read(many).split("train").entries)
        options = [*(f"--gin_file={file}" for file in gin_files), *(f"--gin_param={param}" for param in gin_params)]
        command = [sys.executable, __file__, f"--data={many}", "--peak_memory", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows[f"{count} volumes"] = float(done.stdout.split()[-1])
    return rows


def _peak_memory_mb(data: pipeline.DataFolder) -> float:
    """Most memory held while 300 batches of whole volumes are read by index, above that of the imports, MB."""
    plain = _plain(data, gin.get_bindings(loop.fit))
    before = stages.resident_mb()
    return max(stages.resident_mb() for _ in plain.dataset().take(300)) - before


def _megabytes(data: pipeline.DataFolder) -> float:
    """Stored size of a volume, 10⁶ bytes."""
    entries = data.manifest.split("train").entries
    return sum(entry.length for entry in entries) / len(entries) / 1e6


def _print(result: dict[str, Any], table: dict[str, timing.Summary], *, megabytes: float) -> None:
    print(f"{'stage':26}{'volumes/s':>11}{'(range)':>18}{'MB/s':>9}{'CPU ms/volume':>15}{'stall':>8}")
    for name, row in table.items():
        spread = f"({row.lowest:.1f}–{row.highest:.1f})"
        stall = f"{row.stall_fraction:8.1%}" if "step" in name else ""
        print(
            f"{name:26}{row.volumes_per_s:11.1f}{spread:>18}{row.volumes_per_s * megabytes:9.0f}"
            f"{row.cpu_s_per_volume * 1e3:15.2f}{stall}"
        )
    print(f"by index / sequential: {table['by index'].volumes_per_s / table['sequential'].volumes_per_s:.0%}")
    memory = ", ".join(f"{name} {mb:.0f} MB" for name, mb in result["peak_memory_mb"].items())
    print(f"peak memory above the imports: {memory}; first batch after {result['first_batch_s']:.2f} s")
    print(_lesson(table))


def _lesson(table: dict[str, timing.Summary]) -> str:
    """Names the stage that adds most seconds to a volume on its way."""
    names = [name for name in ADVICE if name in table]
    seconds = [0.0, *(1 / table[name].volumes_per_s for name in names)]
    added = {name: later - earlier for name, (earlier, later) in zip(names, itertools.pairwise(seconds), strict=True)}
    worst = max(added, key=lambda name: added[name])
    return f"What limits is {ADVICE[worst]} ({added[worst] * 1e3:.1f} of {seconds[-1] * 1e3:.1f} ms per volume)."


if __name__ == "__main__":
    define_flags()
    cli.run(main)
