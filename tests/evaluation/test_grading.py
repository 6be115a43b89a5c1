"""evaluation/grading: balanced accuracy, and what each case adds to a score of a list."""

import numpy as np
import pytest
import sklearn.metrics as sklearn

from ssl3d_tf.evaluation import grading, statistics

RNG = np.random.default_rng(0)
CLASSES = np.array([2, 5, 7])
LABELS = RNG.choice(CLASSES, 40, p=(0.6, 0.3, 0.1)).astype(np.float64)
CHANCES = np.round(RNG.random((40, 3)) + 0.5 * (LABELS[:, None] == CLASSES), 1)  # with ties
YESES = RNG.integers(0, 2, (40, 2)).astype(np.float64)
NUMBERS = RNG.normal(size=(40, 2))
GIVEN = {
    "nominal": (LABELS[:, None], CHANCES),
    "ordinal": (LABELS[:, None], CHANCES[:, :2]),
    "multilabel": (YESES, CHANCES[:, :2]),
    "regression": (NUMBERS, CHANCES[:, :2]),
}
EVERY = [(kind, name) for kind, names in grading.SCORES.items() for name in names]


def test_balanced_accuracy_is_that_of_scikit_learn():
    predictions = CLASSES[np.argmax(CHANCES, axis=1)]
    expected = sklearn.balanced_accuracy_score(LABELS, predictions)
    assert grading.balanced_accuracy(LABELS, predictions) == pytest.approx(expected)
    assert grading.balanced_accuracy(LABELS, np.full(40, 2)) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_pseudo_value_is_what_the_score_lacks_without_the_case(kind, name):
    (labels, values), score = GIVEN[kind], grading.SCORES[kind][name]
    found = grading.of_each(kind, name, labels, values, CLASSES)
    for case in (0, 7, 39):
        rest = score(np.delete(labels, case, 0), np.delete(values, case, 0), CLASSES)
        assert found[case] == pytest.approx(40 * score(labels, values, CLASSES) - 39 * rest)


def test_of_an_accuracy_it_says_whether_the_case_is_right():
    found = grading.of_each("nominal", "cat_accuracy", LABELS[:, None], CHANCES, CLASSES)
    assert found.tolist() == (CLASSES[np.argmax(CHANCES, axis=1)] == LABELS).astype(float).tolist()


def test_a_case_without_which_there_is_no_score_has_none():
    labels = np.array([[0.0], [1.0], [1.0]])
    found = grading.of_each("nominal", "auc", labels, np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]), np.arange(2))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0)
    assert np.isnan(grading.of_each("nominal", "cat_accuracy", labels[:1], np.ones((1, 2)), np.arange(2)))


def test_an_interval_of_an_auc_holds_the_truth():
    rng, covered, truth = np.random.default_rng(0), 0, 0.7602  # P(x + 1 > y) of two standard normals
    for _ in range(400):
        labels = np.arange(60) % 2
        values = rng.normal(size=60) + labels
        found = grading.of_each("multilabel", "auc", labels[:, None], values[:, None], np.array([]))
        low, high = statistics.interval(statistics.spread(found[None]))
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98
