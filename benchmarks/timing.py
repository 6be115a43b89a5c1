"""Rounds that take turns, and what they cost."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Cost(NamedTuple):
    """Of one stage in one round: wall and CPU seconds (all threads) and seconds waited for data, for `volumes`."""

    volumes: int
    wall_s: float
    cpu_s: float
    waited_s: float = 0.0


class Summary(NamedTuple):
    """Over all rounds: median, lowest and highest volumes per second; medians of CPU seconds and of waiting."""

    volumes_per_s: float
    lowest: float
    highest: float
    cpu_s_per_volume: float
    stall_fraction: float


def timed(work: Callable[[], tuple[int, float]]) -> Cost:
    """Runs `work`, which returns how many volumes it made and how long it waited for data, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    volumes, waited_s = work()
    return Cost(volumes, time.perf_counter() - wall, time.process_time() - cpu, waited_s)


def interleaved(stages: Mapping[str, Callable[[], tuple[int, float]]], rounds: int) -> dict[str, Summary]:
    """One round to warm up, then `rounds` in which the stages take turns, so that a busy moment hits all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in stages}
    for number in range(rounds + 1):
        for name, work in stages.items():
            cost = timed(work)
            if number:
                costs[name].append(cost)
    return {name: summary(values) for name, values in costs.items()}


def summary(costs: list[Cost]) -> Summary:
    """Medians with their range."""
    rates = [cost.volumes / cost.wall_s for cost in costs]
    return Summary(
        volumes_per_s=float(np.median(rates)),
        lowest=min(rates),
        highest=max(rates),
        cpu_s_per_volume=float(np.median([cost.cpu_s / cost.volumes for cost in costs])),
        stall_fraction=float(np.median([cost.waited_s / cost.wall_s for cost in costs])),
    )
