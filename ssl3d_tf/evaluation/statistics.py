"""How sure a mean is: intervals over repetitions and patients, and the area under a learning curve.

Scores are float64 [repetitions, cases]; NaN marks what was not measured. Cases of one patient (slices, bricks, visits)
are alike, so patients are the unit: one that is drawn brings all of their cases (to draw cases anew within patients
would count their spread twice: Field & Welsh, 2007, doi:10.1111/j.1467-9868.2007.00593.x). The same patients are scored
in every repetition, so the two are crossed, not nested, and drawn separately, as in the pigeonhole bootstrap (Owen,
2007, arXiv:0712.1111); what each moves the mean by is added up. That gives an interval its shape. A bootstrap of few
is too narrow (Hesterberg, 2015, arXiv:1411.5279), so its width is that of Student's t for the sum of the two variances,
with the degrees of freedom of Satterthwaite, 1946, doi:10.2307/3002019, and never below that for either alone. Only
what was measured counts in them. tests/interval_coverage.py has how often such an interval holds the truth.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

RESAMPLES, SEED = 2000, 0  # one table has one report
_NORMAL = 1.959963984540054  # 97.5 % of the standard normal distribution lie below


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class Spread(NamedTuple):
    """A mean over repetitions of means over cases, and what it is made of; all of it adds up, as means do.

    of_repetition: float64 [repetitions], the mean in each. of_cell: [repetitions, patients], by how much a patient
    moves the mean in a repetition; their sum is 0. known: bool of that shape, whether any case was measured there.
    """

    mean: float
    of_repetition: np.ndarray
    of_cell: np.ndarray
    known: np.ndarray


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (n − 1) of one number per repetition, NaN left out; NaN where there are too few."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if known.size else math.nan
    return mean, float(known.std(ddof=1)) if known.size > 1 else math.nan


def mean_of_cases(scores: np.ndarray) -> np.ndarray:
    """[repetitions, cases] -> the mean over the cases of each repetition, NaN left out."""
    known = ~np.isnan(scores)
    sums, counts = np.where(known, scores, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(sums, counts, out=np.full(sums.shape, math.nan), where=counts > 0)


def spread(scores: np.ndarray, patients: np.ndarray | None = None) -> Spread:
    """The mean over repetitions of the mean over cases, and by how much each patient moves it.

    Args:
        scores: [repetitions, cases], in every repetition at least one number.
        patients: int [cases] in 0..P−1, whose each case is; None: each is of a patient of its own.
    """
    owners = np.arange(scores.shape[1]) if patients is None else patients
    known = ~np.isnan(scores)
    sums, counts = (_by_owner(values, owners) for values in (np.where(known, scores, 0.0), known))
    of_repetition = mean_of_cases(scores)
    of_cell = (sums - counts * of_repetition[:, None]) / (len(scores) * counts.sum(axis=1, keepdims=True))
    return Spread(float(of_repetition.mean()), of_repetition, of_cell, counts > 0)


def combine(parts: Sequence[Spread], weights: Sequence[float]) -> Spread:
    """Σ weight · part, such as a difference with weights 1 and −1: paired by repetition and patient."""
    mean, of_repetition, of_cell = (
        sum(weight * value for weight, value in zip(weights, values, strict=True))
        for values in list(zip(*parts, strict=True))[:3]
    )
    return Spread(mean, of_repetition, of_cell, np.any([part.known for part in parts], axis=0))


def interval(of: Spread) -> Interval:
    """The 95 % interval of a mean, or of a combination of means; NaN where there is but one number."""
    half = _half_width(_variances(of))
    if math.isnan(half):
        return Interval(math.nan, math.nan)
    moved = _resampled(of)
    sd = float(moved.std())
    low, high = np.percentile(moved, (2.5, 97.5)) * (half / (_NORMAL * sd) if sd > 0 else 0.0)
    return Interval(of.mean + float(low), of.mean + float(high))


def p_value(of: Spread) -> float:
    """Two-sided p of a mean of 0, by Student's t of the variances that `interval` is as wide as; NaN of one number.

    Their shapes differ, so where an interval ends next to 0 the two may disagree on .05.
    """
    found = [
        2.0 * float(stdtr(f, -abs(of.mean) / math.sqrt(variance))) if variance else float(of.mean == 0)
        for variance, f in _with_sum(_variances(of))
    ]
    return max(found, default=math.nan)


def holm(p_values: Sequence[float]) -> list[float]:
    """p of each, corrected for their number, in 0..1: the chance of any false finding among those below α is below α.

    Holm, 1979, Scandinavian Journal of Statistics 6, 65–70; it asks nothing of how they depend on each other.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [math.nan] * len(order), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def patients_counted(of: Spread) -> int:
    """How many patients have a score."""
    return int(of.known.any(axis=0).sum())


def area_weights(fractions: Sequence[float]) -> np.ndarray:
    """Weights of the scores at these fractions of labels in the area under the learning curve; they sum to 1.

    The trapezoid rule over the logarithm of the fraction, divided by its range: the area is an average score.

    Args:
        fractions: rising, above 0, at least two.
    """
    steps = np.diff(np.log(np.asarray(fractions, np.float64)))
    return (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) / (2.0 * steps.sum())


def _variances(of: Spread) -> list[tuple[float, int]]:
    """What repetitions and patients add to the variance of the mean, each with its degrees of freedom; none of one."""
    repetitions, patients, found = len(of.of_repetition), patients_counted(of), []
    if repetitions > 1:
        found.append((float(of.of_repetition.var(ddof=1)) / repetitions, repetitions - 1))
    if patients > 1 and not _is_nested(of):
        found.append((float((_of_patient(of) ** 2).sum()) * patients / (patients - 1), patients - 1))
    return found


def _half_width(parts: Sequence[tuple[float, float]]) -> float:
    """Of Student's interval of a mean whose variance is the sum of (variance, degrees of freedom); NaN of no part.

    Satterthwaite's degrees of freedom are too many where the larger part has few; but what is not known of either part
    alone is not known of their sum.
    """
    halves = [float(stdtrit(f, 0.975)) * math.sqrt(variance) for variance, f in _with_sum(parts)]
    return max(halves, default=math.nan)


def _with_sum(parts: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(variance, degrees of freedom) of the sum, then of each part; the parts alone where nothing varies."""
    total = sum(variance for variance, _ in parts)
    if total == 0.0:
        return list(parts)
    return [(total, total**2 / sum(variance**2 / known_by for variance, known_by in parts)), *parts]


def _resampled(of: Spread) -> np.ndarray:
    """By how much each resample moves the mean: [RESAMPLES]."""
    repetitions, patients = of.known.shape
    moved = _draws(repetitions, seed=SEED) @ (of.of_repetition - of.of_repetition.mean()) / repetitions
    return moved if _is_nested(of) else moved + _draws(patients, seed=SEED + 1) @ _of_patient(of)


def _is_nested(of: Spread) -> bool:
    """Whether no patient is in two repetitions, as with folds: what repetitions differ by is then theirs too."""
    return len(of.known) > 1 and int(of.known.sum(axis=0).max()) < 2


def _of_patient(of: Spread) -> np.ndarray:
    return of.of_cell.sum(axis=0)


def _by_owner(values: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """[repetitions, cases] -> [repetitions, patients], summed."""
    return np.stack([np.bincount(owners, row) for row in values.astype(np.float64)])


@functools.lru_cache(maxsize=64)
def _draws(count: int, *, seed: int) -> np.ndarray:
    """How often each of `count` is drawn: [RESAMPLES, count], rows sum to `count`."""
    rng = np.random.default_rng((seed, count))
    return rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)
