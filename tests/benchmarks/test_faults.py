"""The judge of the fault rounds, on commands of a line: what loses or hides anything is found, what does not is not."""

import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.faults import __main__ as faults
from benchmarks.faults import blows, scenes
from benchmarks.faults.blows import Blow, Ended, Round
from benchmarks.faults.scenes import Scene
from ssl3d_tf.command.home import ROOT

GOOD = """
import os, sys, time
data, work = sys.argv[1:]
try:
    text = open(data + "/in").read()
    assert len(text) == 4
except (OSError, AssertionError) as error:
    sys.exit("data/in cannot be read; put it back")
os.makedirs(work, exist_ok=True)
time.sleep(0.2)
open(work + "/draft", "w").write(text)
os.replace(work + "/draft", work + "/out")
"""
LOSES = GOOD.replace("assert len(text) == 4", "pass")  # a cut file is taken for a whole one
TRACES = GOOD.replace('sys.exit("data/in cannot be read; put it back")', "raise")
SILENT = GOOD.replace('sys.exit("data/in cannot be read; put it back")', "sys.exit(1)")
HALF = GOOD.replace(  # a result that is there is not made again
    "time.sleep(0.2)",
    "if os.path.exists(work + '/out'): sys.exit()\nopen(work + '/out', 'w').close()\ntime.sleep(0.2)",
)


GOES_ON = """
import os, sys
data, work = sys.argv[1:3]
try:
    text = open(data + "/in").read()
except OSError:
    text = ""
if os.path.exists(work + "/out") and open(work + "/out").read() != text and "--overwrite" not in sys.argv:
    sys.exit("made otherwise: add --overwrite")
os.makedirs(work, exist_ok=True)
if not text:
    open(work + "/quarantine.jsonl", "w").write("in")
    print("quarantined: 1, see quarantine.jsonl")
open(work + "/out", "w").write(text)
"""
HIDES = GOES_ON.replace("print(", "str(")


def scene(program, left_out=lambda _: ""):
    return Scene(
        "toy",
        lambda _: None,
        lambda data, work: [sys.executable, "-c", program, str(data), str(work)],
        lambda work: (work / "out").read_text(),
        ("data/in",),
        left_out,
    )


def judged(program, blow, folder, seed=0, *, left_out=lambda _: ""):
    """(what was told, what was wrong) of one round."""
    (folder / "data").mkdir()
    (folder / "data" / "in").write_text("text")
    return faults._outcome(Round(scene(program, left_out), folder, random.Random(seed), 0.3), blow, "text")


@pytest.mark.parametrize("name", sorted(blows.BLOWS.keys() - {"two at once"}))
def test_what_loses_nothing_passes(name, tmp_path):
    told, fault = judged(GOOD, blows.BLOWS[name], tmp_path)
    assert fault == ""
    assert told == ("data/in cannot be read; put it back" if name.startswith("a file") else "")


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (LOSES, "another result than that of an undisturbed run"),
        (TRACES, "exit 1 with [0-9]+ lines: .*AssertionError"),
        (SILENT, "exit 1 with 0 lines"),
    ],
)
def test_what_loses_or_hides_a_cut_file_fails(program, fault, tmp_path):
    told, found = judged(program, blows.BLOWS["a file cut"], tmp_path)
    assert told == ""
    assert re.match(fault, found)


def test_a_half_written_result_that_is_taken_for_whole_fails(tmp_path):
    def strike(one):
        process = one.start()
        while not (one.folder / "work" / "out").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return []

    assert judged(HALF, Blow(strike), tmp_path) == ("", "another result than that of an undisturbed run")


def test_a_failure_is_one_line_and_an_exit_code_of_our_own():
    assert faults._fault_of(Ended(1, ["one line"])) == ""
    assert faults._fault_of(Ended(1, ["one", "two"])).startswith("exit 1 with 2 lines")
    assert faults._fault_of(Ended(-11, [])).startswith("exit -11 with 0 lines")


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        (GOES_ON, ("quarantined: 1, see quarantine.jsonl", "")),
        (HIDES, ("", "exit 1 after the remedy: made otherwise: add --overwrite")),
        (GOES_ON.replace("--overwrite", "--force"), ("", "exit 1 after the remedy: made otherwise: add --force")),
    ],
)
def test_what_goes_on_without_a_file_says_so_and_is_made_again_with_it(program, verdict, tmp_path):
    def strike(one):
        copy = (one.folder / "data" / "in").rename(one.folder / "copy")
        ended = one.run()
        copy.rename(one.folder / "data" / "in")
        return [ended]

    assert judged(program, Blow(strike), tmp_path, left_out=scenes._quarantined) == verdict


def test_the_commands_take_turns_and_no_fault_is_left_out():
    pairs = [(scene.name, kind) for scene, kind in faults.drawn(2)]
    names = [scene.name for scene in scenes.scenes()]
    assert [name for name, _ in pairs] == names * (len(pairs) // len(names))
    assert set(pairs) == set(itertools.product(names, [*blows.BLOWS, faults.FULL]))
    assert pairs == [(scene.name, kind) for scene, kind in faults.drawn(2)]
    assert pairs != [(scene.name, kind) for scene, kind in faults.drawn(3)]


def test_rounds_that_are_killed_leave_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "benchmarks.faults", "--only=pretraining", "--rounds=1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("faults-*/pretraining/err-*")):
        assert process.poll() is None
        time.sleep(0.05)
    assert using(tmp_path)
    process.terminate()
    assert process.wait(60)
    assert list(tmp_path.iterdir()) == []
    assert using(tmp_path) == []


def using(folder):
    """Command lines of processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if str(folder).encode() in line]
