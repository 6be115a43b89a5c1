"""Relative patch location: which patch belongs to which class, and that only the needed ones are used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import heads, unet
from ssl3d_tf.tasks import relative_location
from ssl3d_tf.views import patches

PLAIN = {"patch_jitter": 0, "standardise_patches": False}
FULL = {"patch_jitter": 3, "intensity_jitter": 0.1, "channel_drop": 0.5}


def _task(rank=3, *, view_size=24, top=None, **options):
    return relative_location.task(rank=rank, view_size=view_size, top=top or heads.linear(), **options)


def _encoder(rank=3, **options):
    return unet.encoder(1, rank=rank, **{"filters": 4, "levels": 1, "norm": "group", "dropout": 0.0, **options})


def _volumes(rank=3, *, view_size=24, batch=2):
    return tf.random.stateless_uniform((batch, *(view_size,) * rank, 1), (3, rank))


def _params(sample, batch=2):
    return tf.nest.map_structure(lambda *drawn: tf.stack(drawn), *(sample(tf.constant([5, i])) for i in range(batch)))


@pytest.mark.parametrize(("rank", "middle"), [(2, 4), (3, 13)])
def test_every_class_shows_its_patch_beside_the_middle(rank, middle):
    task, volumes = _task(rank, queries_per_volume=2 * middle, **PLAIN), _volumes(rank, batch=1)
    inputs, targets = task.make_views({"volume": volumes}, {"label": tf.range(2 * middle)[None]})
    whole = patches.extract(volumes, patches.grid(24, 3, rank=rank))[0]
    shown = [middle, *range(middle), *range(middle + 1, 2 * middle + 1)]
    np.testing.assert_array_equal(inputs[0], tf.gather(whole, shown))
    assert targets.numpy().tolist() == [list(range(2 * middle))]


def test_3d_classes_12_and_13_are_the_published_patches_12_and_14():
    task, volumes = _task(queries_per_volume=2, **PLAIN), _volumes(batch=1)
    inputs, _ = task.make_views({"volume": volumes}, {"label": tf.constant([[12, 13]])})
    np.testing.assert_array_equal(inputs[0, 1], volumes[0, 8:16, 8:16, :8])  # 12 = (1, 1, 0)
    np.testing.assert_array_equal(inputs[0, 2], volumes[0, 8:16, 8:16, 16:])  # 14 = (1, 1, 2)


def test_jittered_patches_are_cut_at_the_offsets_of_their_cells():
    task, volumes = _task(**{**PLAIN, "patch_jitter": 3}), _volumes()
    params = _params(task.sample)
    inputs, labels = task.make_views({"volume": volumes}, params)
    numbers = np.where(labels < 13, labels, labels + 1)
    whole = patches.extract(volumes, patches.grid(24, 3, rank=3, jitter=3), params["offsets"])
    np.testing.assert_array_equal(inputs[:, 1:], tf.gather(whole, numbers, batch_dims=1))
    np.testing.assert_array_equal(inputs[:, 0], whole[:, 13])


@pytest.mark.parametrize(("rank", "classes"), [(2, 8), (3, 26)])
def test_queries_of_a_volume_are_different_classes_each_as_likely(rank, classes):
    sample = _task(rank, queries_per_volume=5).sample
    data = tf.data.Dataset.range(2000).map(lambda i: sample(tf.cast(tf.stack([3, i]), tf.int32))["label"])
    drawn = np.stack(list(data.as_numpy_iterator()))
    assert all(len(set(labels)) == 5 for labels in drawn)
    counts = np.bincount(drawn.ravel(), minlength=classes)
    assert len(counts) == classes
    assert (np.abs(counts / (10000 / classes) - 1) < 0.25).all()


def test_evaluation_asks_the_same_of_centred_unchanged_patches():
    task, volumes = _task(**{**FULL, "standardise_patches": False}), _volumes()
    params, plain = _params(task.sample), _params(task.sample_eval)
    assert plain.keys() == {"label"}
    np.testing.assert_array_equal(params["label"], plain["label"])
    inputs, _ = task.make_views({"volume": volumes}, plain)
    np.testing.assert_array_equal(inputs[:, 0], volumes[:, 9:14, 9:14, 9:14])


def test_patches_are_standardised():
    task = _task()
    inputs = task.make_views({"volume": 5 + _volumes()}, _params(task.sample))[0].numpy()
    np.testing.assert_allclose(inputs.mean((2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std((2, 3, 4)), 1, atol=1e-3)


def test_head_has_the_published_size():
    task = _task(view_size=128, patch_jitter=3)
    model = task.build_model(_encoder(filters=16, levels=4))
    assert model.get_layer("logits").kernel.shape == (2 * 256, 26)
    assert model.output_shape == (None, 4, 26)


def test_a_prediction_depends_on_the_middle_and_its_own_query_alone():
    model = _task(patch_jitter=0).build_model(_encoder())
    inputs = tf.random.stateless_normal((2, 5, 8, 8, 8, 1), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logit = tf.reduce_sum(model(inputs)[0, 2] * tf.range(26.0))
    used = np.any(tape.gradient(logit, inputs).numpy(), axis=(2, 3, 4, 5))
    assert np.argwhere(used).tolist() == [[0, 0], [0, 3]]


def test_model_learns_one_batch():
    keras.utils.set_random_seed(0)
    task = _task(rank=2, queries_per_volume=8)
    model = task.build_model(_encoder(2))
    inputs, targets = task.make_views({"volume": _volumes(2)}, _params(task.sample))
    variables, optimizer = model.trainable_variables, keras.optimizers.Adam(0.02)
    optimizer.build(variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = task.loss_fn(targets, model(inputs))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

    for _ in range(60):
        step()
    assert task.metrics["accuracy"](targets, model(inputs)).numpy().tolist() == [1, 1]
    assert task.metrics["chance"](targets, model(inputs)).numpy().tolist() == [1 / 8, 1 / 8]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_grids_without_a_middle_are_refused(n):
    with pytest.raises(InputError, match=f"PATCHES_PER_SIDE is {n}; only an odd number"):
        _task(patches_per_side=n)


@pytest.mark.parametrize("queries", [0, 27])
def test_more_queries_than_neighbours_are_refused(queries):
    with pytest.raises(InputError, match=f"queries_per_volume is {queries}; a volume has 1 to 26"):
        _task(queries_per_volume=queries)


def test_patches_smaller_than_the_down_sampling_are_refused():
    with pytest.raises(InputError, match=r"6×6×6 is smaller than 16 per axis.*raise VIEW_SIZE"):
        _task().build_model(_encoder(levels=3))
