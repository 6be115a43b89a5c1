"""How every dataset of this project runs: in a fixed order, and without autotuning."""

import tensorflow as tf


def options(threads: int | None = None) -> tf.data.Options:
    """threads: size of a thread pool of its own; None takes TensorFlow's."""
    chosen = tf.data.Options()
    chosen.deterministic = True
    # Its thread misses the end of an iterator now and then; whoever lets go of that waits until it wakes, up to 60 s.
    chosen.autotune.enabled = False
    chosen.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    if threads is not None:
        chosen.threading.private_threadpool_size = threads
    return chosen
