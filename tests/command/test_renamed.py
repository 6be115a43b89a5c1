"""Names of version 0.1, in files and run folders of that time."""

import importlib.util
from pathlib import Path

import pytest

from ssl3d_tf.command import configuration, renamed, run_folder
from ssl3d_tf.errors import InputError

OLD = """from __gin__ import dynamic_registration
from ssl3d_tf import loop
from ssl3d_tf.tasks import cpc
import ssl3d_tf.steps
loop.fit.steps = 3
train/steps.Update.seed = 1
"""
NOW = (
    "ssl3d_tf.loop is ssl3d_tf.training.run, ssl3d_tf.steps is ssl3d_tf.training.updates, "
    "loop.fit is run.Settings, steps.Update is updates.Update"
)


@pytest.mark.parametrize("name", renamed.MODULES.values())
def test_every_module_is_where_it_is_said_to_be(name):
    assert importlib.util.find_spec(name)


def test_names_of_before_are_told_and_others_are_not():
    assert renamed.told(OLD) == NOW
    for path in Path("gin").rglob("*.gin"):
        assert renamed.told(path.read_text(encoding="utf-8")) == "", path
    assert renamed.told("from ssl3d_tf import losses") == "ssl3d_tf.losses is ssl3d_tf.losses.classification"
    assert renamed.told("from ssl3d_tf.training import loop\nrun.Settings.steps = 3\nmyloop.fit.a = 1\n") == ""


def test_a_gin_file_of_before_is_one_line(tmp_path):
    file = tmp_path / "mine.gin"
    file.write_text(OLD)
    with pytest.raises(InputError, match=rf"mine.gin is of ssl3d_tf 0.1, and since then {NOW}: rename them"):
        configuration.load(configuration.Sources((str(file),), ()))
    outer = tmp_path / "outer.gin"
    outer.write_text(f"include '{file}'\n")
    with pytest.raises(InputError, match=rf"mine.gin is of ssl3d_tf 0.1, and since then {NOW}: rename them"):
        configuration.load(configuration.Sources((str(outer),), ()))
    with pytest.raises(InputError, match=r"^--gin_param=loop.fit.steps=3: since ssl3d_tf 0.2 loop.fit is run.Settings"):
        configuration.load(configuration.Sources(("gin/cpc_3d.gin",), ("loop.fit.steps=3",)))


def test_a_run_of_before_is_one_line(tmp_path):
    data = {"path": "data", "sha256": "0"}
    run_folder.claim(tmp_path / "run", OLD, data=data, notes={})
    (tmp_path / "run" / "checkpoints").mkdir()
    with pytest.raises(InputError, match=rf"is a run of ssl3d_tf 0.1, and since then {NOW}: take another folder"):
        run_folder.check(tmp_path / "run", "STEPS = 3", data=data)
