"""The state of a run on disk, to go on exactly where it stopped."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.training import literal
from ssl3d_tf.training.updates import Part

FOLDER, _LIST = "checkpoints", "checkpoint"
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"  # of a variable in a checkpoint
_DAMAGE = (tf.errors.OpError, IndexError, RuntimeError)  # what TensorFlow says of files that are cut


class Progress(NamedTuple):
    """The part of a run's state that is neither weights nor optimizer; all variables.

    step: steps done. tally: `journal.Window.tally`, of the steps since the last log line.
    best: lowest validation loss so far, or −1 × the best of a probe. best_step: its step.
    """

    step: tf.Variable
    tally: tf.Variable
    best: tf.Variable
    best_step: tf.Variable


def progress(scores: int) -> Progress:
    """The progress of a run that has not begun."""
    return Progress(
        step=tf.Variable(0, dtype=tf.int64, trainable=False),
        tally=tf.Variable(np.zeros(2 + scores), dtype=tf.float64, trainable=False),
        best=tf.Variable(np.inf, dtype=tf.float64, trainable=False),
        best_step=tf.Variable(0, dtype=tf.int64, trainable=False),
    )


def manager(folder: Path, model: keras.Model, parts: Sequence[Part], progress: Progress) -> tf.train.CheckpointManager:
    """The checkpoints of a run; the two newest are kept, so that one is whole whenever the process dies."""
    for part in parts:
        part.optimizer.build(part.variables)  # before restoring, or its slots would be restored to nothing
    optimizers = [part.optimizer for part in parts]
    checkpoint = tf.train.Checkpoint(model=model, optimizers=optimizers, **progress._asdict())
    where = literal.folder(folder) / FOLDER
    try:
        return tf.train.CheckpointManager(checkpoint, str(where), max_to_keep=2)
    except (ValueError, IndexError):  # its list of them is cut; `restore` goes by the files
        (where / _LIST).unlink()
        return tf.train.CheckpointManager(checkpoint, str(where), max_to_keep=2)


def restore(manager: tf.train.CheckpointManager, workdir: Path) -> bool:
    """Restores the newest checkpoint of `workdir` that is whole, every value of it; returns whether there was one.

    Raises:
        InputError: all are damaged, or the newest does not fit the model.
    """
    return _newest_whole(workdir, lambda path: _restore(manager, path)) is not None


def restore_model(workdir: Path, model: keras.Model) -> Path:
    """Sets every weight of `model` from the newest whole checkpoint of the run in `workdir`; returns which that is.

    Raises:
        InputError: there is none, or a weight has no value in it, or one of another shape.
    """

    def read(path: Path) -> None:
        try:
            status = tf.train.Checkpoint(model=model).restore(_named(path))
            status.expect_partial().assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            raise InputError(f"checkpoint {path} does not fit this model ({_first_line(error)}).") from error

    path = _newest_whole(workdir, read)
    if path is None:
        raise InputError(f"{workdir} has no checkpoint; give a run of ssl3d_tf.train that has saved one.")
    return path


def newest_step(workdir: Path) -> int:
    """Of the newest checkpoint; 0 without any."""
    return max(map(_number, (workdir / FOLDER).glob("ckpt-*.index")), default=0)


def best_step(workdir: Path) -> int:
    """`Progress.best_step` of the newest whole checkpoint; 0 without any."""
    found = [0]

    def read(path: Path) -> None:
        found.append(int(tf.train.load_checkpoint(_named(path)).get_tensor(f"best_step/{_VALUE}")))

    _newest_whole(workdir, read)
    return found[-1]


def _newest_whole(workdir: Path, read: Callable[[Path], None]) -> Path | None:
    """The newest checkpoint that `read` reads; None where there are none."""
    folder, faults = workdir / FOLDER, []
    for path in sorted(folder.glob("ckpt-*.index"), key=_number, reverse=True):
        try:
            read(path.with_suffix(""))
        except _DAMAGE as error:
            faults.append(f"checkpoint {path.with_suffix('')} cannot be read ({_first_line(error)})")
            continue
        if faults:
            print(f"{'; '.join(faults)}: goes on from {path.stem}, the newest whole one.", flush=True)
        return path.with_suffix("")
    if faults or any(True for _ in folder.glob("ckpt-*")):
        what = "; ".join(faults) or f"{folder} has checkpoints without their .index"
        raise InputError(f"{what}; no older one is whole: put a copy back, or remove {folder} to begin anew.")
    return None


def _restore(manager: tf.train.CheckpointManager, path: Path) -> None:
    try:
        status = manager.checkpoint.restore(_named(path))
        status.expect_partial()  # what is left over is told below, once, and not again at exit
        status.assert_consumed().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        reason = _first_line(error)
        raise InputError(f"checkpoint {path} does not fit this model ({reason}); take another --workdir.") from error


def _named(path: Path) -> str:
    """A checkpoint as TensorFlow finds it, whatever its folders are called."""
    return str(literal.folder(path.parents[1]) / FOLDER / path.name)


def _number(path: Path) -> int:
    """Of ckpt-NUMBER.index, which is that of its step."""
    number = path.stem.partition("-")[2]
    return int(number) if number.isdecimal() else -1


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def averaged_weights(parts: Sequence[Part]) -> Iterator[None]:
    """Inside, the model has the moving average of its weights, where the optimizers keep one (`use_ema`)."""
    averaging = [part for part in parts if getattr(part.optimizer, "use_ema", False)]
    current = [[tf.convert_to_tensor(v.value).numpy() for v in part.variables] for part in averaging]
    for part in averaging:
        part.optimizer.finalize_variable_values(part.variables)
    try:
        yield
    finally:
        for part, values in zip(averaging, current, strict=True):
            for variable, value in zip(part.variables, values, strict=True):
                variable.assign(value)
