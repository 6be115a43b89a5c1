"""Every process of the rounds, so that none is left behind when the rounds themselves are killed."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from ssl3d_tf.command.home import ROOT

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "MPLBACKEND": "Agg"}

_lock = threading.Lock()
_all: list[subprocess.Popen] = []
_is_over = False


def start(command: list[str], **options: Any) -> subprocess.Popen:
    """As Popen, of a command of ours, with its own process group. Raises RuntimeError once the rounds are over."""
    environment = {**os.environ, **QUIET, **options.pop("env", {})}
    with _lock:
        if _is_over:
            raise RuntimeError("the rounds are over")
        _all.append(process := subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **options))
        return process


def end_all() -> None:
    """Kills each that runs, with what it began; no other can be started."""
    global _is_over
    with _lock:
        _is_over = True
        for process in _all:
            if process.poll() is None:  # else its number may be another's by now
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def heeding_sigterm() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that folders and small disks are taken away."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
