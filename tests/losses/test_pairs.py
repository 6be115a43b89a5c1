"""Objectives over two views of every example, against naive loops; several devices share their candidates."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import pairs
from tests.conftest import two_replicas

OBJECTIVES = {"nt_xent": pairs.nt_xent(), "triplet": pairs.triplet(), "vicreg": pairs.vicreg()}


def _outputs(batch=5, size=6):
    return {"projections": tf.constant(np.random.default_rng(0).normal(size=(batch, 2, size)), tf.float32)}


def _scores(objective):
    return {"loss": objective.loss_fn, **objective.metrics}


def _on_sphere(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_nt_xent_is_the_papers_equation():
    outputs = _outputs()
    flat = _on_sphere(outputs["projections"].numpy().reshape(-1, 6))  # the two views of an example are neighbours
    likeness = np.exp(flat @ flat.T / 0.5)
    loss = [-np.log(likeness[i, i ^ 1] / (likeness[i].sum() - likeness[i, i])) for i in range(10)]
    np.testing.assert_allclose(pairs.nt_xent().loss_fn((), outputs), np.reshape(loss, (5, 2)).mean(1), rtol=1e-5)


def test_accuracy_is_finding_the_other_view():
    apart = tf.eye(4)  # four examples, each with its own direction
    same = {"projections": tf.stack([apart, 3 * apart], axis=1)}
    wrong = {"projections": tf.stack([apart, tf.roll(apart, 1, axis=0)], axis=1)}
    accuracy, chance = (pairs.nt_xent().metrics[name] for name in ("accuracy", "chance"))
    assert accuracy((), same).numpy().tolist() == [1, 1, 1, 1]
    assert accuracy((), wrong).numpy().tolist() == [0, 0, 0, 0]
    assert chance((), same).numpy() == pytest.approx(1 / 7)


def test_guessing_scores_the_chance_loss():
    equal = {"projections": tf.ones((4, 2, 3))}
    objective = pairs.nt_xent()
    np.testing.assert_allclose(objective.loss_fn((), equal), objective.metrics["chance_loss"]((), equal), rtol=1e-5)


def test_triplet_takes_the_next_example_as_negative():
    outputs = _outputs()
    codes = 1 / (1 + np.exp(-outputs["projections"].numpy()))
    near = ((codes[:, 0] - codes[:, 1]) ** 2).mean(-1)
    far = ((codes[:, 0] - np.roll(codes[:, 1], -1, axis=0)) ** 2).mean(-1)
    objective = pairs.triplet(margin=0.1)
    np.testing.assert_allclose(objective.loss_fn((), outputs), np.maximum(0, near - far + 0.1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(objective.metrics["accuracy"]((), outputs), near < far)


def test_equal_codes_score_the_margin():
    np.testing.assert_allclose(pairs.triplet().loss_fn((), {"projections": tf.ones((3, 2, 4))}), 1)
    np.testing.assert_allclose(pairs.triplet().loss_fn((), _outputs(batch=1)), 1)  # alone: its own negative


def _semihard(flat, margin):
    """Each pair of views and the nearest farther negative, else the farthest one, one after the other."""
    distances = np.linalg.norm(flat[:, None] - flat, axis=-1)
    total = 0.0
    for i in range(len(flat)):
        near = distances[i, i ^ 1]
        others = [distances[i, k] for k in range(len(flat)) if k // 2 != i // 2]
        farther = [distance for distance in others if distance > near]
        total += max(0, near - (min(farther) if farther else max(others)) + margin)
    return total / len(flat)


def test_semihard_is_the_definition():
    if sys.version_info >= (3, 12):  # no wheels of tensorflow-addons
        with pytest.raises(InputError, match="needs tensorflow-addons"):
            pairs.triplet_semihard()
        return
    outputs = _outputs()
    expected = _semihard(_on_sphere(outputs["projections"].numpy().reshape(-1, 6)), 0.5)
    for jit_compile in (False, True):
        loss = tf.function(pairs.triplet_semihard().loss_fn, jit_compile=jit_compile)((), outputs)
        np.testing.assert_allclose(loss, np.full(5, expected), rtol=1e-4)


def _vicreg(first, second):
    """The paper's algorithm 1, value by value."""
    loss = 25 * ((first - second) ** 2).mean(1)
    for codes in (first, second):
        covariance = np.cov(codes, rowvar=False)
        apart = covariance[~np.eye(codes.shape[1], dtype=bool)]
        loss += 25 * np.maximum(0, 1 - np.sqrt(codes.var(0, ddof=1) + 1e-4)).mean()
        loss += (apart**2).sum() / codes.shape[1]
    return loss


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_vicreg_is_the_papers_algorithm(scale):
    projections = scale * _outputs()["projections"]
    expected = _vicreg(*np.moveaxis(projections.numpy(), 1, 0))
    np.testing.assert_allclose(pairs.vicreg().loss_fn((), {"projections": projections}), expected, rtol=1e-5)


def test_vicreg_leaves_out_what_weighs_nothing_and_a_constant_costs_the_variance():
    equal = {"projections": tf.ones((4, 2, 3))}
    np.testing.assert_allclose(pairs.vicreg().loss_fn((), equal), np.full(4, 2 * 25 * (1 - 0.01)), rtol=1e-5)
    alone = pairs.vicreg(variance=0.0, covariance=0.0).loss_fn((), _outputs())
    first, second = np.moveaxis(_outputs()["projections"].numpy(), 1, 0)
    np.testing.assert_allclose(alone, 25 * ((first - second) ** 2).mean(1), rtol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_candidates_come_from_all_replicas(name):
    whole, strategy = _outputs(batch=4), two_replicas()
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: {key: tf.split(values, 2)[context.replica_id_in_sync_group] for key, values in whole.items()}
    )
    for score in _scores(OBJECTIVES[name]).values():
        apart = tf.function(lambda outputs, score=score: strategy.run(score, args=((), outputs)))(parts)
        joined = tf.concat(strategy.experimental_local_results(apart), axis=0)
        np.testing.assert_allclose(joined, score((), whole), rtol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_scores_are_one_number_per_example_and_finite(name):
    for batch in (1, 2, 5):
        for score in _scores(OBJECTIVES[name]).values():
            values = score((), _outputs(batch))
            assert values.shape == (batch,)
            assert np.isfinite(values).all()
