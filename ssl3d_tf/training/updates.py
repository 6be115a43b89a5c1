"""From gradients to an update: who is updated by which optimizer, how a batch is cut up, what is clipped."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Task


class Update(NamedTuple):
    """How gradients become an update.

    seed: of everything random inside the model. accumulate: micro-batches a batch is split into; a loss that compares
    the examples of a batch sees one micro-batch. clip_norm: largest L2 norm of each variable's gradient; clip_value:
    largest absolute value, applied after it. on_nonfinite: 'stop' ends a run whose loss is not finite, 'skip' leaves
    that batch out. frozen_steps: how long the encoder's weights, dropout and batch statistics stay as they are; None is
    throughout.
    """

    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    on_nonfinite: str = "stop"
    frozen_steps: int | None = 0


class Part(NamedTuple):
    """Variables of a model and the optimizer they have to themselves."""

    optimizer: keras.optimizers.Optimizer
    variables: Sequence[keras.Variable]


def variables_of(parts: Sequence[Part]) -> list[keras.Variable]:
    """All variables of all parts, in order: that of `steps.Result.gradient_norms`."""
    return [variable for part in parts for variable in part.variables]


def check_batch(batch_size: int, task: Task, update: Update, *, devices: int) -> None:
    """Raises InputError where a batch cannot be cut into micro-batches, or one is too small for the task's loss."""
    parts = update.accumulate * devices
    given = f"BATCH_SIZE is {batch_size}, on {devices} devices and with ACCUMULATE {update.accumulate}"
    if batch_size % parts:
        raise InputError(f"{given}; it must divide by their product, {parts}: change it.")
    at_once = batch_size // update.accumulate
    if at_once < task.smallest_batch:
        raise InputError(
            f"{given}; this task tells the examples of a batch apart and needs at least {task.smallest_batch} at once, "
            f"not {at_once}: raise it."
        )


def share_statistics(model: keras.Model, context: tf.distribute.ReplicaContext) -> None:
    """Gives every device the mean over all of what batch norms have counted, each of them its part of a batch.

    Without it each would go on with statistics of its own, of which only the first device's are kept.
    """
    counted = [each for each in model.variables if each.path.endswith(("moving_mean", "moving_variance"))]
    if not counted:
        return
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(each.value) for each in counted])
    for variable, mean in zip(counted, means, strict=True):
        variable.assign(mean)


def check(update: Update, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError where a value is none, or `strategy` cannot do it."""
    if update.on_nonfinite not in ("stop", "skip"):
        raise InputError(f"ON_NONFINITE is '{update.on_nonfinite}'; it must be 'stop' or 'skip'.")
    if update.on_nonfinite == "skip" and strategy.num_replicas_in_sync > 1:
        raise InputError("ON_NONFINITE = 'skip' works on one device only; with STRATEGY other than 'none' take 'stop'.")
    if update.accumulate < 1:
        raise InputError(f"ACCUMULATE is {update.accumulate}; it must be at least 1.")
    if update.frozen_steps is not None and update.frozen_steps < 0:
        raise InputError(f"frozen_steps is {update.frozen_steps}; it must be 0 or more, or None for throughout.")


def apply(
    parts: Sequence[Part], gradients: Sequence[tf.Tensor], update: Update, *, loss: tf.Tensor, replicas: int
) -> tf.Tensor:
    """Updates every part by its clipped gradients, unless a batch is to be left out; returns their unclipped norms.

    A loss-scale optimizer leaves a batch out itself, and lowers its scale: it is shown what is not finite, which
    clipping by value would hide.

    Args:
        gradients: unscaled, the mean over replicas, in the order of `variables_of`.
    """
    norms = tf.sqrt(2.0 * tf.stack([tf.nn.l2_loss(gradient) for gradient in gradients]))  # in one pass, without a copy
    clipped, finite = clip(gradients, update), tf.reduce_all(tf.math.is_finite(norms))
    if update.on_nonfinite == "skip":
        finite &= tf.math.is_finite(loss)
    if rescales(parts):
        _apply(parts, clipped, tf.where(finite, 1.0, np.nan) / replicas)
    elif update.on_nonfinite == "skip":
        tf.cond(finite, lambda: _apply(parts, clipped, 1.0 / replicas), lambda: None)
    else:
        _apply(parts, clipped, 1.0 / replicas)
    return norms


def rescales(parts: Sequence[Part]) -> bool:
    """Whether the optimizers scale their losses, as in float16, and leave out what is not finite themselves."""
    return isinstance(parts[0].optimizer, keras.optimizers.LossScaleOptimizer)


def clip(gradients: Sequence[tf.Tensor], update: Update) -> list[tf.Tensor]:
    """Gradients by norm and then by value, as far as `update` asks for it."""
    clipped = list(gradients)
    if update.clip_norm is not None:
        clipped = [tf.clip_by_norm(gradient, update.clip_norm) for gradient in clipped]
    if update.clip_value is not None:
        clipped = [tf.clip_by_value(gradient, -update.clip_value, update.clip_value) for gradient in clipped]
    return clipped


def loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
    """What the optimizer multiplies a loss by; 1 but in float16."""
    return optimizer.scale_loss(tf.constant(1.0))


def _apply(parts: Sequence[Part], gradients: Sequence[tf.Tensor], factor: tf.Tensor | float) -> None:
    """Updates every part; Keras' apply divides by the loss scale and sums over replicas, which is undone before."""
    left = list(gradients)
    for optimizer, variables in parts:
        own, left = left[: len(variables)], left[len(variables) :]
        scale = loss_scale(optimizer) * factor
        optimizer.apply([gradient * scale for gradient in own], variables)
