"""NIfTI-1/2 and Analyze files (.nii, .nii.gz, .hdr/.img) as RAS+ volumes with channels last."""

import logging
import math
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from isal import igzip
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from tools.readers import limits
from tools.readers.contract import Grid, Kind, Probe, UnusableFileError, Volume
from tools.readers.nifti_header import Place, check_turn, time_step
from tools.readers.nifti_header import place as place_of
from tools.readers.orientation import ras_grid, ras_volume

SUFFIXES = (".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img")
MAPPED = (".nii", ".NII", ".hdr", ".HDR", ".img", ".IMG")
FORMS = "sform and qform of the header lie in different places; the sform was taken, as nibabel does"
TIME = "the fourth axis is time by its header, and was taken for channels"
NEARLY = 1e-4  # of two affines: less than a tenth of any voxel, whatever the shape
PAIR = {".hdr": ".img", ".img": ".hdr"}
PAIRED = (".hdr", ".img", ".hdr.gz", ".img.gz")


def probe(path: Path) -> Probe:
    """Reads the header of `path`."""
    image, place = _load(path)
    return _promise(image)._replace(notes=(*place.notes, *_contradiction(image), *_of_time(path, image.shape)))


def _of_time(path: Path, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A note where the fourth axis is one of time: a series, not several images of one moment."""
    if len(shape) < 4 or shape[3] == 1:
        return ()
    step = time_step(limits.nifti_head(files(path)[0]))
    return (f"{TIME}, a step of {step}: {shape[3]} channels; split it into volumes if each is a scan",) if step else ()


def _contradiction(image) -> tuple[str, ...]:
    """A note where a header has two affines, and they are more than a tenth of a voxel apart."""
    header = image.header
    if "sform_code" not in header or not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return ()
    try:
        difference = header.get_sform() - header.get_qform()
    except (HeaderDataError, ValueError):
        return ()
    if np.abs(difference).max() < NEARLY:
        return ()
    size = np.array([*image.shape, 1, 1])[:3] - 1
    corners = np.array([[*(size * corner), 1] for corner in np.ndindex(2, 2, 2)]).T
    is_far = np.abs(difference @ corners).max() > 0.1 * max(min(header.get_zooms()[:3]), 0.1)
    return (FORMS,) if is_far else ()


def _promise(image) -> Probe:
    dtype = image.get_data_dtype()
    spatial, channels = _axes(image.shape, dtype)
    is_scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    is_8bit = dtype.itemsize == len(dtype.names or (0,)) and not is_scaled
    voxel_bytes = math.prod(image.shape) * (8 if is_scaled else dtype.itemsize)  # scaled voxels are float64
    return Probe(Kind(3 - spatial.count(1), channels), is_8bit, voxel_bytes=voxel_bytes)


def read(path: Path, max_bytes: int, *, affine: np.ndarray | None = None) -> Volume:
    """Reads `path`, turned to RAS+; integers stay integers where the header does not scale them.

    A 2D image, or one with a single slice, is [*two axes, channels]; fourth and later axes, and the fields of RGB and
    RGBA voxels, are channels. Stored axes follow the patient: left to right, posterior to anterior, inferior to
    superior. affine: 4 × 4 in mm, where it is known better than by the header.
    """
    image, place = _load(path)
    limits.check_size(_promise(image).voxel_bytes, max_bytes)
    spatial, channels = _axes(image.shape, image.get_data_dtype())
    voxels = np.asanyarray(image.dataobj) if _is_mapped(path) else _inflated(files(path)[-1], image.dataobj)
    if voxels.dtype.fields is not None:  # RGB, RGBA: one field per colour -> one channel per colour
        voxels = np.stack([voxels[name] for name in voxels.dtype.names or ()], axis=-1)
    voxels = voxels.reshape(*spatial, channels)
    volume = ras_volume(voxels, place.affine if affine is None else affine, image.shape)
    return volume._replace(has_spacing=place.has_size, origin={**volume.origin, **place.origin})


def grid(path: Path) -> Grid | None:
    """The grid of the image at `path`, by its header alone; None where that does not say size or place."""
    image, place = _load(path)
    if not (place.has_size and place.has_form):
        return None
    return ras_grid(place.affine, _axes(image.shape, image.get_data_dtype())[0])


def files(path: Path) -> tuple[Path, ...]:
    """All files that make up the image at `path`: two for a pair of .hdr and .img, compressed or not."""
    if not path.name.lower().endswith(PAIRED):  # asked often: what follows is slow
        return (path,)
    packed = path.suffix if path.suffix.lower() == ".gz" else ""
    plain = path.with_suffix("") if packed else path
    other = PAIR[plain.suffix.lower()]
    beside = [plain.with_name(plain.stem + suffix + packed) for suffix in (other, other.upper())]
    usual = beside[1] if plain.suffix.isupper() else beside[0]
    half = next((one for one in beside if one.is_file()), usual)
    return (path, half) if other == ".img" else (half, path)


def header(path: Path) -> Any:
    """A copy of nibabel's NIfTI header of the image at `path`; None where it is of Analyze, or of no NIfTI file."""
    if not path.name.lower().endswith(SUFFIXES):
        return None
    image, _ = _load(path)
    return image.header.copy() if "sform_code" in image.header else None


def _load(path: Path) -> tuple[Any, Place]:
    # nibabel mends and logs what it finds odd in a header; what matters here is raised.
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    missing = [file.name for file in files(path) if not file.is_file()]
    if missing:
        raise UnusableFileError(f"its other half {missing[0]} is missing", "put .hdr and .img side by side")
    head, stored = limits.nifti_head(files(path)[0]), files(path)[-1]
    check_turn(head)
    image = _header_of(path, head)
    promised = math.prod(image.shape) * image.get_data_dtype().itemsize
    most = limits.DEFLATE_MOST if limits.is_gzip(stored) else 1
    limits.check_promise(promised, stored.stat().st_size, most=most)
    if image.dataobj.offset > limits.EXTENSIONS_MOST:
        raise UnusableFileError(f"its voxels begin at byte {image.dataobj.offset}", "copy it again")
    return image, place_of(head, image.affine, image.shape)


def _header_of(path: Path, head: bytes) -> Any:
    """nibabel's image, of the format that is in the file; where its name misleads, read from an open file."""
    if path.suffix.lower() not in (".gz", ".nii") or len(files(path)) > 1:
        return nibabel.load(path)
    kind: Any = nibabel.Nifti2Image if limits.NIFTI_SIZES.get(head[:4], ("", 0))[1] == 540 else nibabel.Nifti1Image
    if _is_mapped(path) or (path.name.endswith((".nii.gz", ".NII.GZ")) and limits.is_gzip(path)):
        return kind.from_filename(path)
    with _open(path) as file:
        return kind.from_stream(file)


def _is_mapped(path: Path) -> bool:
    """Whether nibabel maps the voxels into memory: it knows the file by its name, and they are not compressed."""
    return path.suffix in MAPPED and not limits.is_gzip(files(path)[-1])


def _open(path: Path) -> IO[bytes]:
    return igzip.open(path) if limits.is_gzip(path) else path.open("rb")


def _inflated(path: Path, voxels: ArrayProxy) -> np.ndarray:
    """What `voxels` stands for, read by ISA-L, which inflates in less than half the time of zlib."""
    promised = math.prod(voxels.shape) * voxels.dtype.itemsize
    with _open(path) as file:
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
