"""Does this device compute the basic steps right, and how fast: convolution, pooling and their gradients.

python benchmarks/convolutions.py                                    4 × 64³, 16 channels, three precisions, with XLA

Each is compared with float32 on the CPU: the largest difference as a share of the largest number.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli

with quiet.greeting():
    import numpy as np
    import tensorflow as tf

    from ssl3d_tf.command import kernels
    from ssl3d_tf.training import strategies

PRECISIONS = ("float32", "bfloat16", "float16")


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_integer("size", 64, "Side of the volumes, voxels.", lower_bound=4)
    flags.DEFINE_integer("repeats", 10, "Timed calls.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Prints a line per precision, without and with XLA."""
    cli.flags_only(argv)
    print(kernels.opening(), flush=True)
    with tf.device("CPU:0"):
        volumes = tf.random.stateless_normal([4, *[flags.FLAGS.size] * 3, 16], (0, 0))
        kernel = tf.random.stateless_normal([3, 3, 3, 16, 16], (0, 1)) / 20
        expected = _gradient(volumes, kernel, "float32").numpy()
    for precision in PRECISIONS:
        for jit_compile in (False, True) if strategies.on_gpu() else (False,):
            step = tf.function(_gradient, autograph=False, jit_compile=jit_compile)
            print(f"{precision:10}{'XLA' if jit_compile else '':5}{_told(step, volumes, kernel, precision, expected)}")


def _gradient(volumes: tf.Tensor, kernel: tf.Tensor, precision: str) -> tf.Tensor:
    """Of the mean square behind convolution, ReLU and pooling, with respect to the kernel, in float32."""
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        hidden = tf.nn.conv3d(tf.cast(volumes, precision), tf.cast(kernel, precision), [1] * 5, "SAME")
        pooled = tf.nn.max_pool3d(tf.cast(tf.nn.relu(hidden), _pooled(precision)), 2, 2, "SAME")
        loss = tf.reduce_mean(tf.cast(pooled, tf.float32) ** 2)
    return tape.gradient(loss, kernel)


def _pooled(precision: str) -> str:
    """TensorFlow pools float16 on GPUs alone."""
    return precision if strategies.on_gpu() else "float32"


def _told(step: Callable, volumes: tf.Tensor, kernel: tf.Tensor, precision: str, expected: np.ndarray) -> str:
    try:
        difference = np.abs(step(volumes, kernel, precision).numpy() - expected).max() / np.abs(expected).max()
        began = time.perf_counter()
        for _ in range(flags.FLAGS.repeats):
            found = step(volumes, kernel, precision)
        np.asarray(found)
    except tf.errors.OpError as error:
        return f"failed: {error.message.splitlines()[0][:150]}"
    ms = (time.perf_counter() - began) / flags.FLAGS.repeats * 1e3
    return f"{ms:8.2f} ms, off by {difference:.1e}"


if __name__ == "__main__":
    define_flags()
    cli.run(main)
