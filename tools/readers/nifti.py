"""NIfTI-1/2 and Analyze files (.nii, .nii.gz, .hdr/.img) as RAS+ volumes with channels last."""

import logging
import math
from pathlib import Path

import nibabel
import numpy as np
from nibabel import orientations

from tools.readers.contract import Kind, Probe, UnusableFileError, Volume

SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img")


def probe(path: Path) -> Probe:
    """Reads the header of `path`."""
    image = _load(path)
    spatial, channels = _axes(image.shape, image.get_data_dtype())
    dtype = image.get_data_dtype()
    is_scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    is_8bit = dtype.itemsize == len(dtype.names or (0,)) and not is_scaled
    return Probe(Kind(3 - spatial.count(1), channels), is_8bit)


def read(path: Path) -> Volume:
    """Reads `path`, turned to RAS+; integers stay integers where the header does not scale them.

    A 2D image, or one with a single slice, is [*two axes, channels]; fourth and later axes, and the fields of RGB and
    RGBA voxels, are channels. Stored axes follow the patient: left to right, posterior to anterior, inferior to
    superior.
    """
    image = _load(path)
    spatial, channels = _axes(image.shape, image.get_data_dtype())
    voxels = np.asanyarray(image.dataobj)
    if voxels.dtype.fields is not None:  # RGB, RGBA: one field per colour -> one channel per colour
        voxels = np.stack([voxels[name] for name in voxels.dtype.names], axis=-1)
    voxels = voxels.reshape(*spatial, channels)
    turn = orientations.io_orientation(image.affine)
    if np.isnan(turn).any() or not np.isfinite(image.affine).all():
        raise UnusableFileError("its affine is singular or not finite", "mend sform and qform, e.g. with nibabel")
    origin = {
        "shape": list(image.shape),
        "affine": image.affine.tolist(),
        "orientation": "".join(nibabel.aff2axcodes(image.affine)),
    }
    voxels = np.asarray(orientations.apply_orientation(voxels, turn))
    affine = image.affine @ orientations.inv_ornt_aff(turn, spatial)
    voxels, affine = _drop_single_slice(voxels, affine)
    return Volume(voxels.astype(voxels.dtype.newbyteorder("="), copy=False), affine, has_spacing=True, origin=origin)


def files(path: Path) -> tuple[Path, ...]:
    """All files that make up the image at `path`: two for a pair of .hdr and .img."""
    is_pair = path.suffix.lower() in (".hdr", ".img")
    return (path.with_suffix(".hdr"), path.with_suffix(".img")) if is_pair else (path,)


def _load(path: Path):
    # nibabel mends and logs what it finds odd in a header; what matters here is raised.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    missing = [file.name for file in files(path) if not file.is_file()]
    if missing:
        raise UnusableFileError(f"its other half {missing[0]} is missing", "put .hdr and .img side by side")
    image = nibabel.load(path)
    if path.suffix.lower() != ".gz":
        _check_size(files(path)[-1], image)
    return image


def _check_size(path: Path, image) -> None:
    """Compares header and file before memory is asked for: a damaged header may promise terabytes."""
    promised = math.prod(image.shape) * image.get_data_dtype().itemsize
    found = path.stat().st_size
    if found < promised:
        raise UnusableFileError(
            f"its header promises {promised} bytes of voxels, the file has {found}", "copy it again"
        )


def _axes(shape: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], int]:
    if dtype.kind == "c":
        raise UnusableFileError("its voxels are complex numbers", "store magnitude or phase as real numbers")
    spatial = (*shape, 1, 1, 1)[:3]
    if 0 in shape or spatial.count(1) > 1:
        raise UnusableFileError(f"its shape {shape} has fewer than two spatial axes", "store an image or a volume")
    others = [size for size in shape[3:] if size > 1]
    if len(others) > 1:
        raise UnusableFileError(f"its shape {shape} has {len(others)} channel axes", "merge them into one fourth axis")
    return spatial, math.prod(others) * len(dtype.names or (0,))


def _drop_single_slice(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[a, b, 1, channels], in any order of axes -> [a, b, channels], its affine's third column the dropped axis."""
    if 1 not in voxels.shape[:3]:
        return voxels, affine
    dropped = voxels.shape.index(1)
    order = [axis for axis in range(3) if axis != dropped] + [dropped, 3]
    return np.squeeze(voxels, axis=dropped), affine[:, order]
