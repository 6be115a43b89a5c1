"""Dropout that stops where its layer is frozen."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class Dropout(keras.layers.Dropout):
    """Keras' dropout, but off while `trainable` is False, as Keras' batch norm uses its moving statistics then.

    So `encoder.trainable = False` is all it takes to freeze an encoder, whatever model it is a part of and however
    that is called. As for batch norm, `trainable` is read when a graph is traced: a step built before the encoder was
    unfrozen goes on without dropout, and without its weights among the trainable ones; build a new one.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drops values in training, if the layer is trainable."""
        return super().call(inputs, training=training and self.trainable)
