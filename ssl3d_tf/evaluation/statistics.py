"""How sure a mean is: two-way bootstrap intervals over repetitions and cases, and the area under a learning curve.

Scores are float64 [repetitions, cases]; NaN marks what was not measured. The same cases are scored in every
repetition, so the two are crossed, not nested: resampling cases anew within each repetition would divide by
repetitions × cases what divides by cases alone. Repetitions and cases are therefore resampled separately, as in the
pigeonhole bootstrap (Owen, 2007, arXiv:0712.1111), and what each moves the mean by is added up. A bootstrap of few is
too narrow (Hesterberg, 2015, arXiv:1411.5279): each part is widened to what Student's t gives for as many.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
_NORMAL = 1.959963984540054  # 97.5 % of the standard normal distribution lie below
_STUDENT = {1: 12.706204736, 2: 4.302652730, 3: 3.182446305}  # and of Student's t, by degrees of freedom


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class Shifts(NamedTuple):
    """A mean, and by how much each resample moves it: float64 [RESAMPLES], not yet widened intervals."""

    mean: float
    resampled: np.ndarray


def mean_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (n − 1) of one number per repetition, NaN left out; NaN where there are too few."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if known.size else math.nan
    return mean, float(known.std(ddof=1)) if known.size > 1 else math.nan


def mean_of_cases(scores: np.ndarray) -> np.ndarray:
    """[repetitions, cases] -> the mean over the cases of each repetition, NaN left out."""
    return _weighted(scores, np.ones((1, scores.shape[1])))[0]


def shifts(scores: np.ndarray, *, seed: int) -> Shifts:
    """The mean over repetitions of the mean over cases, and how resampling moves it.

    Equal seeds and shapes draw equal repetitions and cases, so that shifts of two arms may be subtracted: this pairs
    them by repetition and case.

    Args:
        scores: [repetitions, cases]; one case where there is but one number per repetition.
    """
    repetitions, cases = scores.shape
    by_repetition = mean_of_cases(scores)[None]
    mean = float(_mean(by_repetition)[0])
    over_repetitions = _weighted(by_repetition, _draws(repetitions, seed=seed))[:, 0]
    over_cases = _mean(_weighted(scores, _draws(cases, seed=seed + 1)))
    moved = widening(repetitions) * (over_repetitions - mean) + widening(cases) * (over_cases - mean)
    return Shifts(mean, moved if scores.size > 1 else np.full(RESAMPLES, math.nan))


def interval(of: Shifts) -> Interval:
    """The 95 % percentile interval of a mean, or of a combination of means; NaN where nothing can be resampled."""
    if np.isnan(of.resampled).all():
        return Interval(math.nan, math.nan)
    low, high = np.nanpercentile(of.resampled, (2.5, 97.5))
    return Interval(of.mean + float(low), of.mean + float(high))


def combine(parts: Sequence[Shifts], weights: Sequence[float]) -> Shifts:
    """Σ weight · mean of means that were resampled alike, such as a difference with weights 1 and −1."""
    mean = sum(weight * part.mean for weight, part in zip(weights, parts, strict=True))
    moved = [weight * part.resampled for weight, part in zip(weights, parts, strict=True)]
    return Shifts(mean, np.sum(moved, axis=0))


def area_weights(fractions: Sequence[float]) -> np.ndarray:
    """Weights of the scores at these fractions of labels in the area under the learning curve; they sum to 1.

    The trapezoid rule over the logarithm of the fraction, divided by its range: the area is an average score.

    Args:
        fractions: rising, above 0, at least two.
    """
    steps = np.diff(np.log(np.asarray(fractions, np.float64)))
    return (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) / (2.0 * steps.sum())


def widening(count: int) -> float:
    """What makes the bootstrap of the mean of `count` numbers as wide as Student's t; 0 for one: it has no spread."""
    return student(count - 1) / _NORMAL * math.sqrt(count / (count - 1)) if count > 1 else 0.0


def student(freedom: int) -> float:
    """97.5 % of Student's t with so many degrees of freedom lie below; series: Abramowitz & Stegun, 26.7.5."""
    if freedom in _STUDENT:
        return _STUDENT[freedom]
    z, n = _NORMAL, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4


@functools.lru_cache(maxsize=64)
def _draws(count: int, *, seed: int) -> np.ndarray:
    """How often each of `count` is drawn: [RESAMPLES, count], rows sum to `count`."""
    rng = np.random.default_rng((seed, count))
    return rng.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).astype(np.float64)


def _mean(by_repetition: np.ndarray) -> np.ndarray:
    """[n, repetitions] -> [n], NaN left out."""
    return _weighted(by_repetition, np.ones((1, by_repetition.shape[1])))[0]


def _weighted(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means over cases, NaN left out: [repetitions, cases], [n, cases] -> [n, repetitions]."""
    known = ~np.isnan(scores)
    sums = weights @ np.where(known, scores, 0.0).T
    counts = weights @ known.T.astype(np.float64)
    return np.divide(sums, counts, out=np.full(sums.shape, math.nan), where=counts > 0)
