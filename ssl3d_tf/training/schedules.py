"""Learning-rate schedules: pure functions of the step, so that a restart needs no state."""

import itertools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from ssl3d_tf.errors import InputError

Schedule = Callable[[tf.Tensor | int], tf.Tensor]  # int64 step, from 0 -> float32 scalar


def constant(value: float) -> Schedule:
    """The same rate at every step."""
    return lambda step: tf.constant(value, tf.float32)


def warmup_cosine(
    peak: float, warmup_steps: int, total_steps: int, *, floor: float = 0.0, restarts: Sequence[int] = ()
) -> Schedule:
    """A linear rise over the first steps times half a cosine over the whole run, or over each part of it.

    rate = floor + (peak − floor) × min(1, (step + 1) / warmup_steps) × (1 + cos(π × min(1, step / total_steps))) / 2
    (Loshchilov and Hutter, 2017, arXiv:1608.03983; warm-up: Goyal et al., 2017, arXiv:1706.02677). The cosine begins
    with the run and not behind the warm-up, so that any two lengths go together.

    Args:
        restarts: steps at which both begin anew, each part as if it were a run of its own (warm restarts, same paper):
            the rates before the last restart are those of a run that ends there.

    Raises:
        InputError: a run without a step, a negative warm-up, or restarts that do not rise within the run.
    """
    if total_steps < 1 or warmup_steps < 0:
        raise InputError(f"STEPS {total_steps} must be at least 1 and WARMUP_STEPS {warmup_steps} at least 0; mend it.")

    ends = (*restarts, total_steps)
    if any(begin >= end for begin, end in zip((0, *restarts), ends, strict=True)):
        raise InputError(f"RESTARTS {tuple(restarts)} must rise, from above 0 to below STEPS {total_steps}; mend them.")

    def part(step: tf.Tensor | int, steps: int) -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1.0) / max(warmup_steps, 1), 1.0)
        fall = (1.0 + tf.cos(math.pi * tf.minimum(done / steps, 1.0))) / 2.0
        return floor + (peak - floor) * rise * fall

    def schedule(step: tf.Tensor | int) -> tf.Tensor:
        rate = part(step, ends[0])
        for begin, end in itertools.pairwise(ends):  # each by itself, so that no rounding depends on what follows
            rate = tf.where(step >= begin, part(step - begin, end - begin), rate)
        return rate

    return schedule


def two_ramps(peak: float, warmup_steps: float, ramp_steps: float, total_steps: int) -> Schedule:
    """Up a ramp while the head learns alone, up another when all does, both times half a cosine over the whole run.

    An encoder that was pretrained meets small steps first, behind a head that knows what it is for (nnssl's schedule:
    Wald et al., 2025, arXiv:2410.23132). The same for all arms, scratch included.

    Args:
        warmup_steps, ramp_steps: length of the two ramps, as `steps_of` reads them. A run that is shorter rises as far
            as it gets.

    Raises:
        InputError: a run without a step, or a negative ramp.
    """
    if total_steps < 1 or min(warmup_steps, ramp_steps) < 0:
        given = f"WARMUP_STEPS {warmup_steps} and RAMP_STEPS {ramp_steps} of STEPS {total_steps}"
        raise InputError(f"{given}: the first two must be 0 or more, the last at least 1.")
    first, second = (steps_of(steps, total_steps) for steps in (warmup_steps, ramp_steps))

    def schedule(step: tf.Tensor | int) -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        alone, together = (done + 1.0) / max(first, 1), (done - first + 1.0) / max(second, 1)
        rise = tf.where(done < first, alone, tf.minimum(together, 1.0))
        return peak * rise * (1.0 + tf.cos(math.pi * tf.minimum(done / total_steps, 1.0))) / 2.0

    return schedule


def steps_of(steps: float, total_steps: int) -> int:
    """A number of steps; one below 1 is a share of all."""
    return round(steps * total_steps) if steps < 1 else round(steps)
