"""Phantoms: endless made-up scans with organs in their usual places, to try everything without patient data.

A trunk with lungs, heart, liver, kidneys and spine, different on both sides and at both ends, so that the orientation
can be told from how organs lie to each other. Size, place, tilt, bending, contrast, texture, brightness drift and noise
differ between subjects, so that no single voxel and no frame tells it. Half of the subjects have a lesion.
Uses NumPy alone, so that making data needs no TensorFlow process.
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError

VERSION = 1  # raise it whenever a number changes: it is part of a data set's recipe
CLASSES = ("background", "soft tissue", "spine", "lungs", "heart", "liver", "kidneys", "lesion")  # by mask value
LESION = CLASSES.index("lesion")
AIR = 0.1  # intensity up to which there is air: above its noise, below all organs but dark lungs

_EDGE_VOXELS = 2.0  # width of the blurred edge of an organ


class _Organ(NamedTuple):
    """An ellipsoid, or a box with round corners: Σ ((x − center) / radii) ** power < 1, axes from −1 to 1.

    Axis 0 runs from head to feet, axis 1 from front to back, axis 2 from the subject's right to its left.
    """

    label: int
    center: Sequence[float]
    radii: Sequence[float]
    power: int = 2


_ORGANS = (
    _Organ(1, (0.0, 0.0, 0.0), (0.92, 0.76, 0.84), power=4),
    _Organ(2, (0.0, 0.50, 0.0), (1.30, 0.14, 0.14)),
    _Organ(3, (-0.32, -0.02, -0.40), (0.44, 0.46, 0.28)),
    _Organ(3, (-0.36, -0.02, 0.42), (0.36, 0.42, 0.23)),
    _Organ(4, (-0.18, -0.22, 0.10), (0.25, 0.25, 0.22)),
    _Organ(5, (0.36, -0.12, -0.28), (0.26, 0.42, 0.42)),
    _Organ(6, (0.52, 0.36, -0.38), (0.20, 0.13, 0.13)),
    _Organ(6, (0.42, 0.36, 0.36), (0.20, 0.13, 0.13)),
)
_LESION_LABELS = (CLASSES.index("lungs"), CLASSES.index("liver"))

# One row per class: its intensity in four contrasts that channels take in turn (the first is like CT), and the
# strength of its texture: coarse, fine, and rippled along the body, as vertebrae are.
_CONTRASTS = np.array(
    [
        [0.02, 0.02, 0.02, 0.02],
        [0.40, 0.60, 0.35, 0.50],
        [0.78, 0.35, 0.55, 0.20],
        [0.14, 0.10, 0.08, 0.12],
        [0.58, 0.30, 0.65, 0.75],
        [0.52, 0.68, 0.28, 0.40],
        [0.68, 0.42, 0.82, 0.62],
        [0.70, 0.25, 0.90, 0.85],
    ],
    np.float32,
)
_TEXTURES = np.array(
    [
        [0.00, 0.00, 0.00],
        [0.05, 0.03, 0.00],
        [0.04, 0.06, 0.12],
        [0.03, 0.06, 0.00],
        [0.02, 0.02, 0.00],
        [0.03, 0.05, 0.00],
        [0.07, 0.02, 0.00],
        [0.06, 0.08, 0.00],
    ],
    np.float32,
)


class _Anatomy(NamedTuple):
    """What all channels share, in fields of [*shape].

    occupancies: (label, share of each voxel in [0, 1]), each painted over those before. textures: as in _TEXTURES.
    """

    occupancies: list[tuple[int, np.ndarray]]
    mask: np.ndarray
    textures: list[np.ndarray]


def phantom(index: int, *, seed: int, shape: Sequence[int], lesion: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Subject number `index` of the family `seed` in one contrast: volume float32 [*shape] and mask, as `scan`."""
    volume, mask = scan(index, seed=seed, shape=shape, lesion=lesion)
    return volume[..., 0], mask


