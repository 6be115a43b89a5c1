"""Objectives over two views of every example: they should be alike, and unlike those of all others.

outputs: {'projections': [batch, 2, code_size]}, raw; each objective normalises them as it needs. All compare the
examples of the global batch, so they need two at least.
"""

from collections.abc import Mapping

import tensorflow as tf

from ssl3d_tf.losses import addons, batches, classification, metrics
from ssl3d_tf.losses.contrast import Objective

_FEWEST = 2  # examples of a batch
_GAMMA, _EPSILON = 1.0, 1e-4  # of VICReg: the least deviation; below its square root


def nt_xent(*, temperature: float = 0.5) -> Objective:
    """Softmax cross entropy of one view against the other one and all views of the other examples, by their cosines.

    NT-Xent, Chen et al., 2020, arXiv:2002.05709, equation 1. An untrained model scores about ln(2 · batch − 1), the
    metric 'chance_loss'.
    """

    def candidates(outputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        labels, cosines = _candidates(outputs)
        return labels, cosines / temperature

    scores = _retrieval()
    return Objective(
        loss_fn=lambda targets, outputs: classification.softmax_cross_entropy(*candidates(outputs)),
        metrics={**scores, "chance_loss": lambda targets, outputs: -tf.math.log(scores["chance"](targets, outputs))},
        smallest_batch=_FEWEST,
    )


def triplet_semihard(*, margin: float = 0.5) -> Objective:
    """Each pair of views against the nearest other one that is farther than the pair, on the unit sphere.

    Where there is none, against the farthest one. Schroff et al., 2015, arXiv:1503.03832, section 3.2, by
    tensorflow-addons; one number for the whole batch, repeated for every example.
    """
    loss = addons.triplet_semihard_loss()

    def loss_fn(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        every, _ = batches.across_replicas(_on_sphere(outputs))
        number = tf.repeat(tf.range(tf.shape(every)[0]), 2)
        mean = loss(number, tf.reshape(every, (-1, every.shape[-1])), margin)
        return tf.fill(tf.shape(outputs["projections"])[:1], mean)

    return Objective(loss_fn, _retrieval(), smallest_batch=_FEWEST)


def triplet(*, margin: float = 1.0) -> Objective:
    """max(0, d(anchor, positive) − d(anchor, negative) + margin), d = mean squared difference of sigmoid codes.

    The anchor is the first view, the positive the second, the negative the next example's second view, in a circle: so
    never its own. As the published program of Taleb et al., 2020, arXiv:2006.03829, but for one projection shared by
    all three: with three of them a constant reached loss 0. An example alone in its batch scores the margin.
    """

    def distances(outputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        codes = tf.sigmoid(tf.cast(outputs["projections"], tf.float32))
        every, first = batches.across_replicas(codes[:, 1])
        following = (first + 1 + tf.range(tf.shape(codes)[0])) % tf.shape(every)[0]
        anchor, positive, negative = codes[:, 0], codes[:, 1], tf.gather(every, following)
        return batches.per_example((anchor - positive) ** 2), batches.per_example((anchor - negative) ** 2)

    def loss_fn(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        near, far = distances(outputs)
        return tf.nn.relu(near - far + margin)

    def accuracy(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        near, far = distances(outputs)
        return tf.cast(near < far, tf.float32)

    def chance(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.fill(tf.shape(outputs["projections"])[:1], 0.5)

    return Objective(loss_fn, {"accuracy": accuracy, "chance": chance}, smallest_batch=_FEWEST)


def vicreg(*, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> Objective:
    """Views of an example alike, every value of a projection varied over the batch, no two values alike: no negatives.

    invariance · mean (z − z')² + for both views: variance · mean over values of max(0, γ − √(var + ε)), γ = 1,
    ε = 1e-4, + covariance · Σ of the squared covariances of different values / code_size. VICReg, Bardes et al., 2022,
    arXiv:2105.04906, algorithm 1 (equation 5 sums the first term over values). The last two are of the global batch
    and the same for every example; from a small one they are rough.
    """

    def loss_fn(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        own = tf.cast(outputs["projections"], tf.float32)
        every, _ = batches.across_replicas(own)
        spread = tf.add_n([_spread(every[:, view], variance, covariance) for view in range(2)])
        return invariance * batches.per_example(tf.square(own[:, 0] - own[:, 1])) + spread

    return Objective(loss_fn, _retrieval(), smallest_batch=_FEWEST)


def _spread(codes: tf.Tensor, variance: float, covariance: float) -> tf.Tensor:
    """VICReg's terms of one view's projections, [n, d]; n − 1 is taken as 1 where there is one alone."""
    centred = codes - tf.reduce_mean(codes, axis=0)
    freedom = tf.maximum(tf.cast(tf.shape(codes)[0], tf.float32) - 1.0, 1.0)
    products = tf.matmul(centred, centred, transpose_a=True) / freedom
    variances = tf.linalg.diag_part(products)
    narrow = tf.reduce_mean(tf.nn.relu(_GAMMA - tf.sqrt(variances + _EPSILON)))
    alike = (tf.reduce_sum(tf.square(products)) - tf.reduce_sum(tf.square(variances))) / codes.shape[-1]
    return variance * narrow + covariance * alike


def _retrieval() -> dict:
    """Accuracy of finding the other view among all of the global batch by its cosine, and that of guessing."""

    def chance(targets: tuple, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        others = 2.0 * tf.cast(tf.shape(outputs["projections"])[0] * batches.replicas(), tf.float32) - 1.0
        return tf.fill(tf.shape(outputs["projections"])[:1], 1.0 / others)

    return {
        "accuracy": lambda targets, outputs: metrics.accuracy(*_candidates(outputs)),
        "chance": chance,
    }


def _candidates(outputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels int32 [batch, 2] and cosines [batch, 2, 2 · global batch], the lowest number at the view itself."""
    own = _on_sphere(outputs)
    every, first = batches.across_replicas(own)
    cosines = tf.einsum("bvd,kd->bvk", own, tf.reshape(every, (-1, own.shape[-1])))
    itself = 2 * (first + tf.range(tf.shape(own)[0]))[:, None] + tf.range(2)
    same = tf.equal(itself[..., None], tf.range(tf.shape(cosines)[-1]))
    return tf.bitwise.bitwise_xor(itself, 1), tf.where(same, cosines.dtype.min / 2, cosines)


def _on_sphere(outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.math.l2_normalize(tf.cast(outputs["projections"], tf.float32), axis=-1)
