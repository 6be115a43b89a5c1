"""One peer, one job, in a process and environment of its own: takes a JSON line, does it, answers with one.

python -m benchmarks.peers.worker MODULE VARIANT JOB FOLDER

Imports nothing of ssl3d_tf; the module of the peer does, if it is ours. {"save": file, "count": n} writes the next n
batches as one array; {"seconds": s} times for that long, behind a warm-up; {"memory_s": s} watches its memory;
{"call": name} asks the batches themselves.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import processes

_WARM_UP = 1 / 3  # of the timed seconds
_FEW = 5


def main(module: str, variant: str, job: str, folder: str) -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    peer = importlib.import_module(f"benchmarks.peers.{module}")
    imports_mb = processes.memory_mb(os.getpid())
    began = time.perf_counter()
    batches = iter(peer.batches(job, Path(folder), variant))
    next(batches)
    _say(answers, {"first_batch_s": time.perf_counter() - began, "imports_mb": imports_mb})
    for line in sys.stdin:
        wanted = json.loads(line)
        _say(answers, next(do for key, do in _DOES.items() if key in wanted)(batches, **wanted))
    os._exit(0)  # worker processes of the library's own need not be waited for: they are killed with the group


def _save(batches: Iterator[Any], *, save: str, count: int) -> dict[str, Any]:
    taken = [np.array(next(batches)) for _ in range(count)]
    np.save(save, np.stack(taken))
    return {"shape": list(taken[0].shape), "dtype": str(taken[0].dtype)}


def _time(batches: Iterator[Any], *, seconds: float) -> dict[str, float]:
    began = time.perf_counter()
    next(batches)
    while time.perf_counter() - began < seconds * _WARM_UP:
        next(batches)
    volumes, started, cpu_s = 0, time.perf_counter(), processes.cpu_s(os.getpid())
    while volumes == 0 or time.perf_counter() - started < seconds:
        volumes += len(next(batches))
    wall_s = time.perf_counter() - started
    return {"volumes": volumes, "wall_s": wall_s, "cpu_s": processes.cpu_s(os.getpid()) - cpu_s}


def _memory(batches: Iterator[Any], *, memory_s: float) -> dict[str, float]:
    with processes.watched() as found:
        began = time.perf_counter()
        while time.perf_counter() - began < memory_s or len(found) < _FEW:
            next(batches)
    return {"peak_mb": max(found)}


def _call(batches: Iterator[Any], *, call: str) -> dict[str, Any]:
    return {call: getattr(batches, call)()}


_DOES: dict[str, Callable[..., dict[str, Any]]] = {
    "save": _save,
    "seconds": _time,
    "memory_s": _memory,
    "call": _call,
}


def _say(answers: Any, value: dict[str, Any]) -> None:
    print(json.dumps(value), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
