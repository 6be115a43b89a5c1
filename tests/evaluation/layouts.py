"""Made-up scores of patients in several cases each, of which the true mean is known: does an interval hold it?"""

import numpy as np

from ssl3d_tf.evaluation import statistics

TRUTH = 0.6


def scores(rng, *, repetitions, patients, cases, sd, missing=0.0):
    """[repetitions, patients · cases] of mean TRUTH + what each adds that `sd` names, and whose each case is.

    Args:
        cases: of each patient. sd: of 'repetition', 'patient', 'case', 'both' (patient in a repetition), 'rest'.
        missing: share without a score, at random.
    """
    shapes = {
        "repetition": (repetitions, 1, 1),
        "patient": (1, patients, 1),
        "case": (1, patients, cases),
        "both": (repetitions, patients, 1),
        "rest": (repetitions, patients, cases),
    }
    parts = [sd.get(name, 0.0) * rng.standard_normal(shape) for name, shape in shapes.items()]
    found = sum(parts, TRUTH + np.zeros(shapes["rest"])).reshape(repetitions, -1)
    return without(rng, found, missing), np.repeat(np.arange(patients), cases)


def without(rng, found, missing):
    """The scores, but for a share of them at random."""
    return np.where(rng.random(found.shape) < missing, np.nan, found)


def coverage(experiments, *, differences=None, missing=0.0, **layout):
    """Share of experiments whose interval holds TRUTH.

    With `differences`, another sd: of the paired difference of two arms, which lack different scores.
    """
    rng, covered = np.random.default_rng(0), 0
    for _ in range(experiments):
        first, owners = scores(rng, **layout)
        found = statistics.spread(without(rng, first, missing), owners)
        if differences is not None:
            moved, _ = scores(rng, **layout | {"sd": differences})
            second = statistics.spread(without(rng, first + moved, missing), owners)
            found = statistics.combine([second, found], (1, -1))
        low, high = statistics.interval(found)
        covered += low <= TRUTH <= high
    return covered / experiments
