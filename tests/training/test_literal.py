"""Folders that are called like a pattern: their own files are found and removed, and those of no other folder."""

import tempfile

import keras
import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.training import checkpoints, literal
from ssl3d_tf.training.run import Every
from tests.training import test_loop
from tests.training.test_loop import assert_same_weights, data, fit, journal  # noqa: F401

EVERY = Every(log=2, evaluate=4, save=1)


def saved(folder, *values):
    """A model and the manager of its checkpoints, one for each value of its weights."""
    folder.mkdir(parents=True)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    manager = checkpoints.manager(folder, model, [], checkpoints.progress(0))
    for number, value in enumerate(values):
        model.set_weights([np.full((1, 1), value, np.float32)])
        manager.save(checkpoint_number=number)
    return model, manager


@pytest.mark.parametrize("name", ["run[1]", "run*", "run?", r"run\1", "[!r]", "run 1 é"])
def test_checkpoints_are_found_and_removed_in_folders_of_any_name(tmp_path, name):
    beside, folder = tmp_path / "run1", tmp_path / name / "inside"
    saved(beside / "inside", 7.0)  # that the name as a pattern would match
    model, manager = saved(folder, 1.0, 2.0, 3.0)
    model.set_weights([np.zeros((1, 1), np.float32)])
    assert checkpoints.restore(manager, folder)
    assert model.get_weights()[0] == 3
    model.set_weights([np.zeros((1, 1), np.float32)])
    assert checkpoints.restore_model(folder, model) == folder / "checkpoints" / "ckpt-2"
    assert model.get_weights()[0] == 3
    assert {path.stem for path in (folder / "checkpoints").glob("*.index")} == {"ckpt-1", "ckpt-2"}
    assert [path.stem for path in (beside / "inside" / "checkpoints").glob("*.index")] == ["ckpt-0"]


def test_a_run_that_was_stopped_in_such_a_folder_goes_on(data, tmp_path):  # noqa: F811
    fit(tmp_path / "whole", data, every=EVERY, steps=4)
    with pytest.raises(test_loop.Killed):
        fit(tmp_path / "cut[1]", data, every=EVERY, steps=4, train_data=test_loop.dies_after(3))
    fit(tmp_path / "cut[1]", data, every=EVERY, steps=4)
    assert journal(tmp_path / "cut[1]") == journal(tmp_path / "whole")
    assert_same_weights(tmp_path / "cut[1]", tmp_path / "whole")


def test_other_folders_are_taken_as_they_are(tmp_path):
    assert literal.folder(tmp_path / "run 1 é") == tmp_path / "run 1 é"


def test_where_the_temporary_folder_is_a_pattern_too_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp[1]"))
    with pytest.raises(InputError, match=r"run\[2\] holds one of .* set TMPDIR to another folder"):
        literal.folder(tmp_path / "run[2]")
