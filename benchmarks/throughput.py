"""How fast volumes come from disk to an update, stage by stage, and what limits them.

python benchmarks/throughput.py                                    phantoms of 128³ in runs/, gin/rotation_3d.gin
python benchmarks/throughput.py --data=DATA --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 --json=out.json

`by index` reads whole volumes, `+ crop` cuts them to VIEW_SIZE; every stage includes those before it, and nothing is
cached but by the operating system. docs/performance.md has figures and says how to read them.
"""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import cli, configuration, quiet

with quiet.greeting():
    import gin
    import tensorflow as tf

    from benchmarks import data as folders
    from benchmarks import memory, stages, timing
    from ssl3d_tf import loop, pipeline

    tf.config.list_physical_devices()  # looks for GPUs, and says where there is none
    tf.get_logger().setLevel("ERROR")

SEQUENTIAL, BY_INDEX, CROP, VIEWS = "sequential", "by index", "+ crop", "+ views on host"
STEP_HOST, STEP_DEVICE = "+ step, views on host", "+ step, views on device"
ADVICE = {
    BY_INDEX: "reading and parsing: take a faster disk, more cores, CACHE_GB, or --dtype=uint8 at conversion",
    CROP: "cropping: convert to volumes nearer to VIEW_SIZE",
    VIEWS: "making views on the host: take VIEWS_ON='device'",
    STEP_HOST: "the training step, not the data: take a GPU, mixed precision or a smaller network",
}


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord; without it, phantoms are made in runs/.")
    flags.DEFINE_integer("volumes", 100, "Phantoms to make.", lower_bound=8)
    flags.DEFINE_integer("size", 128, "Their side, voxels.", lower_bound=16)
    flags.DEFINE_multi_string("gin_file", ["gin/rotation_3d.gin"], "Task, encoder and sizes; several, in order.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files; may repeat.")
    flags.DEFINE_integer("rounds", 7, "Timed rounds; the stages take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.0, "Of each stage and round.", lower_bound=0.0)
    flags.DEFINE_string("json", None, "File for all figures.")
    flags.DEFINE_bool("peak_memory", False, "Only read --data by index, and print the peak memory in MB.")


def main(argv: Sequence[str]) -> None:
    """Times every stage and prints the table and its lesson."""
    cli.flags_only(argv)
    values = flags.FLAGS
    folder = Path(values.data) if values.data else folders.phantom_folder(values.volumes, values.size)
    configuration.load(configuration.Sources(tuple(values.gin_file), tuple(values.gin_param)), read=["STRATEGY"])
    data, fitted = pipeline.open_folder(folder), gin.get_bindings(loop.fit)
    whole = _whole(data, fitted)
    if values.peak_memory:
        print(memory.of_reading(whole))
        return
    first_batch_s = stages.first_batch_s(whole)
    table = timing.interleaved(_stages(data, fitted, whole, seconds=values.seconds), values.rounds)
    configured = [f"--gin_file={file}" for file in values.gin_file] + [f"--gin_param={p}" for p in values.gin_param]
    peaks = memory.of_sizes(folder, [__file__, "--peak_memory", *configured])
    megabytes = _megabytes(data)
    _print(table, first_batch_s, peaks, megabytes=megabytes)
    if values.json:
        result = {
            "stages": {name: {"rate": row.rate, **row._asdict()} for name, row in table.items()},
            "megabytes_per_volume": megabytes,
            "first_batch_s": first_batch_s,
            "peak_memory_mb": peaks,
            "tensorflow": tf.__version__,
            "configuration": configuration.text(),
        }
        Path(values.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _stages(
    data: pipeline.DataFolder, fitted: Mapping[str, Any], whole: pipeline.Data, *, seconds: float
) -> dict[str, timing.Stage]:
    read, task, channels = fitted["train_data"], fitted["task"], len(data.manifest.channels)
    host, device = (read(data, task, views_on=place) for place in ("host", "device"))
    return {
        "raw bytes": stages.raw(data, seconds),
        SEQUENTIAL: stages.sequential(data, _side(data), whole.batch_size, seconds=seconds),
        BY_INDEX: stages.by_index(whole, seconds),
        CROP: stages.by_index(read(data, stages.without_views(task), views_on="device"), seconds),
        VIEWS: stages.by_index(host, seconds),
        STEP_HOST: stages.training(host, dict(fitted), channels, seconds),
        STEP_DEVICE: stages.training(device, dict(fitted), channels, seconds),
    }


def _whole(data: pipeline.DataFolder, fitted: Mapping[str, Any]) -> pipeline.Data:
    """Read, parse and batch, of volumes as stored (padded to a cube of the longest side where they differ)."""
    task = stages.without_views(fitted["task"])
    return fitted["train_data"](data, task, view_size=_side(data), views_on="device")


def _side(data: pipeline.DataFolder) -> int:
    return max(max(entry.shape[:-1]) for entry in data.manifest.split("train").entries)


def _megabytes(data: pipeline.DataFolder) -> float:
    """Mean stored size of a volume, 10⁶ bytes."""
    entries = data.manifest.split("train").entries
    return sum(entry.length for entry in entries) / len(entries) / 1e6


def _print(
    table: Mapping[str, timing.Summary], first_batch_s: float, peaks: Mapping[str, float], *, megabytes: float
) -> None:
    print(f"{'stage':24}{'volumes/s':>10}{'range':>17}{'MB/s':>8}{'CPU ms/volume':>15}{'stalled':>9}")
    for name, row in table.items():
        spread = f"{_short(min(row.rates))}–{_short(max(row.rates))}"
        stalled = f"{row.stall_fraction:9.1%}" if "step" in name else ""
        print(
            f"{name:24}{_short(row.rate):>10}{spread:>17}{row.rate * megabytes:8.0f}"
            f"{row.cpu_s_per_volume * 1e3:15.2f}{stalled}"
        )
    middle, lowest, highest = timing.ratio(table, BY_INDEX, SEQUENTIAL)
    print(f"by index / sequential: {middle:.0%} of the speed ({lowest:.0%}–{highest:.0%} over the rounds)")
    print(f"first batch after {first_batch_s:.2f} s, the building of the graph included")
    print("peak memory of reading: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in peaks.items()))
    print(_lesson(table))


def _short(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def _lesson(table: Mapping[str, timing.Summary]) -> str:
    """Names the stage that adds most seconds to a volume on its way."""
    seconds = [0.0, *(1 / table[name].rate for name in ADVICE)]
    added = {name: later - earlier for name, (earlier, later) in zip(ADVICE, itertools.pairwise(seconds), strict=True)}
    worst = max(added, key=lambda name: added[name])
    return f"What limits is {ADVICE[worst]} ({added[worst] * 1e3:.1f} of {seconds[-1] * 1e3:.1f} ms per volume)."


if __name__ == "__main__":
    define_flags()
    cli.run(main)
