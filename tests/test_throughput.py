import json
import subprocess
import sys

from ssl3d_tf import configuration

SMALL = ("VIEW_SIZE=16", "LEVELS=1", "FILTERS=4", "BATCH_SIZE=2")


def test_every_stage_is_measured_and_the_limit_named(tmp_path):
    out = tmp_path / "figures.json"
    script = str(configuration.ROOT / "benchmarks" / "throughput.py")
    options = ["--volumes=8", "--size=16", "--rounds=1", "--steps=1", f"--json={out}"]
    params = [f"--gin_param={param}" for param in SMALL]
    done = subprocess.run(
        [sys.executable, script, *options, *params], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["by index"]["volumes_per_s"] > 0
    assert set(figures["peak_memory_mb"]) == {"8 volumes", "80 volumes"}
    assert done.stdout.splitlines()[-1].startswith("What limits is")
    assert all(name in done.stdout for name in figures if name not in ("peak_memory_mb", "first_batch_s"))
