"""What ends a run by itself, told in a line: numbers that are not finite, damaged records, too little memory."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files, service
from ssl3d_tf.data.folders import DataFolder, verify
from ssl3d_tf.data.service import Service
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import updates
from ssl3d_tf.training.run import Run
from ssl3d_tf.training.steps import Result
from ssl3d_tf.training.updates import variables_of


class NotFiniteError(InputError):
    """A loss or a gradient is no number any more."""


class Begun(NamedTuple):
    """A step whose numbers were not read yet: a device may still compute them.

    number: counted from 1. index, element: its batch. waited_s: for that batch.
    """

    number: int
    result: Result
    index: Any
    element: Any
    waited_s: float


def scores_of(step: Begun, run: Run) -> tuple[np.ndarray | None, bool]:
    """The step's scores, once it is computed, None where its loss is not finite, or nothing was asked; and whether it
    changed any weight.

    A loss can be finite where a gradient is not: oneDNN's ReLU of NaN is 0.

    Raises:
        NotFiniteError: loss or gradients are not finite: names the examples and where the largest numbers are.
    """
    scores, norms = step.result.scores.numpy(), step.result.gradient_norms.numpy()
    finite, finite_norms = np.isfinite(scores[0]), np.isfinite(norms).all()
    if finite and (finite_norms or updates.rescales(run.parts)):
        return None if len(scores) > 1 and np.isnan(scores[1:]).all() else scores, finite_norms
    if run.settings.update.on_nonfinite == "skip":
        return None, False
    ids = [run.train.ids[i] for i in np.ravel(tf.nest.flatten(step.index)[0])]
    # The norms are of the first part only while the encoder is frozen.
    sizes = dict(zip((v.path for v in variables_of(run.parts)), norms, strict=False))
    worst = sorted(sizes, key=lambda path: (np.isfinite(sizes[path]), -sizes[path]))[:3]
    inputs = run.train.to_views(step.element)[0]
    largest = np.max([np.max(np.abs(tensor)) for tensor in tf.nest.flatten(inputs)])  # of NumPy, NaN comes out
    fault = "a gradient is not finite" if np.isfinite(scores[0]) else f"the loss is {scores[0]}"
    raise NotFiniteError(
        f"{fault} at step {step.number}, batch {', '.join(ids)}: "
        f"largest input {largest:.4g}, largest gradients {', '.join(f'{path} {sizes[path]:.4g}' for path in worst)}; "
        "lower LEARNING_RATE, set CLIP_NORM, or ON_NONFINITE = 'skip'."
    )


@contextlib.contextmanager
def readable_errors(data: DataFolder, workdir: Path, services: Sequence[Service] = ()) -> Iterator[None]:
    """Turns what TensorFlow says of damaged records, lost services, a full disk and too little memory into a line.

    Raises:
        InputError: a damaged record, a service that is gone, or too little memory.
        OSError: the disk of `workdir` is full; says what is free.
    """
    try:
        yield
    except tf.errors.DataLossError:
        verify(data)  # names the file and the record
        raise
    except (tf.errors.OpError, MemoryError) as error:
        service.check(services)
        if files.is_full(error):
            raise files.full(workdir, error) from error
        if not isinstance(error, tf.errors.ResourceExhaustedError | MemoryError):
            raise
        raise InputError("out of memory: lower BATCH_SIZE, VIEW_SIZE or FILTERS, or raise ACCUMULATE.") from error
