"""Does a 95 % interval hold the truth in 93 to 97 % of experiments? Simulated patients × slices: `make intervals`.

Not part of `pytest tests`, which has the short form in tests/evaluation/test_statistics.py: it takes two minutes. `-s`
shows the shares.
"""

import numpy as np
import pytest

from ssl3d_tf.evaluation import statistics
from tests.evaluation import layouts

EXPERIMENTS = 3000  # the share of 95 % is known to ± .8 %
LAYOUTS = [(10, 30), (20, 10), (40, 5), (100, 1)]  # patients, slices of each
ARM = {"repetition": 0.02, "patient": 0.1, "case": 0.05}
NOISY = ARM | {"both": 0.03, "rest": 0.05}
DIFFERENCE = {"repetition": 0.02, "patient": 0.03, "case": 0.02, "rest": 0.03}


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize(("patients", "slices"), LAYOUTS)
@pytest.mark.parametrize(("sd", "differences"), [(ARM, None), (NOISY, None), (ARM, DIFFERENCE)])
def test_an_interval_holds_the_truth(sd, differences, patients, slices, missing):
    layout = {"repetitions": 3, "patients": patients, "cases": slices, "sd": sd, "missing": missing}
    found = layouts.coverage(EXPERIMENTS, differences=differences, **layout)
    what = "one arm" if differences is None else "paired difference"
    print(f"\n{found:.3f}: {what}, {patients} patients × {slices} slices, {missing:.0%} missing")
    assert 0.93 <= found <= 0.97


# Of two the difference is all that is known of how repetitions differ: there it is cautious.
@pytest.mark.parametrize(("repetitions", "most"), [(1, 0.97), (2, 0.99), (5, 0.97), (10, 0.97)])
def test_other_numbers_of_repetitions(repetitions, most):
    sd = ARM | ({"repetition": 0.0} if repetitions == 1 else {})  # of one, the interval is of that one run
    found = layouts.coverage(EXPERIMENTS, repetitions=repetitions, patients=20, cases=10, sd=sd)
    print(f"\n{found:.3f}: {repetitions} repetitions")
    assert 0.93 <= found <= most


@pytest.mark.parametrize("folds", [3, 5])
def test_folds_of_which_each_tests_other_patients(folds):
    rng, covered = np.random.default_rng(0), 0
    for _ in range(EXPERIMENTS):
        scores, owners = layouts.scores(rng, repetitions=folds, patients=60, cases=3, sd=ARM)
        tested = owners % folds == np.arange(folds)[:, None]
        low, high = statistics.interval(statistics.spread(np.where(tested, scores, np.nan), owners))
        covered += low <= layouts.TRUTH <= high
    print(f"\n{covered / EXPERIMENTS:.3f}: {folds} folds")
    assert 0.93 <= covered / EXPERIMENTS <= 0.97


def test_slices_taken_for_patients_would_not_do():
    """What the patients are for: without them the interval is far too narrow."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(EXPERIMENTS):
        scores, _ = layouts.scores(rng, repetitions=3, patients=20, cases=10, sd=ARM | {"repetition": 0.0})
        low, high = statistics.interval(statistics.spread(scores))
        covered += low <= layouts.TRUTH <= high
    print(f"\n{covered / EXPERIMENTS:.3f}: slices as patients")
    assert covered / EXPERIMENTS < 0.8
