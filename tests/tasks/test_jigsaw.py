"""Jigsaw: every slot receives its patch, and several puzzles share one encoding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import heads, unet
from ssl3d_tf.tasks import jigsaw
from ssl3d_tf.views import patches, permutations

FULL = {"patch_jitter": 3, "intensity_jitter": 0.1, "channel_drop": 0.5}


def _task(rank=3, *, view_size=24, top=None, **options):
    return jigsaw.task(rank=rank, view_size=view_size, top=top or heads.linear(), **options)


def _encoder(rank=3, **options):
    return unet.encoder(1, rank=rank, **{"filters": 4, "levels": 1, "norm": "group", "dropout": 0.0, **options})


def _volumes(rank=3, *, view_size=24, batch=2):
    return tf.random.stateless_uniform((batch, *(view_size,) * rank, 1), (3, rank))


def _params(sample, batch=2):
    return tf.nest.map_structure(lambda *drawn: tf.stack(drawn), *(sample(tf.constant([5, i])) for i in range(batch)))


def _means(rank):
    """An encoder whose embedding of a patch is its mean."""
    inputs = keras.Input((None,) * rank + (1,))
    return keras.Model(inputs, getattr(keras.layers, f"GlobalAveragePooling{rank}D")()(inputs))


def _slots(features, _):
    """A head that shows what it was given."""
    return features


@pytest.mark.parametrize("rank", [2, 3])
def test_slot_i_receives_patch_perm_i(rank):
    total = 3**rank
    orders = permutations.uniform(count=total)
    task = _task(rank, permutations=orders, patch_jitter=0, standardise_patches=False, top=_slots)
    volumes, labels = _volumes(rank), np.array([[0, 3, 1, 3], [2, 4, 0, 5]])
    inputs, targets = task.make_views({"volume": volumes}, {"label": tf.constant(labels)})
    slots = task.build_model(_means(rank))(inputs)
    cut = patches.extract(volumes, patches.grid(24, 3, rank=rank)).numpy()
    expected = [[[cut[b, p].mean() for p in orders(total)[label]] for label in labels[b]] for b in (0, 1)]
    np.testing.assert_allclose(slots, expected, rtol=1e-5)
    np.testing.assert_array_equal(targets, labels)


def test_laying_out_embeddings_equals_encoding_what_is_laid_out():
    values = 2**3 * 8  # of one patch of 8³ after two poolings
    orders = permutations.uniform(count=27 * values)  # so that the head may show all of them
    task, encoder = _task(top=_slots, permutations=orders, patch_jitter=0), _encoder()
    inputs, _ = task.make_views({"volume": _volumes()}, _params(task.sample))
    shuffled = tf.gather(inputs["patches"], inputs["permutations"][:, 1], batch_dims=1)
    direct = encoder(tf.reshape(shuffled, (-1, *shuffled.shape[2:])))
    shown = task.build_model(encoder)(inputs)[:, 1]
    np.testing.assert_allclose(shown, tf.reshape(direct, shown.shape), rtol=1e-4, atol=1e-5)


def test_every_permutation_is_drawn_about_equally_often():
    sample = _task(2, permutations=permutations.spread(count=20)).sample
    data = tf.data.Dataset.range(2000).map(lambda i: sample(tf.cast(tf.stack([3, i]), tf.int32))["label"])
    counts = np.bincount(np.ravel(list(data.as_numpy_iterator())), minlength=20)
    assert len(counts) == 20
    assert (np.abs(counts / 400 - 1) < 0.25).all()


def test_default_is_100_permutations_far_apart():
    task = _task()
    inputs, targets = task.make_views({"volume": _volumes()}, _params(task.sample))
    np.testing.assert_array_equal(inputs["permutations"], permutations.spread(count=100)(27)[targets])
    assert task.build_model(_encoder()).output_shape == (None, 4, 100)


def test_evaluation_asks_the_same_of_centred_unchanged_patches():
    task, volumes = _task(**{**FULL, "standardise_patches": False}), _volumes()
    params, plain = _params(task.sample), _params(task.sample_eval)
    assert plain.keys() == {"label"}
    np.testing.assert_array_equal(params["label"], plain["label"])
    inputs, _ = task.make_views({"volume": volumes}, plain)
    np.testing.assert_array_equal(inputs["patches"][:, 13], volumes[:, 9:14, 9:14, 9:14])


def test_patches_are_jittered_and_standardised():
    task, volumes = _task(patch_jitter=3), _volumes()
    params = _params(task.sample)
    cut = patches.extract(volumes, patches.grid(24, 3, rank=3, jitter=3), params["offsets"])
    inputs, _ = task.make_views({"volume": volumes}, params)
    np.testing.assert_allclose(inputs["patches"], patches.standardise(cut), atol=1e-6)


def test_head_has_the_published_size():
    model = _task(view_size=128, patch_jitter=3).build_model(_encoder(filters=16, levels=4))
    assert model.get_layer("logits").kernel.shape == (27 * 256, 100)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("evaluation", [False, True])
def test_compiled_step_equals_eager(jit_compile, evaluation):
    task = _task(**FULL)
    model, params = task.build_model(_encoder()), _params(task.sample_eval if evaluation else task.sample)

    def losses(volumes):
        inputs, targets = task.make_views({"volume": volumes}, params)
        return task.loss_fn(targets, model(inputs))

    compiled = tf.function(losses, jit_compile=jit_compile)(_volumes())
    assert (compiled.shape, compiled.dtype) == ((2,), tf.float32)
    np.testing.assert_allclose(compiled, losses(_volumes()), rtol=1e-4)


@pytest.mark.parametrize("n", [2, 4])
def test_even_grids_make_puzzles_too(n):
    task = _task(2, patches_per_side=n, permutations=permutations.spread(count=10), patch_jitter=0)
    inputs, targets = task.make_views({"volume": _volumes(2)}, _params(task.sample))
    logits = task.build_model(_encoder(2))(inputs)
    assert logits.shape == (2, 4, 10)
    np.testing.assert_allclose(task.metrics["chance"](targets, logits), [0.1, 0.1])


def test_model_learns_one_batch():
    keras.utils.set_random_seed(0)
    task = _task(2, permutations=permutations.spread(count=10))
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


@pytest.mark.parametrize("wrong", [{"patches_per_side": 1}, {"puzzles_per_volume": 0}])
def test_nothing_to_lay_out_is_refused(wrong):
    with pytest.raises(InputError, match="a puzzle needs at least 2 and 1"):
        _task(**wrong)


def test_more_permutations_than_there_are_is_refused():
    with pytest.raises(InputError, match="100 permutations of 4 patches"):
        _task(2, patches_per_side=2)


def test_patches_smaller_than_the_down_sampling_are_refused():
    with pytest.raises(InputError, match=r"6×6×6 is smaller than 16 per axis.*raise VIEW_SIZE"):
        _task().build_model(_encoder(levels=3))
