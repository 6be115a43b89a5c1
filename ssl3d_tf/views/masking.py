"""What is hidden or changed of a view that is to be reconstructed, and where the reconstruction counts.

A corruption is an Op but for what it returns: beside the views it says which voxels count. Views are standardised:
0 is the mean of what is no air.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import pooling
from ssl3d_tf.models.pooling import Pool
from ssl3d_tf.task import Params, Seed, Volumes
from ssl3d_tf.views import guesses, sizes, volumes
from ssl3d_tf.views.sizes import Size

AIR = 0.05  # of the range above the minimum: what lies below is air or padding
EPSILON = 1e-5


class Corruption(NamedTuple):
    """sample: one example's choices. apply: (views, choices, body) -> (changed views, what counts).

    body and what counts: float32 [batch, *spatial, 1], 0 or 1. guess: changed views -> the views as far
    as they are told without learning.
    """

    sample: Callable[[Seed], Params]
    apply: Callable[[Volumes, Params, tf.Tensor], tuple[Volumes, tf.Tensor]]
    guess: Callable[[Volumes], Volumes]


def hide(scans: Volumes, corruption: Corruption, drawn: Params) -> tuple[Volumes, Volumes, tf.Tensor]:
    """The scans standardised and changed, as they were before the change, and which voxels of them count."""
    body = body_of(scans)
    views = standardise(scans, body)
    changed, counts = corruption.apply(views, drawn, body)
    return changed, views, counts


@tf.function(jit_compile=True, autograph=False)
def body_of(views: Volumes) -> tf.Tensor:
    """Where a view shows something, float32 [batch, *spatial, 1] 0 or 1: any channel above AIR of its range."""
    axes = range(1, len(views.shape) - 1)
    low, high = (reduce(views, axes, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.cast(tf.reduce_any(views > low + AIR * (high - low), axis=-1, keepdims=True), tf.float32)


@tf.function(jit_compile=True, autograph=False)
def standardise(views: Volumes, inside: tf.Tensor) -> Volumes:
    """Each channel of each view to mean 0 and variance 1 over `inside`, [batch, *spatial, 1]; air goes along."""
    axes = range(1, len(views.shape) - 1)
    count = tf.maximum(tf.reduce_sum(inside, axes, keepdims=True), 1.0)
    mean = tf.reduce_sum(views * inside, axes, keepdims=True) / count
    variance = tf.reduce_sum(tf.square(views - mean) * inside, axes, keepdims=True) / count
    return (views - mean) * tf.math.rsqrt(variance + EPSILON)


def blocks(*, rank: int, view_size: Size, side: Size = 16, hidden: float = 0.75, pool: Pool = None) -> Corruption:
    """Hides whole blocks of a grid behind 0; of them counts what is body.

    Args:
        rank: spatial rank. view_size: voxels of the views, per axis or of all axes.
        side: of a block, likewise; 2^LEVELS is one place of the bottleneck. The last block of an axis may be cut.
        hidden: share of the blocks, in 0 < hidden < 1. He et al., 2022, arXiv:2111.06377; on CNNs in 3D: Wald et al.,
            2025, arXiv:2410.23132.
        pool: of the network, as `models.pooling`: one side for all axes is of those that are pooled most, along
            others a block has as many places as along these.

    Raises:
        InputError: nothing would be hidden, or nothing left.
    """
    view, block = sizes.sides(view_size, rank), _block(side, rank, pool)
    along = [-(-length // part) for length, part in zip(view, block, strict=True)]
    total = sizes.voxels(along)
    count = round(hidden * total)
    if not 0 < count < total:
        given = f"{count} of the {total} blocks of {sizes.text(block)} voxels in views of {sizes.text(view)}"
        given += f" are hidden at a share of {hidden}"
        raise InputError(f"{given}; there must be one at least, and one left: lower BLOCK or change HIDDEN.")

    def sample(seed: Seed) -> Params:
        order = tf.argsort(tf.random.stateless_uniform([total], seed, None, None, tf.int32))
        return tf.scatter_nd(order[:count, None], tf.ones([count], tf.bool), [total])

    def apply(views: Volumes, drawn: Params, body: tf.Tensor) -> tuple[Volumes, tf.Tensor]:
        hides = _enlarged(tf.reshape(drawn, (-1, *along)), block, view)
        return views * (1.0 - hides), hides * body

    return Corruption(sample, apply, lambda changed: guesses.from_neighbours(changed, reach=block))


def _block(side: Size, rank: int, pool: Pool) -> tuple[int, ...]:
    found = sizes.sides(side, rank, knob="BLOCK")
    if pool is None or not isinstance(side, int):
        return found
    factors = pooling.factors(pool, rank)
    return tuple(max(1, length * factor // max(factors)) for length, factor in zip(found, factors, strict=True))


def genesis(
    *,
    rank: int,
    view_size: Size,
    curve_p: float = 0.9,
    shuffle_p: float = 0.5,
    paint_p: float = 0.9,
    inpaint_p: float = 0.2,
) -> Corruption:
    """The changes of Models Genesis, after Zhou et al., 2021, arXiv:2004.07882; all counts, air too.

    With each probability: a monotone curve of intensity (a cubic Bézier curve, half of them falling), then voxels
    shuffled within half of all blocks of a tenth of the sides, then noise painted into up to five boxes
    (with `inpaint_p`) or everywhere but in them. Unlike there, blocks lie on a grid and noise is normal, as views are
    standardised.

    Raises:
        InputError: no block of 2 voxels or more, a tenth of the sides at most, divides them.
    """
    view = sizes.sides(view_size, rank)
    block = tuple(max((n for n in range(2, side // 10 + 1) if side % n == 0), default=1) for side in view)
    voxels = sizes.voxels(block)
    if voxels < 2:
        given = f"views of {sizes.text(view)} voxels have no blocks of up to a tenth of them"
        raise InputError(f"{given}; choose another VIEW_SIZE.")
    cells = sizes.voxels([length // side for length, side in zip(view, block, strict=True)])

    def sample(seed: Seed) -> Params:
        on, kind, bends, boxes, orders, chosen, noise = tf.unstack(tf.random.split(seed, 7))
        curved, shuffled, painted, falls = tf.unstack(_uniform(on, 4))
        return {
            "curved": curved < curve_p,
            "falls": falls < 0.5,
            "bends": _uniform(bends, 2, 2),
            "shuffled": shuffled < shuffle_p,
            "orders": tf.argsort(tf.random.stateless_uniform([_ORDERS, voxels], orders, None, None, tf.int32)),
            "chosen": tf.random.stateless_uniform([cells], chosen, 0, 2 * _ORDERS, tf.int32),
            "painted": painted < paint_p,
            "inside": _uniform(kind, 1)[0] < inpaint_p,
            "boxes": _uniform(boxes, _BOXES, rank, 2),
            "noise": noise,
        }

    def apply(views: Volumes, drawn: Params, body: tf.Tensor) -> tuple[Volumes, tf.Tensor]:
        changed = volumes.where(drawn["curved"], lambda v: curve(v, drawn["bends"], drawn["falls"]), views)
        changed = volumes.where(
            drawn["shuffled"], lambda v: shuffle(v, drawn["orders"], drawn["chosen"], block=block), changed
        )
        changed = volumes.where(drawn["painted"], lambda v: _painted(v, drawn), changed)
        return changed, tf.ones_like(body)

    return Corruption(sample, apply, lambda changed: changed)


_ORDERS, _BOXES, _POINTS = 8, 5, 64


@tf.function(jit_compile=True, autograph=False)
def curve(views: Volumes, bends: tf.Tensor, falls: tf.Tensor) -> Volumes:
    """Each view through a monotone curve from its minimum to its maximum, or back where it `falls`, bool [batch].

    bends: float [batch, 2, 2], the two inner points (x, y) of a cubic Bézier curve in the unit square.
    """
    t = tf.linspace(0.0, 1.0, _POINTS)
    shape = 3.0 * (1.0 - t) ** 2 * t, 3.0 * (1.0 - t) * t**2
    x, y = (bends[:, 0, axis, None] * shape[0] + bends[:, 1, axis, None] * shape[1] + t**3 for axis in range(2))
    table = _between(x, y, t)  # [batch, points]: y at equal steps of x
    table = tf.where(falls[:, None], 1.0 - table, table)
    axes = range(1, len(views.shape))
    low, high = (reduce(views, axes, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    place = tf.math.divide_no_nan(views - low, high - low) * (_POINTS - 1)
    first = tf.minimum(tf.cast(place, tf.int32), _POINTS - 2)
    share = place - tf.cast(first, tf.float32)
    lower, upper = (tf.gather(table, first + step, axis=1, batch_dims=1) for step in (0, 1))
    return (lower + (upper - lower) * share) * (high - low) + low


@tf.function(jit_compile=True, autograph=False)
def shuffle(views: Volumes, orders: tf.Tensor, chosen: tf.Tensor, *, block: Sequence[int]) -> Volumes:
    """Voxels in another order within blocks of so many voxels per axis, which divide the sides.

    Args:
        orders: int [batch, n, voxels of a block], permutations. chosen: int [batch, blocks], which of them a block
            gets; one that is n or more leaves it as it is.
    """
    spatial, channels = views.shape[1:-1], views.shape[-1]
    cut = [number for size, side in zip(spatial, block, strict=True) for number in (size // side, side)]
    rank = len(spatial)
    apart = [1 + 2 * axis for axis in range(rank)] + [2 + 2 * axis for axis in range(rank)]
    rows = tf.transpose(tf.reshape(views, (-1, *cut, channels)), (0, *apart, 2 * rank + 1))
    grid = rows.shape[1 : rank + 1]
    rows = tf.reshape(rows, (-1, chosen.shape[1], sizes.voxels(block), channels))
    stays = tf.broadcast_to(tf.range(sizes.voxels(block)), tf.shape(orders[:, :1]))
    known = tf.concat([orders, stays], axis=1)
    order = tf.gather(known, tf.minimum(chosen, orders.shape[1]), axis=1, batch_dims=1)
    rows = tf.gather(rows, order, axis=2, batch_dims=2)
    rows = tf.reshape(rows, (-1, *grid, *block, channels))
    back = [axis for pair in zip(range(1, rank + 1), range(rank + 1, 2 * rank + 1), strict=True) for axis in pair]
    return tf.reshape(tf.transpose(rows, (0, *back, 2 * rank + 1)), (-1, *spatial, channels))


def in_boxes(drawn: tf.Tensor, *, view_size: Sequence[int], inside: tf.Tensor) -> tf.Tensor:
    """Where any box lies, bool [batch, *spatial, 1]; drawn: float [batch, boxes, rank, 2], place and size as shares.

    Sides are a sixth to a third of the view's where one paints `inside`, bool [batch], else three to four sevenths.
    """
    low, high = (tf.where(inside, a, b)[:, None, None] for a, b in ((1 / 6, 3 / 7), (1 / 3, 4 / 7)))
    whole = tf.cast(view_size, tf.float32)
    sides = (low + (high - low) * drawn[..., 1]) * whole
    starts = drawn[..., 0] * (whole - sides)
    covered = tf.constant(True)
    for axis, length in enumerate(view_size):
        place = tf.range(length, dtype=tf.float32)
        start, side = starts[..., axis, None], sides[..., axis, None]
        along = (place >= start) & (place < start + side)  # [batch, boxes, length]
        covered = covered[..., None] & tf.reshape(along, (-1, drawn.shape[1], *(1,) * axis, length))
    return tf.reduce_any(covered, axis=1)[..., None]


def _painted(views: Volumes, drawn: Params) -> Volumes:
    noise = volumes.add_noise(
        tf.zeros_like(views), drawn["noise"], tf.ones_like(views[(slice(None), *(0,) * (len(views.shape) - 1))])
    )
    boxes = in_boxes(drawn["boxes"], view_size=tuple(views.shape[1:-1]), inside=drawn["inside"])
    inside = tf.reshape(drawn["inside"], (-1, *(1,) * (len(views.shape) - 1)))
    return tf.where(tf.equal(boxes, inside), noise, views)


def _between(x: tf.Tensor, y: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """y at `places`, float [n]: x rising in [0, 1] from 0 to 1, x and y [batch, points] -> [batch, n]."""
    last = x.shape[1] - 1
    below = tf.reduce_sum(tf.cast(x[:, None] <= places[:, None], tf.int32), axis=-1) - 1
    first = tf.clip_by_value(below, 0, last - 1)
    x0, x1, y0, y1 = (tf.gather(v, first + step, axis=1, batch_dims=1) for v in (x, y) for step in (0, 1))
    return y0 + (y1 - y0) * tf.clip_by_value(tf.math.divide_no_nan(places - x0, x1 - x0), 0.0, 1.0)


def _enlarged(cells: tf.Tensor, block: Sequence[int], view: Sequence[int]) -> tf.Tensor:
    """bool [batch, *cells] -> float32 [batch, *view, 1], each cell a block of so many voxels per axis."""
    for axis, (side, length) in enumerate(zip(block, view, strict=True), start=1):
        cells = tf.gather(cells, tf.range(length) // side, axis=axis)
    return tf.cast(cells, tf.float32)[..., None]


def _uniform(seed: Seed, *shape: int) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed)
