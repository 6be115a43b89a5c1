"""One evaluation step, as a graph function of (model, task); AutoGraph is off, as in steps.py."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.task import Inputs, Targets, Task
from ssl3d_tf.training import health, steps


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
    def measured(inputs: Inputs, targets: Targets) -> tf.Tensor:
        outputs = model(inputs, training=False)
        return steps.scores_of(task, targets, outputs, task.loss_fn(targets, outputs))

    @tf.function(autograph=False)
    def run(element: Any, embed: bool) -> Seen:
        inputs, targets = to_views(element)
        return Seen(measured(inputs, targets), health.embeddings(encoder, inputs) if embed else None, inputs)

    return run
