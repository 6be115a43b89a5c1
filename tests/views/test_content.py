"""Patches of air: blank, and told from others by the air of their own scan."""

import numpy as np
import tensorflow as tf

from ssl3d_tf.views import content, patches

LOOKS = patches.Looks()


def cut(shares):
    """A patch of 10 × 10 voxels for each share, so much of it at 1 and the rest at 0: [batch, patches, 10, 10, 1]."""
    filled = np.arange(100) < np.round(100 * np.asarray(shares))[..., None]
    return tf.constant(filled.reshape(*np.shape(shares), 10, 10, 1), tf.float32)


def test_a_tenth_of_body_is_something():
    found = content.body(cut([[0, 0.09, 0.1, 1]]), {"air": tf.constant([[0.5]])}, LOOKS)
    assert found.numpy().tolist() == [[False, False, True, True]]


def test_air_is_each_scan_s_own_and_any_channel_is_enough():
    both = tf.concat([cut([[1, 0]] * 3), cut([[0, 0]] * 3)], axis=-1)
    air = tf.constant([[0.5, 0.5], [2.0, 0.5], [2.0, -0.5]])
    assert content.body(both, {"air": air}, LOOKS).numpy().tolist() == [[True, False], [False, False], [True, True]]


def test_nothing_is_left_out_where_air_is_not_known_or_patches_stay_dark():
    assert content.body(cut([[0]]), {}, LOOKS) is None
    assert content.body(cut([[0]]), {"air": tf.constant([[0.5]])}, patches.Looks(standardise=False)) is None
    assert content.body(cut([[0]]), {"air": tf.constant([[-np.inf]])}, LOOKS).numpy().all()


def test_blank_patches_are_what_a_patch_of_one_value_becomes():
    seen = patches.standardise(cut([[0.5, 0.05]]))
    shown = content.blanked(seen, tf.constant([[True, False]]))
    np.testing.assert_array_equal(shown[:, 0], seen[:, 0])
    np.testing.assert_array_equal(shown[:, 1], patches.standardise(cut([[0]]))[:, 0])
