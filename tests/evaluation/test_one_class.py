"""evaluation/one_class: what naming one class scores, and which runs do so."""

import pytest

from ssl3d_tf.evaluation import comparison, one_class, summary
from ssl3d_tf.evaluation.tables import Prediction, Result, Tables

TRUE = (0, 0, 0, 1, 2)


def tables(*runs, true=TRUE, score="cat_accuracy"):
    """Of runs of scratch, each with its predictions of the five cases."""
    rows = [("grading", "", "random", 10.0, repetition) for repetition in range(len(runs))]
    predictions = [
        Prediction(*row, f"c{case}", label, guess)
        for row, guesses in zip(rows, runs, strict=True)
        for case, (label, guess) in enumerate(zip(true, guesses, strict=True))
    ]
    results = [Result(*row[:4], 8, row[4], "test", score, "", 0.5, "best") for row in rows]
    return Tables(tuple(results), (), tuple(predictions), {})


@pytest.mark.parametrize(
    ("score", "expected"), [("cat_accuracy", 0.6), ("balanced_accuracy", 1 / 3), ("auc", 0.5), ("qw_kappa", 0.0)]
)
def test_what_the_most_frequent_class_alone_scores(score, expected):
    found = tables((0, 1, 2, 0, 1), (0, 0, 0, 0, 0), score=score)
    assert one_class.score(found, "grading", score) == pytest.approx(expected)
    (result,) = comparison.compare_all(found)
    assert summary.score_rows(result)[-1] == [one_class.NAME, f"{expected:.3f}"]


def test_where_nothing_is_known_of_it_there_is_no_such_row():
    found = tables((0, 1, 2, 0, 1), score="mse")
    assert one_class.score(found, "grading", "mse") is None
    assert one_class.score(found, "another", "cat_accuracy") is None
    assert [row[0] for row in summary.score_rows(comparison.compare_all(found)[0])] == ["", "scratch"]


def test_runs_that_name_one_class_are_told():
    lines = summary.one_class_lines(tables((0, 1, 2, 0, 1), (2, 2, 2, 2, 2)), "grading")
    assert lines == ["One model names one class for every test case: scratch, 10 %, repetition 1 (class 2)."]
    assert lines[0] in summary.text(tables((0, 1, 2, 0, 1), (2, 2, 2, 2, 2)), comparison.compare_all(tables((0,) * 5)))


def test_one_class_is_right_where_there_is_one():
    assert summary.one_class_lines(tables((1,) * 5, true=(1,) * 5), "grading") == []
