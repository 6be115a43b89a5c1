"""Peers from outside: each in a process of its own that stays alive and is asked by lines of JSON."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers import processes
from ssl3d_tf.errors import InputError

_REST_S, _REST_MOST_S, _IDLE = 0.2, 30.0, 0.2  # of one core
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONWARNINGS": "ignore"}


class Worker:
    """The process of one peer; it and all that it starts end with `end`. `started` is its first answer.

    Args:
        python: of the peer's environment.
        arguments: of worker.py.
        name: for messages.
        environment: variables beside those of this process.

    Raises:
        InputError: here and from `ask`, if the process ended.
    """

    def __init__(
        self, python: str, arguments: Sequence[str], *, name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._name, self._errors = name, tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `end`
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # so that nothing that a library started stays behind
            env={**os.environ, **_QUIET, **(environment or {})},
        )
        self.started = self._answer()

    def ask(self, **wanted: Any) -> dict[str, Any]:
        """Sends a line and waits for the answer."""
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        return self._answer()

    def rest(self) -> None:
        """Waits until its buffers are full again and it is idle, so that it takes nothing from the next one's turn."""
        began = time.monotonic()
        while time.monotonic() - began < _REST_MOST_S:
            before = processes.cpu_s(self._process.pid)
            time.sleep(_REST_S)
            if processes.cpu_s(self._process.pid) - before < _REST_S * _IDLE:
                return

    def end(self) -> None:
        """Kills it and all it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()  # type: ignore[union-attr]  # a pipe
        if not line:
            self._errors.seek(0)
            said = (self._errors.read().strip() or "nothing").splitlines()
            remedy = "make bench-peers installs what it needs, and --python is that environment's"
            status = self._process.wait()
            raise InputError(f"{self._name} ended with status {status}; its last words: {said[-1]} ({remedy}).")
        return json.loads(line)
