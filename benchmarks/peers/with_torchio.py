"""TorchIO 1.2.1: whole volumes and then a patch, as its examples do it, and prepared files, cut first, then changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchio as tio

from benchmarks.peers.jobs import (
    BATCH,
    BRIGHTNESS,
    CELL,
    CONTRAST,
    CROP,
    DEGREES,
    GRID,
    NOISE,
    P_INTENSITY,
    P_NOISE,
    P_ROTATION,
    PATCH,
    SIDE,
    ZOOM,
)

VARIANTS = ("whole volumes .nii.gz, 2 processes", "cut first .npy, 2 processes")


def batches(job: str, folder: Path, variant: str) -> Iterator[torch.Tensor]:
    """Endless batches [4, 1, ...] or [4, 27, 1, ...], shuffled anew every epoch."""
    torch.set_num_threads(1)
    prepared = "npy" in variant
    source, reader = (folder / "float32", _npy) if prepared else (folder / "nii_gz", None)
    options = {"reader": reader} if reader else {}
    subjects = [tio.Subject(image=tio.ScalarImage(path, **options)) for path in sorted(source.iterdir())]
    before, after = _job(job)
    scale = [] if prepared else [tio.RescaleIntensity((0, 1))]
    change = [*after, *before] if not prepared else [*before, *after]
    found = tio.SubjectsDataset(subjects, transform=tio.Compose([*scale, *change]), load_getitem=True)
    images = Images(found, job)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    while True:
        yield from loader


class Images(torch.utils.data.Dataset):
    """The image of each subject, or its cells."""

    def __init__(self, subjects: tio.SubjectsDataset, job: str):
        self._subjects, self._job = subjects, job

    def __len__(self) -> int:
        return len(self._subjects)

    def __getitem__(self, index: int) -> torch.Tensor:
        subject = self._subjects[index]
        return _cells(subject) if self._job == "grid" else subject["image"].data


def _npy(path: str) -> tuple[torch.Tensor, np.ndarray]:
    return torch.from_numpy(np.load(path))[None], np.eye(4)


def _cells(subject: tio.Subject) -> torch.Tensor:
    """A patch anywhere in each cell that the library's sampler gives [27, 1, 39, 39, 39]."""
    found = []
    for cell in tio.GridSampler(subject=subject, patch_size=CELL):
        i, j, k = np.random.randint(0, CELL - PATCH + 1, 3)
        found.append(cell["image"].data[:, i : i + PATCH, j : j + PATCH, k : k + PATCH])
    return torch.stack(found)


def _job(job: str) -> tuple[list[Any], list[Any]]:
    """What cuts, and what changes."""
    crop = [tio.Lambda(_cut)]
    flips = tio.RandomFlip(axes=(0, 1, 2), flip_probability=0.5)
    intensity = tio.Lambda(_intensity)
    if job == "read":
        return [], []
    if job == "grid":
        return [tio.CropOrPad((GRID,) * 3)], []
    if job == "exact":
        return crop, [flips, tio.Lambda(_turned)]
    if job == "turns":
        return [], [tio.Lambda(_turned_once)]
    if job == "augment":
        degrees = [tuple(DEGREES if axis == place else 0 for axis in range(3)) for place in range(3)]
        rotate = tio.OneOf([tio.RandomAffine(scales=0, degrees=one) for one in degrees], p=P_ROTATION)
        return crop, [flips, rotate, intensity, tio.RandomNoise(std=(0, NOISE), p=P_NOISE)]
    return [], [flips, tio.RandomAffine(scales=ZOOM, degrees=180), intensity]


def _cut(image: torch.Tensor) -> torch.Tensor:
    i, j, k = np.random.randint(0, SIDE - CROP + 1, 3)
    return image[:, i : i + CROP, j : j + CROP, k : k + CROP]


def _turned(image: torch.Tensor) -> torch.Tensor:
    for plane in ((1, 2), (2, 3), (1, 3)):
        image = torch.rot90(image, np.random.randint(4), plane)
    return image


def _turned_once(image: torch.Tensor) -> torch.Tensor:
    return torch.rot90(image, np.random.randint(4), ((1, 2), (2, 3), (1, 3))[np.random.randint(3)])


def _intensity(image: torch.Tensor) -> torch.Tensor:
    if np.random.random() >= P_INTENSITY:
        return image
    mean = image.mean()
    return (image + np.random.uniform(-BRIGHTNESS, BRIGHTNESS) - mean) * np.random.uniform(*CONTRAST) + mean
