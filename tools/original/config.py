"""A configuration of the published program: what it says, what counts where it is silent, and which file it varies."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError
from tools.original.keys import FINETUNE, TRAIN

MODULES = {"cpc": "cpc", "jigsaw": "jigsaw", "rpl": "relative_location", "rotation": "rotation", "exemplar": "exemplar"}


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
    return f"gin/finetune/{'segmentation' if segments(original) else 'classification'}_{rank}d.gin"


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError where the configuration names none of the five algorithms."""
    if config.get("algorithm") not in MODULES:
        found = config.get("algorithm")
        raise InputError(f"algorithm is {found!r}; it must be one of {', '.join(MODULES)} of the published program.")


def segments(original: Original) -> bool:
    """Whether it finetunes on masks."""
    return str(original.values["prediction_architecture"]).startswith("unet_")


def generator_args(original: Original) -> Mapping[str, Any]:
    """Of the training data."""
    return original.values.get("train_data_generator_args", {})
