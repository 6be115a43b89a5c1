"""What is worth knowing of one volume, measured while it is in memory: what findings and the summary are made from."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tools import geometry
from tools.pieces import pieces
from tools.readers.contract import Volume

SAMPLE = 500_000  # voxels at most that `occupied` is estimated from


class Facts(NamedTuple):
    """One volume as it is read, before it is cropped or resampled.

    content: SHA-256 of its voxels. shape: [rank]. spacing_mm: [rank], None where the format has none; orientation: the
    file's. low, high: smallest and largest value. constant: channels of a single value. occupied: share of voxels
    that stand out from the background. counts: voxels per value of the mask as it is stored.
    """

    id: str
    content: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str | None
    low: float
    high: float
    constant: tuple[int, ...]
    occupied: float
    counts: Mapping[str, int] | None = None


def measure(name: str, volume: Volume) -> Facts:
    """The facts of the volume of the example called `name`, but for its mask's."""
    voxels = volume.voxels
    ends = [(float(channel.min()), float(channel.max())) for channel in np.moveaxis(voxels, -1, 0)]
    return Facts(
        id=name,
        content=content_hash(voxels),
        shape=voxels.shape[:-1],
        spacing_mm=volume.spacing_mm if volume.has_spacing else None,
        orientation=volume.origin.get("orientation"),
        low=min(low for low, _ in ends),
        high=max(high for _, high in ends),
        constant=tuple(number for number, (low, high) in enumerate(ends) if low == high),
        occupied=_occupied(voxels),
    )


def content_hash(voxels: np.ndarray) -> str:
    """SHA-256 of shape and values as float32: equal for one scan whatever its file's format, orientation and dtype.

    Args:
        voxels: [*spatial, channels] in RAS+ order, as readers give them.
    """
    digest = hashlib.sha256(json.dumps(voxels.shape).encode())
    with np.errstate(over="ignore"):  # float64 beyond float32 is infinite here, which tells volumes apart well enough
        for piece in pieces(voxels):
            values = voxels[piece].astype("<f4", order="C")
            digest.update(values.data if voxels.dtype.kind in "iu" else (values + np.float32(0)).data)  # −0 becomes 0
    return digest.hexdigest()


def from_json(fields: list[Any]) -> Facts:
    """Facts from the list that JSON makes of them."""
    facts = Facts(*fields)
    spacing_mm = facts.spacing_mm and tuple(facts.spacing_mm)
    return facts._replace(shape=tuple(facts.shape), spacing_mm=spacing_mm, constant=tuple(facts.constant))


def _occupied(voxels: np.ndarray) -> float:
    """Measured on every n-th voxel of each axis."""
    step = 1
    while voxels[(slice(None, None, step),) * (voxels.ndim - 1)].size > SAMPLE:
        step += 1
    return float(geometry.foreground(voxels[(slice(None, None, step),) * (voxels.ndim - 1)]).mean())
