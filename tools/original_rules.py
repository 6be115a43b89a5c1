"""Values of the published program's configurations as gin bindings: one rule per key that has a counterpart."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError
from tools.original_keys import FINETUNE, TRAIN

MODULES = {"cpc": "cpc", "jigsaw": "jigsaw", "rpl": "relative_location", "rotation": "rotation", "exemplar": "exemplar"}
ARMS = {"epochs_random": "random", "epochs_initialized": "pretrained", "epochs_frozen": "frozen"}
_TOPS = {"big_fully": "big_fully", "simple_multiclass": "simple_multiclass", None: "mlp"}
_LOSSES = {
    "binary_crossentropy": ("losses", "binary_crossentropy"),
    "categorical_crossentropy": ("losses", "softmax_cross_entropy"),
    "mse": ("losses", "mse"),
    "weighted_dice_loss": ("overlap", "weighted_dice_loss"),
    "jaccard_distance": ("overlap", "jaccard_distance"),
    "weighted_categorical_crossentropy": ("losses", "weighted_categorical_crossentropy"),
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


class Original(NamedTuple):
    """A configuration with its defaults filled in; examples: training volumes, where the user gave them."""

    values: Mapping[str, Any]
    phase: str
    examples: int | None

    @property
    def algorithm(self) -> str:
        """Of the five names."""
        return self.values["algorithm"]

    @property
    def steps_per_epoch(self) -> int | None:
        """Of training on all examples."""
        return -(-self.examples // self.values["batch_size"]) if self.examples else None


class Converted(NamedTuple):
    """Bindings as gin text by name, modules they need, and what is left out, and why."""

    bindings: dict[str, str]
    imports: tuple[str, ...] = ()
    note: str = ""


Rule = Callable[[Any, Original], Converted]


def left(note: str) -> Converted:
    """No binding, for this reason."""
    return Converted({}, (), note)


def defaults(config: Mapping[str, Any], phase: str) -> dict[str, Any]:
    """What the published program took for keys that are not there and that have a counterpart here."""
    algorithm, is_3d = config.get("algorithm"), config.get("data_is_3D", False)
    shared: dict[str, Any] = {"data_is_3D": False, "data_dim": 384, "number_channels": 3, "encoder_architecture": None}
    shared |= {"enc_filters": 8 if is_3d else 16, "num_layers": 4, "pooling": "max"}
    if phase == FINETUNE:
        own: dict[str, Any] = {
            "batch_size": 8,
            "lr": 1e-3,
            "epochs_initialized": 5,
            "epochs_frozen": 5,
            "epochs_random": 5,
        }
        own |= {"epochs_warmup": 2, "repetitions": 2, "exp_splits": [100, 10, 1], "loss": "mse", "scores": ["qw_kappa"]}
        return shared | own | {"prediction_architecture": None}
    own = {"batch_size": 2, "lr": 1e-3 if algorithm in ("cpc", "rpl") else 1e-4, "epochs": 250}
    if algorithm in ("cpc", "jigsaw", "rpl"):
        own |= {"patches_per_side": 7 if algorithm == "cpc" else 3}
    if algorithm in ("jigsaw", "rpl"):
        own |= {"patch_jitter": 0}
    return shared | own


def include(original: Original) -> str:
    """The gin file that the configuration is a variant of.

    Raises:
        InputError: no algorithm, or none of the five.
    """
    rank = 3 if original.values["data_is_3D"] else 2
    if original.phase == TRAIN:
        return f"gin/released/{original.algorithm}_{rank}d.gin"
    return f"gin/finetune/{'segmentation' if _segments(original) else 'classification'}_{rank}d.gin"


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError where the configuration names none of the five algorithms."""
    if config.get("algorithm") not in MODULES:
        found = config.get("algorithm")
        raise InputError(f"algorithm is {found!r}; it must be one of {', '.join(MODULES)} of the published program.")


def macro(name: str) -> Rule:
    """The value as it is, under another name."""
    return lambda value, _: Converted({name: repr(value)}) if value is not None else Converted({})


def pretraining(rule: Rule) -> Rule:
    """The rule, where encoders are pretrained; in finetuning the key changes no weight of the encoder."""
    note = "of pretraining only"
    return lambda value, original: rule(value, original) if original.phase == TRAIN else left(note)


def of(algorithms: tuple[str, ...], rule: Rule) -> Rule:
    """The rule, for these algorithms; the others did not read the key."""

    def checked(value: Any, original: Original) -> Converted:
        if original.algorithm in algorithms:
            return rule(value, original)
        return left(f"{original.algorithm} did not read it")

    return checked


def steps(name: str) -> Rule:
    """Epochs as steps."""

    def rule(value: int, original: Original) -> Converted:
        if original.steps_per_epoch is None:
            return left(f"{value} epochs; give --examples, the number of training volumes, to set {name}")
        return Converted({name: str(value * original.steps_per_epoch)})

    return rule


def patch_jitter(value: int, _: Original) -> Converted:
    """Positive is room in the cell; negative was an overlap."""
    return Converted({"PATCH_JITTER": str(value)}) if value >= 0 else left("an overlap: these tasks have none")


def view_crop(value: int, original: Original) -> Converted:
    """Voxels as a share of the view."""
    share = value / original.values["data_dim"]
    if not 0 < share <= 1:
        return left("larger than data_dim")
    return Converted({"cpc.task.view_crop": repr(share)}, ("ssl3d_tf.tasks.cpc",))


