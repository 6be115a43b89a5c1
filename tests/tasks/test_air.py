"""RPL, jigsaw and CPC of patches of air: blank and not asked about; of scans full of body not a bit changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.losses.labels import Partial
from ssl3d_tf.models import heads, unet
from ssl3d_tf.tasks import cpc, jigsaw, relative_location

SIDE, BATCH = 24, 3
TASKS = {
    "rpl": lambda **options: relative_location.task(
        rank=3, view_size=SIDE, top=heads.linear(), patch_jitter=0, queries_per_volume=26, **options
    ),
    "jigsaw": lambda **options: jigsaw.task(rank=3, view_size=SIDE, top=heads.linear(), patch_jitter=0, **options),
    "cpc": lambda **options: cpc.task(
        rank=3, view_size=SIDE, patches_per_side=4, code_size=8, context_size=8, crop=1.0, **options
    ),
}


def scans(body=slice(None)):
    """Noise of tissue in the slabs `body` of the second axis, faint noise elsewhere."""
    drawn = np.random.default_rng(0).random((BATCH, SIDE, SIDE, SIDE, 1)).astype(np.float32)
    volume = 0.01 * drawn
    volume[:, :, body] = 0.5 + drawn[:, :, body]
    return tf.constant(volume)


def views(task, volume, air=0.1):
    drawn = tf.nest.map_structure(
        lambda *each: tf.stack(each), *(task.sample_eval(tf.constant([5, i])) for i in range(BATCH))
    )
    known = {} if air is None else {"air": tf.fill((BATCH, 1), air)}
    return task.make_views({"volume": volume, **known}, drawn)


def images(inputs):
    return tf.nest.flatten(inputs)[0].numpy()


def trained(task, made):
    """The weights after two steps on these views, and what they score."""
    keras.utils.set_random_seed(0)
    model = task.build_model(unet.encoder(1, rank=3, filters=2, levels=1, norm="group", dropout=0.0))
    optimizer = keras.optimizers.SGD(0.1)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = task.loss_fn(made[1], model(made[0]))
        optimizer.apply(
            tape.gradient(loss, [each.value for each in model.trainable_variables]), model.trainable_variables
        )
    scores = [metric(made[1], model(made[0])).numpy() for metric in task.metrics.values()]
    return [*map(np.asarray, model.get_weights()), loss.numpy(), *scores]


@pytest.mark.parametrize("name", TASKS)
def test_scans_full_of_body_train_as_before_to_the_bit(name):
    task = TASKS[name]()
    before, now = (trained(task, views(task, scans(), air)) for air in (None, 0.1))
    for one, other in zip(before, now, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", TASKS)
def test_patches_of_air_are_blank(name):
    task = TASKS[name]()
    made, whole = (images(views(task, scans(slice(0, 12)), air)[0]) for air in (0.1, None))
    is_blank = (made == 0).all(axis=(2, 3, 4, 5))
    assert 0.2 < is_blank.mean() < 0.6
    np.testing.assert_array_equal(made[~is_blank], whole[~is_blank])
    assert (whole[is_blank].std(axis=(1, 2, 3, 4)) > 0.5).all()  # noise, as strong as tissue


@pytest.mark.parametrize("name", TASKS)
def test_patches_that_are_not_standardised_all_count(name):
    task = TASKS[name](standardise_patches=False)
    for one, other in zip(
        *(tf.nest.flatten(views(task, scans(slice(0, 12)), air)) for air in (0.1, None)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_rpl_asks_where_the_middle_and_the_neighbour_show_body():
    task = TASKS["rpl"]()
    _, targets = views(task, scans(slice(0, 16)))
    assert isinstance(targets, Partial)
    asked = np.sort(targets.labels[0][targets.labels[0] >= 0])
    places = [number for number in range(27) if number != 13 and number // 3 % 3 < 2]
    np.testing.assert_array_equal(asked, [number - (number > 13) for number in places])
    logits = tf.zeros((BATCH, 26, 26))
    np.testing.assert_allclose(task.metrics["chance"](targets, logits), [1 / 17] * BATCH, rtol=1e-6)
    _, targets = views(task, scans(slice(16, None)))  # the middle is air
    assert (targets.labels.numpy() == -1).all()


def test_a_puzzle_most_of_which_is_air_is_not_asked():
    task = TASKS["jigsaw"]()
    asked, left_out = (views(task, scans(body))[1].labels.numpy() for body in (slice(0, 16), slice(0, 8)))
    assert (asked >= 0).all()
    assert (left_out == -1).all()


def test_cpc_asks_for_patches_with_body_of_columns_that_have_some():
    task = TASKS["cpc"]()
    _, targets = views(task, scans(slice(0, 12)))
    half = np.arange(16).reshape(4, 4)[:2].ravel()  # columns by (second, third axis)
    for name in ("present", "asked"):
        assert targets[name].shape == (BATCH, 16, 2)
        np.testing.assert_array_equal(np.flatnonzero(targets[name][0].numpy().all(axis=1)), half)
    below = tf.where(tf.range(SIDE)[None, :, None, None, None] >= 12, scans(), 0.0)  # nothing to read
    _, targets = views(task, below)
    assert targets["present"].numpy().all()
    assert not targets["asked"].numpy().any()
