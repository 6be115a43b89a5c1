"""Naming one class for every case: what that scores, and which runs do so; read from the predictions of test cases."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ssl3d_tf.evaluation.tables import Prediction, Tables

NAME = "the most frequent class alone"
_MAJORITY, _BALANCED = {"cat_accuracy", "cat_acc_kaggle"}, "balanced_accuracy"
_BLIND = {"auc": 0.5, "qw_kappa": 0.0, "qw_kappa_kaggle": 0.0}  # whatever the shares of the classes


def score(tables: Tables, task: str, name: str) -> float | None:
    """What naming the most frequent class of the test cases for all of them scores, averaged over repetitions.

    None where that is not known: of other scores, or where the predictions of a task are not there.
    """
    tested = [list(Counter(labels.values()).values()) for labels in _labels(tables, task)]
    if not tested:
        return None
    if name in _MAJORITY:
        return float(np.mean([max(counts) / sum(counts) for counts in tested]))
    return float(np.mean([1 / len(counts) for counts in tested])) if name == _BALANCED else _BLIND.get(name)


def runs(tables: Tables, task: str) -> list[tuple[Prediction, int]]:
    """The first prediction of every run that names one class for all cases, though they have several; of how many."""
    found: dict[tuple, list[Prediction]] = {}
    for row in tables.predictions:
        if row.task == task:
            found.setdefault((row.encoder, row.init, row.fraction, row.repetition), []).append(row)
    return [(rows[0], len(rows)) for rows in found.values() if is_said([(row.true, row.predicted) for row in rows])]


def is_said(pairs: list[tuple[int, int]]) -> bool:
    """Whether (true, predicted) of all cases have several true classes, and one that is predicted."""
    true, predicted = (set(values) for values in zip(*pairs, strict=True)) if pairs else (set(), set())
    return len(predicted) == 1 and len(true) > 1


def _labels(tables: Tables, task: str) -> Iterator[dict[str, int]]:
    """Of each repetition, case -> true class."""
    found: dict[int, dict[str, int]] = {}
    for row in tables.predictions:
        if row.task == task:
            found.setdefault(row.repetition, {})[row.case] = row.true
    yield from found.values()
