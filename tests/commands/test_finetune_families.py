"""The published families of data: their files agree with the converter, and run."""

import json

import pytest

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from tools.original import gin_file
from tools.original.conversion import convert

SEGMENTATION = {"loss": "weighted_dice_loss", "scores": ["dice", "jaccard"], "data_dim": 128, "epochs_frozen": 1}
SEGMENTATION |= {"data_is_3D": True, "prediction_architecture": "unet_3d_upconv", "enc_filters": 16, "repetitions": 3}
LONG = {"epochs_initialized": 400, "epochs_frozen": 400, "epochs_random": 400, "epochs_warmup": 25, "lr": 1e-3}
SHORT = {"epochs_initialized": 150, "epochs_frozen": 20, "epochs_random": 150, "exp_splits": [100]}
ALL = {"exp_splits": [100, 10, 5, 50, 25]}
PANCREAS = SEGMENTATION | LONG | ALL | {"algorithm": "cpc", "number_channels": 1}
RETINA = {"loss": "binary_crossentropy", "scores": ["qw_kappa_kaggle", "cat_acc_kaggle"], "do_cross_val": True}
RETINA |= {"prediction_architecture": "simple_multiclass", "train_data_generator_args": {"multilabel": True}}
RETINA |= {"epochs_initialized": 20, "epochs_frozen": 20, "epochs_random": 20, "epochs_warmup": 3, "repetitions": 5}
RETINA |= {"encoder_architecture": "DenseNet121", "data_dim": 224, "number_channels": 3, "lr": 5e-5, "batch_size": 32}
PUBLISHED = {  # configurations as the published program had them, and the training examples of an epoch
    "pancreas3d": (PANCREAS | {"batch_size": 2, "clipnorm": 1, "clipvalue": 1}, 196),
    "pancreas2d": (
        PANCREAS | {"batch_size": 64, "data_is_3D": False, "prediction_architecture": "unet_2d_upconv"},
        275 * 64,
    ),
    "brats": (
        SEGMENTATION
        | SHORT
        | {"algorithm": "rotation", "number_channels": 4, "batch_size": 8, "lr": 1e-4, "epochs_warmup": 2},
        28 * 8,
    ),
    "ukb3d": (
        SEGMENTATION | SHORT | {"algorithm": "rotation", "number_channels": 2, "batch_size": 8, "lr": 1e-3},
        1600,
    ),
    "kaggle_retina": (RETINA | ALL | {"algorithm": "rpl"}, 2197),
}
COMPARED = ("VIEW_SIZE", "BATCH_SIZE", "LEARNING_RATE", "STEPS", "CHANNELS", "REPETITIONS", "FRACTIONS", "FOLDS")
COMPARED += ("ARMS", "SCORES", "FILTERS", "LEVELS")


def macros(file):
    configuration.load(configuration.Sources((str(file),), ()))
    values = {name: configuration.macro(name) for name in COMPARED}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_family_is_what_the_converter_makes_of_its_published_configuration(name, tmp_path):
    published, examples = PUBLISHED[name]
    file = tmp_path / "converted.gin"
    file.write_text(gin_file.text(convert(published, examples=examples), "old.json"))
    assert macros(f"gin/finetune/{name}.gin") == macros(file)


SMALL = ("STEPS=1", "BATCH_SIZE=2", "EVAL_EVERY=1", "SAVE_EVERY=1", "ARMS=('random',)", "FRACTIONS=(100,)")
SMALL += ("REPETITIONS=1", "LOG_EVERY=1")
UNET = ("FILTERS=2", "LEVELS=1", "VIEW_SIZE=8")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "shape", "params"),
    [
        ("pancreas3d", (10, 10, 10, 1), UNET),
        ("pancreas2d", (10, 10, 1), UNET),
        ("brats", (10, 10, 10, 4), (*UNET, "CLASSES=None")),
        ("ukb3d", (10, 10, 10, 2), (*UNET, "CLASSES=None")),
        ("kaggle_retina", (10, 10, 3), (*UNET, "ENCODER=@unet.encoder", "FOLDS=3", "CLASSES=None")),
    ],
)
def test_a_family_runs_and_uses_every_binding(name, shape, params, tmp_path):
    data = tmp_path / "data"
    synthetic.write_dataset(data, shape=shape[:-1], channels=shape[-1], counts={"train": 4, "val": 2, "test": 2})
    sources = configuration.Sources((f"gin/finetune/{name}.gin",), (*SMALL, *params))
    assert finetune.run(sources, data, [], tmp_path / "ft") == 0
    assert tables.read([tmp_path / "ft"]).results


@pytest.mark.parametrize(("field", "name"), [("mask", "segmentation_3d"), ("label", "classification_3d")])
def test_data_without_what_the_task_needs_are_refused(field, name, tmp_path):
    synthetic.write_dataset(tmp_path / "data", shape=(8, 8, 8), counts={"train": 2, "val": 1, "test": 1})
    manifest = tmp_path / "data" / "manifest.json"
    bare = {"mask": {"mask_dtypes": []}, "label": {"label_size": 0, "mask_dtypes": [], "classes": {}}}[field]
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | bare))
    with pytest.raises(InputError, match=f"has no {field}s, which this task needs"):
        finetune.run(
            configuration.Sources((f"gin/finetune/{name}.gin",), SMALL), tmp_path / "data", [], tmp_path / "ft"
        )
    assert not (tmp_path / "ft").exists()
