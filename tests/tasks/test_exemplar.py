"""Exemplar: two views through one network; a constant or noise cannot solve it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import pairs
from ssl3d_tf.models import heads, unet
from ssl3d_tf.tasks import exemplar
from ssl3d_tf.views import augment

FLIPS = augment.flips(rank=3)


def _task(rank=3, *, view_size=8, anchor=FLIPS, **options):
    return exemplar.task(
        rank=rank, view_size=view_size, top=heads.linear(), anchor=anchor, **{"code_size": 8, **options}
    )


def _released(**options):
    return _task(positive=augment.identity(), objective=pairs.triplet(), **options)


def _volumes(batch=4, size=8):
    return tf.random.stateless_uniform((batch, size, size, size, 1), (1, 2))


def _params(task, batch=4):
    return tf.nest.map_structure(
        lambda *drawn: tf.stack(drawn), *(task.sample(tf.constant([5, i])) for i in range(batch))
    )


def _encoder(**options):
    return unet.encoder(1, rank=3, **{"filters": 4, "levels": 1, "norm": "group", "dropout": 0.0, **options})


def test_views_are_augmented_apart():
    task, volumes = _task(), _volumes()
    params = _params(task)
    views, targets = task.make_views({"volume": volumes}, params)
    assert views.shape == (4, 2, 8, 8, 8, 1)
    assert targets == ()
    for number in (0, 1):
        np.testing.assert_array_equal(views[:, number], FLIPS.apply(volumes, params[number]))
    assert (params[0] != params[1]).numpy().any()


def test_the_released_positive_is_the_volume_itself():
    task, volumes = _released(), _volumes()
    views, _ = task.make_views({"volume": volumes}, _params(task))
    np.testing.assert_array_equal(views[:, 1], volumes)


def test_evaluation_augments_with_choices_that_stay():
    task, seed = _task(), tf.constant([3, 4])
    tf.nest.map_structure(np.testing.assert_array_equal, task.sample_eval(seed), task.sample(seed))


def test_both_views_share_one_network():
    model = _task().build_model(_encoder())
    views = tf.random.stateless_uniform((2, 2, 8, 8, 8, 1), (1, 2))
    swapped = model(views[:, ::-1])["projections"]
    np.testing.assert_allclose(swapped[:, ::-1], model(views)["projections"], atol=1e-5)


def test_released_projection_has_the_published_size():
    encoder = unet.encoder(1, rank=3, filters=16)
    model = exemplar.task(rank=3, view_size=128, top=heads.linear(), anchor=FLIPS, code_size=1024).build_model(encoder)
    assert model.count_params() - encoder.count_params() == 16384 * 1024 + 1024


def _train(task, views_of, *, steps=40):
    """Mean loss of the last ten steps."""
    keras.utils.set_random_seed(0)
    model, optimizer, losses = task.build_model(_encoder()), keras.optimizers.Adam(3e-3), []

    @tf.function
    def step(views):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(task.loss_fn((), model(views, training=True)))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    optimizer.build(model.trainable_variables)
    for number in range(steps):
        losses.append(float(step(views_of(number))))
    return np.mean(losses[-10:])


def _volumes_that_differ(number):
    """Volumes told apart by how bright they are, each twice, with a little noise."""
    noise = np.random.default_rng(number).normal(0, 0.02, (4, 2, 8, 8, 8, 1))
    return tf.constant(np.linspace(0, 1, 4).reshape(4, 1, 1, 1, 1, 1) + noise, tf.float32)


def _noise_of_their_own(number):
    return tf.constant(np.random.default_rng(number).normal(0.5, 0.3, (4, 2, 8, 8, 8, 1)), tf.float32)


@pytest.mark.parametrize("objective", [pairs.triplet(), pairs.nt_xent()])
def test_noise_in_place_of_images_keeps_the_loss_high(objective):
    task = _task(objective=objective, code_size=16)
    solved, unsolvable = _train(task, _volumes_that_differ), _train(task, _noise_of_their_own)
    nothing_learnt = float(task.loss_fn((), {"projections": tf.ones((4, 2, 16))})[0])
    assert solved < 0.9 * nothing_learnt
    assert unsolvable > 0.95 * nothing_learnt


def test_views_of_another_size_are_refused():
    task = _task(view_size=6)
    with pytest.raises(InputError, match="VIEW_SIZE is 6"):
        task.make_views({"volume": _volumes()}, _params(task))


def test_it_says_how_many_examples_it_needs():
    assert _task().smallest_batch == 2
