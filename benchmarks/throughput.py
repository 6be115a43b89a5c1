"""How fast volumes come from disk to an update, stage by stage, and what limits them.

python benchmarks/throughput.py                                    phantoms of 128³ in runs/, all five tasks
python benchmarks/throughput.py --data=DATA --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 --json=out.json

Nothing is cached but by the operating system; 'cold' is without that. 'first epoch' reads, verifies and parses records,
'later epochs' takes voxels from mapped shards, and every stage behind it includes that and those before it.
docs/performance.md has figures, and docs/performance_history.md says how to read them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration

with quiet.greeting():
    import tensorflow as tf

    from benchmarks import data as folders
    from benchmarks import memory, stages, timing
    from ssl3d_tf.data import pipeline
    from ssl3d_tf.data.folders import DataFolder, open_folder
    from ssl3d_tf.training.run import Settings


TASKS = "cpc", "rotation", "rpl", "jigsaw", "exemplar"
COPY, RAW, SEQUENTIAL, RECORDS = "copy in memory", "raw bytes", "sequential", "records"
FIRST, LATER, CROP = "first epoch", "later epochs", "+ crop"
RAW_COLD, FIRST_COLD, LATER_COLD = "raw bytes, cold", "first epoch, cold", "later epochs, cold"
_ENDLESS = 20_000  # volumes: more than any row reads
VIEWS_HOST, VIEWS_DEVICE, STEP_HOST, STEP_DEVICE = "views, host", "views, device", "step, host", "step, device"
ADVICE = {
    LATER: "reading: take a faster disk, CACHE_GB, or --dtype=uint8 at conversion",
    CROP: "cropping: convert to volumes nearer to VIEW_SIZE, or with --brick_shape",
    VIEWS_HOST: "making views: take more cores, or a GPU and VIEWS_ON='device'",
    STEP_HOST: "the training step, not the data: take a GPU, mixed precision or a smaller network",
}


class Setup(NamedTuple):
    """A configuration as loaded: its settings, by the name of its file."""

    name: str
    fitted: Settings


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord; without it, phantoms are made in runs/.")
    flags.DEFINE_integer("volumes", 100, "Phantoms to make.", lower_bound=8)
    flags.DEFINE_integer("size", 128, "Their side, voxels.", lower_bound=16)
    flags.DEFINE_multi_string("gin_file", [], "Task, encoder and sizes; several, in order. Default: every task's.")
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
    data = open_folder(folder)
    every = sources(data)
    whole = _whole(data, _load(every[0]))
    if values.peak_memory:
        print(memory.of_reading(whole))
        return
    first_batch_s = stages.first_batch_s(whole)
    times = -(-_ENDLESS // len(data.manifest.split("train").entries))
    rows = _reading(data, whole, _whole(open_folder(folders.repeated(folder, times)), _load(every[0])))
    for number, source in enumerate(every):
        rows |= _training(data, _load(source), with_crop=number == 0)
    table = timing.interleaved(rows, values.rounds)
    megabytes = _megabytes(data)
    peaks = memory.of_sizes(folder, [__file__, "--peak_memory", *_options(every[0])])
    _print(table, first_batch_s, peaks, megabytes=megabytes)
    if values.json:
        result = {
            "stages": {name: {"rate": row.rate, **row._asdict()} for name, row in table.items()},
            "megabytes_per_volume": megabytes,
            "first_batch_s": first_batch_s,
            "peak_memory_mb": peaks,
            "tensorflow": tf.__version__,
            "configurations": [_options(source) for source in every],
        }
        Path(values.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def sources(data: DataFolder) -> list[configuration.Sources]:
    """What is asked for, or every task of the paper, of the rank of the data."""
    params = tuple(flags.FLAGS.gin_param)
    if flags.FLAGS.gin_file:
        return [configuration.Sources(tuple(flags.FLAGS.gin_file), params)]
    return [configuration.Sources((f"gin/{task}_{data.manifest.rank}d.gin",), params) for task in TASKS]


def _options(sources: configuration.Sources) -> list[str]:
    return [f"--gin_file={file}" for file in sources.files] + [f"--gin_param={param}" for param in sources.params]


def _load(sources: configuration.Sources) -> Setup:
    configuration.load(sources)
    return Setup(Path(sources.files[0]).stem, configuration.make(Settings))


def _reading(data: DataFolder, whole: pipeline.Data, many: pipeline.Data) -> dict[str, timing.Stage]:
    """What all tasks share: whole volumes, in batches; `many` has an epoch that does not end."""
    seconds = flags.FLAGS.seconds
    rows = {
        COPY: stages.copy(data, seconds),
        RAW: stages.raw(data, seconds),
        SEQUENTIAL: stages.sequential(data, _side(data), whole.batch_size, seconds=seconds),
        RECORDS: stages.records(data, whole.batch_size, seconds),
        FIRST: stages.first_epoch(many, seconds),
        LATER: stages.by_index(whole, seconds),
        RAW_COLD: stages.cold(data, stages.raw(data, 0.0)),
        FIRST_COLD: stages.cold(data, stages.one_pass(whole, is_first=True)),
        LATER_COLD: stages.cold(data, stages.one_pass(whole, is_first=False)),
    }
    return {name: timing.warm(stage) for name, stage in rows.items()}


def _training(data: DataFolder, setup: Setup, *, with_crop: bool) -> dict[str, timing.Stage]:
    """The rows of one configuration, built while it is the one that is loaded."""
    read, task, seconds = setup.fitted.train_data, setup.fitted.task, flags.FLAGS.seconds
    channels = len(data.manifest.channels)
    host, device = (read(data, task, views_on=place) for place in ("host", "device"))
    cropped = read(data, stages.without_views(task), views_on="device")
    rows = {CROP: stages.by_index(cropped, seconds)} if with_crop else {}
    rows |= {
        f"{setup.name}: {VIEWS_HOST}": stages.by_index(host, seconds),
        f"{setup.name}: {VIEWS_DEVICE}": stages.views(device, seconds),
        f"{setup.name}: {STEP_HOST}": stages.training(host, setup.fitted, channels, seconds),
        f"{setup.name}: {STEP_DEVICE}": stages.training(device, setup.fitted, channels, seconds),
    }
    return {name: timing.warm(stage) for name, stage in rows.items()}


def _whole(data: DataFolder, setup: Setup) -> pipeline.Data:
    """Read, parse and batch, of volumes as stored (padded to a cube of the longest side where they differ)."""
    task = stages.without_views(setup.fitted.task)
    return setup.fitted.train_data(data, task, view_size=_side(data), views_on="device")


def _side(data: DataFolder) -> int:
    return max(max(entry.shape[:-1]) for entry in data.manifest.split("train").entries)


def _megabytes(data: DataFolder) -> float:
    """Mean stored size of a volume, 10⁶ bytes."""
    entries = data.manifest.split("train").entries
    return sum(entry.length for entry in entries) / len(entries) / 1e6


def _print(
    table: Mapping[str, timing.Summary], first_batch_s: float, peaks: Mapping[str, float], *, megabytes: float
) -> None:
    wide = max(map(len, table)) + 2
    print(f"{'stage':{wide}}{'volumes/s':>10}{'range':>17}{'MB/s':>8}{'CPU ms/volume':>15}{'stalled':>9}")
    for name, row in table.items():
        spread = f"{_short(min(row.rates))}–{_short(max(row.rates))}"
        stalled = f"{row.stall_fraction:9.1%}" if "step" in name else ""
        print(
            f"{name:{wide}}{_short(row.rate):>10}{spread:>17}{row.rate * megabytes:8.0f}"
            f"{row.cpu_s_per_volume * 1e3:15.2f}{stalled}"
        )
    for epochs in (FIRST, LATER):
        middle, lowest, highest = timing.ratio(table, epochs, SEQUENTIAL)
        print(f"{epochs} / sequential: {middle:.0%} of the speed ({lowest:.0%}–{highest:.0%} over the rounds)")
    print(f"first batch after {first_batch_s:.2f} s, the building of the graph included")
    print("peak memory of reading: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in peaks.items()))
    for task in dict.fromkeys(name.split(": ")[0] for name in table if ": " in name):
        print(_lesson(table, task))


def _short(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def _lesson(table: Mapping[str, timing.Summary], task: str) -> str:
    """Names the stage that adds most seconds to a volume on its way."""
    seconds, added = 0.0, {}
    for name in ADVICE:
        later = 1 / table[name if name in table else f"{task}: {name}"].rate
        added[name], seconds = later - seconds, later
    worst = max(added, key=lambda name: added[name])
    return f"{task}: what limits is {ADVICE[worst]} ({added[worst] * 1e3:.1f} of {seconds * 1e3:.1f} ms per volume)."


if __name__ == "__main__":
    define_flags()
    cli.run(main)
