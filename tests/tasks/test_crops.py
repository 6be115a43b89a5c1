"""Crops: two of one scan that share half of their side; with the second head, one pass for both."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import pairs
from ssl3d_tf.models import decoders, heads, unet
from ssl3d_tf.tasks import crops
from ssl3d_tf.views import augment

VIEW, SIDE = 12, 8
DECODERS = {2: decoders.unet_2d_upconv, 3: decoders.unet_3d_upconv}


def make(rank=3, *, view_size=VIEW, change=None, **options):
    return crops.task(
        rank=rank,
        view_size=view_size,
        top=heads.mlp((8,), pooling="avg"),
        change=change or augment.identity(),
        **{"code_size": 4, **options},
    )


def with_masked(rank=3, **options):
    decoder = DECODERS[rank](norm="group", dropout=0.0)
    return make(rank, **{"masked_weight": 2.0, "decoder": decoder, "block": 4, **options})


def drawn(task, number=4):
    return tf.nest.map_structure(lambda *v: tf.stack(v), *(task.sample(tf.constant([5, i])) for i in range(number)))


def scans(rank=3, number=4):
    values = np.random.default_rng(0).uniform(1, 2, (number, *(VIEW,) * rank, 1))
    return {"volume": tf.constant(values, tf.float32)}


def encoder(rank=3, **options):
    return unet.encoder(1, rank=rank, **{"filters": 4, "levels": 1, "norm": "group", "dropout": 0.0, **options})


@pytest.mark.parametrize("rank", [2, 3])
def test_crops_are_cut_at_their_places(rank):
    task, batch = make(rank), scans(rank)
    params = drawn(task)
    views, targets = task.make_views(batch, params)
    assert (views.shape, targets) == ((4, 2, *(SIDE,) * rank, 1), ())
    for i, n in itertools.product(range(4), range(2)):
        cut = tuple(slice(start, start + SIDE) for start in params["places"][i, n].numpy())
        np.testing.assert_array_equal(views[i, n], batch["volume"][i].numpy()[cut])


@pytest.mark.parametrize(("view_size", "overlap"), [(12, 0.5), (96, 0.5), (32, 0.5), (28, 0.5), (31, 0.7), (9, 0.0)])
def test_two_crops_overlap_wherever_they_lie_and_none_is_larger_than_it_must_be(view_size, overlap):
    side = crops.side(view_size, overlap)
    assert 2 * side - view_size >= overlap * side - 1e-6
    assert 2 * (side - 1) - view_size < overlap * (side - 1)


def test_places_fill_the_view():
    places = drawn(make(), 64)["places"].numpy()
    assert places.min() == 0
    assert places.max() == VIEW - SIDE
    assert (places[:, 0] != places[:, 1]).any(axis=1).mean() > 0.9


def test_stored_numbers_are_cut_before_they_are_scaled():
    task, stored = make(), np.random.default_rng(0).integers(0, 255, (4, VIEW, VIEW, VIEW, 1)).astype(np.uint8)
    numbers = {"scale": tf.fill((4, 1), 0.5), "offset": tf.fill((4, 1), -3.0)}
    params = drawn(task)
    found, _ = task.make_views({"volume": tf.constant(stored), **numbers}, params)
    expected, _ = task.make_views({"volume": tf.constant(stored * 0.5 - 3.0, tf.float32)}, params)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_each_crop_is_changed_by_itself_and_evaluation_draws_as_training_does():
    task = make(change=augment.intensity(p=1.0))
    batch, params = scans(), drawn(task)
    views, _ = task.make_views(batch, params)
    same, _ = make().make_views(batch, params | {"changes": ((), ())})
    shift = np.mean(views - same, axis=(2, 3, 4, 5))
    assert (np.abs(shift[:, 0] - shift[:, 1]) > 1e-3).all()
    tf.nest.map_structure(np.testing.assert_array_equal, task.sample(tf.constant([1, 2])), task.sample_eval((1, 2)))


@pytest.mark.parametrize("rank", [2, 3])
def test_the_second_head_is_asked_for_what_is_hidden_of_both_crops(rank):
    task = with_masked(rank)
    shown, targets = task.make_views(scans(rank), drawn(task))
    assert shown.shape == targets.views.shape == (4, 2, *(SIDE,) * rank, 1)
    asked = targets.counts.numpy() > 0
    assert not np.any(shown.numpy()[asked])
    assert np.array_equal(shown.numpy()[~asked & (shown.numpy() != 0)], targets.views.numpy()[~asked & (shown != 0)])
    assert (asked[:, 0] != asked[:, 1]).any()
    assert 0.5 < asked.mean() < 0.8


@pytest.mark.parametrize("start", ["bottleneck", "pooled"])
@pytest.mark.parametrize("pooling", ["max", "none"])
def test_both_heads_read_one_pass_of_the_encoder(pooling, start):
    decoder = decoders.unet_3d_upconv(norm="group", dropout=0.0, start=start)
    network = encoder(pooling=pooling)
    model = with_masked(decoder=decoder).build_model(network)
    views = tf.random.stateless_uniform((2, 2, SIDE, SIDE, SIDE, 1), (1, 2))
    found, flat = model(views), tf.reshape(views, (4, SIDE, SIDE, SIDE, 1))
    pooled = tf.reduce_mean(network(flat), axis=(1, 2, 3))
    first, last = (layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    np.testing.assert_allclose(tf.reshape(found["projections"], (4, 4)), last(first(pooled)), rtol=1e-4, atol=1e-5)
    filled = decoders.within(model)(flat)[1]
    np.testing.assert_allclose(tf.reshape(found["reconstruction"], filled.shape), filled, rtol=1e-4, atol=1e-5)


def test_losses_are_summed_by_weight_and_both_are_scored():
    task, alone = with_masked(), make()
    views, targets = task.make_views(scans(), drawn(task))
    outputs = task.build_model(encoder())(views)
    error = tf.reduce_sum((outputs["reconstruction"] - targets.views) ** 2 * targets.counts, axis=range(1, 6))
    expected = alone.loss_fn((), outputs) + 2.0 * error / tf.reduce_sum(targets.counts, axis=range(1, 6))
    np.testing.assert_allclose(task.loss_fn(targets, outputs), expected, rtol=1e-4)
    assert list(task.metrics) == ["accuracy", "chance", "chance_loss", "explained"]
    perfect = {**outputs, "reconstruction": targets.views}
    np.testing.assert_allclose(task.metrics["explained"](targets, perfect), np.ones(4))


def test_the_decoder_is_kept_where_one_is_trained():
    assert crops.keeps(masked_weight=0.0) == ("encoder",)
    assert crops.keeps(masked_weight=0.5) == ("encoder", "decoder")


def test_without_learning_a_scan_is_told_by_its_intensities_alone():
    task, brightness = make(), tf.reshape(tf.range(4.0), (4, 1, 1, 1, 1))
    # Of equal ones the first is named, which is right for both crops of one scan in four.
    for volume, expected in ((scans()["volume"] + brightness, 1.0), (tf.ones((4, VIEW, VIEW, VIEW, 1)), 1 / 4)):
        views, targets = task.make_views({"volume": volume}, drawn(task))
        assert np.mean(task.metrics["accuracy"](targets, task.guess(views))) == pytest.approx(expected)


@pytest.mark.parametrize("objective", [pairs.nt_xent(), pairs.vicreg()])
def test_every_objective_needs_two_scans(objective):
    assert make(objective=objective).smallest_batch == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"overlap": 1.0}, "OVERLAP is 1.0; it must be 0 or more and below 1"),
        ({"overlap": -0.1}, "OVERLAP is -0.1"),
        ({"overlap": 0.99}, "OVERLAP is 0.99; both crops would be the view of"),
        ({"masked_weight": -1.0}, r"MASKED_WEIGHT is -1.0.*must be 0, or above it"),
        ({"masked_weight": 1.0}, r"crops.task.decoder None.*crops_masked_3d"),
    ],
)
def test_what_cannot_be_is_one_line(options, says):
    with pytest.raises(InputError, match=says):
        make(**options)


def test_views_of_another_size_and_networks_too_deep_are_refused():
    task = make(view_size=13)
    with pytest.raises(InputError, match=r"\(12, 12, 12\) voxels, VIEW_SIZE is 13"):
        task.make_views(scans(), drawn(task))
    for one in (make(), with_masked()):
        with pytest.raises(InputError, match=r"input 8×8×8 is smaller than 16.*raise VIEW_SIZE or lower LEVELS"):
            one.build_model(encoder(levels=3))
