"""What is hidden or changed of a view: how much, where, the same everywhere, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import masking

SIZES = {2: 40, 3: 20}


def drawn(corruption, number):
    one_each = [corruption.sample(tf.constant([7, i])) for i in range(number)]
    return tf.nest.map_structure(lambda *values: tf.stack(values), *one_each)


def noise(rank, number=3, channels=2):
    shape = (number, *(SIZES[rank],) * rank, channels)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("make", [masking.blocks, masking.genesis])
def test_choices_are_of_the_seed_and_xla_changes_nothing(rank, make):
    corruption = make(rank=rank, view_size=SIZES[rank], **({"side": 4} if make is masking.blocks else {}))
    params, views = drawn(corruption, 3), noise(rank)
    again = drawn(corruption, 3)
    tf.nest.map_structure(lambda a, b: np.testing.assert_array_equal(a, b), params, again)
    plain = corruption.apply(tf.constant(views), params, tf.ones_like(views[..., :1]))
    compiled = tf.function(corruption.apply, jit_compile=True, autograph=False)(
        tf.constant(views), params, tf.ones_like(views[..., :1])
    )
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    alone = corruption.apply(
        tf.constant(views[1:2]),
        tf.nest.map_structure(lambda value: value[1:2], params),
        tf.ones_like(views[1:2, ..., :1]),
    )
    np.testing.assert_allclose(alone[0][0], plain[0][1], atol=1e-6)


@pytest.mark.parametrize(
    ("rank", "side", "hidden", "share"), [(2, 8, 0.6, 0.6), (3, 5, 0.75, 0.75), (2, 40, 0.5, None)]
)
def test_so_many_whole_blocks_are_hidden_and_count(rank, side, hidden, share):
    if share is None:
        with pytest.raises(InputError, match="lower BLOCK or change HIDDEN"):
            masking.blocks(rank=rank, view_size=SIZES[rank], side=side, hidden=hidden)
        return
    corruption, views = masking.blocks(rank=rank, view_size=SIZES[rank], side=side, hidden=hidden), noise(rank)
    changed, counts = (
        value.numpy()
        for value in corruption.apply(tf.constant(views), drawn(corruption, 3), tf.ones_like(views[..., :1]))
    )
    assert [counts[i].mean() for i in range(3)] == [pytest.approx(share, abs=1e-6)] * 3
    np.testing.assert_array_equal(changed, np.where(counts > 0, 0, views))
    cells = counts[(slice(None), *(slice(None, None, side),) * rank)]
    np.testing.assert_array_equal(counts, np.kron(cells, np.ones((1, *(side,) * rank, 1))))
    assert not np.array_equal(counts[0], counts[1])


def test_a_block_at_the_end_may_be_cut():
    corruption = masking.blocks(rank=2, view_size=40, side=16, hidden=0.5)
    changed, counts = corruption.apply(tf.ones((3, 40, 40, 1)), drawn(corruption, 3), tf.ones((3, 40, 40, 1)))
    assert changed.shape == (3, 40, 40, 1)
    assert set(np.unique(counts)) == {0, 1}


def test_a_curve_is_monotone_keeps_the_range_and_may_fall():
    views = tf.reshape(tf.linspace(-2.0, 3.0, 50), (1, 50, 1, 1))
    bends = tf.constant([[[0.9, 0.1], [0.2, 0.3]]])
    rises, falls = (masking.curve(views, bends, tf.constant([way])).numpy().ravel() for way in (False, True))
    assert (np.diff(rises) >= -1e-6).all()
    assert (np.diff(falls) <= 1e-6).all()
    assert rises[[0, -1]] == pytest.approx([-2, 3], abs=1e-5)
    assert falls[[0, -1]] == pytest.approx([3, -2], abs=1e-5)
    straight = masking.curve(views, tf.constant([[[1 / 3, 1 / 3], [2 / 3, 2 / 3]]]), tf.constant([False]))
    np.testing.assert_allclose(straight, views, atol=1e-3)


@pytest.mark.parametrize("rank", SIZES)
def test_a_shuffle_moves_voxels_within_their_blocks_only(rank):
    side, size, views = 4, SIZES[rank], noise(rank)
    cells = (size // side) ** rank
    orders = tf.constant(np.stack([np.random.default_rng(1).permutation(side**rank)] * 3)[:, None], tf.int32)
    chosen = tf.constant(np.tile(np.arange(cells) % 2, (3, 1)), tf.int32)
    found = masking.shuffle(tf.constant(views), orders, chosen, block=(side,) * rank).numpy()

    def blocks(values):
        cut = values.reshape(3, *[n for _ in range(rank) for n in (size // side, side)], 2)
        order = [0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1]
        return cut.transpose(order).reshape(3, cells, side**rank, 2)

    before, after = blocks(views), blocks(found)
    np.testing.assert_array_equal(after[:, 1::2], before[:, 1::2])
    np.testing.assert_array_equal(after[:, ::2], before[:, ::2][:, :, orders[0, 0].numpy()])


def test_blocks_are_as_long_along_an_axis_as_it_is_pooled():
    corruption = masking.blocks(rank=3, view_size=(16, 16, 6), side=8, hidden=0.5, pool=((2, 2, 1), (2, 2, 2)))
    views = np.ones((4, 16, 16, 6, 1), np.float32)
    _, counts = corruption.apply(tf.constant(views), drawn(corruption, 4), tf.ones_like(views))
    assert corruption.sample(tf.constant([7, 0])).shape == (2 * 2 * 2,)
    hidden = counts.numpy()[..., 0]
    np.testing.assert_array_equal(hidden[:, :, :, :4], np.repeat(hidden[:, :, :, :1], 4, axis=3))
    np.testing.assert_array_equal(hidden[:, :8, :8], np.tile(hidden[:, :1, :1], (1, 8, 8, 1)))
    assert (hidden[..., 0] != hidden[..., 4]).any()


def test_changes_of_genesis_reach_every_axis_of_a_flat_view():
    corruption = masking.genesis(rank=3, view_size=(20, 40, 6), shuffle_p=1.0, curve_p=0.0, paint_p=0.0)
    views = np.random.default_rng(0).normal(size=(2, 20, 40, 6, 1)).astype(np.float32)
    found, _ = corruption.apply(tf.constant(views), drawn(corruption, 2), tf.ones_like(views))
    blocks = [each.reshape(2, 10, 2, 10, 4, 6).transpose(0, 1, 3, 5, 2, 4) for each in (views, found.numpy())]
    before, after = (np.sort(each.reshape(2, 10, 10, 6, 8), axis=-1) for each in blocks)
    np.testing.assert_array_equal(before, after)  # within blocks of 2 × 4 × 1
    assert (found.numpy() != views).mean() > 0.2
    shares = tf.random.stateless_uniform((50, 1, 3, 2), (1, 2))
    boxes = masking.in_boxes(shares, view_size=(40, 20, 12), inside=tf.fill([50], True))
    lengths = [boxes.numpy().any(tuple(a for a in range(1, 5) if a != axis)).sum(-1) for axis in (1, 2, 3)]
    assert [max(each) <= side / 3 + 1 for each, side in zip(lengths, (40, 20, 12), strict=True)] == [True] * 3
    with pytest.raises(InputError, match="views of 19×19×7 voxels have no blocks of up to a tenth of them"):
        masking.genesis(rank=3, view_size=(19, 19, 7))


@pytest.mark.parametrize("rank", SIZES)
def test_boxes_have_the_sides_that_were_asked_for(rank):
    boxes = tf.constant(np.random.default_rng(2).random((200, 1, rank, 2)), tf.float32)
    for inside, low, high in ((True, 1 / 6, 1 / 3), (False, 3 / 7, 4 / 7)):
        found = masking.in_boxes(boxes, view_size=(40,) * rank, inside=tf.fill([200], inside)).numpy()
        lengths = [found.any(tuple(a for a in range(1, rank + 2) if a != axis)).sum(-1) for axis in range(1, rank + 1)]
        assert np.min(lengths) >= 40 * low - 1
        assert np.max(lengths) <= 40 * high + 1


def test_views_are_standardised_over_what_is_no_air():
    body = np.zeros((2, 8, 8, 1), np.float32)
    body[:, 2:6, 2:6] = 1
    values = np.random.default_rng(0).uniform(5, 9, (2, 8, 8, 2)).astype(np.float32) * body
    found = masking.body_of(tf.constant(values))
    np.testing.assert_array_equal(found, body)
    inside = masking.standardise(tf.constant(values), found).numpy()[:, 2:6, 2:6]
    np.testing.assert_allclose(inside.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(inside.std((1, 2)), 1, atol=1e-3)
    assert np.isfinite(masking.standardise(tf.ones((1, 4, 4, 1)), masking.body_of(tf.ones((1, 4, 4, 1))))).all()
