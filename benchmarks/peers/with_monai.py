"""MONAI 1.6.1: as its tutorials do it, and with its cache, plain tensors and threads, as its guide to speed advises."""

from collections.abc import Iterator
from pathlib import Path

import torch
from monai import data, transforms
from monai.data import meta_obj

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
    ZOOM,
)

VARIANTS = ("Dataset .nii.gz, 2 processes", "Dataset .nii, 2 processes", "cache, threads", "cache, 2 processes")
_RADIANS = DEGREES * torch.pi / 180


def batches(job: str, folder: Path, variant: str) -> Iterator[torch.Tensor]:
    """Endless batches [4, 1, ...] or [4, 27, 1, ...], shuffled anew every epoch."""
    torch.set_num_threads(1)
    source = folder / ("nii_gz" if ".gz" in variant else "nii")
    files = [str(path) for path in sorted(source.iterdir())]
    load = [
        transforms.LoadImage(image_only=True),
        transforms.EnsureChannelFirst(channel_dim="no_channel"),
        transforms.ScaleIntensity(),
    ]
    chain = transforms.Compose([*load, *_job(job)])
    if "cache" in variant:
        meta_obj.set_track_meta(False)
        found = data.CacheDataset(files, chain, cache_rate=1.0, copy_cache=False, num_workers=2, progress=False)
    else:
        found = data.Dataset(files, chain)
    if "threads" in variant:
        loader = data.ThreadDataLoader(found, batch_size=BATCH, shuffle=True, num_workers=0, buffer_size=3)
    else:
        loader = data.DataLoader(found, batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    while True:
        yield from loader


def _job(job: str) -> list[transforms.Transform]:
    flips = [transforms.RandFlip(prob=0.5, spatial_axis=axis) for axis in range(3)]
    crop = transforms.RandSpatialCrop((CROP,) * 3, random_size=False)
    planes = ((0, 1), (1, 2), (0, 2))
    intensity = [
        transforms.RandShiftIntensity(BRIGHTNESS, prob=P_INTENSITY),
        transforms.RandScaleIntensityFixedMean(prob=P_INTENSITY, factors=(CONTRAST[0] - 1, CONTRAST[1] - 1)),
    ]
    if job == "read":
        return []
    if job == "grid":
        return [transforms.CenterSpatialCrop((GRID,) * 3), transforms.GridPatch((CELL,) * 3), Cells()]
    if job == "exact":
        return [crop, *flips, *(transforms.RandRotate90(0.75, spatial_axes=plane) for plane in planes)]
    if job == "turns":
        return [transforms.OneOf([transforms.RandRotate90(0.75, spatial_axes=plane) for plane in planes])]
    if job == "augment":
        about = [{f"range_{axis}": _RADIANS} for axis in "xyz"]
        rotate = [transforms.RandRotate(prob=P_ROTATION, mode="bilinear", padding_mode="zeros", **one) for one in about]
        return [crop, *flips, transforms.OneOf(rotate), *intensity, transforms.RandGaussianNoise(P_NOISE, std=NOISE)]
    affine = transforms.RandAffine(
        prob=1.0, rotate_range=[torch.pi] * 3, scale_range=[ZOOM] * 3, mode="bilinear", padding_mode="zeros"
    )
    return [*flips, affine, *intensity]


class Cells(transforms.Randomizable, transforms.Transform):
    """A patch anywhere in each of the cells [27, 1, 42, 42, 42]."""

    def __call__(self, cells: torch.Tensor) -> torch.Tensor:
        starts = self.R.randint(0, CELL - PATCH + 1, size=(len(cells), 3))
        return torch.stack(
            [
                cell[:, i : i + PATCH, j : j + PATCH, k : k + PATCH]
                for cell, (i, j, k) in zip(torch.as_tensor(cells), starts, strict=True)
            ]
        )
