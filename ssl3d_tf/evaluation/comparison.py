"""From the tables to what one asks: how good is each arm, how much better than scratch, and how sure is that?"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ssl3d_tf.evaluation import one_class, scales, statistics
from ssl3d_tf.evaluation.runs import planned
from ssl3d_tf.evaluation.scales import Scale
from ssl3d_tf.evaluation.statistics import Interval
from ssl3d_tf.evaluation.tables import GRIDS, NATIVE, RECORD, SCRATCH, Arm, CaseScore, Result, Tables, arm, shown_grid

HEADLINE = ("", "mean")  # classes of the rows that stand for all classes


class Estimate(NamedTuple):
    """A mean over repetitions with its interval, which keeps to the range of the score.

    cases, patients: that have a score in any repetition; 0 where no scores per case are known. p: of a mean of 0, which
    is asked of differences; NaN of one number.
    """

    mean: float
    sd: float
    interval: Interval
    repetitions: int
    cases: int
    patients: int
    p: float = math.nan


class Comparison(NamedTuple):
    """One score of one task. The key None of a second index is the area under the learning curve.

    Attributes:
        arms: scratch first, then in the order of the tables. fractions: percent of the labels, rising.
        labelled: labelled cases by fraction, averaged over repetitions.
        estimates: by arm and fraction; what has no run is left out.
        differences: to scratch, paired; their `sd` is that of the repetitions' differences.
        values: [fractions, repetitions, cases] by arm, for figures; one nameless case where none are known.
        grid: of `tables.GRIDS`: the native one where every run has the score on it.
        names_patients: whether it is known whose every case is. constant: what naming one class for every case scores,
            the most frequent one; None where that is not known.
    """

    task: str
    score: str
    arms: tuple[Arm, ...]
    fractions: tuple[float, ...]
    labelled: dict[float, float]
    estimates: dict[tuple[Arm, float | None], Estimate]
    differences: dict[tuple[Arm, float | None], Estimate]
    values: dict[Arm, np.ndarray]
    names_patients: bool
    constant: float | None
    grid: str = RECORD


def compare_all(tables: Tables) -> list[Comparison]:
    """Every score of every task that has a headline on the test split, in the order of the table."""
    return [compare(tables, *pair) for pair in dict.fromkeys((row.task, row.score) for row in _reported(tables))]


def compare(tables: Tables, task: str, score: str) -> Comparison:
    """All arms of a task by one score: test split, best checkpoint, mean over classes."""
    of_task = [row for row in _reported(tables) if row.task == task]
    rows = [row for row in of_task if row.score == score]
    grid = shown_grid(row.grid for row in rows)
    of_score = [row for row in tables.cases if (row.task, row.score, row.grid) == (task, score, grid)]
    cases = [row for row in of_score if row.label_class in HEADLINE]
    arms = tuple(sorted(dict.fromkeys(arm(row) for row in rows), key=lambda one: one != SCRATCH))
    fractions = tuple(sorted({row.fraction for row in rows}))
    repetitions = tuple(sorted({row.repetition for row in rows}))
    runs, by_case = (_cubes(found, fractions, repetitions) for found in (rows, cases))
    owners = _owners(cases)
    labelled = {f: float(np.mean([row.labelled for row in rows if row.fraction == f])) for f in fractions}
    weights: dict[float | None, np.ndarray] = dict(zip(fractions, np.eye(len(fractions)), strict=True))
    if len(fractions) > 1:
        weights[None] = statistics.area_weights(fractions)
    estimates, differences = {}, {}
    measured = functools.partial(_estimate, runs, by_case, owners)
    for one in arms:
        for key, weight in weights.items():
            estimates[one, key] = measured([one], weight, scales.of(score))
            if one != SCRATCH and SCRATCH in arms:
                differences[one, key] = measured([one, SCRATCH], weight, scales.of_difference(score))
    values = {one: by_case.get(one, runs[one]) for one in arms}
    return Comparison(
        task, score, arms, fractions, labelled, _measured(estimates), _measured(differences), values,
        names_patients=all(row.patient for row in cases),
        constant=one_class.score(tables, task, score),
        grid=grid,
    )  # fmt: skip


def missing_runs(tables: Tables, task: str) -> tuple[list[str], int]:
    """Names of the runs without a test score, of how many there should be: every arm × fraction × repetition.

    Fractions and repetitions are those that were planned, as a grid may have been stopped before it came to them.
    """
    rows = [row for row in _reported(tables) if row.task == task]
    present = {(arm(row), row.fraction, row.repetition) for row in rows}
    pairs = {pair for workdir in tables.workdirs.get(task, ()) for pair in planned(workdir)}
    pairs |= {(fraction, number) for _, fraction, number in present}
    fractions, numbers = (sorted(set(column)) for column in zip(*pairs, strict=True))
    arms = dict.fromkeys(arm(row) for row in rows)
    expected = [(one, fraction, number) for one in arms for fraction in fractions for number in numbers]
    absent = [f"{name(one)}, {f:.3g} %, repetition {n}" for one, f, n in expected if (one, f, n) not in present]
    return absent, len(expected)


def name(one: Arm) -> str:
    """What an arm is called in tables and figures."""
    if one == SCRATCH:
        return "scratch"
    return f"{one.encoder or 'random weights'}, {one.init}"


def verdict(difference: Estimate, score: str) -> str:
    """What an interval of a difference to scratch says; of one repetition nothing, as the next may differ."""
    low, high = difference.interval
    if math.isnan(low):
        return "one number only"
    if difference.repetitions < 2:
        return "one repetition only"
    if low <= 0 <= high:
        return "no difference shown"
    return "better" if (low > 0) != scales.of(score).lower_is_better else "worse"


def adjusted(result: Comparison) -> dict[tuple[Arm, float | None], float]:
    """p of every difference to scratch of several repetitions, corrected by Holm for their number."""
    found = {key: one.p for key, one in result.differences.items() if one.repetitions > 1 and not math.isnan(one.p)}
    return dict(zip(found, statistics.holm(list(found.values())), strict=True))


def _reported(tables: Tables) -> list[Result]:
    """Every score on one grid: the native one, unless a run has the score on the record's alone."""
    rows = [
        row
        for row in tables.results
        if row.split == "test" and row.checkpoint == "best" and row.label_class in HEADLINE
    ]
    runs: dict[tuple[str, str], dict[str, set]] = {}
    for row in rows:
        of_grid = runs.setdefault((row.task, row.score), {grid: set() for grid in GRIDS})
        of_grid[row.grid].add((arm(row), row.fraction, row.repetition))
    shown = {score: NATIVE if of_grid[NATIVE] >= of_grid[RECORD] else RECORD for score, of_grid in runs.items()}
    return [row for row in rows if row.grid == shown[row.task, row.score]]


