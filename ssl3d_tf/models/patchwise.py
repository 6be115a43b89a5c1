"""Patches through an encoder: all of them as one large batch, each on its own."""

from collections.abc import Sequence

import keras
from keras import ops

from ssl3d_tf.models import geometry, heads


def embeddings(
    encoder: keras.Model, number: int, *, patch: Sequence[int]
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input [batch, number, *patch, channels] and its flattened features [batch · number, values].

    Raises:
        InputError: the encoder cannot down-sample a patch.
    """
    geometry.feature_shape(encoder, patch, remedy="raise VIEW_SIZE or lower PATCHES_PER_SIDE or LEVELS.")
    inputs = keras.Input((number, *patch, encoder.input_shape[-1]), name="patches")
    features = encoder(ops.reshape(inputs, (-1, *inputs.shape[2:])))
    return inputs, heads.as_vector(features, pooling=None)
