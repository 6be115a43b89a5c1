"""Affine maps as matrices: drawn one by one, and composed into one, so that a volume is interpolated only once.

A matrix takes a place in the result to the place in the volume that it shows, both measured from the centre: in voxels
along axes 0, 1, ..., and its last column shifts by that share of the largest side. Each function below returns a
drawer, (Seed, sides) -> float32 [rank + 1, rank + 1]; sides: voxels per axis of the views, None of a square or cube.

An axis that is less than a third as long as the longest is one of thick slices or thin slabs, of which a turn would
leave little: turns are in the planes of the others, after Isensee et al., 2021, doi:10.1038/s41592-020-01008-z.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Seed
from ssl3d_tf.views.resampling import BITS
from ssl3d_tf.views.volumes import all_turns

Sides = Sequence[int] | None
Drawer = Callable[[Seed, Sides], tf.Tensor]  # one example's matrix [rank + 1, rank + 1]
_THIN = 3  # times shorter than the longest axis
_ON, _TURN, _AXIS, _SIZE, _PLACE = range(5)  # what a folded seed is for


def flips(*, rank: int, p: float = 0.5) -> Drawer:
    """Reverses each axis with probability `p`, independently."""

    def draw(seed: Seed, sides: Sides = None) -> tf.Tensor:
        signs = 1.0 - 2.0 * tf.cast(_uniform(seed, _ON, rank) < p, tf.float32)
        return _homogeneous(tf.linalg.diag(signs))

    return draw


def quarter_turns(*, rank: int) -> Drawer:
    """One of all rotations of the square (4) or cube (24) onto itself, each as likely; needs equal sides."""
    table = np.zeros((len(all_turns(rank)), rank, rank), np.float32)
    for matrix, turn in zip(table, all_turns(rank), strict=True):
        for axis, (source, flipped) in enumerate(zip(turn.axes, turn.flipped, strict=True)):
            matrix[source, axis] = -1 if flipped else 1

    def draw(seed: Seed, sides: Sides = None) -> tf.Tensor:
        if len(set(sides or ())) > 1:
            given = f"affine.quarter_turns turns a square or cube, views have {tuple(sides or ())} voxels"
            raise InputError(f"{given}: give VIEW_SIZE one number for all axes, or take affine.rotations.")
        index = tf.random.stateless_uniform((), _fold(seed, _TURN), 0, len(table), tf.int32)
        return _homogeneous(tf.gather(tf.constant(table), index))

    return draw


def turns_in_planes(*, rank: int, p: float = 0.5, p_free: float = 0.5) -> Drawer:
    """In each plane of two axes with probability `p` a turn: free, U(0°, 360°), with `p_free`, else 0 to 3 quarters.

    What the published exemplar task of Taleb et al., 2020, arXiv:2006.03829 does to a volume.
    """
    planes = {2: [(0, 1)], 3: [(0, 1), (1, 2), (0, 2)]}[rank]

    def draw(seed: Seed, sides: Sides = None) -> tf.Tensor:
        on, free = tf.unstack(_uniform(seed, _ON, 2, len(planes)))
        share = _uniform(seed, _TURN, len(planes))
        turns = tf.where(free < p_free, share, tf.floor(share * 4.0) / 4.0)
        angles = tf.where(on < p, turns, 0.0) * (2.0 * math.pi)
        thick = _thick(rank, sides)
        turned = [number for number, plane in enumerate(planes) if set(plane) <= set(thick)]
        matrices = [_plane_turn(angles[number], planes[number], rank) for number in turned]
        return _homogeneous(_product(matrices or [tf.eye(rank)]))

    return draw


def rotations(*, rank: int, degrees: float = 180.0, p: float = 0.5) -> Drawer:
    """With probability `p` a rotation by U(−degrees, degrees), in 3D about an axis uniform over the sphere.

    Where an axis is thin, about that one.
    """

    def draw(seed: Seed, sides: Sides = None) -> tf.Tensor:
        angle = (2.0 * _uniform(seed, _TURN) - 1.0) * math.radians(degrees)
        angle = tf.where(_uniform(seed, _ON) < p, angle, 0.0)
        thick = _thick(rank, sides)
        if len(thick) < 2:
            return tf.eye(rank + 1)
        if len(thick) == 2:
            return _homogeneous(_plane_turn(angle, (thick[0], thick[1]), rank))
        axis = tf.random.stateless_normal((3,), _fold(seed, _AXIS))
        return _homogeneous(_turn_about(axis / tf.norm(axis), angle))

    return draw


def zoom(*, rank: int, factor: tuple[float, float] = (0.8, 1.2), p: float = 0.5, isotropic: bool = False) -> Drawer:
    """With probability `p` magnifies every axis by its own U(*factor), one for all if `isotropic`.

    Of what is magnified a random part is shown, of what is reduced the middle, in its background.
    """
    low, high = _positive(factor, "zoom.factor")

    def draw(seed: Seed, sides: Sides = None) -> tf.Tensor:
        drawn = low + (high - low) * _uniform(seed, _SIZE, 1 if isotropic else rank)
        size = tf.where(_uniform(seed, _ON) < p, drawn, 1.0) * tf.ones(rank)
        room = tf.maximum(0.0, 0.5 - 0.5 / size)
        shift = (2.0 * _uniform(seed, _PLACE, rank) - 1.0) * room
        if sides:
            shift *= tf.constant([side / max(sides) for side in sides])
        return _homogeneous(tf.linalg.diag(1.0 / size), shift)

    return draw


def compose(drawers: Sequence[Drawer], sides: Sides = None) -> Callable[[Seed], tf.Tensor]:
    """All of them, the first one first, each with random numbers of its own; as places for `resample`."""

    def draw(seed: Seed) -> tf.Tensor:
        return places(_product([drawer(_fold(seed, number), sides) for number, drawer in enumerate(drawers)]))

    return draw


def places(matrix: tf.Tensor) -> tf.Tensor:
    """A matrix [..., rank + 1, rank + 1] in the integers `resample` takes: int32 [..., rank, rank + 1]."""
    return tf.cast(tf.round(matrix[..., :-1, :] * 2.0**BITS), tf.int32)


def _thick(rank: int, sides: Sides) -> list[int]:
    """The axes that are not thin."""
    return [axis for axis in range(rank) if not sides or _THIN * sides[axis] >= max(sides)]


def _homogeneous(linear: tf.Tensor, shift: tf.Tensor | None = None) -> tf.Tensor:
    rank = linear.shape[-1]
    column = tf.zeros((rank, 1)) if shift is None else shift[:, None]
    return tf.concat([tf.concat([linear, column], 1), tf.one_hot([rank], rank + 1)], 0)


def _product(matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    product = matrices[0]
    for matrix in matrices[1:]:
        product = tf.linalg.matmul(product, matrix)
    return product


def _plane_turn(angle: tf.Tensor, plane: tuple[int, int], rank: int) -> tf.Tensor:
    """From axis plane[0] towards axis plane[1], so that a quarter is `numpy.rot90(volume, 1, plane)`."""
    first, second = np.eye(rank, dtype=np.float32)[list(plane)]
    diagonal = np.outer(first, first) + np.outer(second, second)
    across = np.outer(first, second) - np.outer(second, first)
    return np.eye(rank, dtype=np.float32) + (tf.cos(angle) - 1.0) * diagonal + tf.sin(angle) * across


def _turn_about(axis: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Rotation about a unit vector (Rodrigues' formula)."""
    x, y, z = tf.unstack(axis)
    zero = tf.zeros(())
    across = tf.reshape(tf.stack([zero, -z, y, z, zero, -x, -y, x, zero]), (3, 3))
    return tf.eye(3) + tf.sin(angle) * across + (1.0 - tf.cos(angle)) * tf.linalg.matmul(across, across)


def _positive(limits: tuple[float, float], name: str) -> tuple[float, float]:
    low, high = limits
    if not 0 < low <= high:
        raise InputError(f"{name} is {limits}; it must be two numbers above 0, the smaller first.")
    return low, high


def _uniform(seed: Seed, purpose: int, *shape: int) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, _fold(seed, purpose))


def _fold(seed: Seed, data: int) -> Seed:
    return tf.random.experimental.stateless_fold_in(seed, data)
