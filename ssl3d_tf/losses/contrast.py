"""What a prediction must agree with: contrastive objectives over (predictions, codes), both from one model.

predictions, codes: [batch, *columns, steps, code_size]; the code at a place is what the prediction there stands for.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.losses import batches, classification, questions
from ssl3d_tf.losses.labels import Masks, asked, known

Scorer = Callable[[Any, Mapping[str, tf.Tensor]], tf.Tensor]  # (targets, outputs) -> float32 [batch]


class Objective(NamedTuple):
    """A loss and its metrics, as `Task` takes them, and the smallest batch they can compare the examples of.

    Outputs are {'predictions', 'codes'}; those of `ssl3d_tf.losses.pairs` are {'projections'}.
    """

    loss_fn: Scorer
    metrics: Mapping[str, Scorer]
    smallest_batch: int = 1


def dot(predictions: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Dot products: [batch, columns, steps, d] × [candidates, steps, d] -> [batch, columns, steps, candidates]."""
    return tf.einsum("bcsd,ksd->bcsk", predictions, candidates)


def cosine(predictions: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Cosines in −1..1, shapes as `dot`: no code gains by its length."""
    return dot(tf.math.l2_normalize(predictions, -1), tf.math.l2_normalize(candidates, -1))


def info_nce(
    *,
    temperature: float = 0.1,
    similarity: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = cosine,
    exclude_neighbours: int = 0,
) -> Objective:
    """−log softmax over all codes of the same step, of every example and column of the global batch, at the true one.

    InfoNCE, van den Oord et al., 2018, arXiv:1807.03748, equation 4. An untrained model scores about
    ln(batch · columns), the metric 'chance_loss'.

    Args:
        temperature: similarities are divided by it.
        similarity: `cosine` or `dot`.
        exclude_neighbours: leaves out other codes of the same example up to this many columns away along every axis:
            patches that overlap the true one are half right.

    Where the targets say so, codes that are not 'present' are no candidates, and what is not 'asked' is in no mean:
    both bool [batch, columns, steps]. Chance is of the candidates that are left.
    """

    def candidates(targets: Any, outputs: Mapping[str, tf.Tensor]) -> tuple[Masks, tf.Tensor]:
        """labels int32 [batch, columns, steps] and logits [batch, columns, steps, candidates]."""
        predictions, codes = _by_column(outputs["predictions"]), _by_column(outputs["codes"])
        every, first = batches.across_replicas(codes)
        logits = similarity(predictions, tf.reshape(every, (-1, *codes.shape[2:]))) / temperature
        batch, columns, steps = tf.shape(logits)[0], codes.shape[1], codes.shape[2]
        own = first + tf.range(batch)
        true = own[:, None] * columns + tf.range(columns)
        if exclude_neighbours:
            near = _neighbours(outputs["codes"].shape[1:-2], exclude_neighbours)
            same = tf.equal(own[:, None], tf.range(tf.shape(every)[0]))  # [batch, global batch]
            excluded = same[:, None, :, None] & near[:, None]  # [batch, columns, global batch, columns]
            logits = tf.where(tf.reshape(excluded, (-1, columns, 1, tf.shape(logits)[-1])), logits.dtype.min, logits)
        true = tf.repeat(true[..., None], steps, axis=-1)
        if "present" not in targets:
            return true, logits
        logits = tf.where(_present(targets["present"]), logits, logits.dtype.min)
        return asked(true, targets["asked"]), logits

    def by_chance(targets: Any, outputs: Mapping[str, tf.Tensor], score: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """The mean score of the numbers of candidates."""
        if "present" not in targets:
            return batches.per_example(score(_numbers(outputs, exclude_neighbours)))
        labels, logits = candidates(targets, outputs)
        counts = known(labels)[1]
        numbers = tf.reduce_sum(tf.cast(logits > logits.dtype.min, tf.float32), axis=-1)
        return questions.over_asked(batches.per_example(score(tf.maximum(numbers, 1.0)), counts), counts)

    return Objective(
        loss_fn=lambda targets, outputs: classification.softmax_cross_entropy(*candidates(targets, outputs)),
        metrics={
            "accuracy": lambda targets, outputs: questions.accuracy(*candidates(targets, outputs)),
            "chance": lambda targets, outputs: by_chance(targets, outputs, lambda numbers: 1.0 / numbers),
            "chance_loss": lambda targets, outputs: by_chance(targets, outputs, tf.math.log),
        },
        smallest_batch=2,  # with one, every negative is another column of the same volume
    )


def released_bce() -> Objective:
    """Binary cross entropy of sigmoid(mean of prediction · code over steps and channels), as the published program.

    One positive and one negative per column: the codes of another (example, column) of the batch on this replica,
    drawn by targets['negative'], float32 [batch, columns] uniform in 0..1. Its logits are a mean over thousands of
    products, so they hardly move: the default is `info_nce`.
    """

    def logits(targets: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """[batch, columns, 2], signed so that positive is right: for the true codes and for the wrong ones."""
        predictions, codes = _by_column(outputs["predictions"]), _by_column(outputs["codes"])
        others = tf.size(targets["negative"]) - 1
        drawn = tf.cast(targets["negative"] * tf.cast(others, tf.float32), tf.int32)
        drawn = tf.minimum(drawn, others - 1)  # the product of numbers just below may round up
        own = tf.reshape(tf.range(others + 1), tf.shape(drawn))
        wrong = tf.gather(tf.reshape(codes, (-1, *codes.shape[2:])), drawn + tf.cast(drawn >= own, tf.int32))
        return tf.stack(
            [tf.reduce_mean(predictions * codes, (2, 3)), -tf.reduce_mean(predictions * wrong, (2, 3))], axis=-1
        )

    return Objective(
        loss_fn=lambda targets, outputs: batches.per_example(tf.nn.softplus(-logits(targets, outputs))),
        metrics={
            "accuracy": lambda targets, outputs: batches.per_example(logits(targets, outputs) > 0),
            "chance": lambda targets, outputs: tf.fill(tf.shape(outputs["codes"])[:1], 0.5),
        },
    )


def _present(present: tf.Tensor) -> tf.Tensor:
    """bool [batch, columns, steps] -> [steps, candidates] of all replicas, in the order of the codes."""
    # Not a cast: TensorFlow would move it behind the transposition, and oneDNN print an error of Booleans.
    every, _ = batches.across_replicas(tf.where(present, 1.0, 0.0))
    return tf.transpose(tf.reshape(every, (-1, present.shape[-1]))) > 0


def _by_column(values: tf.Tensor) -> tf.Tensor:
    """[batch, *columns, steps, d] -> float32 [batch, columns, steps, d]."""
    return tf.reshape(tf.cast(values, tf.float32), (-1, int(np.prod(values.shape[1:-2])), *values.shape[-2:]))


def _numbers(outputs: Mapping[str, tf.Tensor], excluded: int) -> tf.Tensor:
    """Candidates of each column's softmax, in the global batch and without its neighbours: float32 [batch, columns]."""
    batch, columns = tf.shape(outputs["codes"])[0], outputs["codes"].shape[1:-2]
    number = batch * batches.replicas() * int(np.prod(columns)) - _neighbours(columns, excluded).sum(
        axis=1, dtype=np.int32
    )
    return tf.cast(tf.tile(number[None], (batch, 1)), tf.float32)


def _neighbours(columns: tuple[int, ...], distance: int) -> np.ndarray:
    """bool [columns, columns]: at most `distance` apart along every axis, and not the same."""
    places = np.indices(columns).reshape(len(columns), -1).T
    apart = np.abs(places[:, None] - places).max(-1)
    return (apart > 0) & (apart <= distance)
