"""A network without what only this package knows, with the same weights: for programs that do not have the package."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from ssl3d_tf.models import fitting, norms
from ssl3d_tf.models.dropout import Dropout


class _Plain(norms.GroupNorm):
    """The norm with the gradient that TensorFlow derives, as one of our own cannot be stored in a graph."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        weights = (tf.cast(weight, tf.float32) for weight in (self.gamma, self.beta))
        return norms.normalise(inputs, *weights, groups=self.groups, epsilon=self.epsilon)[0]


def for_graphs(model: keras.Model) -> keras.Model:
    """The network as it is to be stored as a graph: the same numbers to the bit, of any size, with plain gradients."""
    return _cloned(model, lambda layer: _Plain.from_config(layer.get_config()) if _is_norm(layer) else _same(layer))


def for_keras(model: keras.Model) -> keras.Model:
    """The network of Keras' own layers as far as it goes: the same numbers to rounding.

    It does not lengthen its input and cut its output to that again: sides are to be `multiples(model)`.
    """
    return _cloned(model, _of_keras, _not_lengthened)


def multiples(model: keras.Model) -> list[int]:
    """What each side of an input is lengthened to a multiple of by the model itself, [rank]; 1 where it is not."""
    rank = len(model.input_shape) - 2
    found = [layer.per_axis(rank) for layer in _layers(model) if isinstance(layer, fitting.PadToMultiple)]
    return [math.lcm(*(sides[axis] for sides in found)) for axis in range(rank)]


def foreign(model: keras.Model) -> list[str]:
    """The modules of layers that are not Keras' own: without them nobody can load it as a Keras model."""
    modules = {type(layer).__module__ for layer in _layers(model)}
    return sorted(name for name in modules if not name.startswith("keras."))


def _cloned(
    model: keras.Model,
    exchange: Callable[[keras.layers.Layer], keras.layers.Layer],
    call: Callable[..., Any] | None = None,
) -> keras.Model:
    copy = keras.models.clone_model(model, clone_function=exchange, call_function=call, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _same(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())


def _is_norm(layer: keras.layers.Layer) -> bool:
    return type(layer) is norms.GroupNorm


def _of_keras(layer: keras.layers.Layer) -> keras.layers.Layer:
    if _is_norm(layer):
        return keras.layers.GroupNormalization(layer.groups, epsilon=layer.epsilon, name=layer.name)
    if type(layer) is Dropout:
        return keras.layers.Dropout(layer.rate, name=layer.name)
    return _same(layer)


def _not_lengthened(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
    if isinstance(layer, fitting.PadToMultiple):
        return args[0]
    return args[0][0] if isinstance(layer, fitting.CropLike) else layer(*args, **kwargs)
