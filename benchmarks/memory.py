"""Peak memory of reading, as it depends on the number of volumes (Linux)."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data as folders
from benchmarks.peers import processes
from ssl3d_tf.data import pipeline
from ssl3d_tf.data.records import manifest as manifests

BATCHES = 300  # the same for every data set, so that only the number of volumes differs


def of_sizes(folder: Path, command: Sequence[str]) -> dict[str, float]:
    """Peak memory, MB, of processes that read the data as they are, and with every volume ten times.

    Args:
        command: of a process that prints what `of_reading` returns, but for its --data.
    """
    peaks = {}
    for times in (1, 10):
        many = folders.repeated(folder, times)
        volumes = len(manifests.read(many).split("train").entries)
        done = subprocess.run(
            [sys.executable, *command, f"--data={many}"], stdout=subprocess.PIPE, text=True, check=True
        )
        peaks[f"{volumes} volumes"] = float(done.stdout.split()[-1])
    return peaks


def of_reading(data: pipeline.Data) -> float:
    """Most memory this process held while it read BATCHES batches, MB, imports included.

    Pages of files are left out, of shards as of libraries: the system takes them back whenever it needs the room.
    """
    with processes.watched() as found:
        for _ in data.dataset().take(BATCHES):
            pass
    return max(found)
