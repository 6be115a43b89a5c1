import math

import numpy as np
import pytest
import scipy.stats

from ssl3d_tf.evaluation import statistics


def simulated(rng, *, repetitions, cases, spread):
    """Scores of mean .6 + what a repetition, a case and chance add, with these standard deviations."""
    parts = [(repetitions, 1), (1, cases), (repetitions, cases)]
    return 0.6 + sum(sd * rng.standard_normal(shape) for sd, shape in zip(spread, parts, strict=True))


def test_mean_and_standard_deviation_leave_out_what_is_missing():
    assert statistics.mean_sd(np.array([1.0, 3.0, math.nan])) == (2.0, pytest.approx(math.sqrt(2)))
    mean, sd = statistics.mean_sd(np.array([0.5]))
    assert mean == 0.5
    assert math.isnan(sd)


def test_missing_cases_count_in_no_mean():
    scores = np.array([[0.2, math.nan, 0.4], [0.6, 0.6, math.nan]])
    assert statistics.mean_of_cases(scores) == pytest.approx([0.3, 0.6])
    assert statistics.shifts(scores, seed=0).mean == pytest.approx(0.45)


def test_area_of_a_constant_curve_is_its_score():
    assert statistics.area_weights([5, 10, 25, 50, 100]) @ np.full(5, 0.7) == pytest.approx(0.7)


def test_area_weights_are_the_trapezoid_rule_over_the_logarithm():
    fractions, scores = np.array([5.0, 10.0, 100.0]), np.array([0.2, 0.6, 0.8])
    expected = (0.4 * math.log(2) + 0.7 * math.log(10)) / math.log(20)
    assert statistics.area_weights(fractions) @ scores == pytest.approx(expected)
    assert statistics.area_weights([1, 10, 100]) == pytest.approx([0.25, 0.5, 0.25])


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 30, 400])
def test_quantiles_of_student_agree_with_scipy(freedom):
    assert statistics.student(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=5e-4)


def test_one_repetition_is_the_bootstrap_of_scipy_but_for_the_widening():
    scores = np.random.default_rng(3).beta(6, 2, size=(1, 60))
    low, high = statistics.interval(statistics.shifts(scores, seed=0))
    scipys = scipy.stats.bootstrap((scores[0],), np.mean, method="percentile", n_resamples=2000, rng=1)
    assert high - low == pytest.approx(statistics.widening(60) * np.ptp(scipys.confidence_interval), rel=0.05)
    assert (low + high) / 2 == pytest.approx(np.mean(scipys.confidence_interval), abs=0.002)


def test_differences_are_paired_by_repetition_and_case():
    scratch = simulated(np.random.default_rng(1), repetitions=5, cases=30, spread=(0.1, 0.2, 0.0))
    parts = [statistics.shifts(scores, seed=0) for scores in (scratch + 0.05, scratch)]
    assert statistics.interval(statistics.combine(parts, (1, -1))) == pytest.approx((0.05, 0.05))


def test_equal_seeds_give_equal_intervals():
    scores = simulated(np.random.default_rng(1), repetitions=5, cases=30, spread=(0.1, 0.1, 0.1))
    first, again, other = (statistics.interval(statistics.shifts(scores, seed=seed)) for seed in (0, 0, 7))
    assert first == again != other


def test_more_cases_do_not_hide_how_much_repetitions_differ():
    few, many = (np.repeat([[0.1], [0.5], [0.9]], cases, axis=1) for cases in (2, 500))
    widths = [np.ptp(statistics.interval(statistics.shifts(scores, seed=0))) for scores in (few, many)]
    assert widths[0] == pytest.approx(widths[1])


def test_one_number_has_no_interval():
    assert np.isnan(statistics.interval(statistics.shifts(np.array([[0.5]]), seed=0))).all()


@pytest.mark.parametrize("repetitions", [3, 5])
@pytest.mark.parametrize("spread", [(0.05, 0.0, 0.1), (0.0, 0.1, 0.1), (0.04, 0.15, 0.1)], ids=str)
def test_intervals_of_a_difference_cover_the_truth(repetitions, spread):
    rng, covered, experiments = np.random.default_rng(0), 0, 200
    for _ in range(experiments):
        shared = simulated(rng, repetitions=repetitions, cases=40, spread=(0.05, 0.2, 0.0))
        arms = (shared + simulated(rng, repetitions=repetitions, cases=40, spread=spread), shared)
        parts = [statistics.shifts(scores, seed=0) for scores in arms]
        low, high = statistics.interval(statistics.combine(parts, (1, -1)))
        covered += low <= 0.6 <= high
    assert 0.90 <= covered / experiments <= 0.99
