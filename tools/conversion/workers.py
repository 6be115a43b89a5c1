"""Shards in parallel: each worker process makes whole shards, so no volume crosses a pipe."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any

import numpy as np
from tqdm import tqdm

from ssl3d_tf.errors import InputError
from tools.conversion import shards
from tools.conversion.plan import Job

VOLUMES, BYTES, STOP = range(3)  # what the shared counters count; STOP is 0 until the workers should stop
POLL_S = 0.1
KEPT_BYTES = (1 << 25) - (1 << 16)  # glibc keeps blocks of up to 32 MiB

_shared: Any = None  # a worker's counters and its part of the job, set once when the worker starts


class WorkerKilledError(InputError):
    """A worker process was ended from outside; what is finished stays, to be gone on with."""


class _StoppedError(Exception):
    """The run ends early: the shard in hand is dropped."""


def run(work: shards.Work, jobs: Sequence[Job], *, workers: int) -> Generator[shards.Done, None, None]:
    """Makes the shards of `jobs`, in any order, and shows how far it is.

    Raises:
        WorkerKilledError: a worker was killed from outside.
        UnusableFileError: with `work.strict`, a file that cannot be used.
    """
    total = sum(len(job.items) for job in jobs)
    with tqdm(total=total, unit=" volumes", disable=None, smoothing=0.1) as bar:
        if workers == 1 or len(jobs) < 2:
            yield from _finished(work, _run_here(work, jobs, bar))
        else:
            yield from _finished(work, _run_pool(work, jobs, min(workers, len(jobs)), bar))


def _finished(work: shards.Work, drafts: Iterable[shards.Draft]) -> Iterator[shards.Done]:
    """Syncs one shard while the next one is made: waiting for the disk costs no time."""
    with ThreadPoolExecutor(1) as background:
        pending: Future | None = None
        for draft in drafts:
            if pending is not None:
                yield pending.result()
            pending = background.submit(shards.finish, work, draft)
        if pending is not None:
            yield pending.result()


def _run_here(work: shards.Work, jobs: Iterable[Job], bar: tqdm) -> Iterator[shards.Draft]:
    counters = [0, 0, 0]
    _keep_memory()
    for job in jobs:
        yield shards.make(work, job, lambda size: _count(counters, size))
        _show(bar, counters)


def _run_pool(work: shards.Work, jobs: Iterable[Job], workers: int, bar: tqdm) -> Iterator[shards.Draft]:
    # A fork server starts workers in milliseconds, from a process that has no threads.
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload([shards.__name__])
    counters = context.Array("q", 3)
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(counters, work)) as pool:
        pending = {pool.submit(_make, job) for job in jobs}
        try:
            while pending:
                done, pending = wait(pending, timeout=POLL_S)
                _show(bar, counters)
                yield from _results(done)
        finally:
            counters[STOP] = 1
            for future in pending:
                future.cancel()


def _results(done: Iterable[Future]) -> Iterator[shards.Draft]:
    try:
        yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise WorkerKilledError(
            "a worker process was killed, probably for want of memory; run again with fewer --workers to go on."
        ) from error


def _count(counters: Any, size: int) -> None:
    counters[VOLUMES] += 1
    counters[BYTES] += size


def _show(bar: tqdm, counters: Any) -> None:
    if not bar.disable:
        speed = counters[BYTES] / 1e6 / max(bar.format_dict["elapsed"], 1e-3)
        bar.set_postfix_str(f"{speed:.1f} MB/s", refresh=False)
        bar.update(counters[VOLUMES] - bar.n)


def _keep_memory() -> None:
    """Has the C library keep freed blocks of up to KEPT_BYTES for the next volume, which it does once it freed one.

    Handed back to the system, they would be filled with zeros anew for every step of every volume.
    """
    np.empty(KEPT_BYTES, np.uint8)


def _start(counters: Any, work: shards.Work) -> None:
    global _shared
    _shared = (counters, work)
    _keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told as well, and stops the workers
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    with contextlib.suppress(OSError):
        connection.wait([parent.sentinel] if parent else [])
    os._exit(1)


def _make(job: Job) -> shards.Draft:
    counters, work = _shared

    def report(size: int) -> None:
        if counters[STOP]:
            raise _StoppedError
        with counters.get_lock():
            _count(counters, size)

    return shards.make(work, job, report)
