"""What every command does with its flags."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "flag"), [("ssl3d_tf.train", "data"), ("ssl3d_tf.report", "output"), ("tools.inspect_records", "png")]
)
def test_a_flag_given_twice_that_takes_one_value_is_refused(module, flag):
    command = [sys.executable, "-m", module, f"--{flag}=A", f"--{flag}=B"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"--{flag} is given 2 times, and takes one value: give it once.\n"
