from pathlib import Path

import gin
import pytest

from ssl3d_tf.command import configuration
from ssl3d_tf.command.configuration import Sources
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import resnet
from ssl3d_tf.training.run import Settings

ROTATION = ("gin/rotation_3d.gin",)
RANKS = {  # of the data sets in gin/datasets
    **dict.fromkeys(("hippocampus", "phantoms_3d", "pancreas3d", "brats", "ukb3d"), (3,)),
    **dict.fromkeys(("phantoms_2d", "pancreas2d", "ukb2d_retina", "kaggle_retina"), (2,)),
    "medmnist_28": (2, 3),
}


def load(*params, files=ROTATION):
    return configuration.load(Sources(files, params))


def test_parameters_override_files_and_files_override_base():
    load("STEPS=40")
    assert configuration.macro("STEPS") == 40
    assert configuration.macro("RANK") == 3


def test_files_are_found_from_any_folder_without_a_word(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    load(files=("gin/finetune/segmentation_3d.gin",))
    assert configuration.macro("VIEW_SIZE") == 96
    assert not caplog.records


def test_a_knob_without_the_file_of_its_task_says_which_file_is_missing():
    with pytest.raises(InputError, match=r"gin/base.gin reads it: the file of a task is missing; give it too, gin/cpc"):
        load("PATCHES_PER_SIDE=3", files=("gin/base.gin", "gin/base.gin"))


def test_the_text_makes_the_same_configuration_again(tmp_path):
    load("STEPS=40", "unet.encoder.pooling='avg'", "ENCODER=@applications.encoder")
    before = configuration.text()
    (tmp_path / "config.gin").write_text(before)
    load(files=(str(tmp_path / "config.gin"),))
    assert configuration.text() == before


def test_a_data_set_file_comes_between_files_and_parameters():
    sources = Sources(ROTATION, ("BATCH_SIZE=2",))
    configuration.load(sources, dataset="gin/datasets/phantoms_{rank}d.gin")
    assert (configuration.macro("VIEW_SIZE"), configuration.macro("BATCH_SIZE")) == (32, 2)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("FILTERS=four", r"--gin_param=FILTERS=four: text wants quotes; failed to parse token 'four' \(line 1\)$"),
        ("STEPSS=40", r"STEPSS is set, but nothing in gin/rotation_3d.gin reads it: did you mean STEPS\?"),
        (
            "TEMPERATURE=1",
            "TEMPERATURE is set, but nothing in gin/rotation_3d.gin reads it: it is a knob of gin",
        ),
        (
            "PROBE_CASES=4",
            "nothing in gin/rotation_3d.gin reads it: it is a knob of gin/probe/base.gin: remove it",
        ),
        ("rotation.task.view_sise=3", "view_sise"),
        ("rotatoin.task.rank=3", "rotatoin"),
        ("STEPS", "must be NAME=VALUE"),
        ("STEPS=forty", "--gin_param=STEPS=forty"),
        ("VIEW_SIZE=96,96,32", r"several numbers stand in parentheses: VIEW_SIZE=\(96,96,32\)\.$"),
    ],
)
def test_a_misspelt_parameter_is_one_line(param, message):
    with pytest.raises(InputError, match=message) as caught:
        load(param)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "param",
    [
        *("STEPS='ten'", "BATCH_SIZE=2.5", "BATCH_SIZE=0", "SEED=-5", "SEED='x'", "VIEW_SIZE=0", "LOG_EVERY=0"),
        *("LEARNING_RATE='x'", "CACHE_GB=-1", "CLIP_NORM=0", "FILTERS=True", "DROPOUT=1.0", "RANK=4"),
    ],
)
def test_a_knob_out_of_its_range_is_refused(param):
    name = param.partition("=")[0]
    with pytest.raises(InputError, match=f"{name} is .*; it must be a"):
        load(param)


@pytest.mark.parametrize("encoder", ["unet", "resnet", "applications"])
def test_an_encoder_is_chosen_by_name(encoder):
    load(f"ENCODER=@{encoder}.encoder", files=("gin/rotation_2d.gin",))
    assert (
        configuration.make(Settings).encoder(2).name.startswith({"applications": "densenet121"}.get(encoder, encoder))
    )


def test_retina_data_take_the_published_encoder():
    load(files=("gin/rotation_2d.gin", "gin/datasets/kaggle_retina.gin"))
    assert configuration.macros()["ENCODER"] == "@applications.encoder"
    assert gin.query_parameter("applications.encoder.name") == "DenseNet121"


