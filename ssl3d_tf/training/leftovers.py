"""What TensorFlow and Keras keep of a model as long as the process lives, which many runs in one process must not."""

import keras
from tensorflow.python.framework import ops

_PREFIX = "CustomGradient-"  # of the names under which `tf.custom_gradient` registers its uses in graphs


def clear() -> None:
    """Lets go of models and graphs that nobody holds, and counts layers from 1 again; to be called between two runs.

    A graph that was traced before cannot be differentiated afterwards where there is a `tf.custom_gradient` in it.
    """
    # TensorFlow never forgets such a gradient, and it holds the whole graph. Keras' optimizers sum gradients by one, on
    # one device too, and swish is one: every training step would stay, 20 MB or more.
    registered = ops.gradient_registry._registry
    for name in [name for name in registered if name.startswith(_PREFIX)]:
        del registered[name]
    keras.backend.clear_session()  # collects garbage too, as a graph is a cycle
