"""The audit as a user runs it: on tiny runs, to the end, again, and with mistakes."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from absl import app, flags
from matplotlib.image import imread

from ssl3d_tf import audit, train
from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import auditing
from tests.conftest import make_folder

SIZE = {2: 24, 3: 24}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of data for each rank and a run of two steps on it for each of five tasks."""
    root = tmp_path_factory.mktemp("audit")
    for rank, size in SIZE.items():
        make_folder(root / f"data{rank}", counts={"train": 4, "val": 2}, shapes=[(size,) * rank], masks=False)
    for name in ("rotation_2d", "jigsaw_3d", "cpc_2d", "masked_2d", "crops_2d"):
        pretrain(name, root / f"data{name[-2]}", root / name)
    return root


def pretrain(name, data, workdir):
    params = ("STEPS=2", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIZE[int(name[-2])]}", "WARMUP_STEPS=0")
    return train.pretrain(configuration.Sources((f"gin/{name}.gin",), params), data, workdir)


def last_evaluation(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "val_loss" in line][-1]


@pytest.mark.parametrize("name", ["jigsaw_3d", "cpc_2d"])
def test_an_audit_evaluates_the_network_on_every_kind_of_input(name, root, capsys):
    (row,) = auditing.audit(root / name)
    expected = last_evaluation(root / name)
    assert row.accuracy["real"] == pytest.approx(expected["val_accuracy"])
    assert row.chance == pytest.approx(expected["val_chance"])
    assert list(row.accuracy) == ["real", "spectrum", "border", "histogram"]
    assert json.loads((root / name / "audit.json").read_text())["rows"] == [row._asdict()]
    assert imread(root / name / "audit.png").shape[1] > 500
    assert "as trained" in capsys.readouterr().out


def test_what_is_hidden_is_also_told_by_its_neighbours(root):
    trained, guessed = auditing.audit(root / "masked_2d")
    assert (guessed.network, guessed.steps, guessed.chance) == ("without learning", 0, 0.0)
    assert trained.accuracy["real"] == pytest.approx(last_evaluation(root / "masked_2d")["val_accuracy"])
    assert guessed.accuracy["real"] < 0 < guessed.accuracy["spectrum"] + 1  # random voxels: neighbours tell nothing
    assert list(guessed.accuracy) == list(trained.accuracy)


def test_crops_are_also_told_by_their_intensities(root):
    _, guessed = auditing.audit(root / "crops_2d")
    assert guessed.accuracy["histogram"] == pytest.approx(guessed.accuracy["real"])  # which is what it goes by
    assert guessed.chance == pytest.approx(1 / 3)  # of the crops of two scans


def test_with_steps_it_trains_fresh_networks_once_and_leaves_the_run_alone(root, capsys):
    workdir = root / "rotation_2d"
    before = last_evaluation(workdir)
    rows = auditing.audit(workdir, steps=3)
    assert [row.steps for row in rows] == [2, 3]
    folders = sorted(path.name for path in (workdir / "audit").iterdir())
    assert folders == ["border-3", "histogram-3", "real-3", "spectrum-3"]
    capsys.readouterr()
    assert auditing.audit(workdir, steps=3) == rows
    assert capsys.readouterr().out.count("Goes on at step 3 of 3") == 4
    assert last_evaluation(workdir) == before


def test_data_that_moved_are_asked_for_and_found_again(root, tmp_path):
    run = shutil.copytree(root / "cpc_2d", tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    record["data"]["path"] = str(tmp_path / "gone")
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"no longer in .*gone; say with --data"):
        auditing.audit(run)
    assert auditing.audit(run, [root / "data2"])


def test_other_data_are_refused(root):
    with pytest.raises(InputError, match=r"is not what .*rotation_2d was trained on"):
        auditing.audit(root / "rotation_2d", [root / "data3"])


def test_a_folder_without_a_run_or_without_a_checkpoint_is_one_clear_error(root, tmp_path):
    with pytest.raises(InputError, match=r"holds no run: no config\.gin and run\.json"):
        auditing.audit(tmp_path)
    for name in ("config.gin", "run.json"):
        shutil.copy(root / "rotation_2d" / name, tmp_path)
    with pytest.raises(InputError, match="no checkpoint yet"):
        auditing.audit(tmp_path)


def test_a_mistake_is_one_line_and_an_exit_code():
    command = [sys.executable, "-m", "ssl3d_tf.audit", "--workdir=nowhere"]
    done = subprocess.run(command, cwd=configuration.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "holds no run" in done.stderr


def test_without_a_workdir_it_is_used_wrongly(monkeypatch):
    monkeypatch.setattr(flags, "FLAGS", SimpleNamespace(workdir=None))
    with pytest.raises(app.UsageError, match="--workdir is missing"):
        audit.main(["audit"])
