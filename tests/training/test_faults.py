"""Training under faults: what was saved is found again, and what cannot go on says so in one true line."""

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import files, folders
from ssl3d_tf.errors import InputError
from ssl3d_tf.tasks import cpc
from ssl3d_tf.training import faults, health, loop, schedules
from ssl3d_tf.training.journal import Journal
from ssl3d_tf.training.run import Every
from ssl3d_tf.training.updates import Update
from tests.conftest import make_folder
from tests.training import test_loop
from tests.training.test_loop import SIZE, assert_same_weights, data, fit, journal, poison, without_norm  # noqa: F401

EVERY = Every(log=2, evaluate=4, save=2)


def damaged(workdir, how):
    """Damages the newest of two checkpoints, or the list of them."""
    folder = workdir / "checkpoints"
    newest = folder / "ckpt-4.data-00000-of-00001"
    if how == "data cut":
        newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    elif how == "data empty":
        newest.write_bytes(b"")
    elif how == "data gone":
        newest.unlink()
    elif how == "index cut":
        index = folder / "ckpt-4.index"
        index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])
    elif how == "index empty":
        (folder / "ckpt-4.index").write_bytes(b"")
    elif how == "index gone":
        (folder / "ckpt-4.index").unlink()
    elif how == "list empty":
        (folder / "checkpoint").write_bytes(b"")
    elif how == "list cut":
        (folder / "checkpoint").write_bytes((folder / "checkpoint").read_bytes()[:20])
    elif how == "list gone":
        (folder / "checkpoint").unlink()


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):  # noqa: F811
    """A run killed after step 5, with checkpoints of steps 2 and 4; and the same run undisturbed."""
    root = tmp_path_factory.mktemp("stopped")
    fit(root / "whole", data, every=EVERY)
    with pytest.raises(test_loop.Killed):
        fit(root / "cut", data, every=EVERY, train_data=test_loop.dies_after(5))
    return root


@pytest.mark.parametrize(
    ("how", "step"),
    [(f"data {way}", 2) for way in ("cut", "empty", "gone")]
    + [(f"index {way}", 2) for way in ("cut", "empty", "gone")]
    + [(f"list {way}", 4) for way in ("cut", "empty", "gone")],
)
def test_the_newest_whole_checkpoint_is_found(data, stopped, tmp_path, capfd, how, step):  # noqa: F811
    os.system(f"cp -r {stopped / 'cut'} {tmp_path / 'run'}")
    damaged(tmp_path / "run", how)
    fit(tmp_path / "run", data, every=EVERY)
    said = capfd.readouterr().out
    assert f"Goes on at step {step} of 8" in said
    assert ("the newest whole one" in said) == (step == 2 and how != "index gone")
    assert journal(tmp_path / "run") == journal(stopped / "whole")
    assert_same_weights(tmp_path / "run", stopped / "whole")


def test_where_no_checkpoint_is_whole_nothing_begins_anew(data, stopped, tmp_path):  # noqa: F811
    os.system(f"cp -r {stopped / 'cut'} {tmp_path / 'run'}")
    for path in (tmp_path / "run" / "checkpoints").glob("*.index"):
        path.unlink()
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    with pytest.raises(InputError, match=r"has checkpoints without their \.index; no older one is whole: put a copy"):
        fit(tmp_path / "run", data, every=EVERY)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_a_log_without_a_checkpoint_is_put_aside(data, tmp_path):  # noqa: F811
    with pytest.raises(test_loop.Killed):
        fit(tmp_path / "run", data, every=Every(1, 9, 9), train_data=test_loop.dies_after(3))
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert before
    fit(tmp_path / "run", data, steps=1)
    assert (tmp_path / "run" / "metrics.before.jsonl").read_text() == before


def test_updates_that_were_left_out_are_counted(data, tmp_path):  # noqa: F811
    fit(tmp_path / "run", data, view=poison, encoder=without_norm, update=Update(on_nonfinite="skip"), steps=4)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line.get("skipped") for line in lines if "lr" in line] == [2, 2]


