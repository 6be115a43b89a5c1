"""A volume and its mask as they were read -> one Example: relabel, crop, resample, normalise, pack."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records import placement
from ssl3d_tf.data.records.schema import Example
from tools.prepare import geometry, intensity, slices
from tools.prepare.intensity import Normalisation
from tools.readers import files, items, limits
from tools.readers.contract import Item, Reading, Volume
from tools.voxels import foreground
from tools.voxels.ranges import Range

KEEP = ("auto", "always", "never")  # auto: where the stored grid is another one


class Options(NamedTuple):
    """What is done to every volume. shape: [rank] voxels; spacing_mm: one number, or [rank]; either or neither.

    max_bytes: volumes and masks that claim more are not read. relabel: (mask value, the one stored instead).
    square: shorter axes are lengthened by zeros, after the crop. antialias: as `geometry.resample`.
    slices: a key of `slices.AXES`; `shape` and `spacing_mm` may then be a slice's. reading: how files are read.
    keep_native_masks: one of KEEP: of which volumes the mask is stored on the grid that was read, too.
    """

    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    crop_foreground: bool = False
    intensity: Normalisation = Normalisation("percentile")
    dtype: str = "auto"
    max_bytes: int = limits.MAX_BYTES
    relabel: tuple[tuple[int, int], ...] = ()
    square: bool = False
    slices: str | None = None
    antialias: bool = False
    reading: Reading = Reading()
    keep_native_masks: str = "auto"


def pack(
    root: Path, item: Item, volume: Volume, mask: Volume | None, *, options: Options, found: Sequence[Range]
) -> Example:
    """Relabels, crops, resamples and normalises what `items.load` read. found: the ranges of the channels of `volume`.

    Raises:
        UnusableFileError: `options` do not fit it.
    """
    if mask is not None and options.relabel:
        mask = mask._replace(voxels=files.as_labels(_relabelled(mask.voxels, options.relabel), str(item.mask)))
    slices.check(volume, options.slices)
    source, voxels, native = items.source(root, item, volume), volume.voxels, mask
    volume, mask, steps = _place(volume, mask, options)
    source |= steps
    known = found if volume.voxels is voxels else None
    stored = intensity.store(volume.voxels, options.intensity, options.dtype, found=known)
    return Example(
        id=item.id,
        patient=item.patient,
        volume=stored.volume,
        scale=stored.scale,
        offset=stored.offset,
        spacing_mm=volume.spacing_mm,
        affine=volume.affine,
        source=source,
        mask=None if mask is None else mask.voxels[..., 0],
        label=item.label,
        native_mask=native.voxels[..., 0] if native is not None and _is_kept(source, volume, options) else None,
    )


def _is_kept(source: Mapping[str, Any], volume: Volume, options: Options) -> bool:
    if options.keep_native_masks != "auto":
        return options.keep_native_masks == "always"
    placed = placement.of(source, volume.voxels.shape[:-1])
    return placed is not None and not placed.is_same


def _relabelled(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    changed = values.astype(np.int64) if max(new for _, new in pairs) > np.iinfo(values.dtype).max else values.copy()
    for old, new in pairs:
        changed[values == old] = new
    return changed


def _place(volume: Volume, mask: Volume | None, options: Options) -> tuple[Volume, Volume | None, dict[str, Any]]:
    """Crops and resamples image and mask alike, and says how."""
    box, grid = None, None
    if options.crop_foreground:
        box = foreground.box(volume.voxels)
        volume = geometry.crop(volume, box)
        mask = mask and geometry.crop(mask, box)
    if options.square:
        square = (max(volume.voxels.shape[:-1]),) * volume.rank
        geometry.check_size(volume, square, options.max_bytes, "--square")
        volume = geometry.pad_square(volume)
        mask = mask and geometry.pad_square(mask)
    if options.shape is not None:
        grid = geometry.grid_of_shape(volume, slices.full_shape(options.shape, volume, options.slices))
    elif options.spacing_mm is not None:
        spacing_mm = slices.full_spacing(options.spacing_mm, volume, options.slices)
        grid = geometry.grid_of_spacing(volume, spacing_mm)
    if grid is not None:
        before = volume.voxels.shape[:-1]
        flag = "--spacing_mm" if options.shape is None else "--shape"
        geometry.check_size(volume, grid.shape, options.max_bytes, flag)
        volume = geometry.resample(volume, grid, antialias=options.antialias)
        mask = mask and geometry.resample(mask, grid, is_mask=True)
    resampled = None if grid is None else {"from": list(before), "to": list(grid.shape), "factors": list(grid.factors)}
    return volume, mask, {"crop_box": box, "resampled": resampled, **({"square": True} if options.square else {})}
