"""--extend: a run goes on for more steps than it was begun for, and what it has done so far stays what it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import checkpoints
from ssl3d_tf.training.run import Settings
from ssl3d_tf.training.schedules import Schedule

MAY_CHANGE = ("STEPS", "RESTARTS", "LOG_EVERY", "EVAL_EVERY", "SAVE_EVERY", "PATIENCE")


class Earlier(NamedTuple):
    """What a run was configured to before. restarts: its RESTARTS."""

    settings: Settings
    restarts: tuple[int, ...]


def earlier(workdir: Path, imports: Sequence[str]) -> Earlier:
    """What the run in `workdir` is configured to so far; loads that configuration, in place of any other.

    Raises:
        InputError: there is no run with a checkpoint.
    """
    run_folder.trained(workdir)
    configuration.load(configuration.Sources((str(workdir / run_folder.CONFIG),), (), tuple(imports)))
    return Earlier(configuration.make(Settings), tuple(configuration.macro("RESTARTS", ())))


def check(workdir: Path, before: Earlier, now: Settings) -> None:
    """Finds that the run in `workdir` would have come to where it is with the settings `now`, too.

    Raises:
        InputError: fewer steps than before, or another learning rate in a step that is done.
    """
    was, done = before.settings, checkpoints.newest_step(workdir)
    if now.steps < was.steps:
        raise InputError(
            f"--extend: STEPS {now.steps} is less than the {was.steps} of {workdir}; give as many or more."
        )
    step = first_difference(was.schedule, now.schedule, done)
    if step is None:
        return
    rates = " then, ".join(
        f"{float(schedule(tf.constant(step, tf.int64))):.4g}" for schedule in (was.schedule, now.schedule)
    )
    restarts = ", ".join(map(str, (*before.restarts, was.steps)))
    remedy = (
        f'--gin_param="RESTARTS=({restarts},)" keeps the schedule of the first {was.steps} and begins it anew there'
    )
    raise InputError(
        f"--extend: step {step + 1} of the {done} that {workdir} has done would have had another learning rate "
        f"({rates} now): {remedy}."
    )


def first_difference(before: Schedule, now: Schedule, steps: int) -> int | None:
    """The first of that many steps, counted from 0, at which two schedules differ."""

    @tf.function(autograph=False)
    def differs(numbers: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda step: tf.not_equal(before(step), now(step)), numbers, fn_output_signature=tf.bool)

    found = tf.where(differs(tf.range(steps, dtype=tf.int64)))
    return int(found[0, 0]) if len(found) else None
