"""What normalisation adds to a training step of a small 3D U-Net with its decoder.

python benchmarks/norm_step.py                                    16 filters, 2 levels, 4 volumes of 64³
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli

with quiet.greeting():
    import keras
    import tensorflow as tf

    from benchmarks import timing
    from ssl3d_tf.models import decoders, unet

_PLAIN = "none"
NORMS = (_PLAIN, "group", "instance", "batch")


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_integer("filters", 16, "Of the first level.", lower_bound=4)
    flags.DEFINE_integer("levels", 2, "Poolings before the bottleneck.", lower_bound=1)
    flags.DEFINE_integer("size", 64, "Side of the volumes, voxels.", lower_bound=8)
    flags.DEFINE_integer("batch", 4, "Volumes.", lower_bound=1)
    flags.DEFINE_integer("rounds", 7, "Timed steps of each; they take turns.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Times a step with every norm and prints its ratio to the step without."""
    cli.flags_only(argv)
    table = timing.interleaved({norm: timing.warm(_stage(norm)) for norm in NORMS}, flags.FLAGS.rounds)
    print(f"{'norm':10}{'ms per step':>12}{'to none':>9}{'range':>13}")
    for norm, row in table.items():
        middle, lowest, highest = timing.ratio(table, _PLAIN, norm)  # of speeds, so of times the other way round
        print(f"{norm:10}{flags.FLAGS.batch / row.rate * 1e3:12.0f}{middle:9.2f}{f'{lowest:.2f}–{highest:.2f}':>13}")


def _stage(norm: str) -> timing.Stage:
    values = flags.FLAGS
    encoder = unet.encoder(1, rank=3, filters=values.filters, levels=values.levels, norm=norm)
    model = decoders.unet_3d_upconv(norm=norm)(encoder, 3)
    shape = (values.batch, *(values.size,) * 3)
    volumes, labels = tf.random.stateless_normal((*shape, 1), (0, 0)), tf.zeros(shape, tf.int32)
    optimizer = keras.optimizers.AdamW()
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(volumes, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def timed() -> timing.Cost:
        began, cpu = time.perf_counter(), time.process_time()
        step().numpy()
        return timing.Cost(values.batch, time.perf_counter() - began, time.process_time() - cpu, 0.0)

    return timed


if __name__ == "__main__":
    define_flags()
    cli.run(main)
