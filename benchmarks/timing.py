"""Rounds that take turns, and what they cost."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from tqdm import trange

_WARM_UP = 1 / 3  # of the timed seconds: fills the buffers, and lets tf.data find its parallelism


class Cost(NamedTuple):
    """Of one stage in one round: wall and CPU seconds (all threads), and seconds waited for data, for `volumes`."""

    volumes: int
    wall_s: float
    cpu_s: float
    waited_s: float


Stage = Callable[[], Cost]


class Summary(NamedTuple):
    """Over all rounds: volumes per second of each; medians of CPU seconds per volume and of the share of waiting."""

    rates: tuple[float, ...]
    cpu_s_per_volume: float
    stall_fraction: float

    @property
    def rate(self) -> float:
        """Median volumes per second."""
        return float(np.median(self.rates))


def consume(
    batches: Iterable[Any], batch_size: int, *, seconds: float, use: Callable[[Any], Any] = lambda batch: None
) -> Cost:
    """Takes batches one by one and uses each, for about `seconds` behind a warm-up.

    Buffers are full when the clock starts and full again when it stops, so what is timed is what is read.
    """
    began, iterator = time.perf_counter(), iter(batches)
    use(next(iterator))
    while time.perf_counter() - began < seconds * _WARM_UP:
        use(next(iterator))
    volumes, waited_s = 0, 0.0
    started, cpu = time.perf_counter(), time.process_time()
    while volumes == 0 or time.perf_counter() - started < seconds:
        asked = time.perf_counter()
        batch = next(iterator)
        waited_s += time.perf_counter() - asked
        use(batch)
        volumes += batch_size
    return Cost(volumes, time.perf_counter() - started, time.process_time() - cpu, waited_s)


def once(batches: Iterable[Any], batch_size: int, *, count: int) -> Cost:
    """Takes `count` batches, the start included: there is no warm-up for what is not in memory yet."""
    started, cpu = time.perf_counter(), time.process_time()
    taken = sum(batch_size for _, _ in zip(range(count), batches, strict=False))
    wall_s = time.perf_counter() - started
    return Cost(taken, wall_s, time.process_time() - cpu, wall_s)


def interleaved(stages: Mapping[str, Stage], rounds: int) -> dict[str, Summary]:
    """Rounds in which the stages, each `warm`, take turns: a busy moment hits them all."""
    costs: dict[str, list[Cost]] = {name: [] for name in stages}
    for _ in trange(rounds, unit="round", disable=None, leave=False):
        for name, stage in stages.items():
            costs[name].append(stage())
    return {name: _summary(values) for name, values in costs.items()}


def warm(stage: Stage) -> Stage:
    """The stage, once it ran for nothing: what it builds at first, from the configuration of now, is built."""
    stage()
    return stage


def ratio(table: Mapping[str, Summary], one: str, other: str) -> tuple[float, float, float]:
    """Volumes per second of `one` over those of `other` in the same round: median, lowest, highest."""
    ratios = np.array(table[one].rates) / np.array(table[other].rates)
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


def _summary(costs: list[Cost]) -> Summary:
    return Summary(
        rates=tuple(cost.volumes / cost.wall_s for cost in costs),
        cpu_s_per_volume=float(np.median([cost.cpu_s / cost.volumes for cost in costs])),
        stall_fraction=float(np.median([cost.waited_s / cost.wall_s for cost in costs])),
    )
