"""What is known of a score before it is measured: its range, which way is better, and whether it is one of masks."""

import math
from typing import NamedTuple


class Scale(NamedTuple):
    """The range of a score, lowest and highest value. of_masks: of segmentation, where a single case has a score."""

    low: float = -math.inf
    high: float = math.inf
    lower_is_better: bool = False
    of_masks: bool = False


_SHARE, _OVERLAP, _KAPPA = Scale(0.0, 1.0), Scale(0.0, 1.0, of_masks=True), Scale(-1.0, 1.0)
_SCALES = {
    **dict.fromkeys(("dice", "jaccard", "nsd", "pooled_dice", "pooled_jaccard", "stack_dice"), _OVERLAP),
    "hd95": Scale(0.0, lower_is_better=True, of_masks=True),
    **dict.fromkeys(("accuracy", "cat_accuracy", "cat_acc_kaggle", "bin_accuracy", "balanced_accuracy", "auc"), _SHARE),
    **dict.fromkeys(("qw_kappa", "qw_kappa_kaggle"), _KAPPA),
    "mse": Scale(0.0, lower_is_better=True),
    "loss": Scale(lower_is_better=True),
}
OF_MASKS = tuple(sorted(name for name, scale in _SCALES.items() if scale.of_masks))


def of(score: str) -> Scale:
    """The scale of a score; one that is not known here may have any value, and higher ones are better."""
    return _SCALES.get(score, Scale())


def of_difference(score: str) -> Scale:
    """The scale of the difference of two such scores."""
    scale = of(score)
    return scale._replace(low=scale.low - scale.high, high=scale.high - scale.low)
