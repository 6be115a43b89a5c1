"""Whether an encoder still tells its inputs apart: two numbers without labels, cheap enough for every evaluation.

A collapsed encoder gives all inputs one embedding, or embeddings along a few directions. The loss need not show it.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.task import Inputs

LEAST = 8  # embeddings that a spread says something of
LIMIT = 256  # embeddings per report; the effective rank is below it
COLLAPSED = 0.02  # standard deviation: mean cosine similarity above .9996; whole scans of one organ reach .09


def embeddings(encoder: keras.Model, inputs: Inputs) -> tf.Tensor:
    """The first inputs as the encoder sees them, averaged over what is left of space: float32 [n ≤ LIMIT, d].

    Args:
        encoder: [batch, *spatial, channels] -> a map [batch, *spatial, d] or a vector [batch, d].
        inputs: of a task's model; its first tensor, [batch, (patches, …) *spatial, channels], is folded to
            [batch · patches …, *spatial, channels].
    """
    tensor = tf.nest.flatten(inputs)[0]
    views = tf.reshape(tensor, (-1, *tensor.shape[1 - len(encoder.input_shape) :]))
    features = tf.cast(encoder(views[:LIMIT], training=False), tf.float32)
    return tf.reduce_mean(features, axis=tuple(range(1, len(features.shape) - 1)))


def standard_deviation(embeddings: np.ndarray) -> float:
    """√d · mean over dimensions of the standard deviation of the L2-normalised embeddings [n, d], in 0..1.

    0 is collapsed, 1 is spread evenly over the sphere. Chen & He, 2021, arXiv:2011.10566, section 4.1.
    """
    values = np.asarray(embeddings, np.float64)
    lengths = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return float(np.std(values / lengths, axis=0).mean() * np.sqrt(values.shape[1]))


def effective_rank(embeddings: np.ndarray) -> float:
    """exp(entropy of the singular values, as shares of their sum) of the centred embeddings [n, d]: 1..min(n − 1, d).

    How many directions the embeddings use; 1 where they are all the same. Roy & Vetterli, 2007, EUSIPCO; as a measure
    of encoders: Garrido et al., 2023, arXiv:2210.02885, who do not centre.
    """
    values = np.asarray(embeddings, np.float64)
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    shares = singular[singular > 0] / max(singular.sum(), 1e-300)
    return float(np.exp(-np.sum(shares * np.log(shares))))


def report(embeddings: np.ndarray) -> dict[str, float]:
    """'embedding_std' and 'effective_rank' of the first LIMIT embeddings [n, d]; nothing of fewer than LEAST.

    Both are NaN where an embedding is not finite.
    """
    codes = embeddings[:LIMIT]
    if len(codes) < LEAST:
        return {}
    if not np.all(np.isfinite(codes)):
        return {"embedding_std": np.nan, "effective_rank": np.nan}
    return {"embedding_std": standard_deviation(codes), "effective_rank": effective_rank(codes)}


def warning(report: Mapping[str, float]) -> str | None:
    """A line for the user where the embeddings of a `report` have collapsed."""
    if not report["embedding_std"] < COLLAPSED:
        return None
    return (
        f"warning: the encoder gives nearly the same embedding for every input (val_embedding_std "
        f"{report['embedding_std']:.2g}, below {COLLAPSED:g}): see docs/pretraining_health.md."
    )
