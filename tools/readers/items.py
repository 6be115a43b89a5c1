"""One item of a listing -> its volume and its mask, of one grid; or, before that, what its headers promise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.readers import annotations, files, grids, limits, medmnist, pictures, series
from tools.readers.contract import Item, Kind, Probe, Reading, UnusableFileError, Volume

COLOURS = 3  # channels of a picture: red, green and blue


def probe(root: Path, item: Item, *, max_bytes: int = limits.MAX_BYTES, how: Reading = files.AS_FILES_SAY) -> Probe:
    """Reads the header of `item`, whose files lie under `root`. how: see Reading.

    Raises:
        UnusableFileError: there is no volume in it that this project can use, or one that is too large.
    """
    if item.series:
        found = series.probe(_images(root, item))
    elif item.key is not None:
        found = medmnist.probe(root / item.path, item.key)
    else:
        found = _together([files.probe(path, max_bytes=max_bytes, how=how) for path in _images(root, item)])
    limits.check_size(found.voxel_bytes, max_bytes)
    return found


def load(
    root: Path,
    item: Item,
    *,
    kind: Kind | None = None,
    max_bytes: int = limits.MAX_BYTES,
    how: Reading = files.AS_FILES_SAY,
) -> tuple[Volume, Volume | None]:
    """Reads image and mask of `item`. kind: what the header promised, if known. max_bytes: of either, at most.

    how: see Reading. Colours that are all grey are one channel where `kind` has one.

    Raises:
        UnusableFileError: image or mask cannot be used, or do not belong together.
    """
    volume = _read(root, item, max_bytes, how)
    mask = None if item.mask is None else _mask(root, item, volume, max_bytes, how)
    volume = volume if kind is None else of_kind(volume, kind)
    if kind is not None and (volume.rank, volume.voxels.shape[-1]) != kind:
        raise UnusableFileError(f"its header promised {kind}, its voxels differ", "it is damaged: copy it again")
    if mask is not None and (difference := grids.difference(volume, mask)):
        raise UnusableFileError(f"its mask {item.mask} lies on another grid: {difference.what}", difference.remedy)
    return (volume if mask is None else volume._replace(notes={**volume.notes, **grids.doubts(volume, mask)})), mask


def of_kind(volume: Volume, kind: Kind) -> Volume:
    """`volume`, of one channel where it has colours that are all grey and `kind` has one."""
    if kind == (volume.rank, 1) and volume.voxels.shape[-1] == COLOURS and pictures.is_grey(volume.voxels):
        return volume._replace(voxels=volume.voxels[..., :1])
    return volume


def _mask(root: Path, item: Item, volume: Volume, max_bytes: int, how: Reading) -> Volume:
    """The mask of `volume`; on its voxels, whatever the header says, where `how` has it so and they are as many."""
    name = str(item.mask)
    if item.segments is not None:
        return annotations.read(root / name, volume.origin, item.segments, max_bytes=max_bytes)
    mask = _united(root, item, files.read_mask(root / name, max_bytes=max_bytes), max_bytes, how)
    if how.mask_grid == "header" or not grids.difference(volume, mask):
        return mask
    if grids.stored_shape(mask) != grids.stored_shape(volume):
        return mask
    if mask.origin["affine"] is None:
        return grids.turned_like(mask, volume)
    affine = np.eye(4) if volume.origin["affine"] is None else np.array(volume.origin["affine"])
    mask = files.read_mask(root / name, max_bytes=max_bytes, affine=affine)
    return mask._replace(has_spacing=volume.has_spacing)


def _united(root: Path, item: Item, mask: Volume, max_bytes: int, how: Reading) -> Volume:
    """`mask` with the further ones of `item`, as one class.

    Raises:
        UnusableFileError: they are of several classes, or of another grid.
    """
    for name in item.further:
        volume = files.read_mask(root / name, max_bytes=max_bytes)
        are_alike = how.mask_grid == "image" and volume.voxels.shape == mask.voxels.shape
        if not are_alike and (difference := grids.difference(mask, volume)):
            reason = f"its mask {name} lies on another grid than {item.mask}: {difference.what}"
            raise UnusableFileError(reason, "draw both on the image")
        other = volume.voxels
        values = {*np.unique(mask.voxels).tolist(), *np.unique(other).tolist()} - {0}
        if len(values) > 1:
            shown = ", ".join(map(str, sorted(values)))
            reason = f"its masks {item.mask} and {name} hold {shown}: not one class, that both together would be"
            raise UnusableFileError(reason, "join them into one label map, or choose one with --mask_suffix")
        mask = mask._replace(voxels=np.maximum(mask.voxels, other))
    return mask


def source(root: Path, item: Item, volume: Volume) -> dict[str, Any]:
    """Where `volume` comes from, as its record says: paths, what the file said of its place, and SHA-256 of each."""
    hashes = {f"{part}_sha256": files.sha256(root / name) for part, name in _labelled(item)}
    if item.series:  # no paths: folders of DICOM files are often named after patients
        return {"path": None, "mask": None, **volume.origin, "sha256": files.sha256(*_images(root, item)), **hashes}
    found = {"path": item.path, "mask": item.mask, **volume.origin, **hashes}
    if item.channels:
        found["channels"] = list(item.channels)
    if item.inside:
        found["inside"] = item.inside
    if item.further:
        found["further_masks"] = {name: files.sha256(root / name) for name in item.further}
    if volume.notes:
        found["notes"] = dict(volume.notes)
    if item.row is None:
        return {**found, "sha256": files.sha256(*_images(root, item))}
    return {**found, "sha256": medmnist.sha256(root / item.path), "array": item.key, "row": item.row}


def _labelled(item: Item) -> list[tuple[str, str]]:
    """Its files without voxels, by what they are."""
    return [(part, name) for part, name in (("mask", item.mask), ("inside", item.inside)) if name]


def _read(root: Path, item: Item, max_bytes: int, how: Reading) -> Volume:
    if item.series:
        return series.read(_images(root, item), max_bytes=max_bytes)
    if item.row is not None:
        return files.without_nan(medmnist.read(root / item.path, str(item.key), item.row), how.nan)
    volume = _stacked([files.read(path, max_bytes=max_bytes, how=how) for path in _images(root, item)], item)
    if item.inside is None:
        return volume
    inside = files.read_mask(root / item.inside, max_bytes=max_bytes)
    if difference := grids.difference(volume, inside):
        reason = f"{item.inside} lies on another grid: {difference.what}"
        raise UnusableFileError(reason, "use the brain mask that was made from it")
    volume.voxels[inside.voxels[..., 0] == 0] = 0
    return volume


def _stacked(volumes: Sequence[Volume], item: Item) -> Volume:
    """One volume with the channels of all."""
    for name, volume in zip(item.images, volumes, strict=True):
        if difference := grids.difference(volumes[0], volume):
            reason = f"its channel {name} lies on another grid than {item.path}: {difference.what}"
            raise UnusableFileError(reason, "register and resample it")
    if len(volumes) == 1:
        return volumes[0]
    notes = {note: sum(v.notes.get(note, 0) for v in volumes) for volume in volumes for note in volume.notes}
    return volumes[0]._replace(voxels=np.concatenate([v.voxels for v in volumes], axis=-1), notes=notes)


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
        tuple(dict.fromkeys(note for probe in probes for note in probe.notes)),
    )


def _images(root: Path, item: Item) -> list[Path]:
    return [root / name for name in item.images]
