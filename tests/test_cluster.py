"""tools/cluster: the runner of a cluster makes what this machine makes."""

import subprocess
import sys

import pytest

from ssl3d_tf.errors import InputError
from tests.test_to_tfrecord import command, contents, convert, make_scans
from tools import cluster


def made_by_beam(root, out, *options):
    given = command(f"--input={root}", f"--output={out}", "--records_per_shard=2", *options)
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=200)


def test_a_runner_makes_the_same_bytes(tmp_path):
    root = make_scans(tmp_path / "raw")
    (root / "images/bad.nii.gz").write_bytes((root / "images/c0.nii.gz").read_bytes()[:400])
    done = made_by_beam(root, tmp_path / "beam", "--runner=DirectRunner", "--runner_option=direct_num_workers=2")
    assert done.returncode == 0, done.stderr
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
    ("options", "message"),
    [
        (["--runner=NoRunner"], "--runner=NoRunner is none of Apache Beam's"),
        (["--runner=DirectRunner", "--workers=2"], "--workers is of this machine"),
        (["--runner_option=a=1"], "--runner_option is of a --runner"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, options, message):
    done = made_by_beam(make_scans(tmp_path / "raw", count=2), tmp_path / "out", *options)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
