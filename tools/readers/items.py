"""One item of a listing -> its volume and its mask, of one grid; or, before that, what its headers promise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.readers import annotations, files, limits, medmnist, series
from tools.readers.contract import Item, Kind, Probe, UnusableFileError, Volume


def probe(root: Path, item: Item, *, max_bytes: int = limits.MAX_BYTES) -> Probe:
    """Reads the header of `item`, whose files lie under `root`.

    Raises:
        UnusableFileError: there is no volume in it that this project can use, or one that is too large.
    """
    if item.series:
        found = series.probe(_images(root, item))
    elif item.key is not None:
        found = medmnist.probe(root / item.path, item.key)
    else:
        found = _together([files.probe(path, max_bytes=max_bytes) for path in _images(root, item)])
    limits.check_size(found.voxel_bytes, max_bytes)
    return found


def load(
    root: Path, item: Item, *, kind: Kind | None = None, max_bytes: int = limits.MAX_BYTES
) -> tuple[Volume, Volume | None]:
    """Reads image and mask of `item`. kind: what the header promised, if known. max_bytes: of either, at most.

    Raises:
        UnusableFileError: image or mask cannot be used, or do not belong together.
    """
    volume = _read(root, item, max_bytes)
    mask = _read_mask(root, item, volume, max_bytes)
    if kind is not None and (volume.rank, volume.voxels.shape[-1]) != kind:
        raise UnusableFileError(f"its header promised {kind}, its voxels differ", "it is damaged: copy it again")
    if mask is not None and not same_grid(volume, mask):
        shapes = f"{mask.voxels.shape[:-1]}, it has {volume.voxels.shape[:-1]}"
        raise UnusableFileError(f"its mask {item.mask} lies on another grid ({shapes})", "resample the mask to it")
    return volume, mask


def same_grid(volume: Volume, mask: Volume) -> bool:
    """Whether both have one shape and, where both say it, lie within a tenth of a voxel of each other."""
    if volume.voxels.shape[:-1] != mask.voxels.shape[:-1]:
        return False
    if not (volume.has_spacing and mask.has_spacing):
        return True
    size = np.array([*volume.voxels.shape[:-1], 1, 1])[:3] - 1
    corners = np.array([[*(size * corner), 1] for corner in np.ndindex(2, 2, 2)]).T  # [4, 8]
    distance = np.abs((volume.affine - mask.affine) @ corners).max()
    return bool(distance <= 0.1 * min(volume.spacing_mm))


def source(root: Path, item: Item, volume: Volume) -> dict[str, Any]:
    """Where `volume` comes from, as its record says: paths, what the file said of its place, and SHA-256."""
    if item.series:  # no paths: folders of DICOM files are often named after patients
        return {"path": None, "mask": None, **volume.origin, "sha256": files.sha256(*_images(root, item))}
    found = {"path": item.path, "mask": item.mask, **volume.origin}
    if item.channels:
        found["channels"] = list(item.channels)
    if item.inside:
        found["inside"] = item.inside
    if item.row is None:
        return {**found, "sha256": files.sha256(*_images(root, item))}
    return {**found, "sha256": medmnist.sha256(root / item.path), "array": item.key, "row": item.row}


def _read(root: Path, item: Item, max_bytes: int) -> Volume:
    if item.series:
        return series.read(_images(root, item), max_bytes=max_bytes)
    if item.row is not None:
        return medmnist.read(root / item.path, str(item.key), item.row)
    volume = _stacked([files.read(path, max_bytes=max_bytes) for path in _images(root, item)], item)
    if item.inside is None:
        return volume
    inside = files.read_mask(root / item.inside, max_bytes=max_bytes)
    if not same_grid(volume, inside):
        raise UnusableFileError(f"{item.inside} lies on another grid", "use the brain mask that was made from it")
    volume.voxels[inside.voxels[..., 0] == 0] = 0
    return volume


def _read_mask(root: Path, item: Item, volume: Volume, max_bytes: int) -> Volume | None:
    if item.mask is None:
        return None
    if item.segments is not None:
        return annotations.read(root / item.mask, volume.origin, item.segments, max_bytes=max_bytes)
    return files.read_mask(root / item.mask, max_bytes=max_bytes)


def _stacked(volumes: Sequence[Volume], item: Item) -> Volume:
    """One volume with the channels of all."""
    for name, volume in zip(item.images, volumes, strict=True):
        if not same_grid(volumes[0], volume):
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


def _images(root: Path, item: Item) -> list[Path]:
    return [root / name for name in item.images]
