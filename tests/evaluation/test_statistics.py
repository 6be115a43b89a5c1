import math

import numpy as np
import pytest
import scipy.stats

from ssl3d_tf.evaluation import statistics
from tests.evaluation import layouts


def test_mean_and_standard_deviation_leave_out_what_is_missing():
    assert statistics.mean_sd(np.array([1.0, 3.0, math.nan])) == (2.0, pytest.approx(math.sqrt(2)))
    mean, sd = statistics.mean_sd(np.array([0.5]))
    assert mean == 0.5
    assert math.isnan(sd)


def test_missing_cases_count_in_no_mean():
    scores = np.array([[0.2, math.nan, 0.4], [0.6, 0.6, math.nan]])
    assert statistics.mean_of_cases(scores) == pytest.approx([0.3, 0.6])
    assert statistics.spread(scores).mean == pytest.approx(0.45)


def test_area_of_a_constant_curve_is_its_score():
    assert statistics.area_weights([5, 10, 25, 50, 100]) @ np.full(5, 0.7) == pytest.approx(0.7)


def test_area_weights_are_the_trapezoid_rule_over_the_logarithm():
    fractions, scores = np.array([5.0, 10.0, 100.0]), np.array([0.2, 0.6, 0.8])
    expected = (0.4 * math.log(2) + 0.7 * math.log(10)) / math.log(20)
    assert statistics.area_weights(fractions) @ scores == pytest.approx(expected)
    assert statistics.area_weights([1, 10, 100]) == pytest.approx([0.25, 0.5, 0.25])


def interval(scores, owners=None):
    return statistics.interval(statistics.spread(np.asarray(scores), owners))


def test_one_repetition_is_the_bootstrap_of_scipy_but_for_the_width_of_student():
    scores = np.random.default_rng(3).beta(6, 2, size=(1, 60))
    low, high = interval(scores)
    scipys = scipy.stats.bootstrap((scores[0],), np.mean, method="percentile", n_resamples=2000, rng=1)
    wider = scipy.stats.t.ppf(0.975, 59) / scipy.stats.norm.ppf(0.975) * np.sqrt(60 / 59)
    assert high - low == pytest.approx(wider * np.ptp(scipys.confidence_interval), rel=0.05)
    assert (low + high) / 2 == pytest.approx(np.mean(scipys.confidence_interval), abs=0.002)


def test_one_repetition_is_as_wide_as_student_s_interval_of_the_patients_means():
    means = np.random.default_rng(0).normal(0.6, 0.1, 12)
    scores, owners = np.repeat(means, 5)[None], np.repeat(np.arange(12), 5)
    low, high = scipy.stats.t.interval(0.95, 11, means.mean(), scipy.stats.sem(means))
    assert np.ptp(interval(scores, owners)) == pytest.approx(high - low, rel=0.05)
    assert np.ptp(interval(scores)) < 0.5 * (high - low)  # as if slices were patients


def test_patients_count_by_their_cases():
    scores, owners = np.array([[0.2, 0.2, 0.2, 0.8]]), np.array([0, 0, 0, 1])
    assert statistics.spread(scores, owners).mean == pytest.approx(0.35)
    of_cell = statistics.spread(scores, owners).of_cell
    assert of_cell[0] == pytest.approx([3 / 4 * (0.2 - 0.35), 1 / 4 * (0.8 - 0.35)])


def test_patients_without_a_score_do_not_count():
    known = np.random.default_rng(0).normal(0.6, 0.1, (3, 6))
    scores = np.concatenate([known, np.full((3, 34), math.nan)], axis=1)
    assert np.ptp(interval(scores)) == pytest.approx(np.ptp(interval(known)), rel=0.05)
    assert statistics.patients_counted(statistics.spread(scores)) == 6


def test_differences_are_paired_by_repetition_and_case():
    layout = {"repetitions": 5, "patients": 10, "cases": 3, "sd": {"repetition": 0.1, "case": 0.2}}
    scratch, owners = layouts.scores(np.random.default_rng(1), **layout)
    parts = [statistics.spread(scores, owners) for scores in (scratch + 0.05, scratch)]
    assert statistics.interval(statistics.combine(parts, (1, -1))) == pytest.approx((0.05, 0.05))


def test_equal_scores_give_equal_intervals():
    scores = np.random.default_rng(1).random((3, 20))
    assert interval(scores) == interval(scores.copy())


def test_more_cases_do_not_hide_how_much_repetitions_differ():
    few, many = (np.ptp(interval(np.repeat([[0.1], [0.5], [0.9]], cases, axis=1))) for cases in (2, 500))
    assert few == pytest.approx(many)


def test_folds_are_as_wide_as_student_s_interval_of_their_means():
    scores, fold = np.random.default_rng(0).random(40), np.arange(40) % 4
    of_folds = [scores[fold == one].mean() for one in range(4)]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(of_folds), scipy.stats.sem(of_folds))
    found = interval([np.where(fold == one, scores, math.nan) for one in range(4)])
    assert np.ptp(found) == pytest.approx(high - low, rel=0.15)  # but for the shape of a bootstrap of four


def test_one_number_has_no_interval():
    assert np.isnan(interval([[0.5]])).all()


ARM = {"repetition": 0.02, "patient": 0.1, "case": 0.05}
DIFFERENCE = {"repetition": 0.02, "patient": 0.03, "case": 0.02, "rest": 0.03}


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize(("patients", "slices"), [(12, 20), (60, 1)])
@pytest.mark.parametrize("differences", [None, DIFFERENCE], ids=["arm", "difference"])
def test_intervals_hold_the_truth(differences, patients, slices, missing):
    """The short form of tests/interval_coverage.py, which is known to ± 1.4 %."""
    layout = {"repetitions": 3, "patients": patients, "cases": slices, "sd": ARM, "missing": missing}
    assert 0.93 <= layouts.coverage(1000, differences=differences, **layout) <= 0.97