@pytest.mark.parametrize(("patience", "steps"), [(None, 8), (2, 4)])
def test_without_a_loss_that_is_a_number_the_last_weights_are_kept_and_marked(data, tmp_path, capsys, patience, steps):  # noqa: F811
    options = {"view": poison, "encoder": without_norm, "update": Update(on_nonfinite="skip")}
    fit(tmp_path / "run", data, every=Every(2, 2, 2, patience), **options)
    assert "warning: no validation loss was a number; encoder/ has the last weights" in capsys.readouterr().out
    contract = json.loads((tmp_path / "run" / "encoder" / "contract.json").read_text())
    assert (contract["is_best"], contract["step"]) == (False, steps)


def hold(folder, held, done):
    with files.locked(folder):
        held.set()
        done.wait(60)


def test_a_second_process_in_a_folder_is_told_who_holds_it(data, tmp_path):  # noqa: F811
    (tmp_path / "run").mkdir()
    spawn = multiprocessing.get_context("spawn")
    held, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(tmp_path / "run", held, done))
    other.start()
    assert held.wait(60)
    with pytest.raises(InputError, match=rf"run is in use by process {other.pid} on .*, since .*: wait for its end"):
        fit(tmp_path / "run", data)
    done.set()
    other.join()
    fit(tmp_path / "run", data, steps=1)


def test_a_full_disk_is_not_called_too_little_memory(data, tmp_path):  # noqa: F811
    full = tf.errors.ResourceExhaustedError(None, None, f"{tmp_path}/x; No space left on device")
    with (
        pytest.raises(OSError, match=r"the disk of .* is full, [\d.]+ MB are free"),
        faults.readable_errors(data, tmp_path),
    ):
        raise full


def test_a_disk_that_is_full_when_the_log_is_closed_is_said_too(data, tmp_path, monkeypatch):  # noqa: F811
    close = Journal.__exit__

    def close_on_a_full_disk(self, *what):
        close(self, *what)
        raise tf.errors.ResourceExhaustedError(None, None, "events.v2; No space left on device")

    monkeypatch.setattr(Journal, "__exit__", close_on_a_full_disk)
    with pytest.raises(OSError, match=rf"the disk of {tmp_path / 'run'} is full"):
        fit(tmp_path / "run", data, steps=1)


def test_a_shard_that_was_cut_is_one_line_and_not_a_signal(tmp_path):
    make_folder(tmp_path / "data", counts={"train": 8, "val": 3}, shapes=[(SIZE,) * 3], masks=False)
    opened = folders.open_folder(tmp_path / "data")
    (shard, *_) = (tmp_path / "data").glob("train*.tfrecord")

    def cut():
        os.truncate(shard, shard.stat().st_size // 2)

    with pytest.raises(InputError, match=rf"shard {shard} has \d+ bytes, the manifest says \d+ bytes: put it back"):
        fit(tmp_path / "run", opened, hooks=loop.Hooks(on_built=cut))


@pytest.mark.parametrize("examples", [1, 5])
def test_a_contrastive_task_never_sees_one_example_alone(tmp_path, examples):
    make_folder(tmp_path / "data", counts={"train": 4, "val": examples}, shapes=[(SIZE,) * 3], masks=False)
    opened = folders.open_folder(tmp_path / "data")
    task = cpc.task(rank=3, view_size=SIZE, patches_per_side=4, code_size=8, context_size=8)
    options = {"task": task, "encoder": test_loop.pointwise, "steps": 1, "schedule": schedules.constant(0.0)}
    if examples == 1:
        with pytest.raises(InputError, match=r"split 'val' of .* has 1 examples; .* at least 2: convert again"):
            fit(tmp_path / "run", opened, **options)
        return
    chance = fit(tmp_path / "run", opened, **options)["val_chance"]  # 5 = 3 + 2, not 4 + 1
    np.testing.assert_allclose(chance, (3 / (3 * 16) + 2 / (2 * 16)) / 5, rtol=1e-5)


def test_a_spread_over_few_embeddings_is_not_reported():
    assert health.report(np.ones((health.LEAST - 1, 4))) == {}
    assert health.report(np.ones((health.LEAST, 4)))["embedding_std"] == 0


def test_a_missing_folder_is_not_locked():
    with pytest.raises(OSError, match="No such file"), files.locked(Path("/no/such/folder")):
        pass
