"""One training step of CPC, every patch encoded once, against the same network fed one column at a time.

The published program makes two samples of every column, a positive and a negative, each with its context patches and
its target patches: the 64 patches of a 128³ volume are encoded 2 · 16 · (10 + 2) = 384 times. Both steps here share
weights, loss (binary cross entropy) and optimizer; rounds take turns.

    python benchmarks/cpc_step.py                                   # 3D U-Net of 16 filters on 128³, n = 4
    python benchmarks/cpc_step.py --view_size=64 --filters=8 --levels=3 --batch_size=2
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet

with quiet.greeting():
    import keras
    import tensorflow as tf
    from keras import ops

    from ssl3d_tf.losses import contrast
    from ssl3d_tf.models import heads, pyramid, unet
    from ssl3d_tf.task import Task
    from ssl3d_tf.tasks import cpc

FLAGS = flags.FLAGS
flags.DEFINE_integer("rank", 3, "spatial axes")
flags.DEFINE_integer("view_size", 128, "side of the view, voxels")
flags.DEFINE_integer("patches_per_side", 4, "n")
flags.DEFINE_integer("batch_size", 1, "volumes per step")
flags.DEFINE_integer("filters", 16, "channels of the encoder's first level")
flags.DEFINE_integer("levels", 4, "poolings before the bottleneck")
flags.DEFINE_integer("code_size", 1024, "size of the codes")
flags.DEFINE_integer("rounds", 3, "timed steps of each, in turns")
flags.DEFINE_integer("pieces", 4, "pieces of a column-wise batch, their gradients summed, so that it fits in memory")
flags.DEFINE_bool("jit_compile", False, "compile with XLA; for a GPU")

Step = Callable[[], tf.Tensor]


def once_step(model: keras.Model, task: Task, inputs: tf.Tensor) -> Step:
    """The project's step: patches [batch, n**rank, ...] and a random negative per column."""
    columns = FLAGS.patches_per_side ** (FLAGS.rank - 1)

    def loss_fn(batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        return task.loss_fn({"negative": batch[1]}, model(batch[0], training=True))

    return _step(model, (inputs, tf.random.stateless_uniform((len(inputs), columns), (1, 2))), loss_fn, pieces=1)


def column_wise_step(model: keras.Model, layout: pyramid.Layout, inputs: tf.Tensor) -> Step:
    """The published feed: for every column twice its context, once with its own and once with wrong targets."""
    padded = tf.pad(inputs, ((0, 0), (0, 1), *((0, 0),) * (FLAGS.rank + 1)))  # number n**rank is a patch of zeros
    context, own, wrong = (
        tf.gather(padded, numbers, axis=1)
        for numbers in (layout.context, layout.targets, np.roll(layout.targets, 1, axis=0))
    )
    samples = [tf.concat(pair, 1) for pair in ((context, context), (own, wrong))]
    samples = [
        tf.reshape(sample, (-1, *sample.shape[2:])) for sample in samples
    ]  # [samples, terms or steps, *patch, C]
    labels = tf.tile(tf.repeat((1.0, 0.0), len(layout.context)), (len(inputs),))
    network = _column_wise(model, layout)

    def loss_fn(batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        return tf.nn.sigmoid_cross_entropy_with_logits(batch[2], network(list(batch[:2]), training=True))

    return _step(model, (*samples, labels), loss_fn, pieces=FLAGS.pieces)


def _column_wise(model: keras.Model, layout: pyramid.Layout) -> keras.Model:
    """(context patches, target patches) of one sample per row -> logits [samples], with the layers of `model`."""
    names = f"unet_{FLAGS.rank}d", "code", "context", "predictions"
    encoder, code, gru, predict = (model.get_layer(name) for name in names)
    patch, steps = model.input_shape[2:], layout.targets.shape[1]

    def codes_of(patches: keras.KerasTensor) -> keras.KerasTensor:
        features = encoder(ops.reshape(patches, (-1, *patch)))
        return ops.reshape(code(heads.as_vector(features, None)), (-1, patches.shape[1], FLAGS.code_size))

    inputs = [keras.Input((number, *patch)) for number in (layout.context.shape[1], steps)]
    predictions = ops.reshape(predict(gru(codes_of(inputs[0]))), (-1, steps, FLAGS.code_size))
    return keras.Model(inputs, ops.mean(predictions * codes_of(inputs[1]), axis=(1, 2)))


def _step(
    model: keras.Model,
    batch: tuple[tf.Tensor, ...],
    loss_fn: Callable[[tuple[tf.Tensor, ...]], tf.Tensor],
    *,
    pieces: int,
) -> Step:
    """Forward and backward over equal pieces of the batch, one update."""
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    weights = [variable.value for variable in model.trainable_variables]

    @tf.function(jit_compile=FLAGS.jit_compile)
    def gradients_of(*piece: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_fn(piece))
        return loss, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, weights)]

    def step() -> tf.Tensor:
        results = [gradients_of(*piece) for piece in zip(*(tf.split(part, pieces) for part in batch), strict=True)]
        losses, gradients = zip(*results, strict=True)
        optimizer.apply([tf.add_n(each) / pieces for each in zip(*gradients, strict=True)], model.trainable_variables)
        return tf.add_n(losses) / pieces

    return step


def _seconds(step: Step) -> float:
    began = time.perf_counter()
    step().numpy()  # waits for the device
    return time.perf_counter() - began


def _report(name: str, encodings: int, seconds: list[float]) -> float:
    rate = FLAGS.batch_size / np.median(seconds)
    spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
    print(f"{name:12} {encodings:5} encodings   {np.median(seconds):8.3f} s/step ({spread})   {rate:8.3f} volumes/s")
    return rate


def main(argv: list[str]) -> None:
    """Builds both steps on one model, runs them in turns and prints volumes per second and their ratio."""
    del argv
    rank, n = FLAGS.rank, FLAGS.patches_per_side
    sizes = {"rank": rank, "view_size": FLAGS.view_size, "patches_per_side": n, "code_size": FLAGS.code_size}
    task, layout = cpc.task(objective=contrast.released_bce(), **sizes), pyramid.layout(n, rank=rank)
    encoder = unet.encoder(1, rank=rank, filters=FLAGS.filters, levels=FLAGS.levels, norm="group", dropout=0.0)
    model = task.build_model(encoder)
    inputs = tf.random.stateless_normal((FLAGS.batch_size, *model.input_shape[1:]), (1, 2))

    steps = once_step(model, task, inputs), column_wise_step(model, layout, inputs)
    for step in steps:  # traces, and lets the memory settle
        step()
    rounds = [[_seconds(step) for step in steps] for _ in range(FLAGS.rounds)]
    once, column_wise = ([seconds[which] for seconds in rounds] for which in (0, 1))
    read = 2 * (layout.context.size + layout.targets.size)
    rates = (
        _report("once", FLAGS.batch_size * n**rank, once),
        _report("column-wise", FLAGS.batch_size * read, column_wise),
    )
    print(f"ratio        {rates[0] / rates[1]:.2f}")


if __name__ == "__main__":
    app.run(main)
