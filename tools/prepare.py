"""One item of the input -> one Example: read, crop, resample, normalise, pack. The same for training and prediction."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records.schema import Example
from tools import geometry, intensity, slices
from tools.intensity import Normalisation
from tools.pieces import pieces
from tools.ranges import Range
from tools.readers import files, limits, medmnist, series
from tools.readers.contract import Item, Kind, Probe, UnusableFileError, Volume


class Options(NamedTuple):
    """What is done to every volume. shape: [rank] voxels; spacing_mm: one number, or [rank]; either or neither.

    max_bytes: volumes and masks that claim more are not read. relabel: (mask value, the one stored instead).
    square: shorter axes are lengthened by zeros, after the crop. antialias: as `geometry.resample`.
    slices: a key of `slices.AXES`; `shape` may then be that of a slice.
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


def probe(root: Path, item: Item, options: Options) -> Probe:
    """Reads the header of `item`.

    Raises:
        UnusableFileError: there is no volume in it that this project can use, or one that is too large.
    """
    if item.series:
        found = series.probe(_images(root, item))
    elif item.key is not None:
        found = medmnist.probe(root / item.path, item.key)
    else:
        found = _together([files.probe(path, max_bytes=options.max_bytes) for path in _images(root, item)])
    limits.check_size(found.voxel_bytes, options.max_bytes)
    return found


def load(root: Path, item: Item, options: Options, kind: Kind | None = None) -> tuple[Volume, Volume | None]:
    """Reads image and mask of `item`, whose files lie under `root`. kind: what the header promised, if known.

    Raises:
        UnusableFileError: image or mask cannot be used, or do not belong together.
    """
    max_bytes = options.max_bytes
    volume = _read(root, item, max_bytes)
    mask = None if item.mask is None else files.read_mask(root / item.mask, max_bytes=max_bytes)
    if kind is not None and (volume.rank, volume.voxels.shape[-1]) != kind:
        raise UnusableFileError(f"its header promised {kind}, its voxels differ", "it is damaged: copy it again")
    if mask is not None and not geometry.same_grid(volume, mask):
        shapes = f"{mask.voxels.shape[:-1]}, it has {volume.voxels.shape[:-1]}"
        raise UnusableFileError(f"its mask {item.mask} lies on another grid ({shapes})", "resample the mask to it")
    if mask is not None and options.relabel:
        mask = mask._replace(voxels=files.as_labels(_relabelled(mask.voxels, options.relabel), str(item.mask)))
    return volume, mask


def pack(
    root: Path, item: Item, volume: Volume, mask: Volume | None, *, options: Options, found: Sequence[Range]
) -> Example:
    """Crops, resamples and normalises what `load` read. found: the ranges of the channels of `volume`.

    Raises:
        UnusableFileError: `options` do not fit it.
    """
    slices.check(volume, options.slices)
    source, voxels = _source(root, item, volume), volume.voxels
    volume, mask, steps = _place(volume, mask, options)
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
        source={**source, **steps},
        mask=None if mask is None else mask.voxels[..., 0],
        label=item.label,
    )


def mask_counts(mask: np.ndarray | None) -> dict[str, int] | None:
    """Voxels per value that occurs in `mask`."""
    if mask is None:
        return None
    counts: Counter[int] = Counter()
    for piece in pieces(mask):
        found = np.unique(mask[piece], return_counts=True)
        counts.update(dict(zip(*(one.tolist() for one in found), strict=True)))
    return {str(value): counts[value] for value in sorted(counts)}


def _read(root: Path, item: Item, max_bytes: int) -> Volume:
    if item.series:
        return series.read(_images(root, item), max_bytes=max_bytes)
    if item.row is not None:
        return medmnist.read(root / item.path, str(item.key), item.row)
    volume = _stacked([files.read(path, max_bytes=max_bytes) for path in _images(root, item)], item)
    if item.inside is None:
        return volume
    inside = files.read_mask(root / item.inside, max_bytes=max_bytes)
    if not geometry.same_grid(volume, inside):
        raise UnusableFileError(f"{item.inside} lies on another grid", "use the brain mask that was made from it")
    volume.voxels[inside.voxels[..., 0] == 0] = 0
    return volume


def _stacked(volumes: Sequence[Volume], item: Item) -> Volume:
    """One volume with the channels of all."""
    for name, volume in zip(item.images, volumes, strict=True):
        if not geometry.same_grid(volumes[0], volume):
            shapes = f"{volume.voxels.shape[:-1]}, {item.path} has {volumes[0].voxels.shape[:-1]}"
            raise UnusableFileError(f"its channel {name} lies on another grid ({shapes})", "register and resample it")
    if len(volumes) == 1:
        return volumes[0]
    return volumes[0]._replace(voxels=np.concatenate([volume.voxels for volume in volumes], axis=-1))


def _together(probes: Sequence[Probe]) -> Probe:
    """What the headers of the images of one item promise together."""
    ranks = {probe.kind.rank for probe in probes}
    if len(ranks) > 1:
        raise UnusableFileError("its channels are partly 2D, partly 3D", "give all of them one shape")
    return Probe(
        Kind(max(ranks), sum(probe.kind.channels for probe in probes)),
        all(probe.is_8bit for probe in probes),
        all(probe.is_picture for probe in probes),
        sum(probe.voxel_bytes for probe in probes),
    )


def _relabelled(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    changed = values.astype(np.int64) if max(new for _, new in pairs) > np.iinfo(values.dtype).max else values.copy()
    for old, new in pairs:
        changed[values == old] = new
    return changed


def _images(root: Path, item: Item) -> list[Path]:
    return [root / name for name in item.images]


def _place(volume: Volume, mask: Volume | None, options: Options) -> tuple[Volume, Volume | None, dict[str, Any]]:
    """Crops and resamples image and mask alike, and says how."""
    box, grid = None, None
    if options.crop_foreground:
        box = geometry.foreground_box(volume.voxels)
        volume = geometry.crop(volume, box)
        mask = mask and geometry.crop(mask, box)
    if options.square:
        volume = geometry.pad_square(volume)
        mask = mask and geometry.pad_square(mask)
    if options.shape is not None:
        grid = geometry.grid_of_shape(volume, slices.full_shape(options.shape, volume, options.slices))
    elif options.spacing_mm is not None:
        grid = geometry.grid_of_spacing(volume, options.spacing_mm)
    if grid is not None:
        before = volume.voxels.shape[:-1]
        volume = geometry.resample(volume, grid, antialias=options.antialias)
        mask = mask and geometry.resample(mask, grid, is_mask=True)
    resampled = None if grid is None else {"from": list(before), "to": list(grid.shape), "factors": list(grid.factors)}
    return volume, mask, {"crop_box": box, "resampled": resampled, **({"square": True} if options.square else {})}


def _source(root: Path, item: Item, volume: Volume) -> dict[str, Any]:
    if item.series:  # no paths: folders of DICOM files are often named after patients
        return {"path": None, "mask": None, **volume.origin, "sha256": files.sha256(*_images(root, item))}
    source = {"path": item.path, "mask": item.mask, **volume.origin}
    if item.channels:
        source["channels"] = list(item.channels)
    if item.inside:
        source["inside"] = item.inside
    if item.row is None:
        return {**source, "sha256": files.sha256(*_images(root, item))}
    return {**source, "sha256": medmnist.sha256(root / item.path), "array": item.key, "row": item.row}
