"""One training step, as a graph function of (model, task, optimizers).

Nothing here branches on tensor values, so AutoGraph is off: it would wrap every error in a page of its own.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.losses import batches
from ssl3d_tf.task import Inputs, Outputs, Targets, Task
from ssl3d_tf.training import updates
from ssl3d_tf.training.updates import Part, Update

_DROPOUT = 77  # folded into the run seed, so that dropout never shares numbers with the data


class Result(NamedTuple):
    """What one step reports.

    scores: [1 + metrics], the loss and the metrics in order. gradient_norms: L2 norm of each variable's unclipped
    gradient. learning_rate: that of this step.
    """

    scores: tf.Tensor
    gradient_norms: tf.Tensor
    learning_rate: tf.Tensor


def train_step(
    model: keras.Model,
    task: Task,
    parts: Sequence[Part],
    to_views: Callable[[Any], tuple[Inputs, Targets]],
    *,
    schedule: Callable[[tf.Tensor], tf.Tensor],
    step: tf.Variable,
    update: Update,
    jit_compile: bool,
) -> Callable[[Any], Result]:
    """Builds element -> Result: views, forward, backward, all-reduce, clip, update of the parts; advances `step`.

    The parts are all of the model that is trainable when the step is first called.

    Everything random in the model (dropout) is seeded from (seed, step), so nothing but weights, optimizer and step
    needs to be saved.
    """
    strategy = tf.distribute.get_strategy()
    updates.check(update, strategy)
    seeds = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]

    def forward(inputs: Inputs) -> Outputs:
        return model(inputs, training=True)

    # Only the network is compiled: a loss that gathers from all devices cannot be, and costs next to nothing.
    network = tf.function(forward, autograph=False, jit_compile=True) if jit_compile else forward

    def gradients_of(inputs: Inputs, targets: Targets) -> tuple[list[tf.Tensor], tf.Tensor]:
        return _gradients(model, network, task, parts, inputs=inputs, targets=targets)

    def replica_step(element: Any) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, targets = to_views(element)
        gradients, scores = _accumulated(gradients_of, inputs, targets, parts=update.accumulate)
        context, replicas = tf.distribute.get_replica_context(), strategy.num_replicas_in_sync
        if replicas > 1:
            gradients = [g / replicas for g in context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)]
            scores = context.all_reduce(tf.distribute.ReduceOp.MEAN, scores)
            updates.share_statistics(model, context)
        scores = batches.means(scores)
        norms = updates.apply(parts, gradients, update, loss=scores[0], replicas=replicas)
        return scores, norms

    @tf.function(autograph=False)
    def run(element: Any) -> Result:
        learning_rate = tf.cast(schedule(step), tf.float32)
        for part in parts:
            part.optimizer.learning_rate.assign(learning_rate)
        _reseed(seeds, update.seed, step)
        per_replica = strategy.run(replica_step, args=(element,))
        step.assign_add(1)
        # Reduced over the replicas already: any one of them has the numbers of all.
        scores, norms = (strategy.experimental_local_results(value)[0] for value in per_replica)
        return Result(scores, norms, learning_rate)

    return run


def in_phases(
    step_of: Callable[[Sequence[Part]], Callable[[Any], Result]],
    parts: Sequence[Part],
    encoder: keras.Model,
    *,
    steps_done: int,
    frozen_steps: int | None,
) -> Callable[[Any], Result]:
    """The step of the first part, the head, while the encoder is frozen, then that of all: each has its own graph.

    The head's optimizer goes on with what it has; the encoder's begins when the encoder does, so that its moments are
    not those of a time without gradients. Steps are counted here, as to ask the device would wait for it.
    """
    if frozen_steps == 0:
        return step_of(parts)
    frozen, free, numbers = step_of(parts[:1]), step_of(parts), itertools.count(steps_done)

    def run(element: Any) -> Result:
        learns = frozen_steps is not None and next(numbers) >= frozen_steps
        if encoder.trainable != learns:  # setting it walks through all layers, which read it when they are traced
            encoder.trainable = learns
        return free(element) if learns else frozen(element)

    return run


def _gradients(
    model: keras.Model,
    network: Callable[[Inputs], Outputs],
    task: Task,
    parts: Sequence[Part],
    *,
    inputs: Inputs,
    targets: Targets,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Unscaled float32 gradients of the mean loss, as `updates.variables_of`, and scores as `batches.tallied`."""
    optimizer = parts[0].optimizer
    with tf.GradientTape() as tape:
        outputs = network(inputs)
        losses = task.loss_fn(targets, outputs)
        loss = optimizer.scale_loss(tf.reduce_mean(losses) + sum(model.losses))
    gradients = tape.gradient(loss, [variable.value for variable in updates.variables_of(parts)])
    scale = updates.loss_scale(optimizer)
    gradients = [tf.cast(tf.convert_to_tensor(gradient), tf.float32) / scale for gradient in gradients]
    return gradients, batches.tallied(scores_of(task, targets, outputs, losses))


def scores_of(task: Task, targets: Targets, outputs: Any, losses: tf.Tensor) -> tf.Tensor:
    """float32 [batch, 1 + metrics]: the loss and the metrics, in order."""
    metrics = [metric(targets, outputs) for metric in task.metrics.values()]
    return tf.stack([tf.cast(score, tf.float32) for score in (losses, *metrics)], axis=1)


def _accumulated(gradients_of: Callable, inputs: Inputs, targets: Targets, *, parts: int) -> Any:
    """The mean over `parts` equal micro-batches of what `gradients_of` returns."""
    if parts == 1:
        return gradients_of(inputs, targets)
    tensors = tf.nest.flatten((inputs, targets))
    pieces = zip(*(tf.split(tensor, parts) for tensor in tensors), strict=True)
    results = [gradients_of(*tf.nest.pack_sequence_as((inputs, targets), piece)) for piece in pieces]
    return tf.nest.map_structure(lambda *values: tf.add_n(values) / parts, *results)


def _reseed(seeds: Sequence[keras.Variable], seed: int, step: tf.Variable) -> None:
    run_seed = tf.constant([seed & 0x7FFFFFFF, _DROPOUT], tf.int32)
    step_seed = tf.random.experimental.stateless_fold_in(run_seed, tf.cast(step, tf.int32))
    for number, variable in enumerate(seeds):
        drawn = tf.random.experimental.stateless_fold_in(step_seed, number)
        variable.assign(tf.cast(tf.bitcast(drawn, tf.uint32), variable.dtype))
