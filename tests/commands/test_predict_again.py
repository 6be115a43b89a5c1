"""Predicting stopped, run again and with an input that has changed: what stays, what is told, what is removed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import answers, ledger
from tests.commands.predicting import contents, run
from tests.commands.scans import save, scan

ROOT = Path(__file__).resolve().parents[2]


def test_killed_and_run_again_the_files_are_the_same(grid, new, predicted, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ssl3d_tf.predict", f"--model={grid[1]}", f"--input={new[0]}", f"--output={out}"]
    command += ["--probabilities", "--embeddings"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if (out / ledger.DONE).is_file() or process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / ledger.DONE).is_file()
    assert not (out / answers.EMBEDDINGS).exists()
    (out / f".a.nii.gz.{'0' * 16}.tmp").write_bytes(b"half")  # as a kill leaves behind
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)
    assert contents(out) == contents(predicted)
    first = json.loads((out / ledger.DONE).read_text().splitlines()[0])["files"][0]
    assert before[out / first] == (out / first).stat().st_mtime_ns  # kept


def test_a_cut_note_is_one_line(grid, new, predicted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(predicted, out)
    (out / ledger.ABOUT).write_text('{"weights": ')
    with pytest.raises(InputError, match=r"prediction.json is damaged \(.*\): put a copy back, or take another folder"):
        run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)


@pytest.mark.parametrize("kept", [ledger.DONE, ledger.GONE])
def test_without_what_says_how_they_were_made_predictions_are_not_gone_on_with(kept, tmp_path):
    for name in (kept, "a.nii.gz"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=rf"holds {kept} but no prediction.json, .*: put a copy of that back, or take"):
        ledger.check(tmp_path, {}, overwrite=True)


def test_one_unreadable_scan_is_told_and_the_others_go_on(grid, new, tmp_path, capsys):
    root, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(new[0], root)
    broken = root / "d.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-2000])
    save(root / "four.nii.gz", np.zeros((8, 8, 8, 4), np.int16), "RAS")
    run("--nooverlays", model=grid[1], input=root, output=out)
    lines = [json.loads(line) for line in (out / ledger.FAILED).read_text().splitlines()]
    assert [line["path"] for line in lines] == ["d.nii.gz", "four.nii.gz"]
    assert "it is 3D with 4 channels, the model is for 3D with 1 channel" in lines[1]["reason"]
    told = capsys.readouterr().out
    assert "failed: d.nii.gz: " in told
    assert "2 scans predicted, 0 of them before, 2 failed" in told
    shutil.copy(new[0] / "d.nii.gz", broken)
    (root / "four.nii.gz").unlink()
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert "3 scans predicted, 2 of them before, 0 failed" in capsys.readouterr().out
    assert not (out / ledger.FAILED).exists()
    assert [json.loads(line)["case"] for line in (out / ledger.DONE).read_text().splitlines()] == ["a", "b/c", "d"]
    shutil.copy(new[0] / "a.nii.gz", broken)  # another scan by the same name
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert nibabel.load(out / "d.nii.gz").shape == nibabel.load(new[0] / "a.nii.gz").shape
    broken.write_bytes(b"no header")
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert not (out / "d.nii.gz").exists()  # it was of another file than the one that is there
    assert [json.loads(line)["case"] for line in (out / ledger.DONE).read_text().splitlines()] == ["a", "b/c"]


def test_where_no_scan_is_left_none_of_their_predictions_is(grid, new, tmp_path):
    root, out = tmp_path / "new", tmp_path / "out"
    root.mkdir()
    shutil.copy(new[0] / "a.nii.gz", root)
    run("--nooverlays", model=grid[1], input=root, output=out)
    (root / "a.nii.gz").write_bytes(b"no header")
    with pytest.raises(InputError, match=r"none of 1 scans can be predicted; a\.nii\.gz: .*[^.]\.$"):
        run("--nooverlays", model=grid[1], input=root, output=out)
    assert not (out / "a.nii.gz").exists()
    assert not (out / ledger.DONE).exists()
    assert json.loads((out / ledger.FAILED).read_text())["path"] == "a.nii.gz"


def test_what_is_said_is_of_the_input_as_it_is_and_nothing_else_is_removed(grid, new, tmp_path, capsys):
    root, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(new[0], root)
    for name in ("p.nii", "p.nii.gz"):
        save(root / name, scan((18, 17, 16))[0], "RAS")
        run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    # 'p' has become 'p.nii' beside 'p.nii.gz'
    (root / "d.nii.gz").rename(tmp_path / "d.nii.gz")
    run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    told = capsys.readouterr().out.splitlines()
    assert "note: no longer in the input: d, p; what was predicted of them stays, see gone.jsonl." in told
    done, gone = (
        [json.loads(line)["case"] for line in (out / name).read_text().splitlines()]
        for name in (ledger.DONE, ledger.GONE)
    )
    assert (done, gone) == (["a", "b/c", "p.nii", "p.nii.gz"], ["d", "p"])
    with np.load(out / answers.EMBEDDINGS) as found:
        assert found["cases"].tolist() == done
    assert (out / "d.nii.gz").is_file()
    (tmp_path / "d.nii.gz").rename(root / "d.nii.gz")
    run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    assert "5 scans predicted, 5 of them before, 0 failed" in capsys.readouterr().out  # kept all the while
    run("--nooverlays", "--overwrite", model=grid[1], input=root, output=out)
    assert not (out / ledger.GONE).exists()
    assert not (out / "p.nii.gz").exists()


def test_a_file_that_is_no_longer_as_it_was_written_is_told_and_not_written_over(grid, new, tmp_path):
    root, out = tmp_path / "new", tmp_path / "out"
    root.mkdir()
    shutil.copy(new[0] / "a.nii.gz", root)
    run("--nooverlays", model=grid[1], input=root, output=out)
    whole = (out / "a.nii.gz").read_bytes()
    (out / "a.nii.gz").write_bytes(whole[:-9])
    rule = "is not as it was left: a.nii.gz was changed; remove it to have it predicted again, or move it elsewhere"
    with pytest.raises(InputError, match=rule):
        run("--nooverlays", model=grid[1], input=root, output=out)
    assert (out / "a.nii.gz").read_bytes() == whole[:-9]
    (out / "a.nii.gz").unlink()
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert (out / "a.nii.gz").read_bytes() == whole


def test_overwrite_replaces_predictions_and_nothing_else(grid, new, tmp_path):
    out = tmp_path / "out"
    run(model=grid[1], input=new[0], output=out)
    (out / "mine.txt").write_text("kept")
    run("--overwrite", "--nooverlays", "--probabilities", model=grid[1], input=new[0], output=out)
    assert "mine.txt" in contents(out)
    assert "a_probabilities.npz" in contents(out)
    assert "a_overlay.png" not in contents(out)
