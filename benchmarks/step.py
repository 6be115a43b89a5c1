"""One training step against the same network in PyTorch: forward, loss, backward, AdamW, on a batch that is there.

make bench-step                                                          every task at small size
python benchmarks/step.py --python=.venv-peers/bin/python --size=real --task=cpc_3d --json=out.json

'small' is gin/datasets/phantoms_3d.gin at 48³, 'real' the task's own file. Views are not timed. Ours is the product's
whole step, with metrics and norms of gradients. Before anything is timed, both sides get the same weights and batch and
must have as many weights and the same losses over steps of training, dropout off. Each has a process of its own; they
take turns.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli

with quiet.greeting():
    import tensorflow as tf

    from benchmarks import kinds, step_data
    from benchmarks.peers.driving import Worker
    from ssl3d_tf.command import kernels
    from ssl3d_tf.training import strategies


OURS, TORCH = "step_ours", "step_torch"
SHORT = {OURS: "ssl3d_tf", TORCH: "PyTorch"}
VARIANTS = {OURS: ["float32"], TORCH: ["channels first", "channels last"]}
ON_GPU = {
    OURS: ["mixed_bfloat16"],
    TORCH: [f"channels last, {extra}" for extra in ("compiled", "bfloat16", "compiled, bfloat16")],
}
_CHECKED, _TOLERANCE = 4, 1e-3  # steps; of a loss, relative where it is above 1
_HALF_TOLERANCE = 0.05  # of bfloat16


class Found(NamedTuple):
    """What the gate looks at: how many weights are trained, and the losses of the first steps."""

    weights: int
    losses: Sequence[float]


class Row(NamedTuple):
    """Milliseconds per step of each round; peak memory of the process above its imports, or of the GPU, 10⁶ bytes."""

    batch_size: int
    milliseconds: tuple[float, ...]
    cpu_milliseconds: tuple[float, ...]
    memory_mb: float

    @property
    def median(self) -> float:
        """Of the rounds."""
        return float(np.median(self.milliseconds))


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("python", sys.executable, "Python of the environment that has PyTorch.")
    flags.DEFINE_multi_enum("task", list(step_data.TASKS), step_data.TASKS, "Which; may repeat.")
    flags.DEFINE_enum("size", "small", list(step_data.BATCHES), "Of views and network.")
    flags.DEFINE_integer("batch_size", None, "Volumes; the default depends on task and size.", lower_bound=2)
    flags.DEFINE_integer("rounds", 7, "Timed rounds; both sides take turns.", lower_bound=1)
    flags.DEFINE_float("seconds", 1.5, "Of each side and round; a step at least.", lower_bound=0.0)
    flags.DEFINE_bool("ours_only", False, "Leave PyTorch out.")
    flags.DEFINE_string("json", None, "File for all figures.")


def main(argv: Sequence[str]) -> None:
    """Checks, times and profiles every task, and prints its row of each table."""
    cli.flags_only(argv)
    print(f"{kernels.opening()}, {os.cpu_count()} cores; TensorFlow {tf.__version__}; {flags.FLAGS.size} size")
    figures: dict[str, Any] = {}
    for task in flags.FLAGS.task:
        figures[task] = _measure(step_data.Sized(task, flags.FLAGS.size, flags.FLAGS.batch_size))
        if flags.FLAGS.json:  # after every task, as the next one may fail
            about = {"kernels": kernels.in_use(), "size": flags.FLAGS.size, "tasks": figures}
            Path(flags.FLAGS.json).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _measure(sized: step_data.Sized) -> dict[str, Any]:
    peers = _peers()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checked"
        step_data.write(folder, sized, dropout=False)
        found = {peer: _found(peer, sized.task, folder) for peer in tqdm(peers, "checks", disable=None, leave=False)}
        faults = {peer: gate(found[peers[0]], one, tolerance=_tolerance(peer)) for peer, one in found.items()}
        step_data.write(folder, sized, dropout=True)
        table, profile = _timed([peer for peer in peers if not faults[peer]], sized.task, folder)
    print("\n".join(lines(sized.task, table, kinds.shares(profile) if profile else {})), flush=True)
    for peer, wrong in faults.items():
        if wrong:
            print(f"\n{_name(peer)} is another network and was not timed: {'; '.join(wrong)}.", flush=True)
    rows = {name: row._asdict() for name, row in table.items()}
    return {"rows": rows, "profile_ms": dict(sorted(profile.items(), key=lambda item: -item[1])[:100])}


def gate(ours: Found, other: Found, *, tolerance: float = _TOLERANCE) -> list[str]:
    """Why the other one is not the same network, so that its speed says nothing; empty if it is."""
    wrong = []
    if ours.weights != other.weights:
        wrong.append(f"it has {other.weights:,} weights, not {ours.weights:,}")
    for step, (one, two) in enumerate(zip(ours.losses, other.losses, strict=True), start=2):
        if not abs(one - two) <= tolerance * max(1.0, abs(one)):  # written so that NaN is wrong
            wrong.append(f"its loss at step {step} is {two:.5f}, not {one:.5f}")
    return wrong


def lines(task: str, table: Mapping[str, Row], shares: Mapping[str, float]) -> list[str]:
    """The tables of a task in Markdown; 'ours / best PyTorch' is of speeds, so above 1 ours is faster."""
    ours = next(name for name in table if name.startswith(SHORT[OURS]))
    others = [row for name, row in table.items() if name.startswith(SHORT[TORCH])]
    best = min(others, key=lambda row: row.median, default=None)
    text = [f"\n**{task}**, batch {table[ours].batch_size}\n"]
    text += ["| | ms/step | range | volumes/s | CPU ms | memory, MB | ours / best PyTorch |"]
    text += ["|---|---:|---:|---:|---:|---:|---:|"]
    for name, row in table.items():
        ratio = np.median(np.divide(best.milliseconds, row.milliseconds)) if best and name == ours else None
        text.append(
            f"| {name} | {row.median:.0f} | {min(row.milliseconds):.0f}–{max(row.milliseconds):.0f} "
            f"| {row.batch_size / row.median * 1e3:.3g} | {np.median(row.cpu_milliseconds):.0f} "
            f"| {row.memory_mb:.0f} | {'' if ratio is None else f'{ratio:.2f}'} |"
        )
    if shares:
        text += ["", "| share of ours | " + " | ".join(shares) + " |", "|---|" + "---:|" * len(shares)]
        text += [f"| {task} | " + " | ".join(f"{share:.0%}" for share in shares.values()) + " |"]
    return text


def _peers() -> list[tuple[str, str]]:
    """(module, variant), ours first."""
    modules = (OURS,) if flags.FLAGS.ours_only else (OURS, TORCH)
    gpu = strategies.on_gpu()
    return [(module, variant) for module in modules for variant in VARIANTS[module] + (ON_GPU[module] if gpu else [])]


def _name(peer: tuple[str, str]) -> str:
    return f"{SHORT[peer[0]]}, {peer[1]}"


def _tolerance(peer: tuple[str, str]) -> float:
    return _HALF_TOLERANCE if "bfloat16" in peer[1] else _TOLERANCE


def _worker(peer: tuple[str, str], task: str, folder: Path) -> Worker:
    python = sys.executable if peer[0] == OURS else flags.FLAGS.python
    # Two processes on one GPU: none may take all of its memory.
    return Worker(
        python, [*peer, task, str(folder)], name=_name(peer), environment={"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    )


def _found(peer: tuple[str, str], task: str, folder: Path) -> Found:
    worker = _worker(peer, task, folder)
    try:
        worker.ask(save=str(folder / "losses.npy"), count=_CHECKED)
        return Found(worker.ask(call="weights")["weights"], np.load(folder / "losses.npy")[:, 0].tolist())
    finally:
        worker.end()


def _timed(peers: Sequence[tuple[str, str]], task: str, folder: Path) -> tuple[dict[str, Row], dict[str, float]]:
    workers: dict[tuple[str, str], Worker] = {}
    try:
        for peer in peers:
            workers[peer] = _worker(peer, task, folder)
        costs: dict[tuple[str, str], list[Mapping[str, float]]] = {peer: [] for peer in peers}
        for _ in tqdm(range(flags.FLAGS.rounds), desc=task, unit="round", disable=None, leave=False):
            for peer, worker in workers.items():
                costs[peer].append(worker.ask(seconds=flags.FLAGS.seconds))
                worker.rest()
        batch_size = json.loads((folder / "sizes.json").read_text(encoding="utf-8"))["batch_size"]
        table = {_name(peer): _row(worker, costs[peer], batch_size) for peer, worker in workers.items()}
        return table, {} if strategies.on_gpu() else workers[peers[0]].ask(call="profile")["profile"]
    finally:
        for worker in workers.values():
            worker.end()


def _row(worker: Worker, costs: Sequence[Mapping[str, float]], batch_size: int) -> Row:
    of_gpu = worker.ask(call="device_mb")["device_mb"]
    of_process = worker.ask(memory_s=flags.FLAGS.seconds)["peak_mb"] - worker.started["imports_mb"]
    return Row(
        batch_size=batch_size,
        milliseconds=tuple(1e3 * cost["wall_s"] * batch_size / cost["volumes"] for cost in costs),
        cpu_milliseconds=tuple(1e3 * cost["cpu_s"] * batch_size / cost["volumes"] for cost in costs),
        memory_mb=of_process if of_gpu is None else of_gpu,
    )


if __name__ == "__main__":
    define_flags()
    cli.run(main)
