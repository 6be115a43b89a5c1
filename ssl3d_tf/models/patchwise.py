"""Patches or views through an encoder: all of them as one large batch, each on its own."""

from collections.abc import Sequence

import keras
from keras import ops

from ssl3d_tf.models import geometry, heads


def features(
    encoder: keras.Model, number: int, *, size: Sequence[int], name: str, remedy: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input [batch, number, *size, channels] and its features, those of [batch · number, *size, channels].

    Raises:
        InputError: the encoder cannot down-sample that size; `remedy` says what to change.
    """
    geometry.feature_shape(encoder, size, remedy=remedy)
    inputs = keras.Input((number, *size, encoder.input_shape[-1]), name=name)
    return inputs, encoder(ops.reshape(inputs, (-1, *inputs.shape[2:])))


def embeddings(
    encoder: keras.Model, number: int, *, patch: Sequence[int]
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input [batch, number, *patch, channels] and its flattened features [batch · number, values].

    Raises:
        InputError: the encoder cannot down-sample a patch.
    """
    remedy = "raise VIEW_SIZE or lower PATCHES_PER_SIDE or LEVELS."
    inputs, values = features(encoder, number, size=patch, name="patches", remedy=remedy)
    return inputs, heads.as_vector(values, pooling=None)
