"""Files of ours that were damaged are told in one line, with what to do."""

import json

import pytest

from ssl3d_tf.command import run_folder
from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.search import trials


def test_a_cut_or_hidden_file_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"scores": [1, 2, 3]})
    assert files.read_json(path, "remove it") == {"scores": [1, 2, 3]}
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"result\.json is damaged \(.*\): remove it\."):
        files.read_json(path, "remove it")
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(InputError, match=r"result\.json cannot be read \(.*symbolic links\): remove it\."):
        files.read_json(path, "remove it")


def test_a_run_whose_record_was_cut_is_told(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint").write_text("")
    (tmp_path / "config.gin").write_text("STEPS = 1")
    (tmp_path / "run.json").write_text(json.dumps({"data": {}})[:-1])
    with pytest.raises(InputError, match=r"run\.json is damaged .*: put a copy back"):
        run_folder.trained(tmp_path)
    with pytest.raises(InputError, match=r"run\.json is damaged .*: put a copy back"):
        run_folder.check(tmp_path, "STEPS = 1", data={})


def test_a_trial_whose_record_was_cut_is_told(tmp_path):
    (tmp_path / trials.FOLDER / "0").mkdir(parents=True)
    (tmp_path / trials.FOLDER / "0" / trials._RECORD).write_text('{"number": "0", "sta')
    with pytest.raises(InputError, match=r"is damaged .*: put a copy back"):
        trials.read(tmp_path)
