"""Layers that make volumes of any size fit a network: up to a multiple and back, into patches and back.

All work on [batch, *spatial, channels] of any rank, with sizes known or not when the graph is built.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class PadToMultiple(keras.layers.Layer):
    """Lengthens every spatial axis at its far end to a multiple of `multiple`, by repeating its last slice.

    multiple: one for all axes, or one for each.
    """

    def __init__(self, multiple: int | Sequence[int], **kwargs) -> None:
        super().__init__(**kwargs)
        found = [multiple] if isinstance(multiple, int) else list(multiple)
        self.multiple: int | list[int] = found if len(set(found)) > 1 else found[0]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the inputs themselves where nothing is missing."""
        multiples = self.per_axis(len(inputs.shape) - 2)
        for axis, (size, n) in enumerate(zip(ops.shape(inputs)[1:-1], multiples, strict=True), start=1):
            missing = (n - size % n) % n  # ONNX counts negative remainders otherwise
            if not isinstance(missing, int) or missing:
                inputs = tf.gather(inputs, tf.minimum(tf.range(size + missing), size - 1), axis=axis)
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Multiples in place of the known sizes."""
        batch, *spatial, channels = input_shape
        multiples = zip(spatial, self.per_axis(len(spatial)), strict=True)
        return (batch, *(None if size is None else size + -size % n for size, n in multiples), channels)

    def per_axis(self, rank: int) -> list[int]:
        """The multiple of each of so many axes."""
        return self.multiple if isinstance(self.multiple, list) else [self.multiple] * rank

    def get_config(self) -> dict:
        """What the constructor takes."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class CropLike(keras.layers.Layer):
    """(values, reference) -> values, each spatial axis cut at its far end to the reference's length."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Returns the values themselves where nothing is to be cut."""
        values, reference = inputs
        sizes = ops.shape(reference)[1:-1]
        if tuple(sizes) == tuple(values.shape[1:-1]):
            return values
        return values[(slice(None), *(slice(size) for size in sizes))]

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        """The reference's sizes and the values' channels."""
        values, reference = input_shape
        return (*reference[:-1], values[-1])


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class ToPatches(keras.layers.Layer):
    """Cuts into a grid of n per axis: [batch, *spatial, channels] -> [batch · n**rank, *spatial / n, channels].

    The patches of one volume follow each other in row-major order.
    """

    def __init__(self, patches_per_side: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.patches_per_side = patches_per_side

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sizes must be multiples of n."""
        n, (_, *spatial, channels) = self.patches_per_side, ops.shape(inputs)
        rank = len(spatial)
        sides = [size // n for size in spatial]
        cells = tf.reshape(inputs, [-1, *(part for side in sides for part in (n, side)), channels])
        grid_first = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
        return tf.reshape(tf.transpose(cells, grid_first), [-1, *sides, channels])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The size of one patch, with the batch left open."""
        _, *spatial, channels = input_shape
        return (None, *(None if size is None else size // self.patches_per_side for size in spatial), channels)

    def get_config(self) -> dict:
        """What the constructor takes."""
        return {**super().get_config(), "patches_per_side": self.patches_per_side}


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class FromPatches(keras.layers.Layer):
    """The inverse of `ToPatches`, for maps of any size: [batch · n**rank, *side, channels] -> [batch, *n · side, …]."""

    def __init__(self, patches_per_side: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.patches_per_side = patches_per_side

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Puts every patch in its place."""
        n, (_, *sides, channels) = self.patches_per_side, ops.shape(inputs)
        rank = len(sides)
        cells = tf.reshape(inputs, [-1, *(n,) * rank, *sides, channels])
        interleaved = (0, *(axis for k in range(1, rank + 1) for axis in (k, rank + k)), 2 * rank + 1)
        return tf.reshape(tf.transpose(cells, interleaved), [-1, *(n * side for side in sides), channels])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The size of the whole, with the batch left open."""
        _, *sides, channels = input_shape
        return (None, *(None if side is None else self.patches_per_side * side for side in sides), channels)

    def get_config(self) -> dict:
        """What the constructor takes."""
        return {**super().get_config(), "patches_per_side": self.patches_per_side}
