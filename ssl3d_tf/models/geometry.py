"""What an encoder makes of a given input size: tasks ask before they build, so that a patch too small is one line."""

from collections.abc import Sequence

import keras

from ssl3d_tf.errors import InputError

_LARGEST = 1024  # voxels per axis, up to which the smallest input is searched


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
        raise InputError(
            f"input {size} is smaller than {smallest_input(encoder)} per axis, "
            f"the least that encoder '{encoder.name}' can down-sample; {remedy}"
        )
    return encoder.compute_output_shape(_with_channels(encoder, spatial))[1:]


def smallest_input(encoder: keras.Model) -> int:
    """The smallest side, in voxels, of an input that leaves one voxel of features: 2^5 for the default U-Net."""
    rank = len(encoder.input_shape) - 2
    low, high = 0, _LARGEST  # low is too small, high fits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(encoder, (middle,) * rank) else (middle, high)
    return high


def _fits(encoder: keras.Model, spatial: Sequence[int]) -> bool:
    try:
        shape = encoder.compute_output_shape(_with_channels(encoder, spatial))
    except ValueError:  # Keras: 'computed output size would be zero or negative'
        return False
    return min(shape[1:]) > 0


def _with_channels(encoder: keras.Model, spatial: Sequence[int]) -> tuple[int | None, ...]:
    return (None, *spatial, encoder.input_shape[-1])