def test_the_knobs_of_an_encoder_reach_a_resnet():
    load("ENCODER=@resnet.encoder", "FILTERS=4", "NORM='none'", "resnet.encoder.depth=34")
    expected = resnet.encoder(1, rank=3, filters=4, norm="none", depth=34)
    assert configuration.make(Settings).encoder(1).to_json() == expected.to_json()


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("ENCODER='resnet'", "ENCODER is 'resnet'; it must be a function, with @"),
        ("ENCODER=@resnet.encoder()", r"ENCODER is @resnet\.encoder\(\); it must be a function, with @ and without"),
        ("ENCODER=@resnet.encoder50", "resnet.encoder50"),
        ("resnet.encoder.levels=3", "levels"),
        ("applications.encoder.architecture='ResNet50'", "architecture"),
    ],
)
def test_an_encoder_that_does_not_exist_is_one_line(param, message):
    with pytest.raises(InputError, match=message) as caught:
        load(param)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("param", "name"),
    [("LEVELS=3", "LEVELS"), ("DROPOUT=0.1", "DROPOUT"), ("unet.encoder.pooling='avg'", r"models\.unet\.encoder")],
)
def test_what_is_asked_for_must_be_read_by_the_chosen_encoder(param, name):
    free = load("ENCODER=@resnet.encoder", "FILTERS=4", param)
    assert "FILTERS" not in free
    gin.get_configurable(resnet.encoder)(1)
    with pytest.raises(InputError, match=rf"{name}, ((?!FILTERS).)*which this run does not use"):
        configuration.check_all_used(free)


@pytest.mark.parametrize(("name", "ranks"), RANKS.items())
def test_every_data_set_fits_behind_every_task_of_its_rank(name, ranks):
    for file in (str(path) for rank in ranks for path in Path("gin").rglob(f"*_{rank}d.gin")):
        if "datasets" not in file:
            load(files=(file, f"gin/datasets/{name}.gin"))
            assert configuration.macro("VIEW_SIZE") in (28, 32, 48, 64, 128, 224)
            assert configuration.macro("STEPS") >= configuration.macro("EVAL_EVERY")


def test_every_data_set_file_is_tested():
    assert set(RANKS) == {path.stem for path in Path("gin/datasets").glob("*.gin")}


def test_a_missing_file_is_one_line():
    with pytest.raises(
        InputError, match=r"^there is no gin/rotation_4d\.gin, .* mean gin/rotation_[23]d\.gin\?$"
    ) as caught:
        load(files=("gin/rotation_4d.gin",))
    assert "\n" not in str(caught.value)


def test_a_macro_of_a_file_that_nothing_reads_is_refused(tmp_path):
    file = tmp_path / "mine.gin"
    file.write_text("include 'gin/rotation_3d.gin'\nSTEPS = 3\nTEMPERATRE = .1\n")
    with pytest.raises(InputError, match="TEMPERATRE"):
        load(files=(str(file),))


def test_bindings_that_the_run_does_not_call_are_refused(tmp_path):
    file = tmp_path / "mine.gin"
    file.write_text(
        "from __gin__ import dynamic_registration\nfrom ssl3d_tf.views import augment\n"
        "include 'gin/rotation_3d.gin'\naugment.gamma.p = 1.0\n"
    )
    declared = load(files=(str(file),))
    with pytest.raises(InputError, match=r"augment\.gamma"):
        configuration.check_all_used(declared)


@pytest.mark.parametrize("path", sorted(Path("gin").rglob("*.gin")), ids=str)
def test_every_file_fits_a_screen_and_says_what_it_is(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) <= 100


def test_a_gin_file_imports_nothing_that_nobody_named(tmp_path):
    (tmp_path / "deep.gin").write_text("import subprocess\n")
    file = tmp_path / "mine.gin"
    file.write_text(f"include 'gin/rotation_3d.gin'\ninclude '{tmp_path / 'deep.gin'}'\n")
    with pytest.raises(InputError, match=r"deep.gin imports subprocess, which runs it; .* takes --gin_import=subpro"):
        load(files=(str(file),))
    file.write_text("from __gin__ import dynamic_registration\nfrom keras import optimizers\nimport os.path\n")
    with pytest.raises(InputError, match=r"mine.gin imports os.path"):
        load(files=(str(file),))
    file.write_text("include 'gin/rotation_3d.gin'\nimport colorsys\n")
    configuration.load(configuration.Sources((str(file),), (), ("colorsys",)))
