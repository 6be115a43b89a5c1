"""Scores of segmentation on whole cases: Dice and Jaccard of one region at a time, and the published pooled ones.

A region that is neither in the reference nor in the prediction has no score: NaN, and no mean counts it. Dice is 0/0
there (Maier-Hein et al., 2024, arXiv:2206.01653); a score of 1 would praise a prediction of nothing in every case
without a tumour, and say more about how many those are than about the outlines. A region that one of the two lacks
scores 0. nnU-Net does the same (Isensee et al., 2021, arXiv:1904.08128), BraTS counts 1: fill the NaN to compare.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses.regions import Regions

Score = Callable[[np.ndarray, np.ndarray], float]


def per_region(score: Score, truth: np.ndarray, predicted: np.ndarray, *, regions: Regions) -> dict[str, float]:
    """One case's score of every region, always all of them: NaN where the score says so.

    Args:
        score: (truth, predicted) -> number, of two bool [*spatial]: `dice`, `surfaces.hd95` with its spacing bound, …
        truth, predicted: int [*spatial].
        regions: name -> values of the mask.

    Raises:
        InputError: the masks differ in shape.
    """
    _check(truth, predicted)
    return {name: score(np.isin(truth, values), np.isin(predicted, values)) for name, values in regions.items()}


def mean(values: Iterable[float]) -> float:
    """The mean of those that are not NaN, or NaN if none is: over a case's foreground regions, or over cases."""
    counted = [value for value in values if not np.isnan(value)]
    return float(np.mean(counted)) if counted else float("nan")


def dice(truth: np.ndarray, predicted: np.ndarray) -> float:
    """2 |A ∩ B| / (|A| + |B|) of two bool [*spatial], in 0..1; NaN if both are empty."""
    total = np.count_nonzero(truth) + np.count_nonzero(predicted)
    return 2.0 * np.count_nonzero(truth & predicted) / total if total else float("nan")


def dice_of_confusion(confusion: np.ndarray, region: np.ndarray) -> float:
    """`dice` of a region, from `confusion` [classes, classes] and bool [classes], which of the classes belong to it."""
    total = confusion[region].sum() + confusion[:, region].sum()
    return 2.0 * float(confusion[np.ix_(region, region)].sum()) / float(total) if total else float("nan")


def jaccard(truth: np.ndarray, predicted: np.ndarray) -> float:
    """|A ∩ B| / |A ∪ B| of two bool [*spatial], in 0..1; NaN if both are empty."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else float("nan")


def confusion(truth: np.ndarray, predicted: np.ndarray, *, classes: int) -> np.ndarray:
    """Voxels by (true, predicted) class of one case: int64 [classes, classes]; those of several cases add up.

    Raises:
        InputError: the masks differ in shape, or hold another value than 0..classes−1.
    """
    _check(truth, predicted)
    truth, predicted = (np.ravel(mask).astype(np.int64) for mask in (truth, predicted))
    if truth.size and not 0 <= min(truth.min(), predicted.min()) <= max(truth.max(), predicted.max()) < classes:
        low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
        raise InputError(
            f"a mask holds values {low}..{high}, there are {classes} classes; they must be 0..{classes - 1}."
        )
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def places(mask: np.ndarray, classes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Values of a mask, int of any shape -> their places among those of the `classes`, which rise: 0..n−1.

    Raises:
        InputError: it holds a value that is no class.
    """
    values = np.asarray(classes)
    if np.array_equal(values, np.arange(len(values))):
        return mask  # as nearly all are, and voxels are many
    found = np.minimum(np.searchsorted(values, mask), len(values) - 1)
    if (foreign := mask[values[found] != mask]).size:
        raise InputError(f"a mask holds {foreign[0]}, which is none of the classes {', '.join(map(str, classes))}.")
    return found


def pooled_jaccard(confusion: np.ndarray) -> float:
    """The published 'jaccard': mean over classes, background included, with the voxels of all cases in one pool.

    Large cases count more than small ones and most of it is background: not comparable to a mean over cases.
    """
    return mean(pooled_jaccard_per_class(confusion))


def pooled_dice(confusion: np.ndarray) -> float:
    """The published 'dice', pooled as `pooled_jaccard`: the mean over classes of 2 J / (1 + J)."""
    return mean(pooled_dice_per_class(confusion))


def pooled_jaccard_per_class(confusion: np.ndarray) -> np.ndarray:
    """Float64 [classes] of the sum of all cases' `confusion`; NaN for a class that is nowhere."""
    shared = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - shared
    return np.divide(shared, union, out=np.full(len(shared), np.nan), where=union > 0)


def pooled_dice_per_class(confusion: np.ndarray) -> np.ndarray:
    """As `pooled_jaccard_per_class`; the published 'dice_pancreas_0', '…_1' and '…_2' in order."""
    shares = pooled_jaccard_per_class(confusion)
    return 2.0 * shares / (1.0 + shares)


def _check(truth: np.ndarray, predicted: np.ndarray) -> None:
    if truth.shape != predicted.shape:
        raise InputError(
            f"the prediction has {predicted.shape} voxels, the mask {truth.shape}; "
            "put the prediction on the mask's grid first, without a channel axis."
        )
