"""The same jobs by ours and by other libraries, side by side: volumes per second, CPU time, memory.

make bench-peers                                                     sets up .venv-peers and runs it
python -m benchmarks.peers --python=.venv-peers/bin/python --json=out.json

Each peer runs in a process of its own. Its batches are checked first (gate.py), and peers take turns in every round.
"""

import json
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks.peers import folders, gate
from benchmarks.peers.driving import Worker
from benchmarks.peers.jobs import JOBS
from ssl3d_tf.command import cli
from ssl3d_tf.errors import InputError

OURS, MEMORY_MAP = "with_ours", "with_numpy"
OUR_PYTHON = (OURS, MEMORY_MAP, "with_original")
ALL = tuple(job for job in JOBS if job != "cpc")  # which no library has
PEERS = {  # module -> variants and the jobs that it has
    OURS: (("from disk", "CACHE_GB=1"), tuple(JOBS)),
    MEMORY_MAP: (("memory map, 2 threads",), ("read", "grid", "exact", "turns")),
    "with_monai": (("Dataset .nii.gz, 2 processes", "cache, threads", "cache, 2 processes"), ALL),
    "with_torchio": (("whole volumes .nii.gz, 2 processes", "cut first .npy, 2 processes"), ALL),
    "with_batchgenerators": (("memory map, 1 process", "memory map, 2 processes"), ALL),
    "with_original": (("one thread",), ("read", "grid", "augment", "exemplar", "cpc")),
}
SHORT = {
    OURS: "ssl3d_tf",
    MEMORY_MAP: "NumPy",
    "with_monai": "MONAI",
    "with_torchio": "TorchIO",
    "with_batchgenerators": "batchgeneratorsv2",
    "with_original": "published program",
}


class Peer(NamedTuple):
    """One variant of one library."""

    module: str
    variant: str

    @property
    def name(self) -> str:
        return f"{SHORT[self.module]}, {self.variant}"


class Row(NamedTuple):
    """volumes/s and CPU ms per volume of each round; peak memory of its processes above the bare import, 10⁶ bytes."""

    rates: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    memory_mb: float
    imports_mb: float
    first_batch_s: float


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("python", sys.executable, "Python of the environment that has the other libraries.")
    flags.DEFINE_list("jobs", list(JOBS), "Which jobs, of " + ", ".join(JOBS) + ".")
    flags.DEFINE_list("peers", list(SHORT.values()), "Which peers.")
    flags.DEFINE_string("folder", "runs/peers", "Where the volumes are made, 2 GB.")
    flags.DEFINE_integer("volumes", 48, "Phantoms to make.", lower_bound=8)
    flags.DEFINE_integer("rounds", 7, "Timed rounds; the peers take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 3.0, "Of each peer and round.", lower_bound=0.0)
    flags.DEFINE_string("json", None, "File for all figures.")


def main(argv: Sequence[str]) -> None:
    """Makes the data, checks and times every peer, and prints a table per job."""
    cli.flags_only(argv)
    values = flags.FLAGS
    wanted, names = _known(values.jobs, JOBS, "--jobs"), _known(values.peers, SHORT.values(), "--peers")
    root = Path(values.folder)
    made = folders.made(_phantoms(root), count=values.volumes)
    folders.made(root / "ramps", count=12, ramps=True)
    figures: dict[str, dict[str, Any]] = {}
    for job in wanted:
        figures[job] = {name: row._asdict() for name, row in _measure(job, names, root).items()}
        if values.json:  # after every job, as the next one may fail
            about = {"jobs": figures, "data": {kind: one._asdict() for kind, one in made.items()}}
            Path(values.json).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _phantoms(root: Path) -> Path:
    return root / f"phantoms{flags.FLAGS.volumes}"


def _known(given: Sequence[str], known: Collection[str], flag: str) -> Sequence[str]:
    if unknown := [name for name in given if name not in known]:
        raise InputError(f"{flag} has '{unknown[0]}'; it takes {', '.join(known)}.")
    return given


def _measure(job: str, names: Sequence[str], root: Path) -> dict[str, Row]:
    peers = [
        Peer(module, variant)
        for module, (variants, jobs) in PEERS.items()
        if SHORT[module] in names and job in jobs
        for variant in variants
    ]
    faults = {peer: _faults(peer, job, root) for peer in tqdm(peers, f"{job}: checks", disable=None, leave=False)}
    workers = {peer.name: _worker(peer, job, _phantoms(root)) for peer in peers if not faults[peer]}
    try:
        costs: dict[str, list[Mapping[str, float]]] = {name: [] for name in workers}
        for _ in tqdm(range(flags.FLAGS.rounds), desc=job, unit="round", disable=None, leave=False):
            for name, worker in workers.items():
                costs[name].append(worker.ask(seconds=flags.FLAGS.seconds))
                worker.rest()
        table = {name: _row(worker, costs[name]) for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.end()
    _print(job, table)
    for peer, found in faults.items():
        if found:
            print(f"\n{peer.name} does something else and was not timed: {'; '.join(found)}.", flush=True)
    return table


def _faults(peer: Peer, job: str, root: Path) -> list[str]:
    """Where a peer does something else than its job, so that its speed says nothing."""
    worker = _worker(peer, job, _phantoms(root) if job == "read" else root / "ramps")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            saved = Path(scratch) / "batches.npy"
            worker.ask(save=str(saved), count=gate.BATCHES[job])
            batches = gate.without_channels(np.load(saved), job)
    finally:
        worker.end()
    known = [np.load(path) for path in sorted((_phantoms(root) / "float32").iterdir())] if job == "read" else []
    return gate.faults(job, batches, np.array(known))


def _worker(peer: Peer, job: str, folder: Path) -> Worker:
    python = sys.executable if peer.module in OUR_PYTHON else flags.FLAGS.python
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
    environment = {} if peer.module == OURS else one_thread
    return Worker(python, [peer.module, peer.variant, job, str(folder)], name=peer.name, environment=environment)


def _row(worker: Worker, costs: Sequence[Mapping[str, float]]) -> Row:
    peak_mb = worker.ask(memory_s=flags.FLAGS.seconds)["peak_mb"]
    return Row(
        rates=tuple(cost["volumes"] / cost["wall_s"] for cost in costs),
        cpu_ms=tuple(1e3 * cost["cpu_s"] / cost["volumes"] for cost in costs),
        memory_mb=peak_mb - worker.started["imports_mb"],
        imports_mb=worker.started["imports_mb"],
        first_batch_s=worker.started["first_batch_s"],
    )


def _print(job: str, table: Mapping[str, Row]) -> None:
    print(f"\n**{job}**: {JOBS[job].about}.\n")
    print("| | volumes/s | range | CPU ms per volume | memory, MB | first batch, s | ours / this |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    ours = next((row for name, row in table.items() if name.startswith(SHORT[OURS])), None)  # from disk
    for name, row in table.items():
        ratio = f"{np.median(np.divide(ours.rates, row.rates)):.2f}" if ours else ""
        print(
            f"| {name} | {np.median(row.rates):.3g} | {min(row.rates):.3g}–{max(row.rates):.3g} "
            f"| {np.median(row.cpu_ms):.3g} | {row.memory_mb:.0f} | {row.first_batch_s:.1f} | {ratio} |",
            flush=True,
        )


if __name__ == "__main__":
    define_flags()
    cli.run(main)
