"""Learning-rate schedules: pure functions of the step, so that a restart needs no state."""

import math
from collections.abc import Callable

import tensorflow as tf

from ssl3d_tf.errors import InputError

Schedule = Callable[[tf.Tensor | int], tf.Tensor]  # int64 step, from 0 -> float32 scalar


def constant(value: float) -> Schedule:
    """The same rate at every step."""
    return lambda step: tf.constant(value, tf.float32)


def warmup_cosine(peak: float, warmup_steps: int, total_steps: int, *, floor: float = 0.0) -> Schedule:
    """Linear from 0 to `peak` in `warmup_steps`, then half a cosine to `floor` at `total_steps`, and `floor` after.

    rate = floor + (peak − floor) × (1 + cos(π × (step − warmup) / (total − warmup))) / 2
    (Loshchilov and Hutter, 2017, arXiv:1608.03983; warm-up: Goyal et al., 2017, arXiv:1706.02677).

    Raises:
        InputError: the warm-up is not shorter than the run.
    """
    _check(warmup_steps, total_steps)

    def schedule(step: tf.Tensor | int) -> tf.Tensor:
        rest = _share(step, warmup_steps, total_steps)
        cosine = floor + (peak - floor) * (1.0 + tf.cos(math.pi * rest)) / 2.0
        return tf.minimum(cosine, peak * _share(step, 0, warmup_steps))

    return schedule


def warmup_poly(
    peak: float, warmup_steps: int, total_steps: int, *, floor: float = 0.0, power: float = 1.0
) -> Schedule:
    """As `warmup_cosine`, but falling as (1 − (step − warmup) / (total − warmup)) to the power `power`.

    Raises:
        InputError: the warm-up is not shorter than the run.
    """
    _check(warmup_steps, total_steps)

    def schedule(step: tf.Tensor | int) -> tf.Tensor:
        rest = _share(step, warmup_steps, total_steps)
        return tf.minimum(floor + (peak - floor) * (1.0 - rest) ** power, peak * _share(step, 0, warmup_steps))

    return schedule


def _share(step: tf.Tensor | int, first: int, last: int) -> tf.Tensor:
    """How much of first..last is over at `step`, in [0, 1]; 1 where the span is empty."""
    # Subtracting in int64 first keeps large steps exact.
    done = tf.cast(tf.cast(step, tf.int64) - first, tf.float32) / max(last - first, 1)
    return tf.clip_by_value(done, 0.0, 1.0) if last > first else tf.ones_like(done)


def _check(warmup_steps: int, total_steps: int) -> None:
    if not 0 <= warmup_steps < total_steps:
        raise InputError(f"WARMUP_STEPS {warmup_steps} must be at least 0 and below STEPS {total_steps}; lower it.")
