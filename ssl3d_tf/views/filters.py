"""What scanners do to an image: blur, low resolution, a bias field. Whole batches, deterministic, any spatial rank.

All take and return volumes float32 [batch, *spatial, channels], with one strength per example.
"""

import itertools
import math

import numpy as np
import tensorflow as tf

from ssl3d_tf.task import Volumes
from ssl3d_tf.views import separable

FIELD_ORDER = 3  # of the bias field's polynomial
_TRUNCATE = 4.0  # standard deviations; what lies further away weighs less than .0004 of the middle


def blur(volumes: Volumes, deviation: tf.Tensor, *, widest: float) -> Volumes:
    """Gaussian blur; deviation: float [batch] in voxels, up to `widest`. The border counts as in `separable`."""
    for axis in range(1, len(volumes.shape) - 1):
        volumes = blur_along(volumes, axis, deviation, widest=widest)
    return volumes


def blur_along(volumes: Volumes, axis: int, deviation: tf.Tensor, *, widest: float) -> Volumes:
    """`blur` along one axis, counted from 1."""
    away = tf.range(math.ceil(_TRUNCATE * widest) + 1, dtype=tf.float32)
    spread = tf.maximum(deviation, 1e-3)[:, None]  # a narrower one is a single voxel already
    return separable.mean_around(volumes, axis, tf.exp(-0.5 * tf.square(away / spread)))


def lower_resolution(volumes: Volumes, factor: tf.Tensor) -> Volumes:
    """Keeps one voxel in `factor`, float [batch] ≥ 1, along each axis, and interpolates linearly between them."""
    factor = factor[:, None]
    for axis, size in enumerate(volumes.shape[1:-1], start=1):
        place = (tf.range(size, dtype=tf.float32) + 0.5) / factor - 0.5  # [batch, size], counted in kept voxels
        first = tf.floor(place)
        lower, upper = (_kept(number, factor, size) for number in (first, first + 1.0))
        volumes = separable.between(volumes, axis, lower, upper, place - first)
    return volumes


def _kept(number: tf.Tensor, factor: tf.Tensor, size: int) -> tf.Tensor:
    """Kept voxel of this number -> voxel; the first one in front of them, the last voxel beyond the volume."""
    place = (tf.maximum(number, 0.0) + 0.5) * factor - 0.5
    return tf.cast(tf.round(tf.minimum(place, size - 1.0)), tf.int32)


@tf.function(jit_compile=True, autograph=False)
def multiply_field(volumes: Volumes, coefficients: tf.Tensor) -> Volumes:
    """Times exp(Σ coefficient · monomial), of places in −1..1 along each axis, as a coil's sensitivity varies.

    coefficients: float [batch, n], n = `field_terms(rank)`. Van Leemput et al., 1999, doi:10.1109/42.811268.
    """
    spatial = volumes.shape[1:-1]
    field = _by_powers(coefficients, len(spatial))
    for axis, size in reversed(list(enumerate(spatial, start=1))):  # a power's axis becomes that of places
        place = np.linspace(-1, 1, size, dtype=np.float32).reshape(-1, *(1,) * (len(spatial) - axis))
        terms = [tf.expand_dims(tf.gather(field, n, axis=axis), axis) * place**n for n in range(FIELD_ORDER + 1)]
        field = tf.add_n(terms)
    return volumes * tf.exp(field)[..., None]


def _by_powers(coefficients: tf.Tensor, rank: int) -> tf.Tensor:
    """[batch, n] -> [batch, *(FIELD_ORDER + 1,) * rank], by the power along each axis; 0 where there is no monomial."""
    number = np.zeros((FIELD_ORDER + 1,) * rank, np.int32)
    number[tuple(np.transpose(_powers(rank)))] = range(1, field_terms(rank) + 1)
    return tf.gather(tf.pad(coefficients, [[0, 0], [1, 0]]), number, axis=1)


def field_terms(rank: int) -> int:
    """Monomials of degree 1 to FIELD_ORDER: 9 in 2D, 19 in 3D."""
    return len(_powers(rank))


def _powers(rank: int) -> list[tuple[int, ...]]:
    return [
        powers for powers in itertools.product(range(FIELD_ORDER + 1), repeat=rank) if 0 < sum(powers) <= FIELD_ORDER
    ]
