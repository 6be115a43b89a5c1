"""One training step and one evaluation step, as graph functions of (model, task, optimizer).

Nothing here branches on tensor values, so AutoGraph is off: it would wrap every error in a page of its own.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Inputs, Outputs, Targets, Task
from ssl3d_tf.training import health

_DROPOUT = 77  # folded into the run seed, so that dropout never shares numbers with the data


class Update(NamedTuple):
    """How gradients become an update.

    seed: of everything random inside the model. accumulate: micro-batches a batch is split into; a loss that compares
    the examples of a batch sees one micro-batch. clip_norm: largest L2 norm of each variable's gradient; clip_value:
    largest absolute value, applied after it. on_nonfinite: 'stop' ends a run whose loss is not finite, 'skip' leaves
    that batch out. frozen_steps: how long the encoder's weights, dropout and batch statistics stay as they are; None is
    throughout.
    """

    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    on_nonfinite: str = "stop"
    frozen_steps: int | None = 0


class Part(NamedTuple):
    """Variables of a model and the optimizer they have to themselves."""

    optimizer: keras.optimizers.Optimizer
    variables: Sequence[keras.Variable]


class Result(NamedTuple):
    """What one step reports.

    scores: [1 + metrics], the loss and the metrics in order. gradient_norms: L2 norm of each variable's unclipped
    gradient. learning_rate: that of this step.
    """

    scores: tf.Tensor
    gradient_norms: tf.Tensor
    learning_rate: tf.Tensor


def variables_of(parts: Sequence[Part]) -> list[keras.Variable]:
    """All variables of all parts, in order: that of `Result.gradient_norms`."""
    return [variable for part in parts for variable in part.variables]


def check_batch(batch_size: int, task: Task, update: Update, *, devices: int) -> None:
    """Raises InputError where a batch cannot be cut into micro-batches, or one is too small for the task's loss."""
    parts = update.accumulate * devices
    given = f"BATCH_SIZE is {batch_size}, on {devices} devices and with ACCUMULATE {update.accumulate}"
    if batch_size % parts:
        raise InputError(f"{given}; it must divide by their product, {parts}: change it.")
    at_once = batch_size // update.accumulate
    if at_once < task.smallest_batch:
        raise InputError(
            f"{given}; this task tells the examples of a batch apart and needs at least {task.smallest_batch} at once, "
            f"not {at_once}: raise it."
        )


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
    _check(update, strategy)
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
        context = tf.distribute.get_replica_context()
        replicas = strategy.num_replicas_in_sync
        if replicas > 1:
            gradients = [g / replicas for g in context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)]
            scores = context.all_reduce(tf.distribute.ReduceOp.MEAN, scores)
        norms = tf.sqrt(
            2.0 * tf.stack([tf.nn.l2_loss(gradient) for gradient in gradients])
        )  # in one pass, without a copy
        gradients = _clip(gradients, update)
        if update.on_nonfinite == "skip":
            finite = tf.math.is_finite(scores[0]) & tf.reduce_all(tf.math.is_finite(norms))
            tf.cond(finite, lambda: _apply(parts, gradients, replicas), lambda: None)
        else:
            _apply(parts, gradients, replicas)
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


class Seen(NamedTuple):
    """What evaluation reads of one batch.

    scores: float32 [batch, 1 + metrics], the loss and the metrics in order. embeddings: `health.embeddings` [n, d], or
    None where nobody asked. inputs: what the network saw.
    """

    scores: tf.Tensor
    embeddings: tf.Tensor | None
    inputs: Inputs


def eval_step(
    model: keras.Model,
    encoder: keras.Model,
    task: Task,
    to_views: Callable[[Any], tuple[Inputs, Targets]],
    *,
    jit_compile: bool,
) -> Callable[[Any, bool], Seen]:
    """Builds (element, whether to embed) -> Seen, with dropout off and the moving batch statistics."""

    @tf.function(autograph=False, jit_compile=jit_compile)
    def scores_of(inputs: Inputs, targets: Targets) -> tf.Tensor:
        outputs = model(inputs, training=False)
        return _scores(task, targets, outputs, task.loss_fn(targets, outputs))

    @tf.function(autograph=False)
    def run(element: Any, embed: bool) -> Seen:
        inputs, targets = to_views(element)
        return Seen(scores_of(inputs, targets), health.embeddings(encoder, inputs) if embed else None, inputs)

    return run


def _check(update: Update, strategy: tf.distribute.Strategy) -> None:
    if update.on_nonfinite not in ("stop", "skip"):
        raise InputError(f"ON_NONFINITE is '{update.on_nonfinite}'; it must be 'stop' or 'skip'.")
    if update.on_nonfinite == "skip" and strategy.num_replicas_in_sync > 1:
        raise InputError("ON_NONFINITE = 'skip' works on one device only; with STRATEGY other than 'none' take 'stop'.")
    if update.accumulate < 1:
        raise InputError(f"ACCUMULATE is {update.accumulate}; it must be at least 1.")
    if update.frozen_steps is not None and update.frozen_steps < 0:
        raise InputError(f"frozen_steps is {update.frozen_steps}; it must be 0 or more, or None for throughout.")


def _gradients(
    model: keras.Model,
    network: Callable[[Inputs], Outputs],
    task: Task,
    parts: Sequence[Part],
    *,
    inputs: Inputs,
    targets: Targets,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Unscaled float32 gradients of the mean loss, in the order of `variables_of`, and the batch's mean scores."""
    optimizer = parts[0].optimizer
    with tf.GradientTape() as tape:
        outputs = network(inputs)
        losses = task.loss_fn(targets, outputs)
        loss = optimizer.scale_loss(tf.reduce_mean(losses) + sum(model.losses))
    gradients = tape.gradient(loss, [variable.value for variable in variables_of(parts)])
    scale = _loss_scale(optimizer)
    gradients = [tf.cast(tf.convert_to_tensor(gradient), tf.float32) / scale for gradient in gradients]
    return gradients, tf.reduce_mean(_scores(task, targets, outputs, losses), axis=0)


def _scores(task: Task, targets: Targets, outputs: Any, losses: tf.Tensor) -> tf.Tensor:
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


def _clip(gradients: Sequence[tf.Tensor], update: Update) -> list[tf.Tensor]:
    clipped = list(gradients)
    if update.clip_norm is not None:
        clipped = [tf.clip_by_norm(gradient, update.clip_norm) for gradient in clipped]
    if update.clip_value is not None:
        clipped = [tf.clip_by_value(gradient, -update.clip_value, update.clip_value) for gradient in clipped]
    return clipped


def _loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
    return optimizer.scale_loss(tf.constant(1.0))


def _apply(parts: Sequence[Part], gradients: Sequence[tf.Tensor], replicas: int) -> None:
    """Updates every part; Keras' apply divides by the loss scale and sums over replicas, which is undone before."""
    left = list(gradients)
    for optimizer, variables in parts:
        own, left = left[: len(variables)], left[len(variables) :]
        scale = _loss_scale(optimizer)
        optimizer.apply([gradient * scale / replicas for gradient in own], variables)


def _reseed(seeds: Sequence[keras.Variable], seed: int, step: tf.Variable) -> None:
    run_seed = tf.constant([seed & 0x7FFFFFFF, _DROPOUT], tf.int32)
    step_seed = tf.random.experimental.stateless_fold_in(run_seed, tf.cast(step, tf.int32))
    for number, variable in enumerate(seeds):
        drawn = tf.random.experimental.stateless_fold_in(step_seed, number)
        variable.assign(tf.cast(tf.bitcast(drawn, tf.uint32), variable.dtype))
