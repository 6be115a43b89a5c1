import json

import numpy as np
import pytest

from ssl3d_tf.evaluation import comparison, summary, tables
from ssl3d_tf.evaluation.tables import SCRATCH, Arm, CaseScore, Result, Tables

PRETRAINED = Arm("cpc_3d", "pretrained")


def results(scores, *, score="dice"):
    """{(arm, fraction): [value of each repetition]} as rows."""
    return tuple(
        Result("organ", *arm, fraction, int(fraction), repetition, "test", score, "mean", value, "best")
        for (arm, fraction), values in scores.items()
        for repetition, value in enumerate(values)
    )


def per_case(scores, *, patient=lambda case: f"p{case}", score="dice"):
    """{(arm, fraction): [repetitions, cases]} as rows."""
    return tuple(
        CaseScore("organ", *arm, fraction, repetition, f"case{case}", patient(case), score, "mean", value)
        for (arm, fraction), values in scores.items()
        for repetition, of_cases in enumerate(values)
        for case, value in enumerate(of_cases)
    )


def compare(rows, cases=(), *, score="dice"):
    return comparison.compare(Tables(rows, cases, (), {}), "organ", score)


def test_means_and_paired_differences_by_hand():
    found = compare(results({(PRETRAINED, 10.0): [0.5, 0.7], (SCRATCH, 10.0): [0.4, 0.5]}))
    assert found.arms == (SCRATCH, PRETRAINED)
    assert found.estimates[PRETRAINED, 10.0][:2] == pytest.approx((0.6, np.std([0.5, 0.7], ddof=1)))
    assert found.differences[PRETRAINED, 10.0].mean == pytest.approx(0.15)
    assert found.differences[PRETRAINED, 10.0].repetitions == 2


def on(grid, rows):
    return tuple(row._replace(grid=grid) for row in rows)


def test_the_native_grid_is_compared_where_every_run_has_it_and_else_the_record_s():
    scores = {(PRETRAINED, 10.0): [0.9, 0.9], (SCRATCH, 10.0): [0.8, 0.8]}
    of_cases = {key: np.full((2, 5), values[0]) for key, values in scores.items()}
    lower = {key: [value - 0.2 for value in values] for key, values in scores.items()}
    cases = per_case(of_cases) + on("native", per_case({key: values - 0.2 for key, values in of_cases.items()}))
    both = compare(results(scores) + on("native", results(lower)), cases)
    assert both.grid == "native"
    assert both.estimates[SCRATCH, 10.0].mean == pytest.approx(0.6)
    assert both.values[SCRATCH] == pytest.approx(0.6)
    assert both.estimates[SCRATCH, 10.0].cases == 5
    one_lacks_it = compare(results(scores) + on("native", results(lower))[1:], cases)
    assert one_lacks_it.grid == "record"
    assert one_lacks_it.estimates[SCRATCH, 10.0].mean == pytest.approx(0.8)
    assert one_lacks_it.values[SCRATCH] == pytest.approx(0.8)
    tables_of_both = Tables(results(scores) + on("native", results(lower)), cases, (), {})
    assert len(comparison.compare_all(tables_of_both)) == 1
    assert comparison.missing_runs(tables_of_both, "organ") == ([], 4)


def test_masks_of_records_are_said_to_be_resampled_and_other_scores_are_not():
    scores = {(PRETRAINED, 10.0): [0.9, 0.9], (SCRATCH, 10.0): [0.8, 0.8]}

    def shown(rows, score):
        found = Tables(rows, (), (), {})
        return "On the resampled grid" in summary.text(found, [comparison.compare(found, "organ", score)])

    assert shown(results(scores), "dice")
    assert not shown(on("native", results(scores)), "dice")
    assert not shown(results(scores, score="cat_accuracy"), "cat_accuracy")


def test_a_difference_counts_only_repetitions_that_both_have():
    found = compare(results({(PRETRAINED, 10.0): [0.5, 0.7, 0.9], (SCRATCH, 10.0): [0.4, 0.5]}))
    assert found.differences[PRETRAINED, 10.0].mean == pytest.approx(0.15)
    assert found.estimates[PRETRAINED, 10.0].repetitions == 3


