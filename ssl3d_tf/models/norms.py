"""Normalisation layers by name: batch, group, instance, layer, none.

Group, instance and layer norm are one layer that differs in the number of groups (Wu & He, 2018, arXiv:1803.08494).
It takes E[x] and E[x²] per channel and applies one scale and one offset per channel, and has a gradient of its own, as
what is derived from means takes twice the passes over a volume: on a CPU a step of the layer takes a quarter to a third
of Keras' GroupNormalization. Volumes are seen as rows, [batch, first axis, others · channels]: an innermost axis as
short as the channels keeps a CPU's vectors half empty.
"""

import math
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from ssl3d_tf.errors import InputError

GROUPS = 8  # of group norm, or as many as divide the channels


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class GroupNorm(keras.layers.Layer):
    """Zero mean and unit variance per example and group of channels, then scale and offset per channel.

    [batch, *spatial, channels] of any rank and size, to the same shape. Statistics are float32 whatever the precision.
    The variance is E[x²] − E[x]², clamped at 0: exact to about 1e-6 · (mean / deviation)², ample after a ReLU.

    Args:
        groups: divides the channels; 1 is layer norm, the number of channels is instance norm.
        epsilon: added to the variance.
    """

    def __init__(self, groups: int, *, epsilon: float = 1e-3, **kwargs) -> None:
        super().__init__(**kwargs)
        self.groups = groups
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Raises InputError where the groups do not divide the channels."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise InputError(f"groups {self.groups} does not divide the {channels} channels of '{self.name}'.")
        self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises; the result has the inputs' dtype."""
        # Weights go in as tensors: what has a gradient of its own must not read variables.
        groups, epsilon = self.groups, self.epsilon
        of_own = tf.custom_gradient(lambda *tensors: normalise(*tensors, groups=groups, epsilon=epsilon))
        return of_own(inputs, *(tf.cast(weight, tf.float32) for weight in (self.gamma, self.beta)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """What the constructor takes."""
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}


def normalise(
    inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, *, groups: int, epsilon: float
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]:
    """What `GroupNorm` computes, in the inputs' dtype, and its gradient -> those of inputs, gamma and beta."""
    rows, voxels = _rows(inputs), math.prod(ops.shape(inputs)[1:-1])
    others = math.prod(ops.shape(inputs)[2:-1])

    def sums(of_rows: tf.Tensor) -> tf.Tensor:
        """[batch, others · channels] -> [batch, channels]."""
        return tf.reduce_sum(tf.reshape(of_rows, (-1, others, gamma.shape[0])), axis=1)

    def means(per_channel: tf.Tensor) -> tf.Tensor:
        return _merge(per_channel, groups) / tf.cast(voxels, tf.float32)

    def spread(per_channel: tf.Tensor) -> tf.Tensor:
        """[batch, channels] -> [batch, 1, others · channels]."""
        return tf.tile(per_channel, (1, others))[:, None]

    mean = means(sums(tf.reduce_sum(rows, axis=1)))
    square = means(sums(tf.reduce_sum(tf.square(rows), axis=1)))
    inverse = tf.math.rsqrt(tf.maximum(square - tf.square(mean), 0.0) + epsilon)
    scale = inverse * gamma
    outputs = rows * spread(scale) + spread(beta - mean * scale)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """With x̂ the normalised inputs: scale · dy − inverse · (mean of γ · dy + x̂ · mean of γ · dy · x̂)."""
        with tf.name_scope("norm_gradient"):  # or a profile would not say whose it is
            coming = _rows(upstream)
            of_beta = sums(tf.reduce_sum(coming, axis=1))
            of_gamma = (sums(tf.reduce_sum(coming * rows, axis=1)) - mean * of_beta) * inverse
            slope = tf.square(inverse) * means(of_gamma * gamma)
            shift = mean * slope - inverse * means(of_beta * gamma)
            going = coming * spread(scale) + (spread(shift) - rows * spread(slope))
            of_inputs = tf.cast(tf.reshape(going, tf.shape(inputs)), inputs.dtype)
            return of_inputs, tf.reduce_sum(of_gamma, axis=0), tf.reduce_sum(of_beta, axis=0)

    return tf.cast(tf.reshape(outputs, tf.shape(inputs)), inputs.dtype), gradient


def _rows(values: tf.Tensor) -> tf.Tensor:
    """[batch, *spatial, channels] -> float32 [batch, first axis, others · channels]."""
    shape = ops.shape(values)
    return tf.cast(tf.reshape(values, (-1, shape[1], math.prod(shape[2:]))), tf.float32)


def _merge(per_channel: tf.Tensor, groups: int) -> tf.Tensor:
    """The mean over each group's channels, at every channel: [batch, channels] to the same."""
    channels = per_channel.shape[-1]
    if groups == channels:
        return per_channel
    grouped = tf.reshape(per_channel, (-1, groups, channels // groups))
    return tf.repeat(tf.reduce_mean(grouped, axis=-1), channels // groups, axis=-1)


def norm(kind: str) -> Callable[[int, str], keras.layers.Layer]:
    """(channels, layer name) -> layer, by name: 'batch', 'group', 'instance', 'layer' or 'none'.

    Raises:
        InputError: no such name.
    """
    if kind not in _BUILDERS:
        raise InputError(f"NORM is '{kind}'; it must be one of {', '.join(_BUILDERS)}.")
    return _BUILDERS[kind]


_BUILDERS: dict[str, Callable[[int, str], keras.layers.Layer]] = {
    "batch": lambda channels, name: keras.layers.BatchNormalization(name=name),
    "group": lambda channels, name: GroupNorm(math.gcd(GROUPS, channels), name=name),
    "instance": lambda channels, name: GroupNorm(channels, name=name),
    "layer": lambda channels, name: GroupNorm(1, name=name),
    "none": lambda channels, name: keras.layers.Identity(name=name),
}
