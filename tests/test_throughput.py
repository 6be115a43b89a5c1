"""The benchmark runs and says what it should; what it measures is never asserted."""

import json
import subprocess
import sys

from benchmarks import timing
from ssl3d_tf import configuration

SMALL = ("VIEW_SIZE=16", "LEVELS=1", "FILTERS=4", "BATCH_SIZE=2")
STAGES = "raw bytes", "sequential", "by index", "+ crop", "+ views on host"
STEPS = "+ step, views on host", "+ step, views on device"


def test_every_stage_is_measured_and_the_limit_named(tmp_path):
    out = tmp_path / "figures.json"
    script = str(configuration.ROOT / "benchmarks" / "throughput.py")
    options = ["--volumes=8", "--size=20", "--rounds=1", "--seconds=0.01", f"--json={out}"]
    params = [f"--gin_param={param}" for param in SMALL]
    command = [sys.executable, script, *options, *params]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines, figures = done.stdout.splitlines(), json.loads(out.read_text())
    assert tuple(figures["stages"]) == (*STAGES, *STEPS)
    assert all(row["rate"] > 0 and row["cpu_s_per_volume"] >= 0 for row in figures["stages"].values())
    assert all(any(line.startswith(name) for line in lines) for name in figures["stages"])
    assert set(figures["peak_memory_mb"]) == {"8 volumes", "80 volumes"}
    assert lines[-1].startswith("What limits is")


def test_ratios_are_taken_round_by_round():
    table = {"one": timing.Summary((1.0, 20.0, 3.0), 0.0, 0.0), "other": timing.Summary((2.0, 20.0, 4.0), 0.0, 0.0)}
    assert timing.ratio(table, "one", "other") == (0.75, 0.5, 1.0)
