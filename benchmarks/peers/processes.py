"""Memory and CPU time of a process and everything it started, from /proc (Linux)."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_WATCH_S = 0.05


def tree(pid: int) -> list[int]:
    """The process and its descendants that live."""
    found = [pid]
    for process in found:
        for listed in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, _text(listed).split())
    return found


def cpu_s(pid: int) -> float:
    """CPU seconds of the tree, those of ended children of its processes among them."""
    total = 0
    for process in tree(pid):
        fields = _text(Path(f"/proc/{process}/stat")).rpartition(") ")[2].split()
        total += sum(map(int, fields[11:15]))
    return total / _TICKS


def memory_mb(pid: int) -> float:
    """Memory of the tree in 10⁶ bytes, shared pages once; without what is a file's, libraries' code among it."""
    total = 0
    for process in tree(pid):
        for line in _text(Path(f"/proc/{process}/smaps_rollup")).splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total / 1e6


@contextlib.contextmanager
def watched() -> Iterator[list[float]]:
    """Memory of this process and what it started, every 50 ms of the block and at its end, as `memory_mb`."""
    found: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_WATCH_S):
            found.append(memory_mb(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
        found.append(memory_mb(os.getpid()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # it ended meanwhile
        return ""