def code_size(value: int, original: Original) -> Converted:
    """A knob of exemplar, a parameter of CPC."""
    if original.algorithm == "exemplar":
        return Converted({"CODE_SIZE": str(value)})
    return Converted({"cpc.task.code_size": str(value)}, ("ssl3d_tf.tasks.cpc",))


def architecture(value: str | None, original: Original) -> Converted:
    """The U-Net is what base.gin has, but for its norm in finetuning, where an encoder of gin/released is loaded."""
    if value is None:
        return Converted({"NORM": "'batch'"} if original.phase == FINETUNE else {})
    if original.values["data_is_3D"]:
        return left("stopped the published program in 3D; try ENCODER = @resnet.encoder")
    bindings = {"ENCODER": "@applications.encoder", "applications.encoder.name": repr(value)}
    return Converted(bindings, ("ssl3d_tf.models.applications",))


def of_unet(name: str) -> Rule:
    """A knob of the U-Net; other encoders did not read it."""

    def rule(value: int, original: Original) -> Converted:
        is_unet = original.values["encoder_architecture"] is None
        return Converted({name: str(value)}) if is_unet else left("only the U-Net read it")

    return rule


def pooling(value: str | None, original: Original) -> Converted:
    """Of the encoder at hand."""
    encoder = "unet" if original.values["encoder_architecture"] is None else "applications"
    return Converted({f"{encoder}.encoder.pooling": repr(value or "none")}, (f"ssl3d_tf.models.{encoder}",))


def model_params(value: Mapping[str, Any], _: Original) -> Converted:
    """Batch norm and dropout of the U-Net."""
    bindings = {"NORM": repr("batch" if value["use_batch_norm"] else "none")} if "use_batch_norm" in value else {}
    bindings |= {"DROPOUT": repr(float(value["dropout"]))} if "dropout" in value else {}
    rest = ", ".join(sorted(set(value) - {"use_batch_norm", "dropout"}))
    return Converted(bindings, (), f"{rest}: not known here" if rest else "")


def top(value: str | None, original: Original) -> Converted:
    """A builder of heads."""
    if value not in _TOPS:
        return left(f"'{value}' stopped the published program in pretraining")
    module = MODULES[original.algorithm]
    bindings = {f"{module}.task.top": f"@heads.{_TOPS[value]}()"}
    return Converted(bindings, (f"ssl3d_tf.tasks.{module}", "ssl3d_tf.models.heads"))


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
    if not _segments(original):
        ordinal = value == "binary_crossentropy" and _generator_args(original).get("multilabel")
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
    return Converted(bindings, (f"ssl3d_tf.{module}",))


def head(value: str | None, original: Original) -> Converted:
    """Of whole images; that of masks is the included file's."""
    if _segments(original):
        known = value == f"unet_{3 if original.values['data_is_3D'] else 2}d_upconv"
        return Converted({}) if known else left("the included file's decoder stands for it")
    if value not in _TOPS:
        return left(f"no head of that name; there are {', '.join(map(str, _TOPS))}")
    name = _TOPS[value]
    bindings = {"classification.task.top": f"@heads.{name}()", f"heads.{name}.pooling": "'avg'"}
    return Converted(bindings, ("ssl3d_tf.tasks.classification", "ssl3d_tf.models.heads"))


def folds(value: bool, original: Original) -> Converted:
    """As many as repetitions, each of which tests on another."""
    return Converted({"FOLDS": str(original.values["repetitions"])} if value else {})


def _segments(original: Original) -> bool:
    return str(original.values["prediction_architecture"]).startswith("unet_")


def _generator_args(original: Original) -> Mapping[str, Any]:
    return original.values.get("train_data_generator_args", {})


def scores(value: list[str], _: Original) -> Converted:
    """Ours of the same name, per case, and what the published program computed under it."""
    unknown = [name for name in value if name not in _SCORES]
    chosen = list(dict.fromkeys(ours for name in value for ours in _SCORES.get(name, ())))
    return Converted({"SCORES": repr(chosen)} if chosen else {}, (), f"no such scores: {unknown}" if unknown else "")


def nothing(_: Any, __: Original) -> Converted:
    """Said by the included file."""
    return Converted({})


RULES: dict[str, Rule] = {
    **dict.fromkeys(("algorithm", "data_is_3D"), nothing),
    "prediction_architecture": head,
    "data_dim": macro("VIEW_SIZE"),
    "number_channels": macro("CHANNELS"),
    "batch_size": macro("BATCH_SIZE"),
    "lr": macro("LEARNING_RATE"),
    "epochs": steps("STEPS"),
    "save_checkpoint_every_n_epochs": steps("SAVE_EVERY"),
    "patches_per_side": pretraining(of(("cpc", "jigsaw", "rpl"), macro("PATCHES_PER_SIDE"))),
    "patch_jitter": pretraining(of(("jigsaw", "rpl"), patch_jitter)),
    "crop_size": pretraining(of(("cpc",), view_crop)),
    "code_size": pretraining(of(("cpc", "exemplar"), code_size)),
    "encoder_architecture": architecture,
    "enc_filters": of_unet("FILTERS"),
    "num_layers": of_unet("LEVELS"),
    "pooling": pretraining(pooling),
    "model_params": model_params,
    "top_architecture": pretraining(of(("rotation", "rpl", "jigsaw"), top)),
    **dict.fromkeys(ARMS, arms),
    "epochs_warmup": steps("WARMUP_STEPS"),
    "repetitions": macro("REPETITIONS"),
    "exp_splits": fractions,
    "do_cross_val": folds,
    "loss": loss,
    "scores": scores,
    "clipnorm": macro("CLIP_NORM"),
    "clipvalue": macro("CLIP_VALUE"),
}
