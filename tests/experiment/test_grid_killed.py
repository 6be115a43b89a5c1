"""A grid in real processes, killed at several moments and run again: its tables are those of an undisturbed one."""

import random
import signal
import subprocess
import sys
import time

import pytest

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.evaluation import tables
from tests.conftest import TINY

ARMS = ("ARMS=('random','pretrained')", "FRACTIONS=(100,)", "REPETITIONS=1", "WARMUP_STEPS=2")
GRID = (*TINY, *ARMS, "STEPS=4", "SAVE_EVERY=1", "LOG_EVERY=1", "EVAL_EVERY=1", "DROPOUT=0.2", "SCORES=('dice','hd95')")
TABLES = (tables.RESULTS, tables.CASES, tables.PREDICTIONS, "splits.json")
GIN_FILE = "gin/finetune/segmentation_2d.gin"

# Runs the command and dies of SIGKILL with the first result written beside its place, just before the rename.
KILLED_AT_RENAME = """
import os, pathlib, runpy, signal
rename = pathlib.Path.replace
def dies(source, target):
    if str(target).endswith("result.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(source, target)
pathlib.Path.replace = dies
runpy.run_module("ssl3d_tf.finetune", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def undisturbed(phantoms_2d, rotation, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed") / "ft"
    assert finetune.run(configuration.Sources((GIN_FILE,), GRID), phantoms_2d, [rotation], workdir) == 0
    return workdir


def start(data, encoder, workdir, *program):
    """The command in a process of its own, whose screen goes to a file beside the workdir."""
    options = [f"--gin_file={GIN_FILE}", f"--data={data}", f"--encoder={encoder}", f"--workdir={workdir}"]
    arguments = [sys.executable, *program, *options, *(f"--gin_param={param}" for param in GRID)]
    with (workdir.parent / "screen").open("w") as screen:
        return subprocess.Popen(arguments, cwd=configuration.ROOT, stdout=screen, stderr=subprocess.STDOUT)


def kill_after(process, path, *, text="", lines=0, seconds=0.0):
    """SIGKILL so long after a file holds that text and so many lines."""
    deadline = time.monotonic() + 120
    while not (path.exists() and text in path.read_text() and path.read_text().count("\n") >= lines):
        assert process.poll() is None, path.read_text()
        assert time.monotonic() < deadline, path
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_grid_killed_again_and_again_ends_with_the_same_tables(phantoms_2d, rotation, undisturbed, tmp_path):
    workdir, moments = tmp_path / "ft", random.Random(0)
    process = start(phantoms_2d, rotation, workdir, "-c", KILLED_AT_RENAME)  # with a result that is not yet one
    assert process.wait() == -signal.SIGKILL
    assert list(workdir.rglob(".result.json.*.tmp"))
    command = ("-m", "ssl3d_tf.finetune")
    journal = workdir / "runs" / "rotation-pretrained" / "100" / "0" / "metrics.jsonl"
    kill_after(start(phantoms_2d, rotation, workdir, *command), journal, lines=moments.randint(1, 8))  # while it trains
    moment = {"text": "[run 2/2]", "seconds": moments.uniform(0, 4)}  # wherever that is
    kill_after(start(phantoms_2d, rotation, workdir, *command), tmp_path / "screen", **moment)
    assert start(phantoms_2d, rotation, workdir, *command).wait() == 0
    for name in TABLES:
        assert (workdir / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_a_folder_whose_making_was_killed_may_be_taken_again(tmp_path):
    data = {"path": "data", "sha256": "0"}
    run_folder.claim(tmp_path / "run", "STEPS = 4", data=data, notes={})
    (tmp_path / "run" / run_folder.CONFIG).unlink()  # the second of the two files that make it a run's
    run_folder.check(tmp_path / "run", "STEPS = 4", data=data)
    run_folder.claim(tmp_path / "run", "STEPS = 4", data=data, notes={})
    assert (tmp_path / "run" / run_folder.CONFIG).read_text() == "STEPS = 4"
