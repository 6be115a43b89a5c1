"""tools/conversion/cluster: the runner of a cluster makes what this machine makes."""

import subprocess
from pathlib import Path

import pytest

from tests.tools.converting import command, contents, make_scans


def made_by_beam(root, out, *options):
    given = command(f"--input={root}", f"--output={out}", "--records_per_shard=2", *options)
    root = Path(__file__).parents[2]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=200, cwd=root)


def test_a_runner_makes_the_same_bytes(tmp_path):
    root = make_scans(tmp_path / "raw")
    (root / "images/bad.nii.gz").write_bytes((root / "images/c0.nii.gz").read_bytes()[:400])
    threads = ("direct_num_workers=2", "direct_running_mode=multi_threading")
    options = [f"--runner_option={option}" for option in threads]
    done = made_by_beam(root, tmp_path / "beam", "--runner=DirectRunner", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "DirectRunner makes" in done.stdout
    assert made_by_beam(root, tmp_path / "here", "--workers=1").returncode == 0
    assert contents(tmp_path / "beam") == contents(tmp_path / "here")
    assert "bad.nii.gz" in (tmp_path / "beam/quarantine.jsonl").read_text()


def test_what_a_file_lacks_is_told_in_a_line_with_strict(tmp_path):
    root = make_scans(tmp_path / "raw", count=2)
    path = root / "images/c0.nii.gz"
    path.write_bytes(path.read_bytes()[:-20])  # its header is whole
    done = made_by_beam(root, tmp_path / "out", "--runner=DirectRunner", "--strict")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "--strict: images/c0.nii.gz: " in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("runner", "message"),
    [("Failing", "Failing failed (no machine has room); mend that"), ("Elsewhere", "as this machine sees it; choose")],
)
def test_what_goes_wrong_on_a_cluster_is_told_and_keeps_what_is_there(tmp_path, runner, message):
    root = make_scans(tmp_path / "raw", count=2)
    done = made_by_beam(root, tmp_path / "out", f"--runner=tests.tools.beam_runners.{runner}")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert message in done.stderr
    assert (tmp_path / "out/.progress/recipe.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runner=NoRunner"], "--runner=NoRunner is no runner of Apache Beam"),
        (["--runner=DirectRunner", "--runner_option=direct_num_wokers=2"], "near are direct_num_workers"),
        (["--runner=DirectRunner", "--runner_option=direct_num_workers=x"], "invalid int value: 'x'"),
        (["--runner=DirectRunner", "--workers=2"], "--workers is of this machine"),
        (["--runner_option=a=1"], "--runner_option is of a --runner"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, options, message):
    done = made_by_beam(make_scans(tmp_path / "raw", count=2), tmp_path / "out", *options)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
