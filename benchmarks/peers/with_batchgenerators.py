"""batchgeneratorsv2 0.3.6 as nnU-Net drives it: prepared arrays, memory-mapped, cut first, worker processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.data_loader import SlimDataLoaderBase
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgeneratorsv2.transforms.intensity.brightness import BrightnessAdditiveTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.rot90 import Rot90Transform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from benchmarks.peers import with_numpy
from benchmarks.peers.jobs import (
    BATCH,
    BRIGHTNESS,
    CONTRAST,
    CROP,
    DEGREES,
    NOISE,
    P_INTENSITY,
    P_NOISE,
    P_ROTATION,
    SIDE,
    ZOOM,
)

VARIANTS = ("memory map, 1 process", "memory map, 2 processes")
_RADIANS = DEGREES * np.pi / 180


def batches(job: str, folder: Path, variant: str) -> Iterator[torch.Tensor]:
    """Endless batches [4, 1, ...] or [4, 27, 1, ...]; each volume is drawn at random, as nnU-Net does."""
    torch.set_num_threads(1)
    processes = 1 if "1" in variant else 2
    loader = Loader(job, sorted((folder / "float32").iterdir()))
    workers = NonDetMultiThreadedAugmenter(
        loader, None, processes, num_cached=6, seeds=list(range(processes)), pin_memory=False
    )
    while True:
        yield next(workers)["image"]


class Loader(SlimDataLoaderBase):
    """Cuts and changes example by example, in the worker."""

    def __init__(self, job: str, paths: list[Path]):
        super().__init__(paths, BATCH)
        self._job, self._change = job, _changes(job)

    def generate_train_batch(self) -> dict[str, Any]:
        """One batch."""
        torch.set_num_threads(1)
        chosen = np.random.choice(len(self._data), BATCH, replace=False)
        return {"image": torch.stack([self._example(np.load(self._data[index], mmap_mode="r")) for index in chosen])}

    def _example(self, volume: np.ndarray) -> torch.Tensor:
        if self._job == "grid":
            return torch.from_numpy(with_numpy.cells(volume, np.random.default_rng(np.random.randint(2**31))))[:, None]
        if self._job in ("exact", "augment"):
            volume = volume[tuple(slice(i, i + CROP) for i in np.random.randint(0, SIDE - CROP + 1, 3))]
        image = torch.from_numpy(np.array(volume))[None]
        return self._change(image=image)["image"] if self._change else image


def _changes(job: str) -> ComposeTransforms | None:
    mirror = MirrorTransform((0, 1, 2))
    recolour = [
        RandomTransform(BrightnessAdditiveTransform(0, BRIGHTNESS / 3**0.5), P_INTENSITY),
        RandomTransform(ContrastTransform(BGContrast(CONTRAST), False, False, 1), P_INTENSITY),
    ]
    if job in ("read", "grid"):
        return None
    if job == "exact":
        return ComposeTransforms([mirror, Rot90Transform(3, (0, 1, 2, 3))])
    if job == "turns":
        return ComposeTransforms([Rot90Transform(1, (0, 1, 2, 3))])
    if job == "augment":
        rotate = SpatialTransform((CROP,) * 3, 0, False, p_rotation=P_ROTATION, rotation=(-_RADIANS, _RADIANS))
        noise = RandomTransform(GaussianNoiseTransform((0, NOISE**2), 1, True), P_NOISE)
        return ComposeTransforms([rotate, noise, *recolour, mirror])
    turn = SpatialTransform(
        (SIDE,) * 3,
        0,
        False,
        p_rotation=1.0,
        rotation=(-np.pi, np.pi),
        p_scaling=1.0,
        scaling=(1 - ZOOM, 1 + ZOOM),
        p_synchronize_scaling_across_axes=0,
    )
    return ComposeTransforms([turn, *recolour, mirror])
