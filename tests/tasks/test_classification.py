"""tasks/classification: what counts and weights of classes change in training."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import heads, unet
from ssl3d_tf.tasks import classification
from ssl3d_tf.views import affine

STORED = tf.constant([[3.0], [5.0], [3.0], [9.0]])  # of classes 3, 5, 9
KINDS = [(classification.nominal, 3), (classification.ordinal, 2)]


@pytest.mark.parametrize(("kind", "units"), KINDS)
def test_chance_is_the_share_of_the_class_that_training_has_most_of(kind, units):
    labels = kind(classes=(3, 5, 9), counts=(6, 2, 1))
    chance = labels.metrics["chance"](labels.read(STORED), tf.zeros((4, units)))
    assert np.mean(chance) == 0.5


def test_chance_is_that_of_guessing_where_nothing_is_known_of_the_shares():
    labels = classification.nominal(classes=4)
    assert np.allclose(labels.metrics["chance"](tf.constant([0, 3]), tf.zeros((2, 4))), 0.25)


@pytest.mark.parametrize(("kind", "units"), KINDS)
def test_weights_are_of_the_classes_from_low_to_high(kind, units):
    plain, weighted = (kind(classes=(3, 5, 9), weights=weights) for weights in ("none", (1.0, 2.0, 4.0)))
    outputs = tf.random.stateless_normal((4, units), [1, 2])
    losses = [labels.loss_fn(labels.read(STORED), outputs).numpy() for labels in (plain, weighted)]
    assert np.allclose(losses[1], np.array([1, 2, 1, 4]) * losses[0])


def test_views_of_thick_slices_are_moved_within_their_planes_and_told_where_a_network_would_lose_some():
    """Magnified views, of which no place lies outside, show nothing that is not theirs."""
    pool, transforms = ((2, 2, 1),), [affine.rotations(rank=3, p=1.0), affine.zoom(rank=3, factor=(1.5, 2.0), p=1.0)]
    labels, top = classification.nominal(classes=2), heads.linear(pooling="avg")
    task = classification.task(rank=3, view_size=(16, 16, 4), labels=labels, top=top, transforms=transforms)
    scans = np.tile(np.arange(1.0, 5.0, dtype=np.float32)[:, None], (2, 16, 16, 1, 1))
    params = tf.stack([task.sample(tf.constant([3, i]))[0] for i in range(2)])
    inputs, targets = task.make_views({"volume": tf.constant(scans), "label": STORED[:2] - 3.0}, (params, ()))
    within = inputs.numpy()[:, 4:12, 4:12, :, 0]
    np.testing.assert_allclose(within, np.broadcast_to(within[:, :1, :1], within.shape), atol=1e-3)  # still slices
    assert targets.numpy().tolist() == [0, 2]
    model = task.build_model(unet.encoder(1, rank=3, filters=2, levels=1, norm="group", pool=pool))
    assert model(inputs).shape == (2, 2)
    task = classification.task(rank=3, view_size=(16, 15, 4), labels=labels, top=top)
    with pytest.raises(InputError, match="VIEW_SIZE 16×15×4: the encoder pools by 2×2×1, and 15 is no multiple of 2"):
        task.build_model(unet.encoder(1, rank=3, filters=2, levels=1, norm="group", pool=pool))


@pytest.mark.parametrize(("classes", "held"), [(0, "no classes"), (1, "1 class"), ((7,), "1 class")])
def test_labels_that_are_no_classes_are_told_what_learns_them(classes, held):
    with pytest.raises(InputError, match=rf"labels hold {held}, and ordinal\(\) tells 2 or more .*regression\(\) with"):
        classification.ordinal(classes=classes)


def test_counts_of_other_classes_are_refused():
    with pytest.raises(InputError, match="CLASS_COUNTS has 2 numbers, there are 3 classes; leave it None"):
        classification.nominal(classes=3, counts=(1, 2))
