"""Augmentations as Ops: `sample` draws one example's few numbers, `apply` changes a whole batch.

Geometry without interpolation (`flips`, `quarter_turns`, `crop`) works in any dtype, so that a mask goes the same way
as its volume if it is given the same parameters; of `affine` the mask's Op is `affine_labels`. Intensity is for volumes
only.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Op, Params, Seed, Volumes
from ssl3d_tf.views import filters, patches, sizes, volumes
from ssl3d_tf.views.affine import Drawer, compose
from ssl3d_tf.views.resampling import resample, resample_labels
from ssl3d_tf.views.sizes import Size


def identity() -> Op:
    """Changes nothing."""
    return Op(lambda seed: (), lambda batch, params: batch)


def chain(ops: Sequence[Op]) -> Op:
    """The ops one after the other, each with random numbers of its own."""

    def sample(seed: Seed) -> Params:
        return tuple(op.sample(tf.random.experimental.stateless_fold_in(seed, place)) for place, op in enumerate(ops))

    def apply(batch: Volumes, params: Params) -> Volumes:
        for op, chosen in zip(ops, params, strict=True):
            batch = op.apply(batch, chosen)
        return batch

    return Op(sample, apply)


def flips(*, rank: int, p: float = 0.5) -> Op:
    """Reverses each axis with probability `p`, independently."""
    return Op(lambda seed: _uniform(seed, rank) < p, volumes.flip)


def quarter_turns(*, rank: int) -> Op:
    """One of all rotations of the square (4) or cube (24) onto itself, each as likely; needs equal sides."""
    table = volumes.all_turns(rank)
    return Op(
        lambda seed: tf.random.stateless_uniform([], seed, 0, len(table), tf.int32),
        lambda batch, index: volumes.rotate_cube(batch, index, table),
    )


def crop(*, size: int, rank: int) -> Op:
    """Cuts a square or cube of `size` voxels at a place uniform over all that fit.

    `apply` raises InputError where `size` exceeds the volume.
    """

    def apply(batch: Volumes, place: tf.Tensor) -> Volumes:
        spatial = batch.shape[1:-1]
        if size > min(spatial):
            raise InputError(f"CROP_SIZE {size} exceeds the volume, {'×'.join(map(str, spatial))} voxels; lower it.")
        places = tf.constant([n - size + 1 for n in spatial])
        drawn = tf.cast(place * tf.cast(places, tf.float32), tf.int32)
        start = tf.minimum(drawn, places - 1)  # the product with a number just below 1 may round up
        return volumes.crop(batch, start, (size,) * rank)

    return Op(lambda seed: _uniform(seed, rank), apply)


def affine(*, transforms: Sequence[Drawer], fill: float | None = None, view_size: Size | None = None) -> Op:
    """The transforms of `ssl3d_tf.views.affine`, the first one first, as one map and one interpolation.

    Args:
        fill: what lies outside the volume; None is each channel's minimum.
        view_size: voxels of the volumes, which must be said where their axes are not alike.
    """
    sides = _sides(view_size)

    def apply(batch: Volumes, places: tf.Tensor) -> Volumes:
        if sides is None and len(set(batch.shape[1:-1])) > 1:
            given = f"augment.affine moves volumes of {sizes.text(batch.shape[1:-1])} voxels"
            raise InputError(f"{given}; of such it must know: set augment.affine.view_size = %VIEW_SIZE.")
        minimum = tf.reduce_min(batch, range(1, len(batch.shape) - 1))
        return resample(batch, places, minimum if fill is None else tf.fill(tf.shape(minimum), float(fill)))

    return Op(compose(transforms, sides), apply)


def affine_labels(*, transforms: Sequence[Drawer], view_size: Size | None = None) -> Op:
    """`affine` for masks, int [batch, *spatial], given the volume's parameters: the nearest label, 0 outside."""
    return Op(compose(transforms, _sides(view_size)), resample_labels)


def _sides(view_size: Size | None) -> Sequence[int] | None:
    return view_size if isinstance(view_size, list | tuple) else None


