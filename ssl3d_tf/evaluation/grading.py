"""Scores of classification over a whole list of predictions, of which every one counts."""

from collections.abc import Callable, Mapping

import numpy as np

from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import scores


def grades(probabilities: np.ndarray) -> np.ndarray:
    """Ordinal predictions as grades: [n, K − 1] 'is it above 0, above 1, …' -> int64 [n] in 0..K−1.

    The number of leading probabilities above .5: what comes behind the first no is not asked any more.
    """
    return np.cumprod(np.asarray(probabilities) > 0.5, axis=-1).sum(axis=-1)


def qw_kappa(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights of two lists of grades, whole numbers [n]: 1 is best, 0 is chance.

    1 − Σ (label − prediction)² / the same of all pairs, as if they were drawn independently. Cohen, 1968,
    doi:10.1037/h0026256. NaN where both are one and the same grade throughout.

    Raises:
        InputError: not two lists of whole numbers of one length.
    """
    labels, predictions = _lists(labels, predictions)
    observed = np.mean((labels - predictions) ** 2)
    # E (x − y)² of independent x and y is var x + var y + (mean x − mean y)².
    expected = labels.var() + predictions.var() + (labels.mean() - predictions.mean()) ** 2
    return float(1.0 - observed / expected) if expected > 0 else float("nan")


def qw_kappa_kaggle(labels: np.ndarray, probabilities: np.ndarray, scale: np.ndarray | None = None) -> float:
    """`qw_kappa` of grades [n] and ordinal predictions [n, K − 1], decoded by `grades`.

    The published program leaves samples without a yes out of the score; here they are the lowest grade.

    Args:
        scale: the K grades, rising, where they are not 0..K−1: 1 and 3 are two apart, also where no one has 2.
    """
    return qw_kappa(labels, _on(scale, grades(probabilities)))


def cat_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of right predictions: whole numbers [n] both."""
    labels, predictions = _lists(labels, predictions)
    return float(np.mean(labels == predictions))


def balanced_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Share of right predictions of each class, averaged over the classes that `labels` have: whole numbers [n] both.

    Naming one class for all of K scores 1 / K, however frequent it is. Brodersen et al., 2010,
    doi:10.1109/ICPR.2010.764.
    """
    labels, predictions = _lists(labels, predictions)
    return float(np.mean([np.mean(predictions[labels == one] == one) for one in np.unique(labels)]))


def of_each(kind: str, name: str, labels: np.ndarray, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """What each case adds to a score of a list, its pseudo-value: n · score − (n − 1) · score without it, float64 [n].

    Of a mean, such as accuracy, the case's own number; of others, such as the AUC, numbers whose spread is that of the
    score (the jackknife: Efron & Stein, 1981, doi:10.1214/aos/1176345462). They may lie outside its range. NaN where
    there is no score without the case.

    Args:
        kind, name: of a score in `SCORES`, which has the other arguments.
    """
    score, n = SCORES[kind][name], len(labels)
    if name == "auc":  # ordered once, not n times
        yes = labels > 0.5 if kind == "multilabel" else labels == classes
        rest = _auc_without_each(yes, values)
    else:
        kept = (np.arange(n) != case for case in range(n))
        rest = np.array([score(labels[one], values[one], classes) if n > 1 else np.nan for one in kept])
    return np.round(n * score(labels, values, classes) - (n - 1) * rest, 9)  # of a mean exact but for rounding


def cat_acc_kaggle(labels: np.ndarray, probabilities: np.ndarray, scale: np.ndarray | None = None) -> float:
    """`cat_accuracy` of grades [n] and ordinal predictions [n, K − 1], decoded by `grades`; `scale` as there."""
    return cat_accuracy(labels, _on(scale, grades(probabilities)))


def bin_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of right answers to yes-or-no labels, yes above .5: [n] or [n, labels] both, in [0, 1]."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.shape != probabilities.shape:
        raise InputError(f"labels {labels.shape} and probabilities {probabilities.shape} must have one shape.")
    return float(np.mean((labels > 0.5) == (probabilities > 0.5)))


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve: 1 is best, .5 is chance.

    Args:
        labels: [n] of 0 and 1; or classes in 0..K−1.
        probabilities: [n] of 1; or [n, K], and the score is the mean over classes of each against all others.

    Returns:
        A class that all or none of the labels are has no curve and is left out; NaN if there is no other.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.shape != probabilities.shape[:1] or probabilities.ndim > 2:
        raise InputError(f"labels {labels.shape} must be [n], probabilities {probabilities.shape} [n] or [n, classes].")
    if probabilities.ndim == 1:
        return _area(labels > 0.5, probabilities)
    areas = [_area(labels == index, column) for index, column in enumerate(probabilities.T)]
    counted = [area for area in areas if not np.isnan(area)]
    return float(np.mean(counted)) if counted else float("nan")


def _area(positive: np.ndarray, values: np.ndarray) -> float:
    """Share of pairs of a positive and a negative where the positive is higher; ties count half."""
    high, low = values[positive], np.sort(values[~positive])
    if not len(high) or not len(low):
        return float("nan")
    return float(np.mean(_share_below(low, high)))


def _auc_without_each(yes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The AUC, mean over columns that have one, without each case: bool and float [n, columns] -> [n], NaN of none."""
    areas = np.stack([_areas_without_each(*column) for column in zip(yes.T, values.T, strict=True)])
    return np.array([scores.mean(of_case) for of_case in areas.T])


def _areas_without_each(positive: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A case takes the share of pairs with it that are right out of their mean (placements: DeLong et al., 1988)."""
    area, count = _area(positive, values), np.where(positive, positive.sum(), (~positive).sum())
    if np.isnan(area):
        return np.full(len(values), np.nan)
    above_low, above_high = (_share_below(np.sort(values[one]), values) for one in (~positive, positive))
    right = np.where(positive, above_low, 1.0 - above_high)
    return np.divide(count * area - right, count - 1, out=np.full(len(values), np.nan), where=count > 1)


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each value, the share of `ordered` that is below it; equal ones count half."""
    below, not_above = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(ordered))


def _lists(labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    if both[0].ndim != 1 or both[0].shape != both[1].shape or not both[0].size:
        raise InputError(f"labels {both[0].shape} and predictions {both[1].shape} must be two lists of one length.")
    if any((values != np.rint(values)).any() for values in both):
        raise InputError("labels and predictions must be whole numbers; round or decode the network's outputs first.")
    return both


def _on(scale: np.ndarray | None, places: np.ndarray) -> np.ndarray:
    return places if scale is None else scale[places]


# What a kind of labels is decided by, and what it has scores of: (labels [n, labels], values, classes) -> number.
# Labels are as they are stored; classes int [K]: what the outputs stand for, rising.
DECIDED = {"nominal": lambda values: np.argmax(values, axis=-1), "ordinal": grades}
SCORES: Mapping[str, Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]]] = {
    "nominal": {
        "cat_accuracy": lambda labels, values, of: cat_accuracy(labels[:, 0], of[np.argmax(values, axis=-1)]),
        "balanced_accuracy": lambda labels, values, of: balanced_accuracy(labels[:, 0], of[np.argmax(values, axis=-1)]),
        "auc": lambda labels, values, of: auc(np.searchsorted(of, labels[:, 0]), values),
        "qw_kappa": lambda labels, values, of: qw_kappa(labels[:, 0], of[np.argmax(values, axis=-1)]),
    },
    "ordinal": {
        "cat_acc_kaggle": lambda labels, values, of: cat_acc_kaggle(labels[:, 0], values, of),
        "balanced_accuracy": lambda labels, values, of: balanced_accuracy(labels[:, 0], of[grades(values)]),
        "qw_kappa_kaggle": lambda labels, values, of: qw_kappa_kaggle(labels[:, 0], values, of),
    },
    "multilabel": {
        "bin_accuracy": lambda labels, values, of: bin_accuracy(labels, values),
        "auc": lambda labels, values, of: scores.mean(auc(*pair) for pair in zip(labels.T, values.T, strict=True)),
    },
    "regression": {"mse": lambda labels, values, of: np.mean((labels - values) ** 2)},
}
