"""The judge of the fault rounds, on commands of a line: what loses or hides anything is found, what does not is not."""

import random
import re
import signal
import sys
import time

import pytest

from benchmarks.faults import __main__ as faults
from benchmarks.faults import blows
from benchmarks.faults.blows import Blow, Ended, Round
from benchmarks.faults.scenes import Scene

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


def scene(program):
    return Scene(
        "toy",
        lambda data, work: [sys.executable, "-c", program, str(data), str(work)],
        lambda work: (work / "out").read_text(),
        ("data/in",),
    )


def judged(program, blow, folder, seed=0):
    """(what was told, what was wrong) of one round."""
    (folder / "data").mkdir()
    (folder / "data" / "in").write_text("text")
    return faults._outcome(Round(scene(program), folder, random.Random(seed), 0.3), blow, "text")


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
