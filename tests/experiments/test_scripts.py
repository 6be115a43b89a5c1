"""The scripts as the list of commands that they are: fair to every arm, without a misspelt knob, and gone on with."""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from ssl3d_tf.command import configuration

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("acdc", "lidc", "hippocampus")
RECORDER = '#!/usr/bin/env bash\nprintf "%q " "$@" >>"$COMMANDS"\necho >>"$COMMANDS"\n'  # in the place of Python


def run(name, *arguments, tmp_path, python=RECORDER, **variables):
    """The script with a Python that only notes what it is asked for."""
    recorder = tmp_path / "python"
    recorder.write_text(python)
    recorder.chmod(0o755)
    paths = {"PYTHON": str(recorder), "COMMANDS": str(tmp_path / "commands")}
    script = ["bash", str(ROOT / "experiments" / f"{name}.sh"), *map(str, arguments)]

    def as_on_a_screen():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background, as tests may, begins without Ctrl-C

    options = {"env": os.environ | paths | variables, "preexec_fn": as_on_a_screen}
    return subprocess.run(script, capture_output=True, text=True, check=False, **options)


def value(command, flag, default=None):
    """What is last said by `--flag=…`, or by `--gin_param=FLAG=…` of a knob."""
    start = f"--gin_param={flag}=" if flag.isupper() else f"--{flag}="
    return next((word.removeprefix(start) for word in reversed(command) if word.startswith(start)), default)


@pytest.fixture(scope="module", params=SCRIPTS)
def commands(request, tmp_path_factory):
    """{'train': [words of each command], 'finetune': …, 'report': …} of 30 steps."""
    tmp_path = tmp_path_factory.mktemp(request.param)
    raw = tmp_path / "raw"
    (raw / "images").mkdir(parents=True)
    for patient in range(1, 21):
        (raw / "images" / f"patient{patient:03d}_frame01.nii.gz").touch()
        (raw / "images" / f"patient{patient:03d}_frame02.nii.gz").touch()
    done = run(request.param, raw, tmp_path / "out", "--gin_param=FILTERS=2", tmp_path=tmp_path, STEPS="30")
    assert done.returncode == 0, done.stderr
    lines = [shlex.split(line) for line in (tmp_path / "commands").read_text().splitlines()]
    found = {"out": tmp_path / "out"}
    for line in lines:
        assert line[0] == "-m"
        found.setdefault(line[1].rsplit(".", 1)[-1], []).append(line[2:])
    return found


def test_every_pretraining_run_has_as_many_updates_of_as_many_examples(commands):
    for flag in ("STEPS", "BATCH_SIZE", "FILTERS", "LEVELS", "data"):
        assert len({value(command, flag) for command in commands["train"]}) == 1, flag
    assert {value(command, "STEPS") for command in commands["train"]} == {"30"}


def test_every_arm_is_finetuned_alike_but_for_what_is_taken_over(commands):
    compared = [command for command in commands["finetune"] if "old" not in value(command, "workdir")]
    names = ("CASES", "FRACTIONS", "PEAKS", "STEPS", "BATCH_SIZE", "REPETITIONS", "SCORES", "FLIP_P", "LEARNING_RATE")
    for flag in (*names, "WARMUP_STEPS", "RAMP_STEPS", "SEED", "VIEW_SIZE", "LEVELS", "EVAL_EVERY", "data"):
        assert len({value(command, flag) for command in compared}) == 1, flag
    assert sum("'random'" in value(command, "ARMS") for command in compared) == 1


def test_every_encoder_was_pretrained_and_every_table_is_in_the_report(commands):
    made = {value(command, "workdir") for command in commands["train"]}
    used = {word.removeprefix("--encoder=") for line in commands["finetune"] for word in line if "--encoder=" in word}
    assert used == made
    reported = {word for command in commands["report"] for word in command if not word.startswith("--")}
    tables = {value(command, "workdir") for command in commands["finetune"]}
    assert {table for table in tables if not table.endswith("/old")} <= reported <= tables


def test_every_knob_is_one(commands):
    for command in [*commands["train"], *commands["finetune"]]:
        params = tuple(word.removeprefix("--gin_param=") for word in command if word.startswith("--gin_param="))
        configuration.load(configuration.Sources((value(command, "gin_file"),), params, ()))


def test_patients_of_acdc_are_split_whole_in_five_one_and_four_of_ten(tmp_path):
    (tmp_path / "raw" / "images").mkdir(parents=True)
    for patient in range(1, 61):
        for frame in (1, 2):
            (tmp_path / "raw" / "images" / f"patient{patient:03d}_frame0{frame}.nii.gz").touch()
    assert run("acdc", tmp_path / "raw", tmp_path / "out", tmp_path=tmp_path).returncode == 0
    head, *rows = (tmp_path / "out" / "cases" / "cases.csv").read_text().splitlines()
    assert head == "path,mask,patient,split"
    split = {}
    for path, mask, patient, name in (row.split(",") for row in rows):
        assert re.search(rf"/images/{patient}_frame0[12].nii.gz$", path)
        assert mask == path.replace("/images/", "/masks/")
        assert split.setdefault(patient, name) == name
    counts = {name: list(split.values()).count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 30, "val": 6, "test": 24}


def test_without_data_the_script_says_how_it_is_called(tmp_path):
    done = run("acdc", tmp_path / "nowhere", tmp_path / "out", tmp_path=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: [STEPS=5000] bash ")
    assert not (tmp_path / "out").exists()


def test_a_command_that_fails_ends_the_script(tmp_path):
    (tmp_path / "raw" / "images").mkdir(parents=True)
    (tmp_path / "raw" / "images" / "patient001_frame01.nii.gz").touch()
    failing = {"PYTHON": "false", "COMMANDS": str(tmp_path / "commands")}
    script = ["bash", str(ROOT / "experiments" / "acdc.sh"), str(tmp_path / "raw"), str(tmp_path / "out")]
    assert subprocess.run(script, env=os.environ | failing, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_stopped_command_ends_the_script_though_it_ends_well_itself(name, tmp_path):
    (tmp_path / "raw").mkdir()
    stops = f"{RECORDER}[[ $2 != ssl3d_tf.train ]] || kill -{name} $PPID\n"
    done = run("hippocampus", tmp_path / "raw", tmp_path / "out", tmp_path=tmp_path, python=stops)
    assert (done.returncode, done.stderr) == (130, "stopped: the same line goes on.\n")
    assert [line.split()[1] for line in (tmp_path / "commands").read_text().splitlines()] == [
        "tools.to_tfrecord",
        "ssl3d_tf.train",
    ]
