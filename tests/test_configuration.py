from pathlib import Path

import pytest

from ssl3d_tf import configuration
from ssl3d_tf.configuration import Sources
from ssl3d_tf.errors import InputError

ROTATION = ("gin/rotation_3d.gin",)


def load(*params, files=ROTATION):
    return configuration.load(Sources(files, params))


def test_parameters_override_files_and_files_override_base():
    load("STEPS=40")
    assert configuration.macro("STEPS") == 40
    assert configuration.macro("RANK") == 3


def test_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load()
    assert configuration.macro("VIEW_SIZE") == 128


def test_the_text_makes_the_same_configuration_again(tmp_path):
    load("STEPS=40", "unet.encoder.pooling='avg'")
    before = configuration.text()
    (tmp_path / "config.gin").write_text(before)
    load(files=(str(tmp_path / "config.gin"),))
    assert configuration.text() == before


def test_a_data_set_file_comes_between_files_and_parameters():
    sources = Sources(ROTATION, ("BATCH_SIZE=2",))
    configuration.load(sources, dataset="gin/datasets/phantoms_{rank}d.gin")
    assert (configuration.macro("VIEW_SIZE"), configuration.macro("BATCH_SIZE")) == (48, 2)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("STEPSS=40", r"STEPSS is set, but nothing in gin/rotation_3d.gin reads it: did you mean STEPS\?"),
        ("TEMPERATURE=1", "TEMPERATURE is set, but nothing in gin/rotation_3d.gin reads it"),
        ("rotation.task.view_sise=3", "view_sise"),
        ("rotatoin.task.rank=3", "rotatoin"),
        ("STEPS", "must be NAME=VALUE"),
        ("STEPS=forty", "--gin_param=STEPS=forty"),
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


def test_a_missing_file_is_one_line():
    with pytest.raises(InputError, match=r"gin/rotation_4d\.gin") as caught:
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
        "from __gin__ import dynamic_registration\nfrom ssl3d_tf import augment\n"
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
