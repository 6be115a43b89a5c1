"""The contracts: an Op augments a batch, a Task turns a batch into inputs and targets and scores the outputs.

Random choices are drawn per example by `sample`, on the host, from a seed that depends only on (run seed, epoch,
example); they are applied per batch by `apply` or `make_views`, anywhere. So a result depends neither on the batch
size, nor on the number of threads, nor on where it was computed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import tensorflow as tf

Seed: TypeAlias = tf.Tensor  # int32 [2], as tf.random.stateless_* takes it
Params: TypeAlias = Any  # nest of small tensors: one example's random choices; batched: a leading [batch] axis
Volumes: TypeAlias = tf.Tensor  # float32 [batch, *spatial, channels]
# 'volume' [batch, *spatial, channels]: intensities, or numbers as stored with 'scale' and 'offset' [batch, channels],
# which `volumes.intensities` reads; where wanted, 'mask' and 'label'; where the data say it, 'air' [batch, channels],
# the intensity up to which there is no body.
Batch: TypeAlias = Mapping[str, tf.Tensor]
Inputs: TypeAlias = Any  # nest of tensors with a leading [batch] axis: what the model is called with
Targets: TypeAlias = Any  # nest of tensors with a leading [batch] axis
Outputs: TypeAlias = Any  # nest of tensors with a leading [batch] axis: what the model returns


class Op(NamedTuple):
    """An augmentation, or a view of the data.

    `sample` draws one example's choices, a few numbers. `apply` is deterministic, works on a whole batch, uses no
    Python control flow on tensor values and compiles under XLA.
    """

    sample: Callable[[Seed], Params]
    apply: Callable[[Volumes, Params], Volumes]


class Words(NamedTuple):
    """What was made of one example. line: of all views together. views: of each, where they differ; else none.

    turned: axes changed places, so that a view's voxels are no longer as long as the scan's.
    """

    line: str
    views: Sequence[str] = ()
    turned: bool = False


# Per spatial axis: what it is called, what lies at its beginning, what at its end: ('x', 'left', 'right').
Directions: TypeAlias = Sequence[tuple[str, str, str]]


class Task(NamedTuple):
    """A pretext or downstream task.

    sample: one example's random choices in training.
    sample_eval: the same structure for evaluation: the label is still drawn, jitter is centred, augmentation is off.
    make_views: a whole batch and its choices -> (inputs, targets); deterministic, graph-only, XLA-able.
    build_model: encoder -> encoder + head; called inside the distribution strategy's scope.
    loss_fn: (targets, outputs) -> float32 [batch].
    metrics: name -> (targets, outputs) -> float32 [batch]. Pretext tasks have 'accuracy' and 'chance'.
    smallest_batch: examples that the loss needs at once, over all devices; 2 where others serve as negatives.
    guess: inputs -> outputs as good as they get without learning, where that is more than chance; for audits.
    words: (one example's choices, in NumPy, directions) -> what its views are, for people; None is their labels.
    """

    sample: Callable[[Seed], Params]
    sample_eval: Callable[[Seed], Params]
    make_views: Callable[[Batch, Params], tuple[Inputs, Targets]]
    build_model: Callable[[keras.Model], keras.Model]
    loss_fn: Callable[[Targets, Outputs], tf.Tensor]
    metrics: Mapping[str, Callable[[Targets, Outputs], tf.Tensor]]
    smallest_batch: int = 1
    guess: Callable[[Inputs], Outputs] | None = None
    words: Callable[[Params, Directions], Words] | None = None
