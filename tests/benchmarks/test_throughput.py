"""The benchmark runs and says what it should; what it measures is never asserted."""

import json
import subprocess
import sys
from types import SimpleNamespace

from absl import flags

from benchmarks import throughput, timing
from ssl3d_tf.command import configuration
from ssl3d_tf.data.folders import open_folder

SMALL = ("VIEW_SIZE=20", "LEVELS=1", "FILTERS=4", "BATCH_SIZE=2")
EPOCHS = "first epoch", "later epochs", "raw bytes, cold", "first epoch, cold", "later epochs, cold"
READING = "copy in memory", "raw bytes", "sequential", "records", *EPOCHS, "+ crop"
TASK = "jigsaw_3d"
TRAINING = "views, host", "views, device", "step, host", "step, device"


def test_every_stage_of_a_task_is_measured_and_the_limit_named(tmp_path):
    script, out = str(configuration.ROOT / "benchmarks" / "throughput.py"), tmp_path / "figures.json"
    options = ["--volumes=8", "--size=20", "--rounds=1", "--seconds=0.01", f"--json={out}"]
    options.append(f"--gin_file=gin/{TASK}.gin")
    command = [sys.executable, script, *options, *(f"--gin_param={param}" for param in SMALL)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    lines, figures = done.stdout.splitlines(), json.loads(out.read_text())
    assert tuple(figures["stages"]) == (*READING, *(f"{TASK}: {name}" for name in TRAINING))
    assert all(row["rate"] > 0 and row["cpu_s_per_volume"] >= 0 for row in figures["stages"].values())
    assert all(any(line.startswith(name) for line in lines) for name in figures["stages"])
    assert set(figures["peak_memory_mb"]) == {"8 volumes", "80 volumes"}
    assert lines[-1].startswith(f"{TASK}: what limits is ")


def test_without_a_gin_file_it_is_every_task_of_the_paper(volumes_3d, monkeypatch):
    data = open_folder(volumes_3d[0])
    monkeypatch.setattr(flags, "FLAGS", SimpleNamespace(gin_file=[], gin_param=SMALL))
    assert [(source.files, source.params) for source in throughput.sources(data)] == [
        ((f"gin/{task}_3d.gin",), SMALL) for task in ("cpc", "rotation", "rpl", "jigsaw", "exemplar")
    ]


def printed(script, folder, *options):
    command = [sys.executable, str(configuration.ROOT / "benchmarks" / script), "--rounds=1", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_scaling_has_sizes_numbers_batches_and_a_model(tmp_path):
    options = ["--size=16", "--size=20", "--volumes=16", "--times=2", "--batch=2", "--seconds=0.01"]
    lines = printed("scaling.py", tmp_path, *options)
    names = ("16³ ", "20³ ", "32 volumes of 20³", "batch 2 of 20³", "CPU ms per volume = ")
    assert [line[: len(name)] for line, name in zip(lines[1:], names, strict=True)] == list(names)


def test_conversion_is_compared_with_equal_work(tmp_path):
    lines = printed("conversion.py", tmp_path, "--volumes=2", "--few=2", "--many=8")
    assert [line.split("  ")[0] for line in lines[1:8]] == [
        "inflate: zlib",
        "inflate: ISA-L",
        "equal work: zlib",
        "equal work: ISA-L",
        "ISA-L, counted",
        "1 worker",
        "2 workers",
    ]
    assert lines[-1].startswith("2 workers / 1 worker: ")


def test_every_norm_is_compared_with_none(tmp_path):
    lines = printed("norm_step.py", tmp_path, "--filters=4", "--levels=1", "--size=16", "--batch=1")
    assert [line.split()[0] for line in lines[1:]] == ["none", "group", "instance", "batch"]
    assert lines[1].split()[2:] == ["1.00", "1.00–1.00"]


def test_a_pass_counts_every_volume_and_the_wait_for_the_first():
    cost = timing.once(iter("abcdef"), 4, count=3)
    assert cost.volumes == 12
    assert cost.waited_s == cost.wall_s > 0


def test_ratios_are_taken_round_by_round():
    table = {"one": timing.Summary((1.0, 20.0, 3.0), 0.0, 0.0), "other": timing.Summary((2.0, 20.0, 4.0), 0.0, 0.0)}
    assert timing.ratio(table, "one", "other") == (0.75, 0.5, 1.0)