def _measured(estimates: Mapping[tuple[Arm, float | None], Estimate]) -> dict[tuple[Arm, float | None], Estimate]:
    return {key: estimate for key, estimate in estimates.items() if estimate.repetitions}


def _cubes(
    rows: Iterable[Result | CaseScore], fractions: tuple[float, ...], repetitions: tuple[int, ...]
) -> dict[Arm, np.ndarray]:
    """By arm [fractions, repetitions, cases], NaN where there is no row; a Result counts as one nameless case."""
    rows = [row for row in rows if row.fraction in fractions and row.repetition in repetitions]
    of_row = [getattr(row, "case", "") for row in rows]
    places = {case: place for place, case in enumerate(sorted(set(of_row)))}
    cubes: dict[Arm, np.ndarray] = {}
    for row, case in zip(rows, of_row, strict=True):
        shape = (len(fractions), len(repetitions), len(places))
        cube = cubes.setdefault(arm(row), np.full(shape, math.nan))
        cube[fractions.index(row.fraction), repetitions.index(row.repetition), places[case]] = row.value
    return cubes


def _owners(cases: Sequence[CaseScore]) -> np.ndarray:
    """Whose each case is, as a number, in the order of `_cubes`; a case of no patient that is known is its own."""
    owner = {row.case: f"patient {row.patient}" if row.patient else f"case {row.case}" for row in cases}
    return np.unique([owner[case] for case in sorted(owner)], return_inverse=True)[1]


def _estimate(
    runs: Mapping[Arm, np.ndarray],
    by_case: Mapping[Arm, np.ndarray],
    owners: np.ndarray,
    arms: Sequence[Arm],
    weight: np.ndarray,
    scale: Scale,
) -> Estimate:
    """Of one arm, or of the first less the second, with these weights of the fractions.

    Only repetitions count that have all of it. The mean is that of results.csv; the interval is of the cases, where
    every arm has them.
    """
    signs, used = (1.0, -1.0)[: len(arms)], weight != 0
    totals = sum(sign * (weight[used] @ runs[one][used, :, 0]) for sign, one in zip(signs, arms, strict=True))
    kept = ~np.isnan(totals)
    if not kept.any():
        return Estimate(math.nan, math.nan, Interval(math.nan, math.nan), 0, 0, 0)
    cubes = [by_case[one][used][:, kept] for one in arms if one in by_case]
    has_cases = len(cubes) == len(arms) and all((~np.isnan(cube)).any(axis=2).all() for cube in cubes)
    if not has_cases:
        cubes = [runs[one][used][:, kept] for one in arms]
    parts = [statistics.spread(scores, owners if has_cases else None) for cube in cubes for scores in cube]
    found = statistics.combine(parts, [sign * one for sign in signs for one in weight[used]])
    mean, sd = statistics.mean_sd(totals)
    low, high = np.clip(statistics.interval(found._replace(mean=mean)), scale.low, scale.high)
    cases = int((~np.isnan(np.stack(cubes))).any(axis=(0, 1, 2)).sum()) if has_cases else 0
    patients = statistics.patients_counted(found) if has_cases else 0
    p = statistics.p_value(found._replace(mean=mean))
    return Estimate(mean, sd, Interval(float(low), float(high)), int(kept.sum()), cases, patients, p)
