"""How many steps an arm takes to where training from scratch ends: what pretraining saves, beside what it adds.

Both are read off the validation that runs log: the first evaluation that is as good as scratch's last one of the same
labelled cases, the same order of batches and the same validation cases, and, of scratch itself, its first that good.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl3d_tf.evaluation import comparison, runs, scales, statistics, tables
from ssl3d_tf.evaluation.runs import Curve
from ssl3d_tf.evaluation.statistics import Interval
from ssl3d_tf.evaluation.tables import SCRATCH, Arm, Reached, Result, Tables

TITLE = "Steps until scratch's final validation score"
CAPTION = (
    "By number of labels: steps until the first evaluation that is as good as scratch's last one of the same "
    "repetition, beside scratch's own first; their ratio, the geometric mean over repetitions, with its 95 % interval "
    "over them. Where a repetition does not get there, that is said, and there is no mean."
)


class Saved(NamedTuple):
    """What an arm saves at one number of labels: steps and scratch's own, means over the repetitions that got there.

    ratio: geometric mean of steps / scratch's own, with its interval, NaN where one is not reached, or of one alone.
    reached: repetitions that got there, of `repetitions`.
    """

    steps: float
    scratch_steps: float
    ratio: float
    interval: Interval
    reached: int
    repetitions: int


def rows(results: Sequence[Result], workdirs: Iterable[Path]) -> list[Reached]:
    """Of every scored run of one task that has one from scratch beside it; runs that log no validation are left out.

    Args:
        results: of that task. workdirs: where its runs lie.
    """
    scored = {(tables.arm(row), row.fraction, row.repetition): row.task for row in results}
    curves: dict[tuple[Arm, float, int], Curve] = {}
    for run in runs.find(workdirs):
        key = (run.arm, run.fraction, run.repetition)
        if key in scored and (curve := runs.curve(run)) is not None:
            curves.setdefault(key, curve)
    found = []
    for (one, fraction, repetition), curve in curves.items():
        scratch = curves.get((SCRATCH, fraction, repetition))
        if scratch is None or scratch.name != curve.name or not math.isfinite(target := scratch.values[-1]):
            continue
        steps, own = (steps_to(each, target) for each in (curve, scratch))
        of_run = (scored[one, fraction, repetition], *one, fraction, repetition)
        found.append(Reached(*of_run, curve.name, target, steps, own, steps / own))
    return found


def by_task(found: Tables) -> dict[str, list[Reached]]:
    """`rows` of every task of the tables."""
    return {
        task: rows([row for row in found.results if row.task == task], workdirs)
        for task, workdirs in found.workdirs.items()
    }


def steps_to(curve: Curve, target: float) -> float:
    """Of the first evaluation that is as good as `target`; inf where there is none."""
    sign = 1 if scales.of(curve.name.removeprefix("val_")).lower_is_better else -1
    good = (step for step, value in zip(curve.steps, curve.values, strict=True) if sign * value <= sign * target)
    return float(next(good, math.inf))


def saved(found: Sequence[Reached]) -> Saved | None:
    """Over the repetitions of one arm and number of labels; None of none."""
    if not found:
        return None
    steps, own, ratios = (np.array([row[-3 + place] for row in found], float) for place in range(3))
    there, ratio, interval = np.isfinite(steps), math.nan, Interval(math.nan, math.nan)
    if there.all():
        spread = statistics.spread(np.log(ratios)[:, None])
        ratio, interval = math.exp(spread.mean), Interval(*map(math.exp, statistics.interval(spread)))
    means = [float(each[there].mean()) if there.any() else math.nan for each in (steps, own)]
    return Saved(means[0], means[1], ratio, interval, int(there.sum()), len(found))


def table(found: Sequence[Reached]) -> list[list[str]]:
    """Header and one row per arm but scratch; empty where there is nothing to compare."""
    groups: dict[Arm, dict[float, list[Reached]]] = {}
    for row in found:
        groups.setdefault(Arm(row.encoder, row.init), {}).setdefault(row.fraction, []).append(row)
    fractions = sorted({row.fraction for row in found})
    others = {one: by_fraction for one, by_fraction in groups.items() if one != SCRATCH}
    if not others:
        return []
    head = ["", *(f"{fraction:.3g} %" for fraction in fractions)]
    return [head, *([comparison.name(one), *_cells(of, fractions)] for one, of in others.items())]


def _cells(by_fraction: Mapping[float, Sequence[Reached]], fractions: Sequence[float]) -> list[str]:
    return [told(saved(by_fraction.get(fraction, ()))) for fraction in fractions]


def told(of: Saved | None) -> str:
    """'400 of 1000: × 0.40 [0.31, 0.52]', or in how many repetitions it was not reached; '–' of none."""
    if of is None:
        return "–"
    if not of.reached:
        return f"not reached in {of.repetitions} of {of.repetitions}"
    steps = f"{of.steps:.0f} of {of.scratch_steps:.0f}"
    if of.reached < of.repetitions:
        return f"not reached in {of.repetitions - of.reached} of {of.repetitions}, else {steps}"
    low, high = of.interval
    interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{steps}: × {of.ratio:.2f}{interval}"
