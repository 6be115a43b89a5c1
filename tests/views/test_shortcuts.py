"""Shortcut audit: each removal removes what it says, for every task, on host and device alike."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import pipeline
from ssl3d_tf.data.folders import open_folder
from ssl3d_tf.models import heads
from ssl3d_tf.task import Task
from ssl3d_tf.tasks import cpc, jigsaw, relative_location, rotation
from ssl3d_tf.views import shortcuts
from ssl3d_tf.views.volumes import intensities
from tests.conftest import make_folder

SIZE = 12
TASKS = {
    "rotation": functools.partial(rotation.task, top=heads.linear()),
    "jigsaw": functools.partial(jigsaw.task, top=heads.linear()),
    "relative_location": functools.partial(relative_location.task, top=heads.linear()),
    "cpc": functools.partial(cpc.task, patches_per_side=4),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """rank -> data folder of 6 training and 3 validation examples with two channels."""
    root = tmp_path_factory.mktemp("shortcuts")
    for rank in (2, 3):
        make_folder(root / str(rank), counts={"train": 6, "val": 3}, shapes=[(SIZE,) * rank], channels=2, masks=False)
    return {rank: open_folder(root / str(rank)) for rank in (2, 3)}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def batch_of(data, task, *, training=False, views_on="device", seed=3):
    """The first batch's (inputs, targets)."""
    split = "train" if training else "val"
    read = pipeline.read(
        data,
        task,
        split=split,
        training=training,
        rank=data.manifest.rank,
        view_size=SIZE,
        batch_size=2,
        seed=seed,
        views_on=views_on,
    )
    _, element = next(iter(read.dataset()))
    return tf.function(read.to_views, autograph=False)(element)


@pytest.mark.parametrize("spatial", [(8, 8), (7, 9), (8, 8, 8), (7, 8, 9)])
def test_random_phases_keep_spectrum_and_mean_and_nothing_else(spatial):
    volumes, axes = 3.0 + noise(2, *spatial, 2), tuple(range(1, len(spatial) + 1))
    found = shortcuts.random_phases(tf.constant(volumes), tf.constant(noise(*volumes.shape, seed=1))).numpy()
    expected = np.abs(np.fft.fftn(volumes, axes=axes))
    np.testing.assert_allclose(np.abs(np.fft.fftn(found, axes=axes)), expected, rtol=1e-3)
    np.testing.assert_allclose(found.mean(axis=axes), volumes.mean(axis=axes), rtol=1e-4)
    assert abs(np.corrcoef(found.ravel(), volumes.ravel())[0, 1]) < 0.3


def test_random_phases_compile_under_xla():
    volumes, phases = tf.constant(noise(2, 7, 8, 9, 2)), tf.constant(noise(2, 7, 8, 9, 2, seed=1))
    compiled = tf.function(shortcuts.random_phases, autograph=False, jit_compile=True)
    np.testing.assert_allclose(compiled(volumes, phases), shortcuts.random_phases(volumes, phases), atol=1e-5)


@pytest.mark.parametrize(("size", "width"), [(3, 1), (8, 1), (17, 2)])
def test_the_interior_becomes_the_mean_and_the_shell_stays(size, width):
    images = noise(2, 3, size, size, size, 2)
    found = shortcuts.keep_shell(tf.constant(images), rank=3).numpy()
    expected = images.copy()
    core = (slice(None), slice(None), *(slice(width, size - width),) * 3)
    expected[core] = images.mean(axis=(2, 3, 4), keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_reordering_keeps_every_voxel_with_its_channels():
    images = noise(2, 3, 4, 5, 2)
    order = np.argsort(noise(2, 3, 20), axis=-1)
    found = shortcuts.reorder(tf.constant(images), tf.constant(order, tf.int32)).numpy()
    expected = [[images[b, p].reshape(20, 2)[order[b, p]] for p in range(3)] for b in range(2)]
    np.testing.assert_array_equal(found.reshape(2, 3, 20, 2), expected)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("rank", [2, 3])
def test_histograms_of_patches_survive_and_their_orders_differ(name, rank, folders):
    task = TASKS[name](rank=rank, view_size=SIZE)
    whole = images_of(batch_of(folders[rank], task)[0])
    mixed = images_of(batch_of(folders[rank], shortcuts.histogram(task, (SIZE,) * rank + (2,)))[0])
    rows = [images.reshape(-1, np.prod(images.shape[-rank - 1 : -1]), 2) for images in (whole, mixed)]
    np.testing.assert_array_equal(*(np.sort(row, axis=1) for row in rows))
    places = [np.argsort(np.argsort(row[:, :, 0])) for row in rows]  # of distinct values
    assert len({tuple(np.argsort(after)[before]) for before, after in zip(*places, strict=True)}) == len(rows[0])


@pytest.mark.parametrize("removal", shortcuts.REMOVALS)
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("training", [True, False])
def test_labels_stay_draws_repeat_and_host_equals_device(removal, name, training, folders):
    task = TASKS[name](rank=3, view_size=SIZE)
    altered = shortcuts.REMOVALS[removal](task, (SIZE,) * 3 + (2,))
    real = batch_of(folders[3], task, training=training)
    on_device, again, on_host = (
        batch_of(folders[3], altered, training=training, views_on=place) for place in ("device", "device", "host")
    )
    tf.nest.map_structure(np.testing.assert_array_equal, on_device, again)
    tf.nest.map_structure(functools.partial(np.testing.assert_allclose, atol=1e-5), on_device, on_host)
    tf.nest.map_structure(np.testing.assert_array_equal, on_device[1], real[1])
    assert not np.allclose(images_of(on_device[0]), images_of(real[0]))


@pytest.mark.parametrize("removal", shortcuts.REMOVALS)
def test_another_seed_draws_another_batch(removal, folders):
    task = shortcuts.REMOVALS[removal](TASKS["rotation"](rank=2, view_size=SIZE), (SIZE, SIZE, 2))
    one, two = (images_of(batch_of(folders[2], task, seed=seed)[0]) for seed in (3, 4))
    assert removal == "border" or not np.allclose(one, two)


@pytest.mark.parametrize("removal", shortcuts.REMOVALS)
def test_several_views_of_a_volume_are_folded_like_patches(removal, folders):
    task = shortcuts.REMOVALS[removal](two_views(), (SIZE,) * 3 + (2,))
    inputs, _ = batch_of(folders[3], task)
    assert inputs.shape == (2, 2, SIZE, SIZE, SIZE, 2)
    assert np.allclose(inputs[:, 0], inputs[:, 1]) == (removal != "histogram")


def two_views() -> Task:
    """A task whose inputs are each volume twice."""
    return TASKS["rotation"](rank=3, view_size=SIZE)._replace(
        make_views=lambda batch, params: (tf.stack([intensities(batch)] * 2, axis=1), params["label"])
    )


def images_of(inputs):
    return tf.nest.flatten(inputs)[0].numpy()
