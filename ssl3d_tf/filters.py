"""What scanners do to an image: blur, low resolution, a bias field. Whole batches, deterministic, any spatial rank.

All take and return volumes float32 [batch, *spatial, channels], with one strength per example.
"""

import functools
import itertools

import numpy as np
import tensorflow as tf

from ssl3d_tf import separable
from ssl3d_tf.task import Volumes

FIELD_ORDER = 3  # of the bias field's polynomial


def blur(volumes: Volumes, deviation: tf.Tensor) -> Volumes:
    """Gaussian blur; deviation: float [batch] in voxels. Beyond the border lies nothing: weights add up to 1 inside."""

    def weights(size: int) -> tf.Tensor:
        apart = tf.range(size, dtype=tf.float32)[:, None] - tf.range(size, dtype=tf.float32)
        spread = tf.maximum(deviation, 1e-3)[:, None, None]  # a narrower one is a single voxel already
        bell = tf.exp(-0.5 * tf.square(apart / spread))
        return bell / tf.reduce_sum(bell, axis=-1, keepdims=True)

    return separable.resample(volumes, [weights(size) for size in volumes.shape[1:-1]])


def lower_resolution(volumes: Volumes, factor: tf.Tensor) -> Volumes:
    """Keeps one voxel in `factor`, float [batch] ≥ 1, along each axis, and interpolates linearly between them."""

    def weights(size: int) -> tf.Tensor:
        spacing = tf.reshape(factor, (-1, 1, 1))
        place = tf.range(size, dtype=tf.float32)
        kept = (place + 0.5) * spacing[..., 0] - 0.5  # [batch, size]; those beyond the volume repeat its last voxel
        nearest = tf.cast(tf.round(tf.minimum(kept, size - 1.0)), tf.int32)
        hat = tf.maximum(0.0, 1.0 - tf.abs(place[:, None] - kept[:, None]) / spacing)  # [batch, size, kept]
        hat = hat / tf.reduce_sum(hat, axis=-1, keepdims=True)  # in front of the first and behind the last one
        return tf.matmul(hat, tf.one_hot(nearest, size))

    return separable.resample(volumes, [weights(size) for size in volumes.shape[1:-1]])


def multiply_field(volumes: Volumes, coefficients: tf.Tensor) -> Volumes:
    """Times exp(Σ coefficient · monomial), of places in −1..1 along each axis, as a coil's sensitivity varies.

    coefficients: float [batch, n], n = `field_terms(rank)`. Van Leemput et al., 1999, doi:10.1109/42.811268.
    """
    spatial = volumes.shape[1:-1]
    axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in spatial]
    exponent = tf.zeros(())
    for number, powers in enumerate(_powers(len(spatial))):
        curves = [axis**power for axis, power in zip(axes, powers, strict=True)]
        monomial = functools.reduce(np.multiply.outer, curves)[..., None]
        exponent += tf.reshape(coefficients[:, number], (-1, *(1,) * monomial.ndim)) * monomial
    return volumes * tf.exp(exponent)


def field_terms(rank: int) -> int:
    """Monomials of degree 1 to FIELD_ORDER: 9 in 2D, 19 in 3D."""
    return len(_powers(rank))


def _powers(rank: int) -> list[tuple[int, ...]]:
    return [
        powers for powers in itertools.product(range(FIELD_ORDER + 1), repeat=rank) if 0 < sum(powers) <= FIELD_ORDER
    ]
