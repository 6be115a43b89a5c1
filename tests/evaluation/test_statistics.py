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


def test_p_is_that_of_student_s_test_where_one_part_alone_varies():
    means = np.random.default_rng(1).normal(0.02, 0.05, 9)
    of_patients = statistics.spread(means[None])
    assert statistics.p_value(of_patients) == pytest.approx(scipy.stats.ttest_1samp(means, 0.0).pvalue)
    of_repetitions = statistics.spread(means[:, None])
    assert statistics.p_value(of_repetitions) == pytest.approx(scipy.stats.ttest_1samp(means, 0.0).pvalue)


def test_p_of_one_number_is_none_and_of_no_spread_is_sure():
    assert math.isnan(statistics.p_value(statistics.spread(np.array([[0.3]]))))
    assert statistics.p_value(statistics.spread(np.full((3, 4), 0.3))) == 0.0
    assert statistics.p_value(statistics.spread(np.zeros((3, 4)))) == 1.0


def test_p_and_interval_say_the_same_but_next_to_the_border():
    rng, agree, clear = np.random.default_rng(2), 0, 0
    for shift in np.linspace(-0.2, 0.2, 80):
        scores, owners = layouts.scores(
            rng, repetitions=4, patients=10, cases=2, sd={"repetition": 0.03, "patient": 0.1, "rest": 0.05}
        )
        of = statistics.spread(scores - layouts.TRUTH + shift, owners)
        p, (low, high) = statistics.p_value(of), statistics.interval(of)
        if not 0.03 < p < 0.08:
            clear += 1
            agree += (p < 0.05) == (not low <= 0 <= high)
    assert agree == clear > 60


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_holm_seldom_finds_what_is_not_there():
    """Of ten true null hypotheses, which are alike as arms compared to one scratch are, any is found in at most 5 %."""
    rng, found, uncorrected = np.random.default_rng(0), 0, 0
    for _ in range(400):
        z = 0.7 * rng.standard_normal() + 0.714 * rng.standard_normal(10)
        p = 2 * scipy.stats.norm.sf(np.abs(z))
        found += min(statistics.holm(list(p))) < 0.05
        uncorrected += min(p) < 0.05
    assert found / 400 < 0.07
    assert uncorrected / 400 > 0.15
