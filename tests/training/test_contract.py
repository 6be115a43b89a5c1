"""What every pretext task promises, the paper's in both settings, as their gin files make them."""

import functools
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.command import configuration
from ssl3d_tf.data import host_views, pipeline
from ssl3d_tf.data.folders import open_folder
from ssl3d_tf.task import Task
from ssl3d_tf.training.run import Settings
from tests.conftest import make_folder

SIZE = 24  # of views
SMALL = (f"VIEW_SIZE={SIZE}", "FILTERS=8", "LEVELS=1", "DROPOUT=0.0", "NORM='group'", "BATCH_SIZE=4")
PATHS = [
    f"gin/{setting}{task}_{rank}d.gin"
    for task in ("cpc", "rotation", "rpl", "jigsaw", "exemplar")
    for rank in (2, 3)
    for setting in ("", "released/")
]
MASKED = [f"gin/{task}_{rank}d.gin" for task in ("masked", "masked_genesis") for rank in (2, 3)]
CROPS = [f"gin/{task}_{rank}d.gin" for task in ("crops", "crops_vicreg", "crops_masked") for rank in (2, 3)]
PATHS += MASKED + CROPS  # not of the paper, and so in one setting
# Nothing is computed on the voxels, they are only moved: so every way gives the same bits.
EXACT = {f"gin/released/{task}_{rank}d.gin" for task in ("rotation", "rpl", "jigsaw") for rank in (2, 3)}
all_tasks = pytest.mark.parametrize("path", PATHS)
all_views = pytest.mark.parametrize("path", [path for path in PATHS if "vicreg" not in path])  # its are those of crops


class Made(NamedTuple):
    rank: int
    task: Task
    model: keras.Model


@functools.cache
def made(path):
    """The task and a small model as a gin file makes them, with two channels."""
    configuration.load(configuration.Sources((path,), SMALL))
    settings = configuration.make(Settings)
    keras.utils.set_random_seed(0)
    task = settings.task
    return Made(configuration.macro("RANK"), task, task.build_model(settings.encoder(2)))


def draws(sample, number=4, *, epoch=0):
    return tf.nest.map_structure(lambda *one: tf.stack(one), *(sample(tf.constant([epoch, i])) for i in range(number)))


def batch_of(rank, number=4):
    return {"volume": tf.random.stateless_uniform((number, *(SIZE,) * rank, 2), (1, rank))}


def assert_same(path, found, expected):
    check = np.testing.assert_array_equal if path in EXACT else functools.partial(np.testing.assert_allclose, **CLOSE)
    tf.nest.map_structure(check, found, expected)


