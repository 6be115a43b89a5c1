"""What every command does with its flags."""

import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "flag"), [("ssl3d_tf.finetune", "data"), ("ssl3d_tf.report", "output"), ("tools.inspect_records", "png")]
)
def test_a_flag_given_twice_that_takes_one_value_is_refused(module, flag):
    command = [sys.executable, "-m", module, f"--{flag}=A", f"--{flag}=B"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"--{flag} is given 2 times, and takes one value: give it once.\n"


FILLS_A_DISK = """
import errno, sys
from absl import flags
from ssl3d_tf.command import cli
def main(argv):
    raise {error}
cli.run(main, lambda: flags.DEFINE_string("output", None, ""))
"""


def test_a_file_that_is_too_large_is_no_full_disk(tmp_path):
    program = FILLS_A_DISK.format(error="OSError(errno.EFBIG, 'File too large')")
    done = subprocess.run(
        [sys.executable, "-c", program, f"--output={tmp_path}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"a file in {tmp_path} would be larger than its disk, or `ulimit -f`, allows:")


@pytest.mark.parametrize(
    "error", ["OSError(errno.ENOSPC, '')", "OSError(errno.EDQUOT, '')", "RuntimeError('x/y; No space left on device')"]
)
def test_a_full_disk_is_named_with_what_is_free(error, tmp_path):
    command = [sys.executable, "-c", FILLS_A_DISK.format(error=error), f"--output={tmp_path / 'new' / 'folder'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        rf"the disk of {tmp_path} is full, [0-9.]+ MB are free: make room, and the same command goes on.\n", done.stderr
    )
