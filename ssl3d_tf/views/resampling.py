"""Volumes and masks at other places, of a whole batch: interpolated once, or only moved where nothing needs it.

Places are integers, of 2⁻¹⁸ voxels. So host, device and XLA agree on every neighbour and weight, and what needs no
interpolation (flips, quarter turns, whole voxels of shift) is copied bit by bit. Floating-point places would differ by
their rounding: where XLA computes one twice, its floor and its fraction may not belong together.
"""

from collections.abc import Sequence

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views.volumes import strides

BITS = 18  # of a place's fraction; the other 13 reach 8191 voxels
_FRACTION = (1 << BITS) - 1
_FRAME = 2  # voxels of background around a volume: both neighbours of any place outside are then background


def resample(volumes: tf.Tensor, places: tf.Tensor, fill: tf.Tensor) -> tf.Tensor:
    """Interpolates between the 2^rank nearest voxels: bilinear in 2D, trilinear in 3D, in the volume's own size.

    Where every place of the batch is that of a voxel, voxels are moved and nothing is computed: a quarter of the time,
    and the same bits.

    Args:
        volumes: float32 [batch, *spatial, channels].
        places: int32 [batch, rank, rank + 1] from `affine.compose` or `affine.places`.
        fill: float32 [batch, channels], what lies outside the volume.
    """
    background = tf.reshape(fill, (-1, *(1,) * (len(volumes.shape) - 2), volumes.shape[-1]))
    return tf.cond(
        _only_moves(places, tuple(volumes.shape[1:-1])),  # a TensorShape is traced anew at every call, and kept
        lambda: _moved(volumes, places, background),
        lambda: _interpolated(volumes, places, background),
    )


@tf.function(jit_compile=True, autograph=False)
def _moved(volumes: tf.Tensor, places: tf.Tensor, background: tf.Tensor) -> tf.Tensor:
    source = [tf.bitwise.right_shift(place, BITS) for place in _source(places, volumes.shape[1:-1])]
    values, inside = _take(volumes, source)
    return tf.where(inside[..., None], values, background)


@tf.function(jit_compile=True, autograph=False)
def _interpolated(volumes: tf.Tensor, places: tf.Tensor, background: tf.Tensor) -> tf.Tensor:
    """Always compiled, ten times as fast as a graph: one pass fetches each voxel's neighbours and weighs them."""
    spatial = volumes.shape[1:-1]
    number, shares = _column(tf.range(tf.shape(volumes)[0]), len(spatial)), []
    for place, side in zip(_source(places, spatial), spatial, strict=True):
        lower = tf.clip_by_value(tf.bitwise.right_shift(place, BITS), -_FRAME, side)
        number = number * (side + 2 * _FRAME) + lower + _FRAME
        shares.append(tf.cast(tf.bitwise.bitwise_and(place, _FRACTION), tf.float32)[..., None] * 2.0**-BITS)
    framed = _framed(volumes, background)
    voxels, steps = tf.reshape(framed, (-1, framed.shape[-1])), strides(framed)

    def between(axis: int, number: tf.Tensor) -> tf.Tensor:
        if axis == len(spatial):
            return tf.gather(voxels, number)
        lower, upper = between(axis + 1, number), between(axis + 1, number + steps[axis])
        return lower + (upper - lower) * shares[axis]

    return between(0, number)


def _framed(volumes: tf.Tensor, background: tf.Tensor) -> tf.Tensor:
    """By concatenation: padding, XLA would fuse with the interpolation and compute anew for every neighbour."""
    for axis in range(1, len(volumes.shape) - 1):
        shape = tf.unstack(tf.shape(volumes))
        shape[axis] = _FRAME
        edge = tf.broadcast_to(background, shape)
        volumes = tf.concat([edge, volumes, edge], axis)
    return volumes


@tf.function(jit_compile=True, autograph=False)
def resample_labels(masks: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The nearest label, 0 outside: masks of integers [batch, *spatial], to the same; places as for `resample`."""
    half = 1 << (BITS - 1)
    nearest = [tf.bitwise.right_shift(place + half, BITS) for place in _source(places, masks.shape[1:])]
    values, inside = _take(masks[..., None], nearest)
    return tf.where(inside, values[..., 0], tf.zeros((), masks.dtype))


@tf.function(jit_compile=True, autograph=False)
def _only_moves(places: tf.Tensor, spatial: Sequence[int]) -> tf.Tensor:
    """Whether every voxel of the results lies at a voxel: the first ones do, and so do whole steps from them."""
    first = tf.concat(_source(places, spatial, shown=(1,) * len(spatial)), -1)
    return tf.reduce_all([tf.reduce_all(tf.bitwise.bitwise_and(x, _FRACTION) == 0) for x in (first, places[..., :-1])])


def _source(places: tf.Tensor, spatial: Sequence[int], shown: Sequence[int] | None = None) -> list[tf.Tensor]:
    """Where the first `shown` voxels per axis of the result lie, or all, in voxels · 2^BITS: int32 [batch, *shown]."""
    rank = len(spatial)
    if max(spatial) > 1 << (29 - BITS):
        raise InputError(f"volumes of {'×'.join(map(str, spatial))} voxels are too large to rotate; lower VIEW_SIZE.")
    found = []
    for axis, side in enumerate(spatial):
        row = places[:, axis]
        twice = _column(row[:, rank], rank) * (2 * max(spatial)) + ((side - 1) << BITS)
        for other, (size, number) in enumerate(zip(spatial, shown or spatial, strict=True)):
            from_centre = 2 * tf.range(number) - (size - 1)
            along_axis = tf.reshape(from_centre, (number, *(1,) * (rank - 1 - other)))
            twice += _column(row[:, other], rank) * along_axis
        found.append(tf.bitwise.right_shift(twice, 1))
    return found


def _take(volumes: tf.Tensor, index: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Voxels [batch, *spatial, channels] at int32 places per axis, and bool [batch, *spatial], whether inside."""
    *spatial, channels = volumes.shape[1:]
    number = _column(tf.range(tf.shape(volumes)[0]), len(spatial))
    inside = tf.constant(True)
    for place, side in zip(index, spatial, strict=True):
        number = number * side + tf.clip_by_value(place, 0, side - 1)
        inside &= (place >= 0) & (place < side)
    return tf.gather(tf.reshape(volumes, (-1, channels)), number), inside


def _column(values: tf.Tensor, rank: int) -> tf.Tensor:
    return tf.reshape(values, (-1, *(1,) * rank))
