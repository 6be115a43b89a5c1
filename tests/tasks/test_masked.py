"""Masked reconstruction: what the network sees, what it is asked, and that every weight learns from it."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import decoders, unet
from ssl3d_tf.tasks import masked
from ssl3d_tf.views import affine, masking

SIZE = 24
HEADS = {2: decoders.unet_2d_upconv, 3: decoders.unet_3d_upconv}


def make(rank, corruption=None, **options):
    corruption = corruption or masking.blocks(rank=rank, view_size=SIZE, side=8, hidden=0.75)
    return masked.task(
        rank=rank, view_size=SIZE, corruption=corruption, head=HEADS[rank](norm="group", dropout=0.0), **options
    )


def params_of(sample, number):
    return tf.nest.map_structure(lambda *v: tf.stack(v), *[sample(tf.constant([3, i])) for i in range(number)])


def scans(rank, number=2, air=0):
    values = np.random.default_rng(0).uniform(1, 2, (number, *(SIZE,) * rank, 2)).astype(np.float32)
    values[:, :air] = 0
    return {"volume": tf.constant(values)}


@pytest.mark.parametrize("rank", [2, 3])
def test_views_hide_what_counts_and_show_the_rest(rank):
    task = make(rank)
    inputs, targets = task.make_views(scans(rank, air=6), params_of(task.sample_eval, 2))
    hidden = targets.counts.numpy() > 0
    shown = inputs.numpy() == targets.views.numpy()
    assert not hidden[:, :6].any()  # air is not asked for
    assert 0.5 < hidden[:, 6:].mean() < 1
    assert not np.any(inputs.numpy()[np.broadcast_to(hidden, inputs.shape)])
    assert shown[~np.broadcast_to(hidden, inputs.shape)].mean() > 0.25


@pytest.mark.parametrize("kind", ["blocks", "genesis"])
@pytest.mark.parametrize("rank", [2, 3])
def test_every_weight_has_a_gradient(rank, kind):
    task = make(rank, None if kind == "blocks" else masking.genesis(rank=rank, view_size=SIZE))
    model = task.build_model(unet.encoder(2, rank=rank, filters=2, levels=1, norm="group", pooling="none"))
    inputs, targets = task.make_views(scans(rank), params_of(task.sample, 2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(task.loss_fn(targets, model(inputs, training=True)))
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert np.any(gradient), variable.path
    assert model.output_shape[-1] == 2


def test_the_corruption_of_a_seed_is_the_same_in_training_and_moves_come_beside_it():
    transforms = [affine.flips(rank=2)]
    task = make(2, transforms=transforms)
    train, evaluation = task.sample(tf.constant([1, 2])), task.sample_eval(tf.constant([1, 2]))
    np.testing.assert_array_equal(train["corruption"], evaluation["corruption"])
    assert train.keys() - evaluation.keys() == {"geometry"}
    moved = task.make_views(scans(2, 8), params_of(task.sample, 8))[1].views
    still = task.make_views(scans(2, 8), params_of(task.sample_eval, 8))[1].views
    assert not np.allclose(moved, still)
    np.testing.assert_allclose(*(np.sort(np.reshape(views, (8, -1))) for views in (moved, still)), atol=1e-4)


def test_views_of_another_size_are_refused():
    with pytest.raises(InputError, match="VIEW_SIZE is 24"):
        make(2).make_views({"volume": tf.zeros((1, 20, 20, 1))}, params_of(make(2).sample_eval, 1))
