import json
import subprocess
import sys
from pathlib import Path

import pytest

from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from tools.original import gin_file, keys
from tools.original.conversion import convert

AUGMENTED = {"train_data_generator_args": {"augment": True, "shuffle": True, "suffix": ".png"}}
PANCREAS_2D = {"dataset_name": "pancreas2d", "data_dim": 128, "number_channels": 1, "lr": 1e-5, "epochs": 250}
PANCREAS_3D = {"dataset_name": "pancreas3d", "data_dim": 128, "number_channels": 1, "data_is_3D": True, "epochs": 1000}
PANCREAS_3D |= {"enc_filters": 16, "lr": 1e-4, "data_dir": "images", "val_split": 0.05}
UKB_3D = PANCREAS_3D | {"dataset_name": "ukb3d", "number_channels": 2}
RETINA = {"dataset_name": "kaggle_retina", "data_dim": 224, "number_channels": 3, "lr": 1e-5, "epochs": 1000}
RETINA |= {"encoder_architecture": "DenseNet121"} | AUGMENTED
PRETRAINING = {
    "cpc_2d": PANCREAS_2D | {"algorithm": "cpc", "batch_size": 256, "patches_per_side": 5, "crop_size": 128},
    "cpc_3d": PANCREAS_3D | {"algorithm": "cpc", "batch_size": 32, "patches_per_side": 4, "code_size": 1024},
    "cpc_3d_ukb": UKB_3D | {"algorithm": "cpc", "batch_size": 32, "patches_per_side": 4, "lr": 1e-3},
    "exemplar_2d": PANCREAS_2D | {"algorithm": "exemplar", "batch_size": 64, "code_size": 1024},
    "exemplar_3d": PANCREAS_3D | {"algorithm": "exemplar", "batch_size": 2, "sample_neg_examples_from": "dataset"},
    "jigsaw_2d": PANCREAS_2D | {"algorithm": "jigsaw", "batch_size": 64, "patches_per_side": 3, "patch_jitter": 4},
    "jigsaw_3d": PANCREAS_3D | {"algorithm": "jigsaw", "batch_size": 8, "patch_jitter": 3, "embed_dim": 128},
    "rotation_2d": PANCREAS_2D | {"algorithm": "rotation", "batch_size": 64, "top_architecture": "big_fully"},
    "rotation_3d": PANCREAS_3D | {"algorithm": "rotation", "batch_size": 4, "save_checkpoint_every_n_epochs": 25},
    "rpl_2d": PANCREAS_2D | {"algorithm": "rpl", "batch_size": 64, "patch_jitter": 4},
    "rpl_3d": UKB_3D | {"algorithm": "rpl", "batch_size": 32, "patches_per_side": 3, "patch_jitter": 3},
}
TUNED = {"model_checkpoint": "~/run/weights-improvement-999.hdf5", "exp_splits": [100, 10, 5, 50, 25], "lr": 1e-3}
PANCREAS = {"loss": "weighted_dice_loss", "scores": ["dice", "jaccard", "dice_pancreas_0"], "data_is_3D": True}
PANCREAS |= {"prediction_architecture": "unet_3d_upconv", "clipnorm": 1, "clipvalue": 1, "repetitions": 3}
GRADES = {"loss": "binary_crossentropy", "scores": ["qw_kappa_kaggle", "cat_acc_kaggle"], "do_cross_val": True}
GRADES |= {"prediction_architecture": "simple_multiclass", "train_data_generator_args": {"multilabel": True}}


def arms(random=0, initialized=0, frozen=0):
    return {"epochs_random": random, "epochs_initialized": initialized, "epochs_frozen": frozen}


def values(conversion):
    return {name: text for name, (text, _) in conversion.bindings.items()}


@pytest.mark.parametrize("name", PRETRAINING)
def test_a_pretraining_recipe_becomes_a_configuration_that_loads(name, tmp_path):
    conversion = convert(PRETRAINING[name], examples=253)
    file = tmp_path / "new.gin"
    file.write_text(gin_file.text(conversion, f"{name}.json"))
    configuration.load(configuration.Sources((str(file),), ()))
    assert not conversion.unknown
    assert configuration.macro("BATCH_SIZE") == PRETRAINING[name]["batch_size"]
    assert configuration.macro("LEARNING_RATE") == PRETRAINING[name]["lr"]
    assert configuration.macro("VIEW_SIZE") == 128
    assert configuration.macro("NORM") == "batch"


def test_every_given_key_is_bound_or_listed():
    config = PRETRAINING["jigsaw_3d"] | {"use_gpu": [0], "val_data_generator_args": {"shuffle": False}}
    conversion = convert(config)
    bound = {key for _, key in conversion.bindings.values()} | {"algorithm", "data_is_3D"}
    listed = {name.partition(".")[0] for name in (*conversion.notes, *conversion.unknown)}
    assert set(config) <= bound | listed


def test_epochs_become_steps_where_the_number_of_examples_is_given():
    config = PRETRAINING["rotation_3d"]
    assert values(convert(config, examples=253))["STEPS"] == str(1000 * 64)
    assert values(convert(config, examples=253))["SAVE_EVERY"] == str(25 * 64)
    without = convert(config)
    assert "STEPS" not in values(without)
    assert "--examples" in without.notes["epochs"]


