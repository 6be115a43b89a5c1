"""NIfTI-1/2 and Analyze files (.nii, .nii.gz, .hdr/.img) as RAS+ volumes with channels last."""

import logging
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from isal import igzip
from nibabel.arrayproxy import ArrayProxy
from nibabel.volumeutils import apply_read_scaling

from tools.readers import limits
from tools.readers.contract import Kind, Probe, UnusableFileError, Volume
from tools.readers.orientation import ras_volume

SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img")


def probe(path: Path) -> Probe:
    """Reads the header of `path`."""
    return _promise(_load(path))


def _promise(image) -> Probe:
    dtype = image.get_data_dtype()
    spatial, channels = _axes(image.shape, dtype)
    is_scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    is_8bit = dtype.itemsize == len(dtype.names or (0,)) and not is_scaled
    voxel_bytes = math.prod(image.shape) * (8 if is_scaled else dtype.itemsize)  # scaled voxels are float64
    return Probe(Kind(3 - spatial.count(1), channels), is_8bit, voxel_bytes=voxel_bytes)


def read(path: Path, max_bytes: int) -> Volume:
    """Reads `path`, turned to RAS+; integers stay integers where the header does not scale them.

    A 2D image, or one with a single slice, is [*two axes, channels]; fourth and later axes, and the fields of RGB and
    RGBA voxels, are channels. Stored axes follow the patient: left to right, posterior to anterior, inferior to
    superior.
    """
    image = _load(path)
    limits.check_size(_promise(image).voxel_bytes, max_bytes)
    spatial, channels = _axes(image.shape, image.get_data_dtype())
    voxels = _inflated(path, image.dataobj) if _is_compressed(path) else np.asanyarray(image.dataobj)
    if voxels.dtype.fields is not None:  # RGB, RGBA: one field per colour -> one channel per colour
        voxels = np.stack([voxels[name] for name in voxels.dtype.names or ()], axis=-1)
    voxels = voxels.reshape(*spatial, channels)
    return ras_volume(voxels, image.affine, image.shape)


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
    if _is_compressed(path):
        limits.check_extensions(path)
    image: Any = nibabel.load(path)
    promised = math.prod(image.shape) * image.get_data_dtype().itemsize
    most = limits.DEFLATE_MOST if _is_compressed(path) else 1
    limits.check_promise(promised, files(path)[-1].stat().st_size, most=most)
    if image.dataobj.offset > limits.EXTENSIONS_MOST:
        raise UnusableFileError(f"its voxels begin at byte {image.dataobj.offset}", "copy it again")
    return image


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _inflated(path: Path, voxels: ArrayProxy) -> np.ndarray:
    """What `voxels` stands for, read by ISA-L, which inflates in less than half the time of zlib."""
    promised = math.prod(voxels.shape) * voxels.dtype.itemsize
    with igzip.open(path) as file:
        file.seek(voxels.offset)
        data = file.read(promised)
    limits.check_promise(promised, len(data))
    stored = np.frombuffer(data, voxels.dtype).reshape(voxels.shape, order="F")
    return apply_read_scaling(stored, voxels.slope, voxels.inter)


def _axes(shape: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], int]:
    if dtype.kind == "c":
        raise UnusableFileError("its voxels are complex numbers", "store magnitude or phase as real numbers")
    spatial = (*shape, 1, 1, 1)[:3]
    if min(shape, default=0) < 1 or spatial.count(1) > 1:
        raise UnusableFileError(f"its shape {shape} has fewer than two spatial axes", "store an image or a volume")
    others = [size for size in shape[3:] if size > 1]
    if len(others) > 1:
        raise UnusableFileError(f"its shape {shape} has {len(others)} channel axes", "merge them into one fourth axis")
    return spatial, math.prod(others) * len(dtype.names or (0,))
