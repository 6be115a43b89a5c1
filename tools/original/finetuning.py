"""Rules for the keys of finetuning: arms, fractions of labels, heads, losses and scores."""

from tools.original.bindings import Converted, left, steps
from tools.original.config import Original, generator_args, segments

ARMS = {"epochs_random": "random", "epochs_initialized": "pretrained", "epochs_frozen": "frozen"}
TOPS = {"big_fully": "big_fully", "simple_multiclass": "simple_multiclass", None: "mlp"}
_LOSSES = {
    "binary_crossentropy": ("classification", "binary_crossentropy"),
    "categorical_crossentropy": ("classification", "softmax_cross_entropy"),
    "mse": ("classification", "mse"),
    "weighted_dice_loss": ("overlap", "weighted_dice_loss"),
    "jaccard_distance": ("overlap", "jaccard_distance"),
    "weighted_categorical_crossentropy": ("classification", "weighted_categorical_crossentropy"),
    "weighted_sum_loss": ("overlap", "weighted_sum_loss"),
}
_LABELS = {
    "binary_crossentropy": "@classification.multilabel()",
    "categorical_crossentropy": "@classification.nominal()",
    "mse": "@classification.regression()",
}
_WEIGHTED = {"weighted_categorical_crossentropy": "(1.0, 5.0, 10.0)", "weighted_sum_loss": "(1.0, 5.0, 10.0)"}
_SCORES = {
    **{name: (name,) for name in ("qw_kappa", "qw_kappa_kaggle", "cat_accuracy", "cat_acc_kaggle", "bin_accuracy")},
    "dice": ("dice", "pooled_dice"),
    "jaccard": ("jaccard", "pooled_jaccard"),
    **dict.fromkeys(("dice_pancreas_0", "dice_pancreas_1", "dice_pancreas_2"), ("dice",)),
    **dict.fromkeys(("brats_wt", "brats_tc", "brats_et"), ("dice",)),
}


def arms(_: int, original: Original) -> Converted:
    """Enabled where there are epochs of them; all get the steps of the longest."""
    epochs = {arm: original.values[key] for key, arm in ARMS.items()}
    chosen = [arm for arm, count in epochs.items() if count]
    longest = max(epochs.values())
    trained = steps("STEPS")(longest, original)
    unequal = len({count for count in epochs.values() if count}) > 1
    notes = [trained.note, f"epochs differ by arm, all get {longest}" if unequal else ""]
    return Converted({"ARMS": repr(chosen), **trained.bindings}, (), "; ".join(filter(None, notes)))


def fractions(value: list[float], _: Original) -> Converted:
    """Percent, rising."""
    return Converted({"FRACTIONS": repr(sorted(value))})


def loss(value: str, original: Original) -> Converted:
    """A function of ours; of whole images, what kind of label has that loss. Grades written as bits were ordinal."""
    if not segments(original):
        ordinal = value == "binary_crossentropy" and generator_args(original).get("multilabel")
        labels = "@classification.ordinal()" if ordinal else _LABELS.get(value)
        if labels is None:
            return left(f"no labels of whole images have that loss; there are {', '.join(_LABELS)}")
        return Converted({"LABELS": labels}, ("ssl3d_tf.tasks.classification",))
    if value not in _LOSSES:
        return left(f"no loss of that name here; there are {', '.join(_LOSSES)}")
    module, name = _LOSSES[value]
    bindings = {"LOSS": f"@{module}.{name}"}
    if value in _WEIGHTED:
        bindings = {"LOSS": f"@{module}.{name}()", f"{module}.{name}.weights": _WEIGHTED[value]}
    return Converted(bindings, (f"ssl3d_tf.losses.{module}",))


def head(value: str | None, original: Original) -> Converted:
    """Of whole images; that of masks is the included file's."""
    if segments(original):
        known = value == f"unet_{3 if original.values['data_is_3D'] else 2}d_upconv"
        return Converted({}) if known else left("the included file's decoder stands for it")
    if value not in TOPS:
        return left(f"no head of that name; there are {', '.join(map(str, TOPS))}")
    name = TOPS[value]
    bindings = {"classification.task.top": f"@heads.{name}()", f"heads.{name}.pooling": "'avg'"}
    return Converted(bindings, ("ssl3d_tf.tasks.classification", "ssl3d_tf.models.heads"))


def folds(value: bool, original: Original) -> Converted:
    """As many as repetitions, each of which tests on another."""
    return Converted({"FOLDS": str(original.values["repetitions"])} if value else {})


def scores(value: list[str], _: Original) -> Converted:
    """Ours of the same name, per case, and what the published program computed under it."""
    unknown = [name for name in value if name not in _SCORES]
    chosen = list(dict.fromkeys(ours for name in value for ours in _SCORES.get(name, ())))
    return Converted({"SCORES": repr(chosen)} if chosen else {}, (), f"no such scores: {unknown}" if unknown else "")
