"""Pictures (.png, .jpg, .tif): 2D, or 3D where a TIFF has several pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tools.readers import limits
from tools.readers.contract import Kind, Probe, UnusableFileError, Volume, plain_volume

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
# Mode in the file -> mode read. Alpha is dropped: it says where to draw, not what was seen.
MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB"}
MODES |= {"YCbCr": "RGB", "I": "I", "F": "F", "I;16": "I;16", "I;16B": "I;16B", "I;16L": "I;16L", "I;16N": "I;16N"}
BYTE_MODES = ("L", "RGB")
FORMATS = ("PNG", "JPEG", "TIFF")  # by content; Pillow knows others that call programs (EPS) or are rarely tested
# Bytes that one byte of the file can become. 24: one bit per pixel, read as a colour. A TIFF says how it is compressed;
# a blank line of a fax is one bit.
MOST_TIMES = {"PNG": limits.DEFLATE_MOST * 24, "JPEG": limits.DEFLATE_MOST, "raw": 24, "TIFF": 50_000}
VALUE_BYTES = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # others 1


def probe(path: Path) -> Probe:
    """Reads the header of `path`."""
    with _open(path) as picture:
        mode, pages, (width, height) = _mode(picture), getattr(picture, "n_frames", 1), picture.size
        most = MOST_TIMES.get(picture.info.get("compression", ""), MOST_TIMES[picture.format or "TIFF"])
    kind = Kind(3 if pages > 1 else 2, Image.getmodebands(mode))
    voxel_bytes = pages * height * width * kind.channels * VALUE_BYTES.get(mode, 1)
    limits.check_promise(voxel_bytes, path.stat().st_size, most=most)
    return Probe(kind, is_8bit=mode in BYTE_MODES, is_picture=True, voxel_bytes=voxel_bytes)


def read(path: Path, max_bytes: int) -> Volume:
    """Reads `path`: [H, W, channels], or [pages, H, W, channels]; one channel, or red, green and blue."""
    limits.check_size(probe(path).voxel_bytes, max_bytes)
    with _open(path) as picture:
        mode = _mode(picture)
        pages = _pages(picture, mode)
    voxels = np.stack(pages) if len(pages) > 1 else pages[0]
    return plain_volume(voxels if mode == "RGB" else voxels[..., None])


def read_labels(path: Path, max_bytes: int) -> Volume:
    """Reads a label map: a palette's indices are the labels, and grey stored as colours is grey."""
    limits.check_size(probe(path).voxel_bytes, max_bytes)
    with _open(path) as picture:
        pages = _pages(picture, picture.mode)
    voxels = np.stack(pages) if len(pages) > 1 else pages[0]
    if pages[0].ndim == 2:
        return plain_volume(voxels[..., None])
    colours = voxels[..., :3]
    if (colours != colours[..., :1]).any():
        raise UnusableFileError("the mask holds colours", "store one integer per pixel: grey levels or a palette")
    return plain_volume(colours[..., :1])


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    Image.MAX_IMAGE_PIXELS = None  # --max_gb is the limit, as for every other format
    with Image.open(path, formats=FORMATS) as picture:
        yield picture


def _mode(picture: Image.Image) -> str:
    if picture.mode not in MODES:
        raise UnusableFileError(f"its pixel mode is {picture.mode}", "store it as grey, RGB, 16-bit or float")
    return MODES[picture.mode]


def _pages(picture: Image.Image, mode: str) -> list[np.ndarray]:
    pages, size = [], picture.size
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        if picture.size != size:  # before it is decoded: its size was not counted in the header's
            raise UnusableFileError("its pages differ in size", "store pages of one size, or single pictures")
        page = np.asarray(picture.convert(mode) if picture.mode != mode else picture)
        pages.append(page.astype(page.dtype.newbyteorder("="), copy=False))
    return pages
