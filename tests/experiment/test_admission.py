"""What is said of an encoder before a finetuning experiment begins."""

import shutil

import pytest

from ssl3d_tf.command import run_folder
from ssl3d_tf.experiment import admission
from ssl3d_tf.training import checkpoints


@pytest.mark.parametrize(("more", "is_told"), [("", True), ("PATIENCE = 2\n", False)])  # which may have ended it
def test_a_run_that_was_stopped_is_no_pretrained_encoder_without_a_word(rotation, tmp_path, more, is_told):
    run = shutil.copytree(rotation, tmp_path / "run")
    assert admission.unfinished("it", run) == ""
    done, config = checkpoints.newest_step(run), run / run_folder.CONFIG
    config.write_text(
        config.read_text().replace(f"STEPS = {done}\n", "STEPS = 5000\n").replace("PATIENCE = None\n", more)
    )
    told = f"warning: encoder 'it' is of a run at step {done} of 5000: the command of {run} goes on."
    for folder in (run, run / "encoder"):
        assert admission.unfinished("it", folder) == (told if is_told else "")
    shutil.rmtree(run / checkpoints.FOLDER)  # the encoder is all that was taken along
    assert admission.unfinished("it", run) == ""