def scan(
    index: int, *, seed: int, shape: Sequence[int], lesion: bool = True, channels: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Subject number `index` of the family `seed`.

    Args:
        shape: two or three sides, voxels; the body fills the frame whatever they are. In 2D organs are drawn over each
            other as seen from the front: axis 0 from head to feet, axis 1 from right to left.
        lesion: half of the subjects get one lesion, in a lung or the liver.
        channels: contrasts of the same anatomy; a channel does not depend on how many there are.

    Returns:
        volume float32 [*shape, channels] in [0, 1], and mask uint8 [*shape] of values as in CLASSES.

    Raises:
        InputError: not two or three sides, or one shorter than 8.
    """
    if len(shape) not in (2, 3) or min(shape) < 8:
        raise InputError(f"phantom shape {tuple(shape)} must be two or three sides of at least 8 voxels; change it.")
    anatomy = _anatomy(np.random.default_rng([seed, index]), tuple(shape), lesion)
    # Counted from 1, because a seed with a last 0 is the same as one without, which drew the anatomy.
    images = [
        _image(np.random.default_rng([seed, index, number]), anatomy, contrast)
        for number, contrast in zip(range(1, channels + 1), itertools.cycle(_CONTRASTS.T), strict=False)
    ]
    return np.stack(images, axis=-1), anatomy.mask


def _anatomy(rng: np.random.Generator, shape: tuple[int, ...], lesion: bool) -> _Anatomy:
    place = _coordinates(rng, shape)
    organs = [_varied(rng, organ) for organ in _ORGANS]
    sick = rng.random() < 0.5  # drawn in any case, so that `lesion` changes nothing else
    tumour = _tumour(rng, organs)
    if lesion and sick:
        organs.append(tumour)
    mask = np.zeros(shape, np.uint8)
    occupancies: list[tuple[int, np.ndarray]] = []
    for organ in organs:
        share = _occupancy(organ, place, shape)
        if occupancies:
            share = np.minimum(share, occupancies[0][1])  # nothing sticks out of the body
        mask[share > 0.5] = organ.label
        occupancies.append((organ.label, share))
    coarse = _field(rng, [max(side // 8, 3) for side in shape], shape)
    fine = _field(rng, [max(side // 2, 3) for side in shape], shape)
    return _Anatomy(occupancies, mask, [coarse, fine, np.cos(20.0 * place[0])])


def _image(rng: np.random.Generator, anatomy: _Anatomy, contrast: np.ndarray) -> np.ndarray:
    shape = anatomy.mask.shape
    values = contrast + rng.uniform(-0.1, 0.1, contrast.shape).astype(np.float32)
    values[0] = contrast[0]
    image = np.full(shape, values[0], np.float32)
    for label, share in anatomy.occupancies:
        image += share * (values[label] - image)
    for strength, texture in zip(_TEXTURES.T, anatomy.textures, strict=True):
        image += strength[anatomy.mask] * texture
    drift = np.exp(0.15 * _field(rng, [3] * len(shape), shape))
    image *= np.float32(rng.uniform(0.85, 1.1)) * drift
    image += np.float32(rng.uniform(0.01, 0.04)) * rng.standard_normal(shape, np.float32)
    return np.clip(image, 0.0, 1.0, out=image)


def _coordinates(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Where in the standard body each voxel lies, float32 [rank, *shape]: sized, tilted, shifted and bent."""
    rank = len(shape)
    axes = [np.linspace(-1.0, 1.0, side, dtype=np.float32) for side in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    tilt = np.eye(rank) / rng.uniform(0.75, 1.15, rank) + np.triu(rng.normal(0.0, 0.15, (rank, rank)), 1)
    tilt -= np.triu(tilt, 1).T
    place = np.tensordot(tilt.astype(np.float32), grid, axes=1)
    for coordinate in place:
        coordinate += np.float32(rng.normal(0.0, 0.14)) + 0.07 * _field(rng, [4] * rank, shape)
    return place


def _varied(rng: np.random.Generator, organ: _Organ) -> _Organ:
    center = np.array(organ.center) + rng.normal(0.0, 0.035, 3)
    return organ._replace(center=tuple(center), radii=tuple(np.array(organ.radii) * rng.uniform(0.82, 1.18, 3)))


def _tumour(rng: np.random.Generator, organs: Sequence[_Organ]) -> _Organ:
    """A ball in one of the organs that have lesions, up to six tenths of the way to its surface."""
    hosts = [organ for organ in organs if organ.label in _LESION_LABELS]
    host = hosts[rng.integers(len(hosts))]
    direction = rng.normal(size=3)
    direction *= rng.uniform(0.0, 0.6) / np.linalg.norm(direction)
    center = np.array(host.center) + direction * host.radii
    return _Organ(LESION, tuple(center), tuple(rng.uniform(0.10, 0.18) * rng.uniform(0.8, 1.25, 3)))


def _occupancy(organ: _Organ, place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Share of each voxel inside the organ, falling from 1 to 0 over _EDGE_VOXELS."""
    axes = (0, 1, 2) if len(shape) == 3 else (0, 2)
    inside = np.ones(shape, np.float32)
    for coordinate, axis in zip(place, axes, strict=True):
        distance = (coordinate - np.float32(organ.center[axis])) * np.float32(1.0 / organ.radii[axis])
        distance *= distance
        inside -= distance * distance if organ.power == 4 else distance
    # Near the surface the sum falls by `power` per radius, and a radius is that many voxels.
    slope = min(organ.radii[axis] for axis in axes) * min(shape) / 2.0 / organ.power / _EDGE_VOXELS
    inside *= np.float32(slope)
    inside += 0.5
    return np.clip(inside, 0.0, 1.0, out=inside)


def _field(rng: np.random.Generator, cells: Iterable[int], shape: tuple[int, ...]) -> np.ndarray:
    """Smooth noise, float32 [*shape]: normal numbers on a grid of `cells`, interpolated axis by axis."""
    field = rng.standard_normal(tuple(cells), np.float32)
    for side in shape:
        # Contracting the first axis and appending the new one visits every axis once and restores their order.
        field = np.tensordot(field, _interpolation(field.shape[0], side), axes=(0, 0))
    return field


@functools.lru_cache(maxsize=64)
def _interpolation(cells: int, side: int) -> np.ndarray:
    """Weights float32 [cells, side] of smooth interpolation from `cells` points to `side` points over the same span."""
    position = np.linspace(0.0, cells - 1.0, side)
    share = np.clip(1.0 - np.abs(position - np.arange(cells)[:, None]), 0.0, 1.0)
    return (share * share * (3.0 - 2.0 * share)).astype(np.float32)  # smoothstep: the weights still sum to 1
