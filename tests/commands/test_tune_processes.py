"""Searches in real processes: killed and run again, and shared by a chief and two workers over loopback."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ssl3d_tf import tune
from ssl3d_tf.command import configuration
from ssl3d_tf.search import trials
from tests.conftest import TINY

GIN_FILE = "gin/finetune/segmentation_2d.gin"
SEARCH = ("SPACE={'LEARNING_RATE': {'low': 1e-4, 'high': 1e-1, 'log': True}, 'DROPOUT': [0.0, 0.2]}", "MAX_TRIALS=3")
PARAMS = (*TINY, "segmentation.task.transforms=[]", "STEPS=4", "EVAL_EVERY=1", "SAVE_EVERY=1", "LOG_EVERY=1", *SEARCH)


@pytest.fixture(scope="module")
def undisturbed(phantoms_2d, tmp_path_factory):
    """The table of the search in one process."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "hp"
    assert tune.run(configuration.Sources((GIN_FILE,), PARAMS), phantoms_2d, [], workdir)
    return table(workdir)


def table(workdir):
    """trials.csv without its times."""
    rows = csv.DictReader((workdir / trials.TABLE).read_text().splitlines())
    return [{name: text for name, text in row.items() if name != "seconds"} for row in rows]


def start(data, workdir, *, screen, **environment):
    """The command in a process of its own, whose screen goes to a file."""
    options = [f"--gin_file={GIN_FILE}", f"--data={data}", f"--workdir={workdir}"]
    command = [sys.executable, "-m", "ssl3d_tf.tune", *options, *(f"--gin_param={param}" for param in PARAMS)]
    with screen.open("w") as file:
        return subprocess.Popen(
            command, cwd=configuration.ROOT, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )


def wait_for(text, file, process):
    deadline = time.monotonic() + 120
    while not (file.exists() and text in file.read_text()):
        assert process.poll() is None, file
        assert time.monotonic() < deadline, file
        time.sleep(0.01)


def test_a_search_killed_within_a_trial_ends_as_an_undisturbed_one(phantoms_2d, undisturbed, tmp_path):
    workdir, screen = tmp_path / "hp", tmp_path / "screen"
    process = start(phantoms_2d, workdir, screen=screen)
    wait_for('"step": 2', workdir / trials.FOLDER / "1" / "metrics.jsonl", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert start(phantoms_2d, workdir, screen=screen).wait(timeout=200) == 0
    assert "[trial 0" not in screen.read_text()
    assert table(workdir) == undisturbed


def test_a_chief_and_two_workers_share_a_search(phantoms_2d, undisturbed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free.getsockname()[1])}
    names = ("one", "two", "chief")
    screens = {name: tmp_path / name for name in names}
    running = {}
    for name in names:  # workers wait for their chief, so that both are there when it begins
        running[name] = start(phantoms_2d, tmp_path / "hp", screen=screens[name], KERASTUNER_TUNER_ID=name, **shared)
        wait_for("search: ", screens[name], running[name])
    for name in names:
        assert running[name].wait(timeout=200) == 0, screens[name].read_text()
    assert all("[trial" in screens[name].read_text() for name in ("one", "two"))
    assert table(tmp_path / "hp") == undisturbed
