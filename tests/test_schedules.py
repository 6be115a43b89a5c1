import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import schedules
from ssl3d_tf.errors import InputError


def _rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_constant_is_constant():
    assert _rates(schedules.constant(0.25), [0, 7, 10**9]) == [0.25] * 3


def test_warmup_cosine_rises_falls_and_stays():
    schedule = schedules.warmup_cosine(1.0, 10, 110, floor=0.2)
    expected = [0, 0.5, 1, 0.2 + 0.8 * (1 + np.cos(np.pi / 4)) / 2, 0.6, 0.2, 0.2]
    np.testing.assert_allclose(_rates(schedule, [0, 5, 10, 35, 60, 110, 500]), expected, atol=1e-6)


def test_warmup_poly_rises_falls_and_stays():
    schedule = schedules.warmup_poly(2.0, 4, 14, floor=0.5, power=2.0)
    np.testing.assert_allclose(_rates(schedule, [0, 2, 4, 9, 14, 20]), [0, 1, 2, 0.875, 0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("build", [schedules.warmup_cosine, schedules.warmup_poly])
def test_without_warmup_the_first_step_has_the_peak(build):
    assert float(build(3.0, 0, 10)(0)) == 3.0


@pytest.mark.parametrize("schedule", [schedules.constant(1.0), schedules.warmup_cosine(1.0, 3, 9)])
def test_a_step_tensor_gives_a_float32_scalar_in_a_graph(schedule):
    rate = tf.function(schedule)(tf.constant(5, tf.int64))
    assert rate.dtype == tf.float32
    assert rate.shape == ()
    assert float(rate) == pytest.approx(float(schedule(5)), rel=1e-6)


@pytest.mark.parametrize("build", [schedules.warmup_cosine, schedules.warmup_poly])
def test_a_warmup_as_long_as_the_run_is_refused(build):
    with pytest.raises(InputError, match="WARMUP_STEPS 10 must be at least 0 and below STEPS 10"):
        build(1.0, 10, 10)
