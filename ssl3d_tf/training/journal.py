"""Where a run writes what it measures: metrics.jsonl, TensorBoard events, a progress bar and plain lines."""

import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ssl3d_tf.data import files
from ssl3d_tf.training import screen

FILE = "metrics.jsonl"
_TIMED = 7  # steps behind the first, which builds the graph; a few more make up their minds, hence the median


class Window:
    """Sums since the last log line: the tally that checkpoints keep, and this process's clock."""

    def __init__(self, tally: np.ndarray) -> None:
        self.tally = tally  # float64 [2 + scores]: steps with scores, steps without an update, then sums
        self.restart_clock()

    def restart_clock(self) -> None:
        """Begins to time anew, so that neither evaluation nor saving counts as training."""
        self._began, self._waited, self._timed = time.perf_counter(), 0.0, 0

    def add(self, scores: np.ndarray | None, updated: bool, *, waited_s: float) -> None:
        """Takes one step's scores, None of a batch left out, and the seconds it waited for its data."""
        counts = [scores is not None, not updated]
        self.tally = self.tally + np.concatenate([counts, np.zeros(len(self.tally) - 2) if scores is None else scores])
        self._waited += waited_s
        self._timed += 1

    def close(self, names: Sequence[str], batch_size: int) -> dict[str, float]:
        """Since the last line: mean scores, NaN of no step, updates left out, this process's speed. Begins the next."""
        seconds = time.perf_counter() - self._began
        # Of no step, where every batch was left out, there is no mean.
        steps, skipped, sums = self.tally[0], self.tally[1], self.tally[2:]
        means = sums / steps if steps else np.full_like(sums, np.nan)
        values = dict(zip(names, means.tolist(), strict=True))
        values |= {"skipped": int(skipped)} if skipped else {}
        values |= {"examples_per_s": self._timed * batch_size / seconds, "stall_fraction": self._waited / seconds}
        self.tally = np.zeros_like(self.tally)
        self.restart_clock()
        return values


class _Moment(NamedTuple):
    """When a step was done."""

    clock_s: float
    step: int


class Journal:
    """One run's log; a context manager. Lines after `first_step`, left by a run that was killed, are dropped.

    Those of a run that was killed before it saved anything are put aside, in metrics.before.jsonl.
    """

    def __init__(self, workdir: Path, *, first_step: int, steps: int) -> None:
        self._path = workdir / FILE
        _truncate(self._path, first_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._events = tf.summary.create_file_writer(str(workdir / "tensorboard"))
        # disable=None: no bar where the output is a file; the plain lines below are there in any case.
        self._began: list[_Moment] = []  # of the first steps of this process
        self._stepped = _Moment(0.0, first_step)  # the last step
        self._reported: _Moment | None = None  # the last line with a time
        self._bar = tqdm(total=steps, initial=first_step, unit="step", disable=None, dynamic_ncols=True, leave=False)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()
        self._events.close()
        self._file.close()

    def advance(self) -> None:
        """Moves the bar by one step; after a few, says how long the rest will take."""
        self._bar.update()
        self._stepped = _Moment(time.perf_counter(), self._stepped.step + 1)
        if len(self._began) <= _TIMED:
            self._began.append(self._stepped)
            if len(self._began) > _TIMED and (left := self._bar.total - self._stepped.step):
                pace_s = statistics.median(map(_pace_s, self._began, self._began[1:]))
                took = screen.clock(pace_s * left)
                self.say(f"{pace_s:.2g} s per step: about {took} for the {left} steps left, evaluations apart.")

    def write(self, step: int, values: Mapping[str, float], line: str = "") -> None:
        """Logs `values` of `step`, and prints `line` with the time that is left; without one, a few of them in the bar.

        Where there is no bar, as the output is a file, they are a line too.
        """
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        with self._events.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        shown = f"{line}{self._left(step)}" if line else screen.training(values)
        if line or self._bar.disable:
            self.say(f"step {step}/{self._bar.total}  {shown}")
        else:
            self._bar.set_postfix_str(shown)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Logs one grey or colour image, [height, width, 1 or 3] in [0, 1], to TensorBoard."""
        with self._events.as_default(step=step):
            tf.summary.image(name, image[None])

    def say(self, line: str) -> None:
        """Prints one line above the bar."""
        self._bar.write(line, file=sys.stdout)
        sys.stdout.flush()

    def _left(self, step: int) -> str:
        """'; about 0:12:34 left' after `step`, at the pace since the last line with a time.

        The first is at that of the steps alone: they and the first evaluation begin with the building of their graphs.
        """
        now, left = _Moment(time.perf_counter(), step), self._bar.total - step
        warm = self._began[-1] if self._began[-1].step < self._stepped.step else self._began[0]
        begin, end = (self._reported, now) if self._reported else (warm, self._stepped)
        self._reported = now
        return f"; about {screen.clock(_pace_s(begin, end) * left)} left" if left and end.step > begin.step else ""


def _pace_s(begin: _Moment, end: _Moment) -> float:
    """Seconds per step from one to the other."""
    return (end.clock_s - begin.clock_s) / (end.step - begin.step)


def _truncate(path: Path, last_step: int) -> None:
    if not path.exists():
        return
    if last_step == 0:  # a run that begins anew, as nothing was saved: its log is all there is of it
        path.replace(path.with_suffix(f".before{path.suffix}"))
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        # A kill can cut the last line short.
        if line.endswith("\n") and json.loads(line)["step"] <= last_step:
            kept.append(line)
    with files.atomic(path) as file:
        file.write("".join(kept).encode())
