"""Values of the published program's configurations as gin bindings: one rule per key that has a counterpart."""

from collections.abc import Mapping
from typing import Any

from tools.original import finetuning
from tools.original.bindings import Converted, Rule, left, macro, of, pretraining, steps
from tools.original.config import MODULES, Original
from tools.original.keys import FINETUNE


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
    if value not in finetuning.TOPS:
        return left(f"'{value}' stopped the published program in pretraining")
    module = MODULES[original.algorithm]
    bindings = {f"{module}.task.top": f"@heads.{finetuning.TOPS[value]}()"}
    return Converted(bindings, (f"ssl3d_tf.tasks.{module}", "ssl3d_tf.models.heads"))


def nothing(_: Any, __: Original) -> Converted:
    """Said by the included file."""
    return Converted({})


RULES: dict[str, Rule] = {
    **dict.fromkeys(("algorithm", "data_is_3D"), nothing),
    "prediction_architecture": finetuning.head,
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
    **dict.fromkeys(finetuning.ARMS, finetuning.arms),
    "epochs_warmup": steps("WARMUP_STEPS"),
    "repetitions": macro("REPETITIONS"),
    "exp_splits": finetuning.fractions,
    "do_cross_val": finetuning.folds,
    "loss": finetuning.loss,
    "scores": finetuning.scores,
    "clipnorm": macro("CLIP_NORM"),
    "clipvalue": macro("CLIP_VALUE"),
}
