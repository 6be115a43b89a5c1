"""What an encoder makes of a given input size: tasks ask before they build, so that a patch too small is one line."""

from collections.abc import Sequence

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import unet

VIEW_REMEDY = "raise VIEW_SIZE or lower LEVELS."
_LARGEST = 1024  # voxels per axis, up to which the smallest input is searched


def check_view(encoder: keras.Model, spatial: Sequence[int]) -> None:
    """Finds that an encoder can take whole views of that size, and loses no voxel of one whose axes are not alike.

    Raises:
        InputError: too small, of another rank, or on some axis no multiple of what a U-Net pools it by.
    """
    remedy = VIEW_REMEDY if len(set(spatial)) == 1 else "raise VIEW_SIZE, lower LEVELS, or POOL short axes less."
    feature_shape(encoder, spatial, remedy=remedy)
    factors = unet.factors(encoder)
    if len(set(spatial)) == len(set(factors)) == 1:
        return
    for side, factor in zip(spatial, factors, strict=True):
        if rest := side % factor:
            given = f"VIEW_SIZE {'×'.join(map(str, spatial))}: the encoder pools by {'×'.join(map(str, factors))}"
            near = " or ".join(str(one) for one in (side - rest, side - rest + factor) if one)
            raise InputError(f"{given}, and {side} is no multiple of {factor}: take {near}, or pool that axis less.")


def feature_shape(encoder: keras.Model, spatial: Sequence[int], *, remedy: str) -> tuple[int, ...]:
    """The shape of one example's features, without batch: (*spatial, channels), or (channels,) if pooled.

    Args:
        spatial: the size of the encoder's input, voxels.
        remedy: the end of the error message: what to change.

    Raises:
        InputError: rank or size does not fit the encoder.
    """
    size = "×".join(map(str, spatial))
    rank = len(encoder.input_shape) - 2
    if len(spatial) != rank:
        raise InputError(
            f"input {size} is {len(spatial)}D, encoder '{encoder.name}' is {rank}D, both must have one rank; "
            "set ENCODER to one of the task's rank (unet and resnet take RANK, applications are 2D)."
        )
    if not _fits(encoder, spatial):
        least = smallest_input(encoder)
        needed = f"{least[0]} per axis" if len(set(least)) == 1 else "×".join(map(str, least))
        raise InputError(
            f"input {size} is smaller than {needed}, the least that encoder '{encoder.name}' can down-sample; {remedy}"
        )
    return encoder.compute_output_shape(_with_channels(encoder, spatial))[1:]


def smallest_input(encoder: keras.Model) -> tuple[int, ...]:
    """The smallest input, voxels per axis, that leaves one voxel of features: 2^5 each for the default U-Net."""
    sides = [_LARGEST] * (len(encoder.input_shape) - 2)
    for axis in range(len(sides)):
        low, high = 0, _LARGEST  # low is too small, high fits
        while high - low > 1:
            middle = (low + high) // 2
            fits = _fits(encoder, [*sides[:axis], middle, *sides[axis + 1 :]])
            low, high = (low, middle) if fits else (middle, high)
        sides[axis] = high
    return tuple(sides)


def _fits(encoder: keras.Model, spatial: Sequence[int]) -> bool:
    try:
        shape = encoder.compute_output_shape(_with_channels(encoder, spatial))
    except ValueError:  # Keras: 'computed output size would be zero or negative'
        return False
    return min(shape[1:]) > 0


def _with_channels(encoder: keras.Model, spatial: Sequence[int]) -> tuple[int | None, ...]:
    return (None, *spatial, encoder.input_shape[-1])