def test_pairing_by_case_finds_what_the_spread_of_cases_hides():
    rng = np.random.default_rng(0)
    scratch = rng.uniform(0.2, 0.9, (1, 30)) + rng.normal(0, 0.01, (3, 30))
    scores = {(SCRATCH, 10.0): scratch, (PRETRAINED, 10.0): scratch + rng.normal(0.02, 0.01, (3, 30))}
    found = compare(results({key: values.mean(axis=1) for key, values in scores.items()}), per_case(scores))
    difference = found.differences[PRETRAINED, 10.0]
    assert difference.cases == 30
    assert comparison.verdict(difference, "dice") == "better"
    assert np.ptp(difference.interval) < np.ptp(found.estimates[PRETRAINED, 10.0].interval) / 5


def test_the_area_needs_every_fraction():
    scores = {(SCRATCH, f): [0.4, 0.5] for f in (5.0, 100.0)} | {(PRETRAINED, 5.0): [0.5, 0.6]}
    found = compare(results(scores))
    assert found.estimates[SCRATCH, None].mean == pytest.approx(0.45)
    assert (PRETRAINED, None) not in found.estimates
    assert (PRETRAINED, 100.0) not in found.differences


@pytest.mark.parametrize(("score", "expected"), [("dice", "better"), ("hd95", "worse")])
def test_a_verdict_knows_which_way_is_better(score, expected):
    rows = results({(PRETRAINED, 10.0): [9.0, 9.1, 9.2], (SCRATCH, 10.0): [4.0, 4.1, 4.2]}, score=score)
    assert comparison.verdict(compare(rows, score=score).differences[PRETRAINED, 10.0], score) == expected


def test_an_interval_around_zero_shows_no_difference_and_the_summary_says_so():
    rows = results({(PRETRAINED, 10.0): [0.5, 0.6, 0.7], (SCRATCH, 10.0): [0.6, 0.5, 0.7]})
    tables_ = Tables(rows, (), (), {})
    text = summary.text(tables_, comparison.compare_all(tables_))
    assert "- cpc_3d, pretrained: no difference shown at 10\u00a0%." in text
    assert "Rests on 3 repetitions; there are no scores per case" in text


def scored(rng, *, cases, repetitions=3, gain=0.0):
    """Rows of results and of cases of two arms, of which one is better by `gain`, with some noise."""
    scratch = rng.uniform(0.3, 0.8, (1, cases)) + rng.normal(0, 0.005, (repetitions, cases))
    scores = {(SCRATCH, 10.0): scratch, (PRETRAINED, 10.0): scratch + gain + rng.normal(0, 0.01, (repetitions, cases))}
    return results({key: values.mean(axis=1) for key, values in scores.items()}), scores


def test_of_one_repetition_nothing_is_said_to_be_better_however_many_cases_it_has():
    rows, scores = scored(np.random.default_rng(0), cases=40, repetitions=1, gain=0.1)
    found = compare(rows, per_case(scores))
    mean, interval, verdict = summary.difference(found, PRETRAINED, 10.0)
    assert mean.startswith("+0.")
    assert interval.startswith("[+0.")  # of this one run, whose cases say so
    assert verdict == "one repetition only"
    assert summary.in_words(found) == ["cpc_3d, pretrained: one repetition only at 10\u00a0%."]
    assert "would be said to differ" not in summary.basis(found)


def test_slices_of_a_patient_are_not_as_many_patients():
    rows, scores = scored(np.random.default_rng(0), cases=40)
    of_slices, of_patients = (
        compare(rows, per_case(scores, patient=patient)) for patient in ("p{}".format, lambda case: f"p{case // 10}")
    )
    assert of_patients.estimates[SCRATCH, 10.0][4:6] == (40, 4)
    assert of_patients.estimates[SCRATCH, 10.0].mean == of_slices.estimates[SCRATCH, 10.0].mean
    assert summary.basis(of_patients).startswith("Rests on 3 repetitions and 40 test cases of 4 patients.")


def test_cases_of_no_patient_that_is_known_count_as_their_own_and_the_report_says_so():
    rows, scores = scored(np.random.default_rng(0), cases=12)
    unknown, own = (compare(rows, per_case(scores, patient=patient)) for patient in (lambda case: "", "p{}".format))
    assert unknown.estimates == own.estimates
    assert "cases.csv does not say whose each is, so each counts as a patient of its own" in summary.basis(unknown)


@pytest.mark.parametrize(("score", "low", "high"), [("dice", 0, 1), ("qw_kappa", -1, 1), ("hd95", 0, np.inf)])
def test_intervals_keep_to_the_range_of_a_score(score, low, high):
    values = [min(high, 1.0), low, 0.5]
    interval = compare(results({(SCRATCH, 10.0): values}, score=score), score=score).estimates[SCRATCH, 10.0].interval
    assert interval.low == low
    assert interval.high == high if np.isfinite(high) else interval.high > 1
    other = results({(SCRATCH, 10.0): values, (PRETRAINED, 10.0): values[::-1]}, score=score)
    assert np.abs(compare(other, score=score).differences[PRETRAINED, 10.0].interval).max() <= high - low


