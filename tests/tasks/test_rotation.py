import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.tasks import rotation
from ssl3d_tf.views import augment

# Label by label: k quarter turns in a plane, as the published program has them.
PUBLISHED = [
    *[(0, (0, 1)), (1, (0, 1)), (2, (0, 1)), (3, (0, 1))],
    *[(3, (1, 2)), (2, (1, 2)), (1, (1, 2)), (3, (0, 2)), (2, (0, 2)), (1, (0, 2))],
]


def _top(features, units):
    pooled = keras.layers.Flatten()(features)
    return keras.layers.Dense(units)(pooled)


def _task(rank=3, **options):
    return rotation.task(rank=rank, view_size=6, top=_top, **options)


def _volume(rank=3, batch=1):
    return np.random.default_rng(0).random((batch, *(6,) * rank, 2), np.float32)


def _turn(task, volume, label):
    return task.make_views({"volume": volume}, {"label": tf.constant([label])})[0].numpy()


def _encoder(rank):
    conv = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[rank]
    inputs = keras.Input((None,) * rank + (2,))
    return keras.Model(inputs, conv(4, 3, strides=2, padding="same", activation="relu")(inputs))


@pytest.mark.parametrize("label", range(10))
def test_3d_labels_are_the_published_ones(label):
    k, (a, b) = PUBLISHED[label]
    volume = _volume()
    np.testing.assert_array_equal(_turn(_task(), volume, label), np.rot90(volume, k, (a + 1, b + 1)))


@pytest.mark.parametrize("label", range(4))
def test_2d_labels_are_counter_clockwise_quarter_turns(label):
    image = _volume(rank=2)
    np.testing.assert_array_equal(_turn(_task(rank=2), image, label), np.rot90(image, label, (1, 2)))


def test_four_quarter_turns_are_the_identity():
    task, volume = _task(), _volume()
    turned = volume
    for _ in range(4):
        turned = _turn(task, turned, 1)
    np.testing.assert_array_equal(turned, volume)


@pytest.mark.parametrize(("label", "inverse"), [(1, 3), (4, 6), (7, 9), (2, 2), (5, 5), (8, 8)])
def test_inverse_labels_undo_each_other(label, inverse):
    task, volume = _task(), _volume()
    np.testing.assert_array_equal(_turn(task, _turn(task, volume, label), inverse), volume)


def test_cube24_gives_24_different_views():
    task, volume = _task(rotations=rotation.cube24()), _volume()
    assert len({_turn(task, volume, label).tobytes() for label in range(24)}) == 24
    np.testing.assert_array_equal(_turn(task, volume, 0), volume)


@pytest.mark.parametrize(("rank", "table", "classes"), [(2, None, 4), (3, None, 10), (3, rotation.cube24(), 24)])
def test_every_class_is_drawn_about_equally_often(rank, table, classes):
    sample = _task(rank=rank, rotations=table).sample
    seeds = tf.data.Dataset.range(4000).map(lambda i: sample(tf.cast(tf.stack([3, i]), tf.int32))["label"])
    counts = np.bincount(list(seeds.as_numpy_iterator()), minlength=classes)
    assert len(counts) == classes
    assert (np.abs(counts / (4000 / classes) - 1) < 0.35).all()


def test_evaluation_draws_the_same_label_without_augmentation():
    seed = tf.constant([1, 2])
    task = _task(augmentation=augment.intensity(p=1.0))
    params, plain = task.sample(seed), task.sample_eval(seed)
    assert plain.keys() == {"label"}
    assert params["label"] == plain["label"]
    np.testing.assert_array_equal(_turn(task, _volume(), 0), _volume())


def test_augmentation_runs_before_the_rotation():
    half = augment.Op(lambda seed: (), lambda batch, _: batch * tf.reshape(tf.range(6.0), [6, 1, 1, 1]))
    task, volume = _task(augmentation=half), _volume()
    views, _ = task.make_views({"volume": volume}, {"label": tf.constant([1]), "augmentation": ()})
    np.testing.assert_array_equal(views, np.rot90(half.apply(volume, ()), 1, (1, 2)))


@pytest.mark.parametrize(("rank", "classes"), [(2, 4), (3, 10)])
def test_model_learns_one_batch_and_gradients_reach_the_encoder(rank, classes):
    keras.utils.set_random_seed(0)
    task, encoder = _task(rank=rank), _encoder(rank)
    model = task.build_model(encoder)
    inputs, targets = task.make_views({"volume": _volume(rank, classes)}, {"label": tf.range(classes)})
    assert model(inputs).shape == (classes, classes)
    optimizer = keras.optimizers.Adam(0.02)
    before = encoder.get_weights()[0].copy()
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = task.loss_fn(targets, model(inputs))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    assert task.metrics["accuracy"](targets, model(inputs)).numpy().mean() == 1
    assert (task.metrics["chance"](targets, model(inputs)).numpy() == np.float32(1 / classes)).all()
    assert np.abs(encoder.get_weights()[0] - before).max() > 0


def test_other_ranks_are_refused():
    with pytest.raises(InputError, match="2 or 3 spatial axes, rank is 4"):
        _task(rank=4)
    with pytest.raises(InputError, match="for 3 spatial axes, the task has 2"):
        _task(rank=2, rotations=rotation.cube24())


def test_views_of_another_size_are_refused():
    with pytest.raises(InputError, match="VIEW_SIZE is 6"):
        _task().make_views({"volume": np.zeros((1, 8, 8, 8, 1), np.float32)}, {"label": tf.constant([0])})
