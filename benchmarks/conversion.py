"""How fast `tools.to_tfrecord` converts gzipped NIfTI files, against gunzip alone and at equal work.

python benchmarks/conversion.py                       48 phantoms of 128³ int16 in runs/peers, one and two workers

Equal work is what no converter gets around: inflate, percentiles of the voxels, scaling to 16 bits, writing; in NumPy,
with zlib, and with ISA-L as the converter has it. It writes new files of as many volumes as a shard has, each synced
once, as the converter does: a file that is written over and over lies in memory that is warm, and a sync for every
volume takes longer. "counted" finds the percentiles as the converter does, by counting: np.percentile takes half of the
time. Checksums, facts and turning to RAS+ are no part of equal work.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from isal import igzip

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from benchmarks import timing
from benchmarks.peers import folders
from benchmarks.peers.jobs import SIDE
from ssl3d_tf.command import cli

_ROOT = Path(__file__).resolve().parents[1]
_HEADER = 352  # bytes of a NIfTI file before its voxels
_PER_SHARD = 8  # so that two workers have as much to do each
ZLIB, ISAL, ONE, TWO = "inflate: zlib", "inflate: ISA-L", "1 worker", "2 workers"
EQUAL_ZLIB, EQUAL_ISAL, EQUAL_COUNTED = "equal work: zlib", "equal work: ISA-L", "ISA-L, counted"
_PERCENTS = (0.5, 99.5)


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("folder", "runs/peers", "Where the volumes are made.")
    flags.DEFINE_integer("volumes", 48, "Phantoms to make.", lower_bound=2)
    flags.DEFINE_integer("few", 64, "Volumes of a short conversion, whose time is taken off.", lower_bound=1)
    flags.DEFINE_integer("many", 256, "Volumes of a long one; more than --few.", lower_bound=2)
    flags.DEFINE_integer("rounds", 5, "Timed rounds; the rows take turns.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Times every row and prints the table."""
    cli.flags_only(argv)
    count, counts = flags.FLAGS.volumes, (flags.FLAGS.few, flags.FLAGS.many)
    root = Path(flags.FLAGS.folder) / f"phantoms{count}"
    folders.made(root, count=count, formats=("nii_gz",))
    paths = sorted((root / "nii_gz").iterdir())
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        few, many = (_linked(paths, Path(scratch) / str(each), each) for each in counts)
        target = Path(scratch) / "made"
        table = timing.interleaved(
            {
                ZLIB: lambda: _cost(paths, lambda path: gzip.decompress(path.read_bytes())),
                ISAL: lambda: _cost(paths, lambda path: igzip.decompress(path.read_bytes())),
                EQUAL_ZLIB: lambda: _equal_work(paths, target, gzip.decompress, _sorted),
                EQUAL_ISAL: lambda: _equal_work(paths, target, igzip.decompress, _sorted),
                EQUAL_COUNTED: lambda: _equal_work(paths, target, igzip.decompress, _counted),
                ONE: lambda: _converted(many, few, target, workers=1),
                TWO: lambda: _converted(many, few, target, workers=2),
            },
            flags.FLAGS.rounds,
        )
    _print(table, 2 * SIDE**3 / 1e6)


def _cost(paths: Sequence[Path], work: Callable[[Path], Any]) -> timing.Cost:
    began = time.perf_counter()
    for path in paths:
        work(path)
    return timing.Cost(len(paths), time.perf_counter() - began, 0.0, 0.0)


def _equal_work(
    paths: Sequence[Path], target: Path, inflate: Callable[[bytes], bytes], ends: Callable[[np.ndarray], np.ndarray]
) -> timing.Cost:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shards = [paths[first : first + _PER_SHARD] for first in range(0, len(paths), _PER_SHARD)]
    began = time.perf_counter()
    for number, shard in enumerate(shards):
        with (target / str(number)).open("wb") as file:
            for path in shard:
                voxels = np.frombuffer(inflate(path.read_bytes()), np.int16, offset=_HEADER)
                file.write(_scaled(voxels, *ends(voxels)).data)
            os.fsync(file.fileno())
    return timing.Cost(len(paths), time.perf_counter() - began, 0.0, 0.0)


def _sorted(voxels: np.ndarray) -> np.ndarray:
    return np.percentile(voxels, _PERCENTS)


def _counted(voxels: np.ndarray) -> np.ndarray:
    places = np.array(_PERCENTS) / 100 * voxels.size
    return np.searchsorted(np.cumsum(np.bincount(voxels)), places)  # no phantom has a value below 0


def _scaled(voxels: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((voxels - np.float32(low)) * np.float32(65535 / (high - low)), 0, 65535).astype(np.uint16)


def _linked(paths: Sequence[Path], folder: Path, count: int) -> Path:
    """`count` names for the files at `paths`, over and over."""
    folder.mkdir()
    for number in range(count):
        os.link(paths[number % len(paths)], folder / f"{number:05d}.nii.gz")
    return folder


def _converted(many: Path, few: Path, target: Path, *, workers: int) -> timing.Cost:
    """For the volumes that `many` has more than `few`: start and contact sheet cost the same for both."""
    seconds, start_s = (_run(source, target, workers=workers) for source in (many, few))
    return timing.Cost(flags.FLAGS.many - flags.FLAGS.few, seconds - start_s, 0.0, 0.0)


def _run(source: Path, target: Path, *, workers: int) -> float:
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "tools.to_tfrecord", f"--input={source.resolve()}", f"--output={target.resolve()}"]
    began = time.perf_counter()
    subprocess.run(
        [*command, f"--workers={workers}", f"--records_per_shard={_PER_SHARD}"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def _print(table: dict[str, timing.Summary], megabytes: float) -> None:
    print(f"{'':18}{'volumes/s':>10}{'range':>15}{'MB/s':>7}")
    for name, row in table.items():
        spread = f"{min(row.rates):.1f}–{max(row.rates):.1f}"
        print(f"{name:18}{row.rate:10.1f}{spread:>15}{row.rate * megabytes:7.0f}")
    for name, other in ((ONE, ZLIB), (ONE, EQUAL_ZLIB), (ONE, EQUAL_ISAL), (ONE, EQUAL_COUNTED), (TWO, ONE)):
        middle, lowest, highest = timing.ratio(table, name, other)
        print(f"{name} / {other}: {middle:.2f} ({lowest:.2f}–{highest:.2f})")


if __name__ == "__main__":
    define_flags()
    cli.run(main)
