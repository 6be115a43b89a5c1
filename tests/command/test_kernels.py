"""Which kernels compute: oneDNN's everywhere, a user's own choice stands, and a run that changes them says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl3d_tf.command import kernels, run_folder

ROOT = Path(__file__).resolve().parents[2]
SHOW = "from ssl3d_tf.command import kernels; print(kernels.in_use(), kernels.opening())"


def shown(code, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TF_ENABLE", "ONEDNN"))}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    return run.stdout


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "oneDNN kernels (AVX2)\n"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "Eigen kernels (")],
)
def test_onednn_is_on_unless_the_user_turns_it_off(environment, expected):
    assert expected in shown(SHOW, **environment)


def test_a_run_that_goes_on_with_other_kernels_says_so(tmp_path, capsys):
    here = {"data": {"path": "data", "sha256": "0"}, "notes": {}}
    run_folder.claim(tmp_path / "run", "STEPS = 2", **here)
    path = tmp_path / "run" / run_folder.RECORD
    record = json.loads(path.read_text())
    assert record["kernels"] == kernels.in_use()
    (tmp_path / "run" / "checkpoints").mkdir()
    run_folder.claim(tmp_path / "run", "STEPS = 2", **here)
    assert not capsys.readouterr().out
    path.write_text(json.dumps(record | {"kernels": {"library": "Eigen", "instructions": "AVX"}}))
    run_folder.claim(tmp_path / "run", "STEPS = 2", **here)
    assert "ran with Eigen kernels (AVX), goes on with" in capsys.readouterr().out
    assert json.loads(path.read_text())["went_on_with"] == [kernels.in_use()]
    run_folder.claim(tmp_path / "run", "STEPS = 2", **here)
    assert not capsys.readouterr().out


def test_commands_and_benchmarks_import_the_package_before_tensorflow():
    """TensorFlow reads the switch when it is imported, and the package sets it when that is."""
    for path in [*(ROOT / "benchmarks").glob("*.py"), ROOT / "tests" / "conftest.py"]:
        text = path.read_text(encoding="utf-8")
        if "import tensorflow" in text and ('__name__ == "__main__"' in text or path.stem == "conftest"):
            assert text.index("from ssl3d_tf import") < text.index("import tensorflow"), path
