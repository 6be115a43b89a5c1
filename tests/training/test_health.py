"""Pretraining health: golden values, folding, and what a run logs of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.training import health


def test_embeddings_along_every_axis_have_full_rank_and_deviation_1():
    both_ways = np.concatenate([np.eye(8), -np.eye(8)])
    assert health.effective_rank(both_ways) == pytest.approx(8)
    assert health.standard_deviation(both_ways) == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1])
def test_constant_embeddings_have_rank_1_and_deviation_0(value):
    constant = np.full((10, 4), value, np.float32)
    assert health.effective_rank(constant) == pytest.approx(1)
    assert health.standard_deviation(constant) == pytest.approx(0, abs=1e-12)


def test_effective_rank_of_singular_values_3_and_1_is_by_hand():
    values = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # centred; singular values 3√2 and √2
    assert health.effective_rank(values) == pytest.approx(0.75**-0.75 * 0.25**-0.25)


def test_deviation_forgets_length_but_not_direction():
    values = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0], [0.0, 7.0]])  # half along each axis: .5 per dimension
    assert health.standard_deviation(values) == pytest.approx(0.5 * np.sqrt(2))


@pytest.mark.parametrize("leading", [(3,), (3, 2), (3, 2, 2)])
def test_embeddings_fold_patches_and_average_over_space(leading):
    volumes = keras.Input((None, None, None, 2))
    encoder = keras.Model(volumes, 2.0 * volumes)
    inputs = np.random.default_rng(0).normal(size=(*leading, 4, 5, 6, 2)).astype(np.float32)
    expected = 2 * inputs.reshape(-1, 4 * 5 * 6, 2).mean(axis=1)
    found = health.embeddings(encoder, {"images": tf.constant(inputs), "order": tf.zeros(3)})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_report_is_of_the_first_embeddings():
    many = np.random.default_rng(0).normal(size=(health.LIMIT + 9, 4))
    assert health.report(many) == health.report(many[: health.LIMIT]) != health.report(many[9:])
    assert 1 < health.report(np.concatenate([np.eye(4), -np.eye(4)]))["effective_rank"] <= 4


def test_only_a_collapse_is_warned_of():
    assert health.warning({"embedding_std": 0.3}) is None
    assert "val_embedding_std 0.012, below 0.02" in health.warning({"embedding_std": 0.0123})


def test_embeddings_that_are_not_finite_report_nan():
    found = health.report(np.array([[1.0, np.nan]] + [[1.0, 2.0]] * health.LEAST))
    assert np.isnan(found["embedding_std"])
    assert np.isnan(found["effective_rank"])
