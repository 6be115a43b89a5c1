"""The command as a user runs it: real processes, data sets, networks, kills, and mistakes."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl import app, flags

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from tests.conftest import make_folder

ROOT = configuration.ROOT
SMALL = {2: ("VIEW_SIZE=40",), 3: ("VIEW_SIZE=33",)}
TINY = ("STEPS=2", "BATCH_SIZE=2", "FILTERS=4", "LEVELS=2")
SMALLEST = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=16")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """rank -> data folder of 6 training and 2 validation examples."""
    root = tmp_path_factory.mktemp("train")
    for rank, shape in ((2, (40, 44)), (3, (33, 34, 35))):
        make_folder(root / str(rank), counts={"train": 6, "val": 2}, shapes=[shape])
    return {rank: root / str(rank) for rank in (2, 3)}


def pretrain(gin_file, folder, workdir, *params):
    return train.pretrain(configuration.Sources((str(gin_file),), params), folder, workdir)


def command(folder, workdir, *params):
    options = ["--gin_file=gin/rotation_3d.gin", f"--workdir={workdir}", *(f"--gin_param={param}" for param in params)]
    return [sys.executable, "-m", "ssl3d_tf.train", f"--data={folder}", *options]


def run(arguments):
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line.get("loss"), line.get("val_loss")) for line in lines]


def final_weights(workdir):
    (path,) = (workdir / "encoder").glob("weights-*.npz")
    return dict(np.load(path))


@pytest.mark.parametrize(
    ("name", "rank", "sizes"),
    [
        ("kaggle_retina", 2, (*SMALLEST[:1], "applications.encoder.name='ResNet50'")),  # not DenseNet121, for its size
        ("brats", 3, SMALLEST[:3]),
    ],
)
def test_a_data_set_file_behind_a_task_trains_its_channels_and_encoder(name, rank, sizes, tmp_path):
    side, channels = {2: (32, 3), 3: (16, 4)}[rank]
    make_folder(tmp_path / "data", counts={"train": 4, "val": 2}, shapes=[(side,) * rank], channels=channels)
    files = (f"gin/rotation_{rank}d.gin", f"gin/datasets/{name}.gin")
    params = (*sizes, f"VIEW_SIZE={side}", "STEPS=1", "EVAL_EVERY=1")
    scores = train.pretrain(configuration.Sources(files, params), tmp_path / "data", tmp_path / "run")
    assert np.isfinite(scores["val_loss"])
    contract = json.loads((tmp_path / "run" / "encoder" / "contract.json").read_text())
    assert contract["architecture"]["config"]["name"] == {2: "resnet50", 3: "unet_3d"}[rank]


def test_a_resnet_in_place_of_the_unet(folders, tmp_path):
    choice = ("VIEW_SIZE=24", "ENCODER=@resnet.encoder", "resnet.encoder.stem='small'")
    scores = pretrain("gin/rpl_2d.gin", folders[2], tmp_path / "run", *TINY[:3], *choice)
    assert np.isfinite(scores["val_loss"])
    with pytest.raises(InputError, match="the configuration sets LEVELS, which this run does not use; remove it"):
        pretrain("gin/rpl_2d.gin", folders[2], tmp_path / "other", *TINY, *choice)


def test_sigkill_at_a_random_moment_and_a_new_start_change_nothing(folders, tmp_path):
    params = (
        *(*SMALLEST, "STEPS=24", "WARMUP_STEPS=2", "DROPOUT=0.3"),
        *("LOG_EVERY=2", "EVAL_EVERY=6", "SAVE_EVERY=4"),
    )
    pretrain("gin/rotation_3d.gin", folders[3], tmp_path / "whole", *params)
    process = subprocess.Popen(
        command(folders[3], tmp_path / "cut", *params), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_line(tmp_path / "cut" / "metrics.jsonl", number=random.randint(1, 10))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = run(command(folders[3], tmp_path / "cut", *params))
    assert again.returncode == 0, again.stderr
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    expected, found = final_weights(tmp_path / "whole"), final_weights(tmp_path / "cut")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_sigterm_exits_0_and_says_how_to_go_on(folders, tmp_path):
    params = ("STEPS=100000", *SMALLEST, "LOG_EVERY=1", "SAVE_EVERY=100000", "EVAL_EVERY=100000")
    process = subprocess.Popen(
        command(folders[3], tmp_path / "run", *params),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_line(tmp_path / "run" / "metrics.jsonl", number=1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "SIGTERM: stopped after step" in output
    assert output.splitlines()[-1] == (
        f"{tmp_path / 'run'}: stopped before its end, no encoder yet, as nothing was evaluated; exit code 0 says that "
        "it is saved: give the same command again, before any that needs its result."
    )
    assert list((tmp_path / "run" / "checkpoints").glob("ckpt-*.index"))


def test_without_data_it_trains_on_phantoms_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = ("PHANTOMS=8", "PHANTOM_SIZE=16")
    pretrain("gin/rotation_2d.gin", None, tmp_path / "run", *SMALLEST, *sizes, "STEPS=1")
    assert capsys.readouterr().out.startswith("no --data: training on 8 phantoms of 16 × 16 voxels")


def test_a_mistake_is_one_line_and_an_exit_code(tmp_path):
    done = run(command("nowhere", tmp_path / "run"))
    assert done.returncode == 1
    assert "nowhere holds no manifest.json" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "--gin_file is missing"), (["extra"], "unknown argument 'extra'")]
)
def test_wrong_use_is_told_before_anything_is_read(arguments, message, monkeypatch):
    monkeypatch.setattr(flags, "FLAGS", SimpleNamespace(gin_file=[]))
    with pytest.raises(app.UsageError, match=message):
        train.main(["train", *arguments])


@pytest.mark.parametrize(
    ("gin_file", "rank", "params", "message"),
    [
        ("gin/rotation_2d.gin", 3, (), "3D, the configuration 2D"),
        ("gin/rotation_3d.gin", 3, ("CHANNELS=2",), "1 channels, CHANNELS is 2"),
        ("gin/cpc_3d.gin", 3, ("STEPSS=3",), r"did you mean STEPS\?"),
        ("gin/rotation_3d.gin", 3, ("BATCH_SIZE=7",), "BATCH_SIZE 7 exceeds the 6 examples"),
        ("gin/cpc_3d.gin", 3, ("VIEW_SIZE=16",), "input 4×4×4 is smaller than 8 per axis"),
        ("gin/cpc_3d.gin", 3, ("PATCHES_PER_SIDE=3",), "PATCHES_PER_SIDE is 3; CPC needs at least 4"),
        ("gin/cpc_3d.gin", 3, ("BATCH_SIZE=1",), "needs at least 2 at once, not 1: raise it"),
        ("gin/exemplar_3d.gin", 3, ("ACCUMULATE=2",), "needs at least 2 at once, not 1: raise it"),
        ("gin/rpl_3d.gin", 3, ("PATCHES_PER_SIDE=4",), "only an odd number from 3 has a middle"),
        ("gin/jigsaw_3d.gin", 3, ("PATCHES_PER_SIDE=5", "PERMUTATIONS=2"), "input 5×5×5 is smaller than 8 per axis"),
        ("gin/rotation_3d.gin", 3, ("NORM='bach'",), "bach"),
        ("gin/rotation_3d.gin", 3, ("VIEWS_ON='gpu'",), "VIEWS_ON is 'gpu'"),
        ("gin/rotation_3d.gin", 3, ("LEVELS=6",), "input 33×33×33 is smaller than 128 per axis"),
        ("gin/rotation_3d.gin", 3, ("ACCUMULATE=3",), "must divide by their product, 3"),
        (
            "gin/rotation_3d.gin",
            3,
            ("ENCODER=@applications.encoder",),
            "is 3D, encoder 'densenet121' is 2D.*set ENCODER",
        ),
        ("gin/cpc_3d.gin", 3, ("unet.encoder.rank=2",), "is 3D, encoder 'unet_2d' is 2D.*set ENCODER"),
        (
            "gin/rpl_2d.gin",
            2,
            ("ENCODER=@resnet.encoder", "resnet.encoder.rank=3"),
            "is 2D, encoder 'resnet18_3d' is 3D",
        ),
        ("gin/base.gin", 3, (), "gin/base.gin sets no task"),
        ("gin/finetune/segmentation_3d.gin", 3, (), "downstream task: run it with python -m ssl3d_tf.finetune"),
        ("gin/rotation_3d.gin", 3, ("PRECISION='mixed_bfloat16'",), "needs a GPU"),
    ],
)
def test_what_does_not_fit_the_data_is_one_clear_error(gin_file, rank, params, message, folders, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        pretrain(gin_file, folders[rank], tmp_path / "run", *TINY, *SMALL[rank], *params)
    assert re.search(message, str(caught.value).splitlines()[0])  # what the command line shows
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("name", ["train-1", "val-1"])
def test_a_damaged_shard_is_named_before_the_first_step_is_done(name, tmp_path):
    make_folder(tmp_path / "data", counts={"train": 4, "val": 4}, shapes=[(16, 16, 16)])
    shard = tmp_path / "data" / f"{name}.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) - 100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=rf"record (1|at byte \d+) of .*{name}\.tfrecord is damaged"):
        pretrain("gin/rotation_3d.gin", tmp_path / "data", tmp_path / "run", *TINY, "VIEW_SIZE=16", "LEVELS=1")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_failed_start_leaves_the_workdir_free_for_the_next(folders, tmp_path):
    with pytest.raises(InputError, match="CHANNELS is 3"):
        pretrain("gin/rotation_3d.gin", folders[3], tmp_path / "run", *TINY, "VIEW_SIZE=32", "CHANNELS=3")
    assert not (tmp_path / "run").exists()


def test_a_folder_with_other_files_is_no_workdir(folders, tmp_path):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(InputError, match="holds other files"):
        pretrain("gin/rotation_3d.gin", folders[3], tmp_path, *TINY, "VIEW_SIZE=32")


def wait_for_line(path: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.exists() and len(path.read_text().splitlines()) >= number:
            return
        os.sched_yield()
    raise TimeoutError(path)