def test_a_repetition_without_a_fraction_is_not_in_the_area_and_the_report_says_so():
    scores = {(SCRATCH, 5.0): [0.4, 0.5, 0.6], (SCRATCH, 100.0): [0.8, 0.9]}
    scores |= {(PRETRAINED, f): [0.5, 0.6, 0.7] for f in (5.0, 100.0)}
    found = compare(results(scores))
    assert found.estimates[SCRATCH, None].mean == pytest.approx(np.mean([0.4, 0.8, 0.5, 0.9]))
    assert found.estimates[SCRATCH, None].repetitions == 2
    assert "AULC is of the repetitions that have every fraction: scratch 2 of 3." in summary.basis(found)


def test_cases_that_a_repetition_lacks_leave_the_interval_to_the_runs():
    rows, scores = scored(np.random.default_rng(0), cases=12)
    some = [row for row in per_case(scores) if row.repetition != 1]
    assert compare(rows, some).estimates == compare(rows).estimates


def test_one_run_each_has_no_interval():
    found = compare(results({(PRETRAINED, 10.0): [0.5], (SCRATCH, 10.0): [0.4]}))
    assert summary.difference(found, PRETRAINED, 10.0) == ("+0.100", "", "one number only")


def test_without_scratch_nothing_is_compared():
    found = compare(results({(PRETRAINED, 10.0): [0.5, 0.6]}))
    assert found.differences == {}
    assert summary.in_words(found) == ["There are no runs from scratch, so there is nothing to compare with."]


def test_missing_runs_are_counted_and_named():
    rows = results({(PRETRAINED, 10.0): [0.5, 0.6], (SCRATCH, 10.0): [0.4]})
    absent, expected = comparison.missing_runs(Tables(rows, (), (), {}), "organ")
    assert (absent, expected) == (["scratch, 10 %, repetition 1"], 4)


def test_runs_that_a_stopped_grid_did_not_come_to_are_missing(tmp_path):
    splits = {number: {"train": {"10": [], "100": []}} for number in "01"}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    rows = results({(SCRATCH, 10.0): [0.4]})
    absent, expected = comparison.missing_runs(Tables(rows, (), (), {"organ": (tmp_path,)}), "organ")
    assert (len(absent), expected) == (3, 4)


def test_other_splits_checkpoints_and_classes_do_not_count(tmp_path):
    rows = results({(SCRATCH, 10.0): [0.4]})
    others = [{"split": "val"}, {"checkpoint": "last"}, {"label_class": "tumour"}]
    found = compare(rows + tuple(rows[0]._replace(**change, value=0.9) for change in others))
    assert found.estimates[SCRATCH, 10.0].mean == 0.4
    assert tables.arm(rows[0]) == SCRATCH


def test_the_summary_says_which_differences_remain_after_holm():
    rng = np.random.default_rng(0)
    scratch = 0.6 + 0.02 * rng.standard_normal((4, 12))
    of_cases = {(SCRATCH, 10.0): scratch, (SCRATCH, 50.0): scratch}
    better, alike = (Arm(name, "pretrained") for name in ("better", "alike"))
    for fraction in (10.0, 50.0):
        of_cases[better, fraction] = scratch + 0.1 + 0.02 * rng.standard_normal((4, 12))
        of_cases[alike, fraction] = scratch + 0.02 * rng.standard_normal((4, 12))
    scores = {key: values.mean(axis=1) for key, values in of_cases.items()}
    found = compare(results(scores), per_case(of_cases))
    p = comparison.adjusted(found)
    assert len(p) == 6
    assert {key for key, value in p.items() if value < 0.05} == {(better, 10.0), (better, 50.0), (better, None)}
    assert all(p[key] >= found.differences[key].p for key in p)
    said = summary.basis(found)
    assert "Corrected (Holm, 1979) for all 6, these differ: better, pretrained, " in said
    assert "alike, pretrained, 10" not in said
    only_alike = {key: values for key, values in of_cases.items() if key[0] != better}
    rows = {key: values.mean(axis=1) for key, values in only_alike.items()}
    said = summary.basis(compare(results(rows), per_case(only_alike)))
    assert "Corrected (Holm, 1979) for all 3, none differs (smallest p = " in said