def intensity(*, brightness: float = 0.125, contrast: tuple[float, float] = (0.5, 1.5), p: float = 0.5) -> Op:
    """With probability `p` adds U(−brightness, brightness), then scales by U(*contrast) about the volume's mean.

    Nothing is clipped. Defaults: Taleb et al., 2020, arXiv:2006.03829, published program; there p is .5 for exemplar
    and .7 in supervised training.
    """

    def sample(seed: Seed) -> Params:
        on, shift, factor = tf.unstack(_uniform(seed, 3))
        return {"on": on < p, "brightness": (2.0 * shift - 1.0) * brightness, "contrast": _between(contrast, factor)}

    return _sometimes(sample, lambda batch, params: volumes.adjust(batch, params["brightness"], params["contrast"]))


def gamma(*, exponent: tuple[float, float] = (0.7, 1.5), p: float = 0.3) -> Op:
    """With probability `p` raises the volume, scaled to [0, 1] by its own range, to the power U(*exponent).

    Defaults: Isensee et al., 2021, doi:10.1038/s41592-020-01008-z, supplement.
    """
    return _sometimes(
        lambda seed: _strength(seed, p, exponent),
        lambda batch, params: volumes.adjust_gamma(batch, params["strength"]),
    )


def noise(*, deviation: float = 0.1, p: float = 0.15) -> Op:
    """With probability `p` adds Gaussian noise of standard deviation U(0, deviation), in units of intensity."""

    def sample(seed: Seed) -> Params:
        on, strength = tf.unstack(_uniform(seed, 2))
        # A fold of its own: the voxels must not repeat the two numbers drawn above.
        voxels = tf.random.experimental.stateless_fold_in(seed, 1)
        return {"on": on < p, "deviation": tf.where(on < p, strength * deviation, 0.0), "seed": voxels}

    return _sometimes(sample, lambda batch, params: volumes.add_noise(batch, params["seed"], params["deviation"]))


def blur(*, deviation: tuple[float, float] = (0.5, 1.0), p: float = 0.2) -> Op:
    """With probability `p` a Gaussian blur of standard deviation U(*deviation) voxels.

    Defaults of this, and those of `low_resolution`: Isensee et al., 2021, doi:10.1038/s41592-020-01008-z, supplement.
    """
    return _sometimes(
        lambda seed: _strength(seed, p, deviation),
        lambda batch, params: filters.blur(batch, params["strength"], widest=deviation[1]),
    )


def low_resolution(*, factor: tuple[float, float] = (1.0, 2.0), p: float = 0.25) -> Op:
    """With probability `p` keeps one voxel in U(*factor) along each axis and interpolates between them."""
    return _sometimes(
        lambda seed: _strength(seed, p, factor),
        lambda batch, params: filters.lower_resolution(batch, params["strength"]),
    )


def bias_field(*, rank: int, amount: float = 0.2, p: float = 0.3) -> Op:
    """With probability `p` a smooth field that multiplies, by coefficients U(−amount, amount) of a cubic polynomial."""

    def sample(seed: Seed) -> Params:
        on, *drawn = tf.unstack(_uniform(seed, 1 + filters.field_terms(rank)))
        return {"on": on < p, "coefficients": (2.0 * tf.stack(drawn) - 1.0) * amount}

    return _sometimes(sample, lambda batch, params: filters.multiply_field(batch, params["coefficients"]))


def channel_drop(*, p: float = 0.2) -> Op:
    """With probability `p` sets all channels but one, a random one, to 0; nothing where there is only one."""

    def apply(batch: Volumes, draws: tf.Tensor) -> Volumes:
        return patches.drop_channels(batch[:, None], draws[:, None], probability=p)[:, 0]

    return Op(lambda seed: _uniform(seed, 2), apply)


def _strength(seed: Seed, p: float, limits: tuple[float, float]) -> Params:
    on, share = tf.unstack(_uniform(seed, 2))
    return {"on": on < p, "strength": _between(limits, share)}


def _sometimes(sample: Callable[[Seed], Params], change: Callable[[Volumes, Params], Volumes]) -> Op:
    """An Op that changes the examples whose params say 'on', and costs nothing where none does."""
    return Op(sample, lambda batch, params: volumes.where(params["on"], lambda some: change(some, params), batch))


def _uniform(seed: Seed, number: int) -> tf.Tensor:
    return tf.random.stateless_uniform([number], seed)


def _between(limits: tuple[float, float], share: tf.Tensor) -> tf.Tensor:
    low, high = limits
    return low + (high - low) * share
