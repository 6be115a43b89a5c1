import math

import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.training import schedules


def test_constant_is_the_same_at_every_step():
    assert [float(schedules.constant(0.5)(step)) for step in (0, 7, 10**9)] == [0.5, 0.5, 0.5]


def test_warmup_rises_in_equal_steps_to_the_cosine():
    schedule = schedules.warmup_cosine(2.0, 4, 1_000_000)
    assert [float(schedule(step)) for step in range(5)] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])


@pytest.mark.parametrize("step", [0, 3, 50, 99, 100, 5000])
def test_cosine_follows_its_formula(step):
    schedule = schedules.warmup_cosine(1e-3, 0, 100, floor=1e-4)
    expected = 1e-4 + 9e-4 * (1 + math.cos(math.pi * min(step / 100, 1))) / 2
    assert float(schedule(step)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_a_run_shorter_than_its_warmup_only_rises_as_far_as_it_gets():
    schedule = schedules.warmup_cosine(1.0, 100, 4)
    rates = [float(schedule(step)) for step in range(4)]
    assert all(0 < rate < 0.04 for rate in rates)


def test_schedules_are_the_same_in_a_graph():
    schedule = schedules.warmup_cosine(1.0, 3, 10)
    graph = tf.function(schedule)
    steps = tf.range(11, dtype=tf.int64)
    assert [float(graph(step)) for step in steps] == pytest.approx([float(schedule(step)) for step in steps], rel=1e-5)


@pytest.mark.parametrize(("warmup", "total"), [(0, 0), (-1, 10)])
def test_impossible_lengths_are_refused(warmup, total):
    with pytest.raises(InputError, match="WARMUP_STEPS"):
        schedules.warmup_cosine(1.0, warmup, total)


def test_two_ramps_rise_one_behind_the_other():
    schedule = schedules.two_ramps(2.0, 2, 0.4, 10)
    fall = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    rise = [0.5, 1.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    expected = [2 * a * b for a, b in zip(rise, fall, strict=True)]
    assert [float(schedule(step)) for step in range(10)] == pytest.approx(expected, rel=1e-5)
    assert [float(schedules.two_ramps(2.0, 0, 0, 10)(step)) for step in (0, 5)] == pytest.approx([2.0, 1.0])


def test_steps_below_1_are_a_share():
    assert [schedules.steps_of(steps, 200) for steps in (0, 0.07, 1, 56, 0.5)] == [0, 14, 1, 56, 100]


@pytest.mark.parametrize(("warmup", "ramp", "total"), [(0, 0, 0), (-1, 0, 10), (0, -0.1, 10)])
def test_impossible_ramps_are_refused(warmup, ramp, total):
    with pytest.raises(InputError, match="RAMP_STEPS"):
        schedules.two_ramps(1.0, warmup, ramp, total)
