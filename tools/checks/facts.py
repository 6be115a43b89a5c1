"""What is worth knowing of one volume, measured while it is in memory: what findings and the summary are made from."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tools.checks import masks
from tools.checks.masks import Drawn
from tools.readers.contract import Volume
from tools.voxels import foreground, ranges, regions
from tools.voxels.pieces import pieces, sample
from tools.voxels.ranges import Range

SAMPLE = 100_000  # voxels at most that `occupied` is estimated from


class Facts(NamedTuple):
    """One volume as it is read, before it is cropped or resampled.

    content: as `content_hash`. shape: [rank]. spacing_mm: [rank], None where the format has none; orientation: the
    file's. low, high: smallest and largest value. constant: channels of a single value. occupied: share of voxels
    that stand out from the background. counts: voxels per value of the mask as it is stored. notes: the volume's.
    is_label_map: whether the voxels look like one. drawn: of its mask. stored: [rank], of the example made from it.
    lost: as `intensity.lost` says it.
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
    notes: Mapping[str, int] = {}
    is_label_map: bool = False
    drawn: Drawn | None = None
    stored: tuple[int, ...] = ()
    lost: str = ""


def measure(name: str, volume: Volume, found: Sequence[Range]) -> Facts:
    """The facts of the volume of the example called `name`, but for its mask's. found: the ranges of its channels."""
    voxels = volume.voxels
    return Facts(
        id=name,
        content=content_hash(voxels),
        shape=voxels.shape[:-1],
        spacing_mm=volume.spacing_mm if volume.has_spacing else None,
        orientation=volume.origin.get("orientation"),
        low=float(min(low for low, _ in found)),
        high=float(max(high for _, high in found)),
        constant=tuple(number for number, (low, high) in enumerate(found) if low == high),
        occupied=_occupied(voxels),
        notes=volume.notes,
        is_label_map=regions.is_label_map(voxels, found),
    )


def content_hash(voxels: np.ndarray) -> str:
    """SHA-256 of shape and values: equal for one scan whatever its file's format, orientation and dtype.

    Values count as int16 where all of them are, and else as float32: what is short is hashed in half the time.

    Args:
        voxels: [*spatial, channels] in RAS+ order, as readers give them.
    """
    digest = hashlib.sha256(json.dumps(voxels.shape).encode())
    dtype = "<i2" if _is_short(voxels) else "<f4"
    for piece in pieces(voxels):
        digest.update(np.ascontiguousarray(_rounded(voxels[piece]), dtype).data)
    return digest.hexdigest()


def _is_short(voxels: np.ndarray) -> bool:
    if np.can_cast(voxels.dtype, np.int16):
        return True
    values = (_rounded(voxels[piece]) for piece in pieces(voxels))
    with np.errstate(invalid="ignore"):  # what is too large becomes some other number
        return all(np.array_equal(one, one.astype(np.int16)) for one in values)


def _rounded(values: np.ndarray) -> np.ndarray:
    """`values` as float32 with a single zero; integers of 8 and 16 bits as they are, since float32 holds them."""
    if values.dtype.kind in "biu" and values.dtype.itemsize <= 2:
        return values
    with np.errstate(over="ignore"):  # float64 beyond float32 is infinite here, which tells volumes apart well enough
        return values.astype(np.float32) + np.float32(0)


def mask_counts(mask: np.ndarray | None, *, ignore: int | None = None) -> dict[str, int] | None:
    """Voxels per value that occurs in `mask`, but for the one to `ignore`; empty where it is all there is."""
    if mask is None:
        return None
    counts: Counter[int] = Counter()
    for piece in pieces(mask):
        found = ranges.values(mask[piece])
        counts.update(dict(zip(*(one.tolist() for one in found), strict=True)))
    return {str(value): counts[value] for value in sorted(counts) if value != ignore}


def from_json(fields: list[Any]) -> Facts:
    """Facts from the list that JSON makes of them."""
    facts = Facts(*fields)
    spacing_mm = facts.spacing_mm and tuple(facts.spacing_mm)
    facts = facts._replace(shape=tuple(facts.shape), spacing_mm=spacing_mm, constant=tuple(facts.constant))
    return facts._replace(drawn=masks.from_json(facts.drawn), stored=tuple(facts.stored))


def _occupied(voxels: np.ndarray) -> float:
    """Measured on every n-th voxel of each axis."""
    return float(foreground.of(sample(voxels, SAMPLE, rank=voxels.ndim - 1)).mean())