CLOSE = {"rtol": 1e-4, "atol": 2e-5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """rank -> data folder; volumes larger than the view, so that crops differ too."""
    root = tmp_path_factory.mktemp("contract")
    for rank in (2, 3):
        make_folder(root / str(rank), counts={"train": 8, "val": 5}, shapes=[(SIZE + 3,) * rank], channels=2)
    return {rank: open_folder(root / str(rank)) for rank in (2, 3)}


@all_views
def test_views_are_the_same_eagerly_in_a_dataset_in_a_graph_and_under_xla(path):
    rank, task, _ = made(path)
    batch, params = batch_of(rank), draws(task.sample)
    expected = task.make_views(batch, params)
    in_dataset = tf.data.Dataset.from_tensors((batch, params)).map(task.make_views)
    ways = [tf.function(task.make_views, jit_compile=jit)(batch, params) for jit in (False, True)]
    for views in (next(iter(in_dataset)), *ways):
        assert_same(path, views, expected)
    for spec, view in zip(tf.nest.flatten(in_dataset.element_spec), tf.nest.flatten(expected), strict=True):
        assert spec.shape == view.shape  # known before anything is computed


@all_views
def test_views_are_the_same_on_host_and_device_in_any_batch_and_on_any_number_of_threads(path, folders, monkeypatch):
    rank, task, _ = made(path)

    def first_eight(batch_size, **options):
        data = pipeline.read(
            folders[rank],
            task,
            split="train",
            training=True,
            rank=rank,
            view_size=SIZE,
            batch_size=batch_size,
            seed=3,
            **options,
        )
        views = [data.to_views(element) for _, element in data.dataset().take(8 // batch_size)]
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0).numpy(), *views)

    expected = first_eight(4, views_on="device")
    assert_same(path, first_eight(2, views_on="host", threads=1), expected)
    monkeypatch.setattr(host_views, "_LARGE", SIZE**rank)
    assert_same(path, first_eight(4, views_on="host"), expected)


@pytest.mark.parametrize("rank", [2, 3])
def test_views_of_vicreg_are_those_of_crops(rank):
    views = [
        one.task.make_views(batch_of(rank), draws(one.task.sample))
        for one in (made(f"gin/{name}_{rank}d.gin") for name in ("crops", "crops_vicreg"))
    ]
    tf.nest.map_structure(np.testing.assert_array_equal, *views)


@all_tasks
def test_draws_are_equal_for_equal_seeds_and_differ_between_epochs_and_examples(path):
    sample = made(path).task.sample
    seeds = tf.stack([tf.zeros(4, tf.int32), tf.range(4)], axis=1)
    mapped = next(iter(tf.data.Dataset.from_tensor_slices(seeds).map(sample, tf.data.AUTOTUNE).batch(4)))
    tf.nest.map_structure(np.testing.assert_array_equal, mapped, draws(sample))
    flat = tf.nest.flatten(draws(sample, 16)), tf.nest.flatten(draws(sample, 16, epoch=1))
    assert any((one != other).numpy().any() for one, other in zip(*flat, strict=True))
    assert any((one[0] != one[other]).numpy().any() for one in flat[0] for other in range(1, 16))


@all_tasks
def test_loss_and_scores_are_finite_and_the_same_eagerly_in_a_graph_and_under_xla(path):
    rank, task, model = made(path)
    inputs, targets = task.make_views(batch_of(rank), draws(task.sample))

    def scores(inputs, targets):
        outputs = model(inputs, training=False)
        return [score(targets, outputs) for score in (task.loss_fn, *task.metrics.values())]

    expected = scores(inputs, targets)
    assert all(score.shape == (4,) and score.dtype == tf.float32 and np.isfinite(score).all() for score in expected)
    for jit_compile in (False, True):
        found = tf.function(scores, jit_compile=jit_compile)(inputs, targets)
        tf.nest.map_structure(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), found, expected)


@all_tasks
def test_the_gradient_reaches_every_weight(path):
    rank, task, model = made(path)
    inputs, targets = task.make_views(batch_of(rank), draws(task.sample))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(task.loss_fn(targets, model(inputs, training=True)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    without = [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None or not np.any(g)]
    assert not without
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@all_tasks
def test_evaluation_draws_what_training_draws_but_for_augmentation(path):
    rank, task, model = made(path)
    inputs, targets = task.make_views(batch_of(rank), draws(task.sample_eval))
    trained_on, _ = task.make_views(batch_of(rank), draws(task.sample))
    tf.nest.map_structure(lambda one, other: one.shape.assert_is_compatible_with(other.shape), inputs, trained_on)
    accuracy, chance = (task.metrics[name](targets, model(inputs)) for name in ("accuracy", "chance"))
    if path in MASKED:  # of the mean, which a network that has learnt nothing may be worse than
        assert ((accuracy <= 1) & (chance == 0)).numpy().all()
        return
    assert ((accuracy >= 0) & (accuracy <= 1) & (chance > 0) & (chance < 1)).numpy().all()


def test_all_tasks_have_both_settings_in_both_ranks():
    root = configuration.ROOT / "gin"
    named = {
        str(Path("gin") / p.relative_to(root)) for folder in (root, root / "released") for p in folder.glob("*_?d.gin")
    }
    assert named == set(PATHS)
    assert len(PATHS) == 30
