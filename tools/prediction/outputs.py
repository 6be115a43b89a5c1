"""Labels and probabilities on a scan's own grid -> files of its own kind: NIfTI as it lies, a picture, or an array."""

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import nibabel
import numpy as np
from PIL import Image

from ssl3d_tf.data import files
from tools.readers import arrays, nifti, nifti_header, pictures
from tools.readers.files import suffix_of
from tools.readers.orientation import as_in_file

LEVEL = 5  # of gzip; a mask is all but empty, and nothing is gained above
MOST_GREY = 1 << 16  # labels in a picture


class Scan(Protocol):
    """id: its name. template: the file that it is in, if it is one."""

    @property
    def id(self) -> str: ...
    @property
    def template(self) -> Path | None: ...


def stem(scan: Scan) -> str:
    """What the files of a scan are called in the output, without an ending: inside of it, whatever the id."""
    parts = [part for part in Path(scan.id).parts if part not in ("..", "/")]
    return "/".join(parts)


def labels(folder: Path, scan: Scan, found: np.ndarray, source: Mapping[str, Any]) -> str:
    """Writes STEM.nii.gz on the affine, shape and axes of the scan's file, or an array or a picture of its size.

    What has an affine becomes NIfTI, whatever it was; else an array becomes STEM.npy, a picture STEM.png, and a TIFF of
    pages STEM.tif, or STEM.npy where a label is above 65535. Equal labels make equal bytes.

    Args:
        found: int [*native] of `native.labels`. source: of the scan's record.

    Returns:
        The file's name in the folder.
    """
    content, ending = _encoded(found, scan, source)
    return _write(folder, f"{stem(scan)}{ending}", content)


def probabilities(folder: Path, scan: Scan, found: np.ndarray, source: Mapping[str, Any], values: Sequence[int]) -> str:
    """Writes STEM_probabilities.npz: 'probabilities', float16 [*as in the file, classes], and 'classes', int [classes].

    Args:
        found: [*native, classes]. values: of the classes.
    """
    shares = _in_file(found, source, behind=1)
    name = f"{stem(scan)}_probabilities.npz"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(folder / name) as file:
        np.savez_compressed(file, probabilities=shares, classes=np.array(values))
    return name


def _in_file(found: np.ndarray, source: Mapping[str, Any], *, behind: int = 0) -> np.ndarray:
    """On the axes of the file; [a, b, c] where it has an affine. behind: axes that are not spatial."""
    if source.get("affine") is None:
        return found
    return as_in_file(found, np.array(source["affine"]), source["shape"], behind=behind)


def _encoded(found: np.ndarray, scan: Scan, source: Mapping[str, Any]) -> tuple[bytes, str]:
    if source.get("affine") is not None:
        image = _nifti(_in_file(found, source), scan.template, source)
        return gzip.compress(image.to_bytes(), LEVEL, mtime=0), ".nii.gz"
    suffix = suffix_of(scan.template.name) if scan.template else ""
    if suffix in arrays.SUFFIXES or found.max(initial=0) >= MOST_GREY or (found.ndim == 3 and not _is_picture(suffix)):
        array = io.BytesIO()
        np.save(array, found)
        return array.getvalue(), ".npy"
    return _picture(found)


def _is_picture(suffix: str) -> bool:
    return suffix in pictures.SUFFIXES


def _picture(found: np.ndarray) -> tuple[bytes, str]:
    """Grey levels, 8 or 16 bits deep: a PNG, or a TIFF of pages."""
    content = io.BytesIO()
    first, *others = [Image.fromarray(page) for page in (found[None] if found.ndim == 2 else found)]
    if found.ndim == 2:
        first.save(content, "PNG")
        return content.getvalue(), ".png"
    first.save(content, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    return content.getvalue(), ".tif"


def _nifti(found: np.ndarray, template: Path | None, source: Mapping[str, Any]) -> Any:
    """The image with units, sform and qform of the scan's header; where there is none, as the record's source says."""
    header = nifti.header(template) if template else None
    if header is None:
        qform, sform = source.get("codes", nifti_header.USUAL)
        header = nibabel.Nifti1Header()
        header.set_xyzt_units("mm")
        header.set_qform(np.array(source["affine"]), qform, strip_shears=True)
        header.set_sform(np.array(source["affine"]), sform)
    for name, value in {"cal_max": 0, "cal_min": 0, "intent_code": 0, "aux_file": b"", "descrip": b""}.items():
        header[name] = value
    header.extensions.clear()
    header.set_data_dtype(found.dtype)
    header.set_slope_inter(1, 0)
    kind: Any = nibabel.Nifti2Image if header.sizeof_hdr == 540 else nibabel.Nifti1Image
    return kind(found, None, header)


def _write(folder: Path, name: str, content: bytes) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(folder / name) as file:
        file.write(content)
    return name
