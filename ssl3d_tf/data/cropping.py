"""Cuts one volume to the view's size: the only geometry that runs per example, before any voxel is cast."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from ssl3d_tf.data import body
from ssl3d_tf.views import sizes
from ssl3d_tf.views.sizes import Size


def crop(
    example: Mapping[str, tf.Tensor], size: Size, *, seed: tf.Tensor | None, foreground: float = 0.0
) -> dict[str, tf.Tensor]:
    """Cuts volume and mask to `size` voxels, per axis or of all axes, at the same place.

    Args:
        example: volume [*spatial, channels], mask [*spatial] where present, 'cells' where `foreground` is wanted.
        size: of the result. Axes that are smaller are padded on both sides: the volume with its minimum per
            channel, the mask with 0.
        seed: the place is uniform over all that fit; None is the centre.
        foreground: share that is to be body, by `body.start`; 0 is any.

    Returns:
        volume [*size, channels] and mask, in their own dtypes.
    """
    volume = example["volume"]
    size, spatial = sizes.sides(size, volume.shape.rank - 1), tf.shape(volume)[:-1]
    if foreground:
        start = body.start(example[body.CELLS], spatial, size, foreground=foreground, seed=seed)
    else:
        start = _start(spatial, size, seed)
    result = {"volume": _cut(volume, start, size, fill=lambda: tf.reduce_min(volume, tf.range(tf.rank(volume) - 1)))}
    if "mask" in example:
        result["mask"] = _cut(example["mask"][..., None], start, size, fill=lambda: 0)[..., 0]
    return result


def whole(example: Mapping[str, tf.Tensor], size: Size) -> dict[str, tf.Tensor]:
    """As `crop` where every axis is known to be that long: nothing is copied."""
    volume = example["volume"]
    sides = sizes.sides(size, volume.shape.rank - 1)
    result = {"volume": tf.ensure_shape(volume, (*sides, volume.shape[-1]))}
    if "mask" in example:
        result["mask"] = tf.ensure_shape(example["mask"], sides)
    return result


def _start(spatial: tf.Tensor, size: Sequence[int], seed: tf.Tensor | None) -> tf.Tensor:
    room = tf.maximum(spatial - size, 0)
    if seed is None:
        return room // 2
    drawn = tf.random.stateless_uniform(tf.shape(room), seed) * tf.cast(room + 1, tf.float32)
    return tf.minimum(tf.cast(drawn, tf.int32), room)  # the product of numbers just below may round up


def _cut(volume: tf.Tensor, start: tf.Tensor, size: Sequence[int], *, fill) -> tf.Tensor:
    spatial = tf.shape(volume)[:-1]
    cut = tf.slice(volume, tf.concat([start, [0]], 0), tf.concat([tf.minimum(spatial, size), [-1]], 0))
    missing = tf.maximum(size - spatial, 0)
    # The minimum touches every voxel, so it is computed only where something is missing.
    padded = tf.cond(tf.reduce_any(missing > 0), lambda: _pad(cut, missing, fill()), lambda: cut)
    return tf.ensure_shape(padded, (*size, volume.shape[-1]))


def _pad(volume: tf.Tensor, missing: tf.Tensor, fill: tf.Tensor) -> tf.Tensor:
    widths = tf.stack([missing // 2, missing - missing // 2], axis=1)
    inside = tf.pad(tf.ones(tf.shape(volume)[:-1], tf.bool), widths)
    return tf.where(inside[..., None], tf.pad(volume, tf.pad(widths, [[0, 1], [0, 0]])), tf.cast(fill, volume.dtype))
