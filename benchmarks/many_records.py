"""What opening a data folder of many records costs: seconds and memory until the first batch of training is there.

python benchmarks/many_records.py                         a million pictures of 28², in runs/; written once
python benchmarks/many_records.py --records=200000

All shards are one file under many names: the manifest is what is measured. Memory is the peak of the process, pages of
files among it, over what it was with everything imported. Linux.
"""

import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli

with quiet.greeting():
    from ssl3d_tf.data import folders, pipeline
    from ssl3d_tf.data.records import manifest as manifests
    from ssl3d_tf.data.records import schema, writer
    from ssl3d_tf.tasks import rotation

_SIDE = 28
_PER_SHARD = 32
_FIRST = "train-{:06d}.tfrecord"


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_integer("records", 1_000_000, "How many the manifest lists.", lower_bound=_PER_SHARD)


def main(argv: Sequence[str]) -> None:
    """Reads the manifest, opens its training split, and draws a batch: a line for each, summed up."""
    cli.flags_only(argv)
    if (child := os.fork()) == 0:  # what is written is not to be measured
        folder_of(flags.FLAGS.records)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the folder could not be written")
    folder = folder_of(flags.FLAGS.records)
    print(f"{flags.FLAGS.records} records, {_size_mb(folder):.0f} MB beside their shards: {folder}")
    begin, cpu, before = time.monotonic(), time.process_time(), _memory_mb()

    def told(what: str) -> None:
        seconds, of_cpu = time.monotonic() - begin, time.process_time() - cpu
        print(f"{what:24}{seconds:8.2f} s{of_cpu:8.2f} s of CPU{_peak_mb() - before:8.0f} MB", flush=True)

    data = folders.open_folder(folder)
    told("manifest read")
    task = rotation.task(rank=2, view_size=_SIDE, top=lambda features, classes: features)
    opened = pipeline.read(
        data, task, split="train", training=True, rank=2, view_size=_SIDE, batch_size=_PER_SHARD, seed=0
    )
    told("training split opened")
    batches = opened.dataset()
    told("its pipeline built")
    next(iter(batches))
    told("first batch there")


def folder_of(count: int) -> Path:
    """A data folder of so many records; one that is there is left as it is."""
    folder = Path("runs") / f"many_{count}"
    if (folder / manifests.FILE).is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    volume = np.arange(_SIDE**2, dtype=np.uint8).reshape(_SIDE, _SIDE, 1)
    example = schema.Example("picture", "patient", volume, [1 / 255], [0.0], [1.0] * 2, np.eye(4), {})
    payload = schema.encode(example)
    first, places = writer.write_shard(folder / _FIRST.format(0), [payload] * _PER_SHARD)
    shards = [first._replace(file=_FIRST.format(number)) for number in range(count // _PER_SHARD)]
    for shard in shards[1:]:
        (folder / shard.file).unlink(missing_ok=True)
        (folder / shard.file).symlink_to(first.file)
    entry = _entry(places, schema.stored(payload))
    split = manifests.Split(tuple(shards), tuple(map(entry, range(len(shards) * _PER_SHARD))))
    recipe = {"made": "benchmarks/many_records.py"}
    manifests.write(
        folder,
        manifests.Manifest("many", 2, ("grey",), "", {}, ("uint8",), (), "raw", 0, recipe, {"train": split}),
    )
    return folder


def _entry(places: Sequence[writer.Location], stored: schema.Stored) -> Callable[[int], manifests.Entry]:
    def entry(number: int) -> manifests.Entry:
        shard, place = divmod(number, _PER_SHARD)
        made = manifests.Entry(
            f"clinic_{number % 7}/patient_{number // 3:06d}/picture_{number:07d}",
            f"clinic_{number % 7}/patient_{number // 3:06d}",
            shard,
            *places[place],
            (_SIDE, _SIDE, 1),
        )
        content = hashlib.sha256(str(number).encode()).hexdigest()
        return made._replace(content=content, stored=stored, spacing_mm=(0.5, 0.5))

    return entry


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".tfrecord") / 1e6


def _memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    cli.run(main, define_flags)
