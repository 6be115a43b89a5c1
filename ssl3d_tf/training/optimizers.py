"""AdamW as Keras has it, in one pass over each weight: an update reads and writes what it must, once."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="ssl3d_tf")
class AdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2017, arXiv:1711.05101).

    Keras' own takes a dozen passes over weights and moments, three of them for a decay of 0: on a CPU a quarter of a
    step with a large head. Same state, names and formula; the numbers differ by the rounding of 1 − beta.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Moments and weight together; sparse gradients and amsgrad as in Keras."""
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        number = self._get_variable_index(variable)
        kind = variable.dtype
        done = tf.cast(self.iterations + 1, kind)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[number].value.handle,
            v=self._velocities[number].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, kind), done),
            beta2_power=tf.pow(tf.cast(self.beta_2, kind), done),
            lr=tf.cast(learning_rate, kind),
            beta1=tf.cast(self.beta_1, kind),
            beta2=tf.cast(self.beta_2, kind),
            epsilon=tf.cast(self.epsilon, kind),
            grad=tf.cast(gradient, kind),
        )

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        if self.weight_decay:
            super()._apply_weight_decay(variables)