def test_absent_keys_are_the_defaults_of_the_published_program():
    found = convert({"algorithm": "rpl"}).bindings
    assert found["LEARNING_RATE"] == ("0.001", "lr, by default")
    assert {name: found[name][0] for name in ("VIEW_SIZE", "PATCH_JITTER", "FILTERS")} == {
        "VIEW_SIZE": "384",
        "PATCH_JITTER": "0",
        "FILTERS": "16",
    }


def test_a_named_encoder_is_that_of_keras():
    found = convert(RETINA | {"algorithm": "rotation", "pooling": "avg"})
    assert values(found)["ENCODER"] == "@applications.encoder"
    assert values(found)["applications.encoder.name"] == "'DenseNet121'"
    assert values(found)["applications.encoder.pooling"] == "'avg'"
    assert "ssl3d_tf.models.applications" in found.imports
    assert "train_data_generator_args.augment" in found.notes


def test_a_crop_is_a_share_of_the_view():
    config = PRETRAINING["cpc_2d"] | {"crop_size": 120}
    assert values(convert(config))["cpc.task.view_crop"] == "0.9375"


def test_segmentation_of_the_pancreas():
    config = TUNED | PANCREAS | arms(initialized=400) | {"algorithm": "cpc", "batch_size": 2, "epochs_warmup": 25}
    found = convert(config, examples=200)
    assert found.include == "gin/finetune/segmentation_3d.gin"
    expected = {"ARMS": "['pretrained']", "STEPS": "40000", "WARMUP_STEPS": "2500", "REPETITIONS": "3"}
    expected |= {"FRACTIONS": "[5, 10, 25, 50, 100]", "CLIP_NORM": "1", "CLIP_VALUE": "1", "BATCH_SIZE": "2"}
    expected |= {
        "LOSS": "@overlap.weighted_dice_loss",
        "SCORES": "['dice', 'pooled_dice', 'jaccard', 'pooled_jaccard']",
    }
    assert values(found).items() >= expected.items()


def test_grading_of_retinas_is_ordinal():
    config = TUNED | GRADES | arms(initialized=20) | {"algorithm": "rpl", "encoder_architecture": "DenseNet121"}
    found = convert(config)
    assert found.include == "gin/finetune/classification_2d.gin"
    expected = {"LABELS": "@classification.ordinal()", "ENCODER": "@applications.encoder", "FOLDS": "2"}
    expected |= {"classification.task.top": "@heads.simple_multiclass()"}
    assert values(found).items() >= expected.items()
    assert values(found)["SCORES"] == "['qw_kappa_kaggle', 'cat_acc_kaggle']"
    assert {"model_checkpoint", "epochs_initialized"} <= set(found.notes)


def test_arms_get_equal_steps_and_it_is_said():
    config = TUNED | PANCREAS | arms(random=150, initialized=400, frozen=20) | {"algorithm": "rpl", "batch_size": 2}
    found = convert(config, examples=2)
    assert values(found)["ARMS"] == "['random', 'pretrained', 'frozen']"
    assert values(found)["STEPS"] == "400"
    assert "all get 400" in found.notes["epochs_random"]


def test_a_misspelt_key_is_listed_with_what_was_meant(tmp_path):
    config = PRETRAINING["rotation_3d"] | {"batchsize": 8, "val_data_generator_args": {"shufle": True}}
    conversion = convert(config)
    assert conversion.unknown == {
        "batchsize": "did you mean batch_size?",
        "val_data_generator_args.shufle": "did you mean shuffle?",
    }
    assert "batchsize: did you mean batch_size?" in gin_file.text(conversion, "old.json")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "algorithm is None; it must be one of cpc"),
        ({"algorithm": "simclr"}, "algorithm is 'simclr'"),
        ({"algorithm": "cpc", "crop_size": "small"}, "crop_size is 'small'"),
        ({"algorithm": "cpc", "lr": "x", "model_params": 3}, "model_params is 3"),
    ],
)
def test_what_cannot_be_converted_is_one_line(config, message):
    with pytest.raises(InputError, match=message) as caught:
        convert(config)
    assert "\n" not in str(caught.value)


def test_the_command_says_what_became_of_each_key_without_tensorflow(tmp_path):
    source = tmp_path / "old.json"
    source.write_text(json.dumps(PRETRAINING["cpc_3d"] | {"batchsize": 3}))
    check = "import sys; from tools import convert_config; assert not {'tensorflow', 'keras', 'gin'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    run = subprocess.run(
        [sys.executable, "-m", "tools.convert_config", str(source)], check=True, capture_output=True, text=True
    )
    assert "BATCH_SIZE = 32" in run.stdout
    assert "batchsize" in run.stdout
    assert "include 'gin/released/cpc_3d.gin'" in source.with_suffix(".gin").read_text()


def test_the_documentation_has_the_table_of_the_code():
    assert keys.table() in Path("docs/from_the_original.md").read_text(encoding="utf-8")
