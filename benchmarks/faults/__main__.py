"""python -m benchmarks.faults --rounds=50: nothing is lost, and nothing is silent, whatever befalls a command.

Every round strikes one command (conversion, pretraining, grid, search, prediction of masks and of classes) with one
fault. What follows must be the result of an undisturbed run, bit for bit, or an error of one line and, after its
remedy, that result. Exit 1 if any was not.
"""

import contextlib
import itertools
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.faults import begun, blows
from benchmarks.faults.blows import Blow, Ended, Round
from benchmarks.faults.scenes import Scene, scenes
from ssl3d_tf.command import cli

FULL = "disk full"


class Undisturbed(NamedTuple):
    """What a command does when nobody disturbs it."""

    result: Any
    seconds: float
    size: int  # bytes, of all it writes


class Verdict(NamedTuple):
    """What came of a round. fault: '' if nothing was lost and nothing silent. told: the error, where there was one."""

    scene: str
    blow: str
    fault: str
    told: str
    seconds: float


def define_flags() -> None:
    """Declares the flags."""
    flags.DEFINE_integer("rounds", 50, "How many faults.", lower_bound=1)
    flags.DEFINE_integer("seed", None, "Of all that is drawn; default: the time, which is said.")
    flags.DEFINE_integer("jobs", 2, "Rounds at the same time.", lower_bound=1)
    flags.DEFINE_string("only", "", "Rounds of that command or fault alone.")


def main(argv: Sequence[str]) -> None:
    """Flags -> a line per round, and a table."""
    cli.flags_only(argv)
    values = flags.FLAGS
    seed = values.seed if values.seed is not None else int(time.time())
    print(f"seed {seed}: --seed={seed} draws the same faults again.", flush=True)
    with begun.heeding_sigterm(), tempfile.TemporaryDirectory(prefix="faults-") as root:
        found = _rounds(Path(root), values.rounds, seed, jobs=values.jobs, only=values.only)
    failed = sum(bool(verdict.fault) for verdict in found)
    told = sum(bool(verdict.told) for verdict in found)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{len(found)} rounds, seed {seed}: {failed} failed, {told} told in one line and mended, others went on; "
        f"{used.ru_utime + used.ru_stime:.0f} s of CPU."
    )
    sys.exit(1 if failed else 0)


def _rounds(root: Path, rounds: int, seed: int, *, jobs: int, only: str) -> list[Verdict]:
    is_mounting = blows.can_mount(root / "try")
    if not is_mounting:
        print("no right to mount a small disk: no round has a full one.", flush=True)
    chosen = [(scene, kind) for scene, kind in drawn(seed) if kind != FULL or is_mounting]
    chosen = [(scene, kind) for scene, kind in chosen if not only or only in (scene.name, kind)]
    asked = list(itertools.islice(itertools.cycle(chosen), rounds))
    whole = _once_each(lambda scene: _undisturbed(root, scene))
    found = []
    with futures.ThreadPoolExecutor(jobs) as pool, _ended_with_it(pool):
        made = [
            pool.submit(_round, root / str(n), scene, kind, f"{seed}-{n}", whole)
            for n, (scene, kind) in enumerate(asked)
        ]
        for number, future in enumerate(futures.as_completed(made), start=1):
            found.append(verdict := future.result())
            how = verdict.fault or (f"told: {verdict.told}" if verdict.told else "as undisturbed")
            print(f"{number:3}/{rounds} {verdict.seconds:4.0f} s  {verdict.scene}, {verdict.blow}: {how}", flush=True)
    return found


def drawn(seed: int) -> list[tuple[Scene, str]]:
    """Every fault to every command, in an order of the seed in which the commands take turns."""
    rng, kinds = random.Random(seed), [*blows.BLOWS, FULL]
    orders = [rng.sample(kinds, len(kinds)) for _ in scenes()]
    return [pair for row in zip(*orders, strict=True) for pair in zip(scenes(), row, strict=True)]


@contextlib.contextmanager
def _ended_with_it(pool: futures.Executor) -> Iterator[None]:
    """Where the rounds are interrupted, their processes end too, and none begins."""
    try:
        yield
    except BaseException:
        begun.end_all()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _once_each(make: Callable[[Scene], Undisturbed]) -> Callable[[Scene], Undisturbed]:
    """The same for every round of a scene, made when the first of them needs it."""
    locks = {scene.name: threading.Lock() for scene in scenes()}
    made: dict[str, Undisturbed] = {}

    def once(scene: Scene) -> Undisturbed:
        with locks[scene.name]:
            if scene.name not in made:
                made[scene.name] = make(scene)
            return made[scene.name]

    return once


def _undisturbed(root: Path, scene: Scene) -> Undisturbed:
    folder, began = root / scene.name, time.monotonic()
    made = _input(root, scene)
    scene.make_input(made)
    shutil.copytree(made, folder / "data")
    ended = Round(scene, folder, random.Random(0), 0.0).run()
    if ended.code:
        raise RuntimeError(f"{scene.name} fails undisturbed: {ended}")
    size = sum(path.stat().st_size for path in (folder / "work").rglob("*") if path.is_file())
    return Undisturbed(scene.result(folder / "work"), time.monotonic() - began, size)


def _input(root: Path, scene: Scene) -> Path:
    return root / "inputs" / scene.name


def _round(folder: Path, scene: Scene, kind: str, seed: str, whole: Callable[[Scene], Undisturbed]) -> Verdict:
    undisturbed, began = whole(scene), time.monotonic()
    shutil.copytree(_input(folder.parent, scene), folder / "data")
    one = Round(scene, folder, random.Random(seed), undisturbed.seconds)
    with _disk(one, kind, undisturbed) as blow:
        told, fault = _outcome(one, blow, undisturbed.result)
    if not fault:
        shutil.rmtree(folder)
    return Verdict(scene.name, kind, fault, told, time.monotonic() - began)


@contextlib.contextmanager
def _disk(one: Round, kind: str, undisturbed: Undisturbed) -> Iterator[Blow]:
    if kind != FULL:
        yield blows.BLOWS[kind]
        return
    with blows.small_disk(one.folder):
        yield blows.full(undisturbed.size)


def _outcome(one: Round, blow: Blow, expected: Any) -> tuple[str, str]:
    """(what it was told, what was wrong with that or with the result)."""
    failed = [ended for ended in blow.strike(one) if ended.code]
    for ended in failed:
        if fault := _fault_of(ended):
            return "", fault
    left_out = one.scene.left_out(one.folder)
    told = [ended.errors[0] for ended in failed] + [left_out] * bool(left_out)
    if told:
        blow.remedy(one)
    ended = one.run()
    if left_out and not _fault_of(ended) and "add --overwrite" in ended.errors[0]:  # it is whole, and made otherwise
        ended = one.run("--overwrite")
    if ended.code:
        return "", f"exit {ended.code} after the remedy: {' | '.join(ended.errors[-3:])}"
    if one.scene.result(one.folder / "work") != expected:
        return "", "another result than that of an undisturbed run"
    return "; ".join(told), ""


def _fault_of(ended: Ended) -> str:
    """A failure is one line, and an exit code of our own."""
    if ended.code in (1, 2) and len(ended.errors) == 1:
        return ""
    return f"exit {ended.code} with {len(ended.errors)} lines: {' | '.join(ended.errors[-3:])}"


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
